"""The state of R replicas in training, and what must hold for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from harness.errors import InvariantBroken

FINITE = -1


@dataclass(frozen=True)
class Replicas:
    """R replicas in training. Tensors have R first and are changed in place by the loop.

    Attributes:
        weights: [R, P].
        buffers: name -> [R, C].
        optimiser: the optimiser's state, name -> [R, ...].
        mask: [R, P] of 0 and 1, or None where nothing is pruned.
        steps: each replica's next step; orders and rates follow from it.
        snapshot_steps: the steps at which each replica's state is wanted; it rests at the last.
        order_seeds: each replica's seed of order and, unless it has another one, of augmentation.
        augmentation_seeds: each replica's seed of augmentation; None: that of its order.
        schedule_starts: the step that counts as the schedule's first.
        diverged_at: [R] the first step at which the loss, or a number it rests on, was not finite, or ``FINITE``.
    """

    weights: Tensor
    buffers: Mapping[str, Tensor]
    optimiser: Mapping[str, Tensor]
    mask: Tensor | None
    steps: Sequence[int]
    snapshot_steps: Sequence[Sequence[int]]
    order_seeds: Sequence[int | str]
    augmentation_seeds: Sequence[int | str | None]
    schedule_starts: Sequence[int]
    diverged_at: Tensor

    def __len__(self) -> int:
        """R."""
        return len(self.steps)

    def take(self, chosen: Sequence[int]) -> "Replicas":
        """The chosen replicas, copied."""
        rows = torch.tensor(chosen, dtype=torch.int64, device=self.weights.device)
        return Replicas(
            weights=self.weights[rows],
            buffers={name: value[rows] for name, value in self.buffers.items()},
            optimiser={name: value[rows] for name, value in self.optimiser.items()},
            mask=None if self.mask is None else self.mask[rows],
            steps=[self.steps[i] for i in chosen],
            snapshot_steps=[self.snapshot_steps[i] for i in chosen],
            order_seeds=[self.order_seeds[i] for i in chosen],
            augmentation_seeds=[self.augmentation_seeds[i] for i in chosen],
            schedule_starts=[self.schedule_starts[i] for i in chosen],
            diverged_at=self.diverged_at[rows],
        )

    def put_back(self, moved: "Replicas", places: Sequence[int]) -> "Replicas":
        """These replicas with some of them moved on: ``moved`` holds those at ``places``, in that order.

        Where all have moved, they are ``moved`` itself, without a copy.
        """
        if len(moved) == len(self):
            return moved
        rows = torch.tensor(places, dtype=torch.int64, device=self.weights.device)

        def put(old: Tensor, new: Tensor) -> Tensor:
            return old.index_copy(0, rows, new)

        steps = list(self.steps)
        for place, step in zip(places, moved.steps, strict=True):
            steps[place] = step
        return replace(
            self,
            weights=put(self.weights, moved.weights),
            buffers={name: put(value, moved.buffers[name]) for name, value in self.buffers.items()},
            optimiser={name: put(value, moved.optimiser[name]) for name, value in self.optimiser.items()},
            steps=steps,
            diverged_at=put(self.diverged_at, moved.diverged_at),
        )

    def flag_overflow(self) -> None:
        """Marks replicas as diverged whose last step left numbers that are not finite."""
        finite = torch.isfinite(self.weights).all(1)
        for value in self.buffers.values():
            finite &= torch.isfinite(value).all(1)
        steps = torch.tensor(self.steps, device=finite.device)
        self.diverged_at.copy_(torch.where(~finite & (self.diverged_at == FINITE), steps, self.diverged_at))

    def check_mask(self) -> None:
        """Raises InvariantBroken unless every masked weight is exactly zero, in the replicas that did not diverge."""
        if self.mask is None:
            return
        sound = (self.diverged_at == FINITE)[:, None]
        leaked = ((self.weights != 0) & (self.mask == 0) & sound).sum(1)
        for replica, count in enumerate(leaked.tolist()):
            if count:
                raise InvariantBroken(
                    f"the mask leaks: {count} pruned weights of replica {replica} are not exactly zero at step "
                    f"{self.steps[replica]}"
                )
