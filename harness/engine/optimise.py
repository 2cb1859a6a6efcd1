"""Optimisers and learning-rate schedules, over a flat buffer [R, P] with one rate per replica."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim.adam import adam as adam_step

State = dict[str, Tensor]
Update = Callable[[Tensor, Tensor, State, Tensor], None]

_ROWS_APART_FROM = 50_000
"""Parameters from which replicas are updated one after the other, so that their rows stay in the cache."""


def learning_rates(schedule: Mapping[str, Any], count: int) -> Tensor:
    """The learning rate at iterations ``0 .. count-1``, float64.

    A drop applies from its iteration on. Warmup multiplies by iteration / warmup, so the first step has rate 0.

    Args:
        schedule: ``rate``, ``drops`` (iterations), ``factor`` (a drop multiplies by it), ``warmup`` (iterations).
        count: how many iterations.
    """
    step = torch.arange(count, dtype=torch.float64)
    drops = torch.tensor(sorted(schedule["drops"]), dtype=torch.float64)
    dropped = (step[:, None] >= drops[None, :]).sum(1)
    rates: Tensor = schedule["rate"] * torch.full_like(step, schedule["factor"]).pow(dropped)
    return rates * (step / schedule["warmup"]).clamp(max=1.0) if schedule["warmup"] else rates


def sgd(momentum: float) -> Update:
    """Heavy-ball SGD: v <- momentum v + g; w <- w - rate v (Polyak 1964, as in PyTorch; not Nesterov)."""

    def update(weights: Tensor, gradient: Tensor, state: State, rate: Tensor) -> None:
        velocity = state["velocity"].mul_(momentum).add_(gradient)
        weights.sub_(velocity * rate)

    return update


def adam(beta1: float, beta2: float, epsilon: float) -> Update:
    """Adam (Kingma & Ba 2015, algorithm 1), by PyTorch's fused kernel: one pass over memory for each replica."""

    def update(weights: Tensor, gradient: Tensor, state: State, rate: Tensor) -> None:
        for row, of_row in enumerate(rate.flatten().tolist()):
            adam_step(
                [weights[row]],
                [gradient[row]],
                [state["first"][row]],
                [state["second"][row]],
                [],
                [state["count"][row, 0]],
                fused=True,
                amsgrad=False,
                beta1=beta1,
                beta2=beta2,
                lr=of_row,
                weight_decay=0.0,
                eps=epsilon,
                maximize=False,
            )

    return update


def fresh_state(optimiser: Mapping[str, Any], weights: Tensor) -> State:
    """The state before the first step for weights [R, P]: zeros."""
    if optimiser["name"] == "sgd":
        return {"velocity": torch.zeros_like(weights)}
    count = torch.zeros(len(weights), 1, device=weights.device)
    return {"first": torch.zeros_like(weights), "second": torch.zeros_like(weights), "count": count}


def build(optimiser: Mapping[str, Any], decayed: Tensor) -> Update:
    """The update of a spec's optimiser, with its weight decay added to the gradient (L2, not decoupled).

    Args:
        optimiser: ``name`` and its settings, and ``weight_decay``.
        decayed: [P] 1 where weight decay reaches, 0 elsewhere.

    Returns:
        A function ``(weights [R, P], gradient [R, P], state, rate [R, 1])`` that changes weights, gradient and
        state in place.
    """
    decay = float(optimiser["weight_decay"])
    everywhere = bool(decayed.all())
    inner = (
        sgd(optimiser["momentum"])
        if optimiser["name"] == "sgd"
        else adam(optimiser["beta1"], optimiser["beta2"], optimiser["epsilon"])
    )

    def update(weights: Tensor, gradient: Tensor, state: State, rate: Tensor) -> None:
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

    return update_by_rows if len(decayed) >= _ROWS_APART_FROM else update
