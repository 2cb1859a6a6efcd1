"""Which examples a replica sees at which step, and how they look: order, augmentation, normalisation.

Everything is a pure function of (seed, epoch or step, index): a replica that starts in the middle of an epoch takes
up that epoch's order at that place.
"""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from harness import seeds
from harness.engine.data.dataset import Dataset, Pixels
from harness.engine.data.tasks import OWN, turned, turns
from harness.errors import HarnessError, InvariantBroken

_STEPS_AHEAD = 64
"""Steps of which the streams of independent batches are made together."""


class Images:
    """A dataset on a device, with a spec's normalisation, augmentation and task.

    Attributes:
        split: ``train`` or ``test`` -> (uint8 images [N, C, H, W], labels [N]): labels on the device, images there too,
            or read from files batch by batch.
    """

    def __init__(
        self,
        data: Dataset,
        settings: Mapping[str, Any],
        *,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.split: dict[str, tuple[Pixels, Tensor]] = {
            "train": (data.train.on(device), data.train.labels.to(device)),
            "test": (data.test.on(device), data.test.labels.to(device)),
        }
        self._normalise = settings["normalise"]
        augment = settings["augment"]
        if "resized_crop" in augment:
            raise HarnessError(f"{data.info.name}: rectangles of photographs cannot be drawn yet (docs/imagenet.md)")
        self._crop, self._flip = int(augment["crop_padding"]), bool(augment["flip"])
        task = settings.get("task", OWN)
        self._turns, self._task_seed = task["labels"] == "rotation", task["seed"]
        whole = self.split["train"][0]
        self._padded = self._pad(whole).contiguous() if isinstance(whole, Tensor) else None
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
        return self._posed(x[start:stop], y[start:stop]).unsqueeze(1), y[start:stop]

    def chosen(self, split: str, index: Tensor) -> Tensor:
        """Examples by number, as they are: images [B, 1, C, H, W]."""
        x, y = self.split[split]
        return self._posed(x[index], y[index]).unsqueeze(1)

    def augmented(self, index: Tensor, keys: Tensor) -> tuple[Tensor, Tensor]:
        """Training examples with each replica's own augmentation; where they are to be turned, turned after it.

        Args:
            index: [R, B] examples.
            keys: [R] streams, one for each replica and epoch or step.

        Returns:
            Images [B, R, C, H, W] and labels [R, B].
        """
        x = self._moved(index, keys)
        if not self._turns:
            return x, self.split["train"][1][index]
        quarters = turns(keys, index, self._task_seed)
        return turned(x, quarters.t()), quarters

    def _moved(self, index: Tensor, keys: Tensor) -> Tensor:
        """Images [B, R, C, H, W], cropped and mirrored, of examples and streams as ``augmented`` has them."""
        if not (self._crop or self._flip):
            return self._to_float(self.split["train"][0][index.t()])
        draws = seeds.bits(keys[:, None], index)[..., None, None, None]
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
        if self._padded is not None:
            padded, number = self._padded, index
        else:
            padded = self._pad(self.split["train"][0][index].flatten(0, 1))
            number = torch.arange(index.numel(), device=device).reshape(index.shape)
        # One flat index: on the CPU some times as fast as an index for each axis.
        line = (number[..., None, None, None] * channels + channel) * padded.shape[2] + rows
        return self._to_float(padded.take(line * padded.shape[3] + columns)).transpose(0, 1)

    def upright(self) -> "Images":
        """The same images and labels; none is turned."""
        other = copy(self)
        other._turns = False
        return other

    def _posed(self, x: Tensor, labels: Tensor) -> Tensor:
        """Images as they are looked at without augmentation, turned where their labels say by how much."""
        x = self._to_float(x)
        return turned(x, labels) if self._turns else x

    def _pad(self, x: Tensor) -> Tensor:
        """Images with the border from which crops are taken."""
        return F.pad(x, [self._crop] * 4) if self._crop else x

    def _to_float(self, x: Tensor) -> Tensor:
        y = x.to(self._dtype).div_(self._scale)
        if self._normalise["kind"] == "mean_std":
            return y.sub_(self._mean).div_(self._std)
        if self._normalise["kind"] == "unit_norm":
            return y.div_(y.flatten(-3).norm(dim=-1).clamp_min_(1e-12)[..., None, None, None])
        return y


class Feed:
    """The batches of R replicas: what changes from step to step lies in tensors that stay where they are.

    A step is ``ready()``, then ``batch()``. All that takes the CPU is in ``ready``, so that a CUDA graph can replay
    ``batch``.

    Args:
        order_seeds: each replica's seed of order and, unless it has another one, of augmentation.
        steps: each replica's next step.
        examples: N, the size of the training set.
        batch: B, at most N.
        device: where the indices are made.
        augmentation_seeds: each replica's seed of augmentation; that of its order where None, or left out.
    """

    def __init__(
        self,
        order_seeds: Sequence[int | str],
        steps: Sequence[int],
        *,
        examples: int,
        batch: int,
        device: torch.device,
        augmentation_seeds: Sequence[int | str | None] = (),
    ) -> None:
        self._examples, self._batch, self._device = examples, batch, device
        self._order_seeds, self._starts = list(order_seeds), list(steps)
        looks = augmentation_seeds or [None] * len(order_seeds)
        self._augmentation_seeds = [
            order if look is None else look for order, look in zip(order_seeds, looks, strict=True)
        ]
        self._made = 0
        self._begin()

    def _begin(self) -> None:
        """Makes the tables, before the first step."""
        raise NotImplementedError

    @property
    def _steps(self) -> list[int]:
        """Each replica's next step."""
        return [start + self._made for start in self._starts]

    def ready(self) -> int:
        """Moves every replica one step on and makes the tables hold the batches of that step; their size."""
        raise NotImplementedError

    def batch(self, steps: Tensor, size: int) -> tuple[Tensor, Tensor]:
        """The batches that were made ready, without waiting for the device.

        Args:
            steps: [R] the replicas' steps, int64, on the device.
            size: what ``ready`` answered.

        Returns:
            Indices [R, size], and the augmentation streams [R], which ``ready`` may overwrite.
        """
        raise NotImplementedError

    def next(self) -> tuple[Tensor, Tensor]:
        """Indices [R, B] of the next batch, and the augmentation streams [R]; every replica moves one step on."""
        steps = torch.tensor(self._steps, device=self._device)
        return self.batch(steps, self.ready())


class EpochFeed(Feed):
    """Batches of R replicas that go through all examples, each from its own step of its own order.

    The last batch of an epoch is short when B does not divide N.

    Raises:
        InvariantBroken: replicas meet short batches at different times; they cannot run together.
    """

    def _begin(self) -> None:
        self.per_epoch = -(-self._examples // self._batch)
        self._last = self._examples - (self.per_epoch - 1) * self._batch
        self._epochs = [-1] * len(self._order_seeds)
        self._entered = [0] * len(self._order_seeds)
        self._whole_until = 0
        self._orders = torch.empty(len(self._order_seeds), self._examples, dtype=torch.int64, device=self._device)
        self._keys = torch.empty(len(self._order_seeds), dtype=torch.int64, device=self._device)
        self._within = torch.arange(self._batch, device=self._device)
        if self._examples % self._batch and len({step % self.per_epoch for step in self._steps}) > 1:
            raise InvariantBroken("replicas at different places of their epochs were fused; their batches differ")

    def ready(self) -> int:
        """Moves every replica one step on and makes the tables hold the batches of that step; their size.

        Raises:
            InvariantBroken: a replica did not go through the whole epoch before.
        """
        if self._made == self._whole_until:
            self._enter_epochs()
        self._made += 1
        return self._last if self._made == self._whole_until else self._batch

    def batch(self, steps: Tensor, size: int) -> tuple[Tensor, Tensor]:
        """See ``Feed``."""
        first_of_each = (steps % self.per_epoch)[:, None] * self._batch
        return self._orders.gather(1, first_of_each + self._within[:size]), self._keys

    def _enter_epochs(self) -> None:
        """Gives an order to every replica that begins an epoch; until the next of them does, nothing is to be done."""
        places = []
        for replica, step in enumerate(self._steps):
            epoch, place = divmod(step, self.per_epoch)
            if epoch != self._epochs[replica]:
                self._enter(replica, epoch, place)
            places.append(place)
        self._whole_until = self._made + self.per_epoch - max(places)

    def _enter(self, replica: int, epoch: int, place: int) -> None:
        served = self._made - self._entered[replica]
        if self._epochs[replica] >= 0 and (place != 0 or served != self.per_epoch):
            raise InvariantBroken(
                f"replica {replica} lost its place: it entered epoch {epoch} at batch {place} after "
                f"{served} of {self.per_epoch} batches of the epoch before"
            )
        self._orders[replica] = seeds.permutation(
            seeds.stream("order", self._order_seeds[replica], epoch), self._examples, device=self._device
        )
        self._keys[replica] = seeds.stream("augment", self._augmentation_seeds[replica], epoch)
        self._epochs[replica], self._entered[replica] = epoch, self._made - place


class IndependentFeed(Feed):
    """Batches of R replicas, each drawn anew at each step: B different examples, every choice of them as likely."""

    def _begin(self) -> None:
        self._left = 0
        self._since = torch.empty(len(self._order_seeds), dtype=torch.int64, device=self._device)
        self._keys = torch.empty(2, len(self._order_seeds), _STEPS_AHEAD, dtype=torch.int64, device=self._device)

    def ready(self) -> int:
        """Moves every replica one step on and makes the tables hold the batches of that step; their size."""
        if not self._left:
            self._left = _STEPS_AHEAD
            # A copy waits for a GPU to have done all before it, so the hashes are made first, while it works.
            since, keys = (
                torch.tensor(self._steps),
                torch.tensor(
                    [self._streams("order", self._order_seeds), self._streams("augment", self._augmentation_seeds)]
                ),
            )
            self._since.copy_(since)
            self._keys.copy_(keys)
        self._left -= 1
        self._made += 1
        return self._batch

    def batch(self, steps: Tensor, size: int) -> tuple[Tensor, Tensor]:
        """See ``Feed``."""
        orders, looks = self._keys.gather(2, (steps - self._since).expand(2, -1)[..., None]).unbind(0)
        return seeds.choice(orders[:, 0], self._examples, size), looks[:, 0]

    def _streams(self, name: str, of_replicas: Sequence[int | str]) -> list[list[int]]:
        """[R, coming steps] streams; the word in them keeps them apart from those of epochs."""
        return [
            [seeds.stream(name, seed, "step", step + ahead) for ahead in range(_STEPS_AHEAD)]
            for seed, step in zip(of_replicas, self._steps, strict=True)
        ]


FEEDS: Mapping[str, Callable[..., Feed]] = {"epochs": EpochFeed, "independent": IndependentFeed}
"""Sampling of a spec's training -> its feed; all take the same arguments."""
