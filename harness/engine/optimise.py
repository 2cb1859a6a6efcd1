"""Optimisers and learning-rate schedules, over a flat buffer [R, P] with one rate per replica."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.optim.adam import adam as adam_step

State = dict[str, Tensor]
Update = Callable[[Tensor, Tensor, State, Tensor], None]

_VECTOR = 64
"""A CPU's powers of many numbers at once may differ in the last bit from those of the few that are left over; a power
is taken of so many copies, so that none is left over."""
_ROWS_APART_FROM = 50_000
"""Parameters from which a CPU updates replicas one after the other, so that their rows stay in the cache."""


def learning_rates(schedule: Mapping[str, Any], device: torch.device) -> Callable[[Tensor], Tensor]:
    """The learning rate as a function of the iteration, float64.

    A drop applies from its iteration on. Warmup multiplies by iteration / warmup, so the first step has rate 0. Where
    there is an end, the rate is rate + (end - rate) iteration / length until then.

    Args:
        schedule: ``rate``, ``drops`` (iterations), ``factor`` (a drop multiplies by it), ``warmup`` (iterations);
            ``end`` (a rate) and ``length`` (iterations) where it falls linearly, else absent.
        device: of the iterations that are asked for.

    Returns:
        A function of iterations [N], int64. What it keeps does not grow with the length of the training.
    """
    drops = torch.tensor(sorted(schedule["drops"]), dtype=torch.int64, device=device)
    powers = torch.arange(len(drops) + 1).repeat_interleave(_VECTOR)
    powered = torch.full(powers.shape, schedule["factor"], dtype=torch.float64).pow(powers)[::_VECTOR]
    levels = (schedule["rate"] * powered).to(device)
    # On the device: CUDA divides by a number of the host's by multiplying with its inverse, which rounds otherwise.
    warmup = torch.tensor(schedule["warmup"], dtype=torch.float64, device=device)

    length = torch.tensor(schedule.get("length", 1), dtype=torch.float64, device=device)
    fall = schedule.get("end", schedule["rate"]) - schedule["rate"]

    def rates(iterations: Tensor) -> Tensor:
        scheduled: Tensor = levels.index_select(0, torch.bucketize(iterations, drops, right=True))
        if fall:
            scheduled = scheduled + fall * (iterations.double() / length).clamp(max=1.0)
        return scheduled * (iterations.double() / warmup).clamp(max=1.0) if schedule["warmup"] else scheduled

    return rates


def sgd(momentum: float) -> Update:
    """Heavy-ball SGD: v <- momentum v + g; w <- w - rate v (Polyak 1964, as in PyTorch; not Nesterov)."""

    def update(weights: Tensor, gradient: Tensor, state: State, rate: Tensor) -> None:
        velocity = state["velocity"].mul_(momentum).add_(gradient)
        weights.sub_(velocity * rate)

    return update


def adam(beta1: float, beta2: float, epsilon: float) -> Update:
    """Adam (Kingma & Ba 2015, algorithm 1), by PyTorch's fused kernel: one pass over memory for each replica."""
    constants = beta1, beta2, epsilon

    def update(weights: Tensor, gradient: Tensor, state: State, rate: Tensor) -> None:
        for row in range(len(weights)):
            part = slice(row, row + 1)
            rows = {name: value[part] for name, value in state.items()}
            _fused_adam(weights[part], gradient[part], rows, rate[row, 0], constants)

    return update


def adam_together(beta1: float, beta2: float, epsilon: float) -> Update:
    """Adam with few kernels for all replicas: their moves at rate 1, then each move at its replica's own rate.

    PyTorch's kernel takes one rate only, and on CUDA in single precision at that where it is a tensor.
    """
    constants = beta1, beta2, epsilon

    def update(weights: Tensor, gradient: Tensor, state: State, rate: Tensor) -> None:
        moves = torch.zeros_like(weights)
        _fused_adam(moves, gradient, state, 1.0, constants)
        weights.addcmul_(moves, rate)

    return update


def _fused_adam(
    weights: Tensor, gradient: Tensor, state: State, rate: float | Tensor, constants: tuple[float, float, float]
) -> None:
    beta1, beta2, epsilon = constants
    adam_step(
        list(weights),
        list(gradient),
        list(state["first"]),
        list(state["second"]),
        [],
        list(state["count"][:, 0]),
        fused=True,
        amsgrad=False,
        beta1=beta1,
        beta2=beta2,
        lr=rate,
        weight_decay=0.0,
        eps=epsilon,
        maximize=False,
    )


@dataclass(frozen=True)
class Optimiser:
    """An update rule.

    Attributes:
        fresh: weights [R, P] to the state before the first step.
        rule: an optimiser's settings and the type of the device to its update.
    """

    fresh: Callable[[Tensor], State]
    rule: Callable[[Mapping[str, Any], str], Update]


def _adam_state(weights: Tensor) -> State:
    count = torch.zeros(len(weights), 1, device=weights.device)
    return {"first": torch.zeros_like(weights), "second": torch.zeros_like(weights), "count": count}


OPTIMISERS: Mapping[str, Optimiser] = {
    "sgd": Optimiser(
        lambda weights: {"velocity": torch.zeros_like(weights)},
        lambda settings, device: sgd(settings["momentum"]),
    ),
    "adam": Optimiser(
        _adam_state,
        lambda settings, device: (adam_together if device == "cuda" else adam)(
            settings["beta1"], settings["beta2"], settings["epsilon"]
        ),
    ),
}


def _scale_down(gradient: Tensor, norm: float) -> None:
    """Each replica's gradient to a norm where it is longer, with the 1e-6 of ``clip_grad_norm_``.

    Each is summed by itself, in a place of its own: how CUDA sums depends on how many sums it makes, and on where.
    """
    for row in gradient:
        row.mul_((norm / (torch.linalg.vector_norm(row.clone()) + 1e-6)).clamp_(max=1.0))


CLIPPINGS: Mapping[str, Callable[[Tensor, Mapping[str, Any]], object]] = {
    "none": lambda gradient, clip: None,
    "value": lambda gradient, clip: gradient.clamp_(-clip["at"], clip["at"]),
    "norm": lambda gradient, clip: _scale_down(gradient, clip["at"]),
}


def fresh_state(optimiser: Mapping[str, Any], weights: Tensor) -> State:
    """The state before the first step for weights [R, P]: zeros."""
    return OPTIMISERS[optimiser["name"]].fresh(weights)


def build(optimiser: Mapping[str, Any], decayed: Tensor) -> Update:
    """The update of a spec's optimiser: the gradient is clipped, then weight decay is added (L2, not decoupled).

    Args:
        optimiser: ``name`` and its settings, ``weight_decay`` and ``clip``.
        decayed: [P] 1 where weight decay reaches, 0 elsewhere; on the device of the weights.

    Returns:
        A function ``(weights [R, P], gradient [R, P], state, rate [R, 1])`` that changes weights, gradient and
        state in place, and never waits for the device.
    """
    device = decayed.device.type
    decay = float(optimiser["weight_decay"])
    everywhere = bool(decayed.all())
    clip = CLIPPINGS[optimiser["clip"]["kind"]]
    inner = OPTIMISERS[optimiser["name"]].rule(optimiser, device)

    def update(weights: Tensor, gradient: Tensor, state: State, rate: Tensor) -> None:
        clip(gradient, optimiser["clip"])
        if decay and everywhere:
            gradient.add_(weights, alpha=decay)
        elif decay:
            gradient.addcmul_(weights, decayed.to(weights), value=decay)
        inner(weights, gradient, state, rate)

    def update_by_rows(weights: Tensor, gradient: Tensor, state: State, rate: Tensor) -> None:
        for row in range(len(weights)):
            part = slice(row, row + 1)
            rows = {name: value[part] for name, value in state.items()}
            update(weights[part], gradient[part], rows, rate[part])

    return update_by_rows if device == "cpu" and len(decayed) >= _ROWS_APART_FROM else update
