"""Optimisers and schedules against torch.optim and against the rules as the papers' code has them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from harness.engine import optimise
from harness.jobs.job import canonical
from tests.engine.oracles import ADAM, SGD, naive_clip
from tests.support import SPECS, shipped

REPLICAS, PARAMETERS, STEPS = 3, 8, 20
REACHED = torch.tensor([1.0, 1, 1, 0, 0, 1, 0, 1])  # where weight decay reaches


def gradients(count: int) -> torch.Tensor:
    shape = (count, REPLICAS, PARAMETERS)
    return torch.randn(shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


def starting_weights() -> torch.Tensor:
    return torch.randn(REPLICAS, PARAMETERS, generator=torch.Generator().manual_seed(6), dtype=torch.float64)


def rate_of(replica: int, step: int) -> float:
    return 0.01 * (replica + 1) * (0.5 if step >= 11 else 1.0)


def torch_answer(settings: dict[str, Any], reached: torch.Tensor, replica: int) -> torch.Tensor:
    """One replica through torch.optim: decayed and undecayed numbers in two groups."""
    start = starting_weights()[replica]
    parts = [torch.nn.Parameter(start[reached == here].clone()) for here in (1, 0)]
    groups = [
        {"params": [parts[0]], "weight_decay": settings["weight_decay"]},
        {"params": [parts[1]], "weight_decay": 0.0},
    ]
    steps: torch.optim.Optimizer
    if settings["name"] == "sgd":
        steps = torch.optim.SGD(groups, lr=1.0, momentum=settings["momentum"])
    else:
        betas = (settings["beta1"], settings["beta2"])
        steps = torch.optim.Adam(groups, lr=1.0, betas=betas, eps=settings["epsilon"])
    for step, gradient in enumerate(gradients(STEPS)[:, replica]):
        for group in steps.param_groups:
            group["lr"] = rate_of(replica, step)
        for here, part in zip((1, 0), parts, strict=True):
            part.grad = gradient[reached == here].clone()
        naive_clip(parts, settings["clip"])
        steps.step()
    found = torch.empty_like(start)
    found[reached == 1], found[reached == 0] = parts[0].detach(), parts[1].detach()
    return found


CASES: dict[str, dict[str, Any]] = {
    "sgd": {**SGD, "momentum": 0.0, "weight_decay": 0.0},
    "heavy-ball": {**SGD, "weight_decay": 0.0},
    "heavy-ball-decayed": {**SGD, "weight_decay": 0.1},
    "sgd-clipped-by-value": {**SGD, "weight_decay": 0.1, "clip": {"kind": "value", "at": 0.1}},
    "sgd-clipped-by-norm": {**SGD, "weight_decay": 0.1, "clip": {"kind": "norm", "at": 2.5}},
    "adam": ADAM,
    "adam-other-constants": {**ADAM, "beta1": 0.7, "beta2": 0.9, "epsilon": 1e-3},
    "adam-decayed": {**ADAM, "weight_decay": 0.1},
}


@pytest.mark.parametrize("reached", [torch.ones(PARAMETERS), REACHED], ids=["all", "weights"])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("by_rows", [False, True])
def test_updates_are_those_of_torch_optim(
    case: str, reached: torch.Tensor, by_rows: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if by_rows:  # the way large networks go
        monkeypatch.setattr(optimise, "_ROWS_APART_FROM", 1)
    settings = CASES[case]
    update = optimise.build(settings, reached)
    weights = starting_weights()
    state = optimise.fresh_state(settings, weights)
    for step, gradient in enumerate(gradients(STEPS)):
        rate = torch.tensor([[rate_of(replica, step)] for replica in range(REPLICAS)], dtype=torch.float64)
        update(weights, gradient.clone(), state, rate)
    for replica in range(REPLICAS):
        expected = torch_answer(settings, reached, replica)
        torch.testing.assert_close(weights[replica], expected, rtol=1e-12, atol=1e-13)


def test_clipping_by_norm_meets_some_gradients_and_leaves_others() -> None:
    """Else the case above would not tell one norm of all replicas from one of each."""
    longer = gradients(STEPS).norm(dim=2) > 2.5
    assert 0.1 < longer.double().mean() < 0.9
    assert (longer.any(1) & ~longer.all(1)).any()


@pytest.mark.parametrize("case", ["heavy-ball", "adam"])
def test_the_state_is_all_there_is_to_remember(case: str) -> None:
    """An update built anew in the middle goes on where the first left off."""
    settings = CASES[case]
    whole, halves = starting_weights(), starting_weights()
    states = [optimise.fresh_state(settings, whole) for _ in range(2)]
    rate = torch.full((REPLICAS, 1), 0.01, dtype=torch.float64)
    first = optimise.build(settings, REACHED)
    for step, gradient in enumerate(gradients(STEPS)):
        first(whole, gradient.clone(), states[0], rate)
        optimise.build(settings, REACHED)(halves, gradient.clone(), states[1], rate)
        assert torch.equal(whole, halves), step


def test_a_masked_weight_stays_exactly_zero() -> None:
    for settings in CASES.values():
        weights = starting_weights()
        weights[:, 2] = 0
        state = optimise.fresh_state(settings, weights)
        update = optimise.build(settings, torch.ones(PARAMETERS))
        for gradient in gradients(5):
            gradient[:, 2] = 0
            update(weights, gradient, state, torch.full((REPLICAS, 1), 0.3, dtype=torch.float64))
        assert (weights[:, 2] == 0).all()
        assert (weights != 0).sum() == REPLICAS * (PARAMETERS - 1)


def first_rates(schedule: Mapping[str, Any], count: int) -> Tensor:
    return optimise.learning_rates(schedule, torch.device("cpu"))(torch.arange(count))


def table_of_rates(schedule: Mapping[str, Any], count: int) -> Tensor:
    """The same as a table of all iterations, as it was computed once."""
    step = torch.arange(count, dtype=torch.float64)
    drops = torch.tensor(sorted(schedule["drops"]), dtype=torch.float64)
    dropped = (step[:, None] >= drops[None, :]).sum(1)
    rates: Tensor = schedule["rate"] * torch.full_like(step, schedule["factor"]).pow(dropped)
    if "end" in schedule:
        rates = rates + (schedule["end"] - schedule["rate"]) * (step / schedule["length"]).clamp(max=1.0)
    return rates * (step / schedule["warmup"]).clamp(max=1.0) if schedule["warmup"] else rates


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_rates_of_every_shipped_recipe_are_those_of_the_table_bit_by_bit(path: Path) -> None:
    for scale in ("toy", "paper"):
        plan = shipped(path, scale).plan
        recipes = {canonical(job.params["schedule"]): job for job in plan.jobs.values() if job.stage == "train"}
        for job in recipes.values():
            schedule, count = job.params["schedule"], max(one.params["stop"] for one in recipes.values()) + 64
            assert torch.equal(first_rates(schedule, count), table_of_rates(schedule, count))


def test_a_schedule_of_a_billion_iterations_takes_no_memory() -> None:
    schedule = {"rate": 0.8, "drops": [500_000_000], "factor": 0.5, "warmup": 400_000_000}
    rates = optimise.learning_rates(schedule, torch.device("cpu"))
    at = torch.tensor([0, 100_000_000, 499_999_999, 500_000_000, 999_999_999])
    assert rates(at).tolist() == [0.0, 0.2, 0.8, 0.4, 0.4]


def test_a_linear_fall_ends_at_its_end_and_stays_there() -> None:
    """Inception-v3's, LMC Table 1."""
    schedule = {"rate": 0.03, "drops": [], "factor": 0.1, "warmup": 0, "end": 0.005, "length": 10}
    rates = first_rates(schedule, 14).tolist()
    assert rates[0] == 0.03
    assert rates == pytest.approx([0.03 - 0.0025 * step for step in range(10)] + [0.005] * 4, rel=1e-12)
    warmed = first_rates({**schedule, "warmup": 4}, 6).tolist()
    assert warmed == pytest.approx([rate * min(step / 4, 1) for step, rate in enumerate(rates[:6])], rel=1e-12)


def test_a_constant_rate() -> None:
    schedule = {"rate": 0.3, "drops": [], "factor": 0.1, "warmup": 0}
    assert first_rates(schedule, 4).tolist() == [0.3] * 4


def test_a_drop_applies_from_its_iteration_on() -> None:
    schedule = {"rate": 1.0, "drops": [5, 3], "factor": 0.1, "warmup": 0}  # in any order
    rates = first_rates(schedule, 7).tolist()
    assert rates == pytest.approx([1, 1, 1, 0.1, 0.1, 0.01, 0.01], rel=1e-15)
    assert rates[2] == 1.0
    assert rates[3] == pytest.approx(0.1)


def test_warmup_starts_at_zero_and_ends_at_the_rate() -> None:
    schedule = {"rate": 0.8, "drops": [6], "factor": 0.5, "warmup": 4}
    rates = first_rates(schedule, 8).tolist()
    assert rates[0] == 0.0
    assert rates == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 0.8, 0.4, 0.4], rel=1e-15)


def test_a_drop_within_warmup_multiplies() -> None:
    schedule = {"rate": 1.0, "drops": [2], "factor": 0.1, "warmup": 4}
    assert first_rates(schedule, 4).tolist() == pytest.approx([0, 0.25, 0.05, 0.075], rel=1e-15)


def test_the_papers_schedule() -> None:
    """ResNet-20 with warmup: .03, 30K iterations of warmup, a tenth at 32K and 48K (LMC Table 1)."""
    schedule = {"rate": 0.03, "drops": [32_000, 48_000], "factor": 0.1, "warmup": 30_000}
    rates = first_rates(schedule, 63_000)
    at = {step: float(rates[step]) for step in (0, 1, 15_000, 30_000, 31_999, 32_000, 47_999, 48_000, 62_999)}
    expected = {
        0: 0.0,
        1: 1e-6,
        15_000: 0.015,
        30_000: 0.03,
        31_999: 0.03,
        32_000: 0.003,
        47_999: 0.003,
        48_000: 0.0003,
        62_999: 0.0003,
    }
    assert at == pytest.approx(expected, rel=1e-12)
