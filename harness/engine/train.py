"""The training loop: R replicas at once, each with its own weights, order, mask, step and learning rate."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from harness.engine import optimise
from harness.engine.device import number_format
from harness.engine.feed import FEEDS, Images
from harness.engine.initialise import unflatten
from harness.engine.networks import Network
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
        marks: the steps at which each replica's state is wanted; it rests at the last.
        order_seeds: each replica's seed of order and augmentation.
        schedule_starts: the step that counts as the schedule's first.
        diverged_at: [R] the first step at which the loss, or a number it rests on, was not finite, or ``FINITE``.
    """

    weights: Tensor
    buffers: Mapping[str, Tensor]
    optimiser: Mapping[str, Tensor]
    mask: Tensor | None
    steps: Sequence[int]
    marks: Sequence[Sequence[int]]
    order_seeds: Sequence[int | str]
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
            marks=[self.marks[i] for i in chosen],
            order_seeds=[self.order_seeds[i] for i in chosen],
            schedule_starts=[self.schedule_starts[i] for i in chosen],
            diverged_at=self.diverged_at[rows],
        )


@dataclass(frozen=True)
class Recipe:
    """How to train; the same for all replicas that run together.

    Attributes:
        batch: examples of a step.
        sampling: how they are chosen, a key of ``feed.FEEDS``.
        optimiser: name and settings, see ``optimise.build``.
        schedule: see ``optimise.learning_rates``.
        decay_reach: ``all`` parameters or ``weights`` only.
        precision: number format, see ``engine.device``.
    """

    batch: int
    sampling: str
    optimiser: Mapping[str, Any]
    schedule: Mapping[str, Any]
    decay_reach: str
    precision: str


OnStep = Callable[[int, Callable[[], Replicas]], None]
OnMark = Callable[[int, Replicas], None]


def train(
    network: Network, recipe: Recipe, images: Images, replicas: Replicas, *, on_step: OnStep, on_mark: OnMark
) -> Replicas:
    """Trains every replica to its last mark.

    Args:
        network: what is trained.
        recipe: how.
        images: on what.
        replicas: the replicas' states; used up by the call.
        on_step: called after every step with the number of replica-steps just made, and a function that gives
            all replicas as they are now.
        on_mark: called with a replica's number, and all replicas, whenever that replica stands at one of its
            marks; also before the first step.

    Returns:
        The replicas at their last marks.

    Raises:
        InvariantBroken: a masked weight is not exactly zero, or a replica lost its place in its epoch.
    """
    now = replicas
    arrived = list(range(len(now)))
    while True:
        now = _flag_overflow(now)
        check_mask(now)
        for replica in arrived:
            if now.steps[replica] in now.marks[replica]:
                on_mark(replica, now)
        active = [replica for replica in range(len(now)) if now.steps[replica] < max(now.marks[replica])]
        if not active:
            return now
        count = min(
            min(mark for mark in now.marks[replica] if mark > now.steps[replica]) - now.steps[replica]
            for replica in active
        )
        moving = now if len(active) == len(now) else now.take(active)
        resting = now

        def step(moved: Replicas, resting: Replicas = resting, active: list[int] = active) -> None:
            on_step(len(active), lambda: _put_back(resting, moved, active))

        now = _put_back(now, _run(network, recipe, images, moving, count, step), active)
        arrived = active


def _flag_overflow(now: Replicas) -> Replicas:
    """Marks replicas as diverged whose last step left numbers that are not finite."""
    finite = torch.isfinite(now.weights).all(1)
    for value in now.buffers.values():
        finite &= torch.isfinite(value).all(1)
    steps = torch.tensor(now.steps, device=finite.device)
    return replace(now, diverged_at=torch.where(~finite & (now.diverged_at == FINITE), steps, now.diverged_at))


def check_mask(replicas: Replicas) -> None:
    """Raises InvariantBroken unless every masked weight is exactly zero, in the replicas that did not diverge."""
    if replicas.mask is not None:
        sound = (replicas.diverged_at == FINITE)[:, None]
        leaked = ((replicas.weights != 0) & (replicas.mask == 0) & sound).sum(1)
        for replica, count in enumerate(leaked.tolist()):
            if count:
                raise InvariantBroken(
                    f"the mask leaks: {count} pruned weights of replica {replica} are not exactly zero at step "
                    f"{replicas.steps[replica]}"
                )


def _put_back(everyone: Replicas, moved: Replicas, places: Sequence[int]) -> Replicas:
    if len(moved) == len(everyone):
        return moved
    rows = torch.tensor(places, dtype=torch.int64, device=everyone.weights.device)

    def put(old: Tensor, new: Tensor) -> Tensor:
        return old.index_copy(0, rows, new)

    steps = list(everyone.steps)
    for place, step in zip(places, moved.steps, strict=True):
        steps[place] = step
    return replace(
        everyone,
        weights=put(everyone.weights, moved.weights),
        buffers={name: put(value, moved.buffers[name]) for name, value in everyone.buffers.items()},
        optimiser={name: put(value, moved.optimiser[name]) for name, value in everyone.optimiser.items()},
        steps=steps,
        diverged_at=put(everyone.diverged_at, moved.diverged_at),
    )


def _run(
    network: Network,
    recipe: Recipe,
    images: Images,
    now: Replicas,
    count: int,
    report: Callable[[Replicas], None],
) -> Replicas:
    """``count`` steps of replicas that all move."""
    device, dtype = now.weights.device, now.weights.dtype
    feed = FEEDS[recipe.sampling](
        now.order_seeds,
        now.steps,
        examples=len(images.split["train"][1]),
        batch=recipe.batch,
        device=device,
    )
    rates = _rates(recipe, now, count).to(device, dtype)
    update = optimise.build(recipe.optimiser, _decayed(network, recipe.decay_reach).to(device))
    views = unflatten(network, now.weights)
    leaves = {name: view.detach().requires_grad_() for name, view in views.items()}
    gradient = torch.empty_like(now.weights)
    state = dict(now.optimiser)
    diverged = now.diverged_at
    start = list(now.steps)
    for done in range(count):
        index, keys = feed.next()
        x, labels = images.augmented(index, keys)
        with number_format(recipe.precision, device):
            logits = network.logits(leaves, now.buffers, x, batch_norm="train")
        losses = _losses(logits, labels)
        gradients = torch.autograd.grad(losses.sum(), list(leaves.values()))
        torch.cat([part.flatten(1) for part in gradients], dim=1, out=gradient)
        if now.mask is not None:
            gradient.mul_(now.mask)
        update(now.weights, gradient, state, rates[:, done : done + 1])
        steps = [first + done + 1 for first in start]
        bad = ~torch.isfinite(losses.detach()) & (diverged == FINITE)
        diverged = torch.where(bad, torch.tensor(steps, device=device) - 1, diverged)
        now = replace(now, steps=steps, diverged_at=diverged)
        report(now)
    return now


def _losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy of each replica: [R, B, K], [R, B] to [R]."""
    logits = logits.float() if logits.dtype == torch.bfloat16 else logits
    each = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
    by_replica: Tensor = each.unflatten(0, labels.shape)
    return by_replica.mean(1)


def _rates(recipe: Recipe, now: Replicas, count: int) -> Tensor:
    """[R, count] learning rates of the coming steps, float64."""
    offsets = [step - start for step, start in zip(now.steps, now.schedule_starts, strict=True)]
    table = optimise.learning_rates(recipe.schedule, max(offsets) + count)
    return torch.stack([table[offset : offset + count] for offset in offsets])


def _decayed(network: Network, reach: str) -> Tensor:
    """[P] 1 where weight decay reaches."""
    return torch.cat(
        [
            torch.full((torch.Size(parameter.shape).numel(),), float(reach == "all" or parameter.is_weight))
            for parameter in network.parameters.values()
        ]
    )
