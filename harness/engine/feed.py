"""Which examples a replica sees at which step, and how they look: order, augmentation, normalisation.

Everything is a pure function of (seed, epoch or step, index): a replica that starts in the middle of an epoch takes
up that epoch's order at that place.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from harness import seeds
from harness.engine.datasets import Dataset
from harness.errors import InvariantBroken


class Images:
    """A dataset on a device, with a spec's normalisation and augmentation.

    Attributes:
        split: ``train`` or ``test`` -> (uint8 images [N, C, H, W], labels [N]).
    """

    def __init__(
        self,
        data: Dataset,
        settings: Mapping[str, Any],
        *,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.split = {
            "train": (data.train_x.to(device), data.train_y.to(device)),
            "test": (data.test_x.to(device), data.test_y.to(device)),
        }
        self._normalise = settings["normalise"]
        augment = settings["augment"]
        self._crop, self._flip = int(augment["crop_padding"]), bool(augment["flip"])
        self._padded = F.pad(self.split["train"][0], [self._crop] * 4) if self._crop else self.split["train"][0]
        self._dtype = dtype
        channels = data.info.shape[0]
        shape = (channels, 1, 1)
        if self._normalise["kind"] == "mean_std":
            self._mean = torch.tensor(self._normalise["mean"], dtype=dtype, device=device).reshape(shape)
            self._std = torch.tensor(self._normalise["std"], dtype=dtype, device=device).reshape(shape)
        self._scale = float(self._normalise["scale"])

    def plain(self, split: str, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Examples ``start .. stop-1`` as they are: images [B, 1, C, H, W] (one for all replicas), labels [B]."""
        x, y = self.split[split]
        return self._to_float(x[start:stop]).unsqueeze(1), y[start:stop]

    def chosen(self, split: str, index: Tensor) -> Tensor:
        """Examples by number, as they are: images [B, 1, C, H, W]."""
        return self._to_float(self.split[split][0][index]).unsqueeze(1)

    def augmented(self, index: Tensor, keys: Tensor) -> tuple[Tensor, Tensor]:
        """Training examples with each replica's own augmentation.

        Args:
            index: [R, B] examples.
            keys: [R] streams, one for each replica and epoch or step.

        Returns:
            Images [B, R, C, H, W] and labels [R, B].
        """
        labels = self.split["train"][1][index]
        turned = index.t()
        if not (self._crop or self._flip):
            return self._to_float(self._padded[turned]), labels
        draws = seeds.bits(keys[None, :], turned)[..., None, None, None]
        _, channels, height, width = self.split["train"][0].shape
        device = index.device
        rows = torch.arange(height, device=device).reshape(1, 1, 1, -1, 1)
        columns = torch.arange(width, device=device).reshape(1, 1, 1, 1, -1)
        if self._flip:
            columns = torch.where((draws & 1) == 1, width - 1 - columns, columns)
        if self._crop:
            choices = 2 * self._crop + 1
            rows = rows + ((draws >> 8) & 0xFFFFFF) % choices
            columns = columns + ((draws >> 32) & 0xFFFFFF) % choices
        channel = torch.arange(channels, device=device).reshape(1, 1, -1, 1, 1)
        return self._to_float(self._padded[turned[..., None, None, None], channel, rows, columns]), labels

    def _to_float(self, x: Tensor) -> Tensor:
        y = x.to(self._dtype).div_(self._scale)
        if self._normalise["kind"] == "mean_std":
            return y.sub_(self._mean).div_(self._std)
        if self._normalise["kind"] == "unit_norm":
            return y.div_(y.flatten(-3).norm(dim=-1).clamp_min_(1e-12)[..., None, None, None])
        return y


class Feed(Protocol):
    """The batches of R replicas."""

    def next(self) -> tuple[Tensor, Tensor]:
        """Indices [R, B] of the next batch, and the augmentation streams [R]; every replica moves one step on."""


class EpochFeed:
    """Batches of R replicas that go through all examples, each from its own step of its own order.

    Args:
        order_seeds: each replica's seed of order and augmentation.
        steps: each replica's next step.
        examples: N, the size of the training set.
        batch: B. The last batch of an epoch is short when B does not divide N.
        device: where the indices are made.

    Raises:
        InvariantBroken: replicas meet short batches at different times; they cannot run together.
    """

    def __init__(
        self,
        order_seeds: Sequence[int | str],
        steps: Sequence[int],
        *,
        examples: int,
        batch: int,
        device: torch.device,
    ) -> None:
        self.per_epoch = -(-examples // batch)
        self._examples, self._batch, self._device = examples, batch, device
        self._seeds, self._steps = list(order_seeds), list(steps)
        self._epochs = [-1] * len(self._seeds)
        self._served = [0] * len(self._seeds)
        self._orders = torch.empty(len(self._seeds), examples, dtype=torch.int64, device=device)
        self._keys = torch.empty(len(self._seeds), dtype=torch.int64, device=device)
        self._within = torch.arange(batch, device=device)
        if examples % batch and len({step % self.per_epoch for step in self._steps}) > 1:
            raise InvariantBroken("replicas at different places of their epochs were fused; their batches differ")

    def next(self) -> tuple[Tensor, Tensor]:
        """Indices [R, B] of the next batch, and the augmentation streams [R]; every replica moves one step on."""
        places = []
        for replica, step in enumerate(self._steps):
            epoch, place = divmod(step, self.per_epoch)
            if epoch != self._epochs[replica]:
                self._enter(replica, epoch, place)
            places.append(place)
            self._steps[replica] = step + 1
            self._served[replica] += 1
        if len(set(places)) == 1:
            first = places[0] * self._batch
            return self._orders[:, first : first + self._batch], self._keys
        first_of_each = torch.tensor(places, device=self._device)[:, None] * self._batch
        return self._orders.gather(1, first_of_each + self._within), self._keys

    def _enter(self, replica: int, epoch: int, place: int) -> None:
        if self._epochs[replica] >= 0 and (place != 0 or self._served[replica] != self.per_epoch):
            raise InvariantBroken(
                f"replica {replica} lost its place: it entered epoch {epoch} at batch {place} after "
                f"{self._served[replica]} of {self.per_epoch} batches of the epoch before"
            )
        seed = self._seeds[replica]
        self._orders[replica] = seeds.permutation(
            seeds.stream("order", seed, epoch), self._examples, device=self._device
        )
        self._keys[replica] = seeds.stream("augment", seed, epoch)
        self._epochs[replica], self._served[replica] = epoch, place


class IndependentFeed:
    """Batches of R replicas, each drawn anew at each step: B different examples, every choice of them as likely.

    Args:
        order_seeds: each replica's seed of draws and augmentation.
        steps: each replica's next step.
        examples: N, the size of the training set.
        batch: B, at most N.
        device: where the indices are made.
    """

    def __init__(
        self,
        order_seeds: Sequence[int | str],
        steps: Sequence[int],
        *,
        examples: int,
        batch: int,
        device: torch.device,
    ) -> None:
        self._examples, self._batch, self._device = examples, batch, device
        self._seeds, self._steps = list(order_seeds), list(steps)

    def next(self) -> tuple[Tensor, Tensor]:
        """Indices [R, B] of the next batch, and the augmentation streams [R]; every replica moves one step on."""
        orders, looks = (self._keys(name) for name in ("order", "augment"))
        self._steps = [step + 1 for step in self._steps]
        return seeds.choice(orders, self._examples, self._batch), looks

    def _keys(self, name: str) -> Tensor:
        """[R] streams of the coming step; the word in them keeps them apart from those of epochs."""
        keys = [seeds.stream(name, seed, "step", step) for seed, step in zip(self._seeds, self._steps, strict=True)]
        return torch.tensor(keys, device=self._device)


FEEDS: Mapping[str, Callable[..., Feed]] = {"epochs": EpochFeed, "independent": IndependentFeed}
"""Sampling of a spec's training -> its feed; all take the same arguments."""
