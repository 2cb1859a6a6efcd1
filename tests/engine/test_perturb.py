"""Perturbations against slow ones in plain Python: the same values at the same places."""

import math
import statistics
from collections.abc import Callable, Mapping
from functools import partial
from statistics import NormalDist
from typing import Literal

import pytest
import torch
from torch import Tensor

from harness import seeds
from harness.engine import perturb
from harness.engine.perturb import Scope

SHAPES = {"b.weight": (4, 3, 2, 2), "a.weight": (5, 6), "c.weight": (3, 2, 3, 3)}
"""Not in the order of their names: tensors from files have none."""


def drawn(which: str) -> dict[str, Tensor]:
    return {
        name: seeds.normal(seeds.stream("test", which, name), math.prod(shape)).float().reshape(shape)
        for name, shape in SHAPES.items()
    }


def flags(share: float = 0.4) -> dict[str, Tensor]:
    return {
        name: (seeds.uniform(seeds.stream("test", "flags", name), math.prod(shape)) < share).reshape(shape)
        for name, shape in SHAPES.items()
    }


WEIGHTS, OTHER, KEPT = drawn("weights"), drawn("other"), flags()


def places(tensors: Mapping[str, Tensor]) -> list[tuple[str, int]]:
    """(name, flat index) of every place, by name."""
    return [(name, index) for name in sorted(tensors) for index in range(tensors[name].numel())]


def group_of(name: str, index: int, within: Scope) -> object:
    per_channel = math.prod(SHAPES[name][1:])
    return {"network": "all", "layer": name, "filter": (name, index // per_channel)}[within]


def slowly_permuted(within: Scope, *, keep_signs: bool, seed: str) -> dict[str, list[float]]:
    """Group by group: the kept places in order get the values of those places in the order of their bits."""
    values = {name: value.flatten().tolist() for name, value in WEIGHTS.items()}
    bits = {
        name: seeds.bits(seeds.stream("perturb", seed, name), torch.arange(len(ones))).tolist()
        for name, ones in values.items()
    }
    groups: dict[object, list[tuple[str, int]]] = {}
    for name, index in places(WEIGHTS):
        if KEPT[name].flatten()[index]:
            groups.setdefault(group_of(name, index, within), []).append((name, index))
    after = {name: list(ones) for name, ones in values.items()}
    for members in groups.values():
        for (name, index), (source, at) in zip(
            members, sorted(members, key=lambda one: bits[one[0]][one[1]]), strict=True
        ):
            value = values[source][at]
            after[name][index] = math.copysign(value, values[name][index]) if keep_signs else value
    return after


@pytest.mark.parametrize("keep_signs", [False, True])
@pytest.mark.parametrize("within", ["network", "layer", "filter"])
def test_a_permutation_is_the_slow_one(within: Scope, keep_signs: bool) -> None:
    after = perturb.permuted(WEIGHTS, KEPT, within=within, keep_signs=keep_signs, seed="perturb/3")
    slow = slowly_permuted(within, keep_signs=keep_signs, seed="perturb/3")
    assert {name: value.flatten().tolist() for name, value in after.items()} == slow
    assert any(not torch.equal(after[name], WEIGHTS[name]) for name in WEIGHTS)


def test_permutations_of_other_seeds_and_scopes_differ() -> None:
    made = [
        torch.cat([value.flatten() for _, value in sorted(after.items())]).tolist()
        for within in ("network", "layer", "filter")
        for seed in (0, 1)
        for after in [perturb.permuted(WEIGHTS, KEPT, within=within, keep_signs=False, seed=seed)]
    ]
    assert len({tuple(one) for one in made}) == len(made)


def test_every_order_is_equally_likely() -> None:
    """Of three weights, over 600 seeds: 100 of each of six orders, give or take four errors."""
    weights, kept = {"w": torch.tensor([[1.0, 2.0, 3.0]])}, {"w": torch.ones(1, 3, dtype=torch.bool)}
    counts: dict[tuple[float, ...], int] = {}
    for seed in range(600):
        after = perturb.permuted(weights, kept, within="filter", keep_signs=False, seed=seed)
        order = tuple(after["w"].flatten().tolist())
        counts[order] = counts.get(order, 0) + 1
    assert len(counts) == 6
    assert all(abs(count - 100) < 4 * math.sqrt(600 / 6 * 5 / 6) for count in counts.values())


def test_a_swap_takes_signs_and_magnitudes_from_the_right_states() -> None:
    after = perturb.swapped(WEIGHTS, KEPT, signs=WEIGHTS, magnitudes=OTHER)
    for name, index in places(WEIGHTS):
        before, other = float(WEIGHTS[name].flatten()[index]), float(OTHER[name].flatten()[index])
        due = math.copysign(abs(other), before) if KEPT[name].flatten()[index] else before
        assert float(after[name].flatten()[index]) == due


def test_a_state_swapped_with_itself_is_itself() -> None:
    zero = {"w": torch.tensor([0.0, -0.0, 1.0])}
    after = perturb.swapped(zero, {"w": torch.ones(3, dtype=torch.bool)}, signs=zero, magnitudes=zero)
    assert torch.equal(after["w"].signbit(), zero["w"].signbit())
    assert torch.equal(after["w"], zero["w"])


def test_scaled_weights_have_the_norm_of_the_other_state() -> None:
    after = perturb.scaled(WEIGHTS, KEPT, like=OTHER)
    for name, value in WEIGHTS.items():
        kept = [index for index in range(value.numel()) if KEPT[name].flatten()[index]]
        norm, due = (math.sqrt(sum(float(of[name].flatten()[index]) ** 2 for index in kept)) for of in (WEIGHTS, OTHER))
        for index in range(value.numel()):
            before = float(value.flatten()[index])
            expected = before * due / norm if index in kept else before
            assert float(after[name].flatten()[index]) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("over", ["layer", "global"])
def test_noise_has_its_deviation_and_is_the_slow_one(over: Literal["layer", "global"]) -> None:
    sigmas = perturb.deviations(OTHER, over)
    after = perturb.noisy(WEIGHTS, KEPT, n=2.0, deviations=sigmas, seed=5)
    everything = [float(value) for name in OTHER for value in OTHER[name].flatten()]
    for name, value in WEIGHTS.items():
        own = everything if over == "global" else [float(other) for other in OTHER[name].flatten()]
        uniform = seeds.uniform(seeds.stream("perturb", 5, name), value.numel()).tolist()
        for index, kept in enumerate(KEPT[name].flatten().tolist()):
            before = float(value.flatten()[index])
            due = before + 2.0 * statistics.pstdev(own) * NormalDist().inv_cdf(uniform[index]) * kept
            assert float(after[name].flatten()[index]) == pytest.approx(due, rel=1e-5, abs=1e-5)


def test_noise_of_another_size_is_the_same_noise() -> None:
    sigmas = perturb.deviations(OTHER, "layer")
    once, twice = (perturb.noisy(WEIGHTS, KEPT, n=n, deviations=sigmas, seed=5) for n in (1.0, 2.0))
    for name, value in WEIGHTS.items():
        torch.testing.assert_close(twice[name] - value, 2 * (once[name] - value), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("keep_signs", [False, True])
def test_a_draw_has_the_moments_of_the_kept_weights_and_is_the_slow_one(keep_signs: bool) -> None:
    after = perturb.drawn(WEIGHTS, KEPT, keep_signs=keep_signs, seed="perturb/3")
    for name, value in WEIGHTS.items():
        own = [float(weight) for weight in value[KEPT[name]]]
        uniform = seeds.uniform(seeds.stream("perturb", "perturb/3", name), value.numel()).tolist()
        for index, kept in enumerate(KEPT[name].flatten().tolist()):
            before = float(value.flatten()[index])
            fresh = statistics.fmean(own) + statistics.pstdev(own) * NormalDist().inv_cdf(uniform[index])
            due = (math.copysign(fresh, before) if keep_signs else fresh) if kept else before
            assert float(after[name].flatten()[index]) == pytest.approx(due, rel=1e-5, abs=1e-5)


def test_a_draw_moves_weights_as_far_as_a_permutation_of_them() -> None:
    """In the mean over 400 seeds, of a layer of 40 weights, give or take four errors: by 2N times their variance."""
    weights = {"w": seeds.normal(seeds.stream("test", "layer"), 40).reshape(4, 10) + 0.3}
    kept = {"w": torch.ones(4, 10, dtype=torch.bool)}
    due = 2 * 40 * statistics.pvariance(weights["w"].flatten().tolist())
    moved: dict[str, list[float]] = {"draw": [], "permutation": []}
    for seed in range(400):
        draw = perturb.drawn(weights, kept, keep_signs=False, seed=seed)["w"]
        permutation = perturb.permuted(weights, kept, within="layer", keep_signs=False, seed=f"other/{seed}")["w"]
        moved["draw"].append(float(((draw - weights["w"]) ** 2).sum()))
        moved["permutation"].append(float(((permutation - weights["w"]) ** 2).sum()))
    for far in moved.values():
        assert abs(statistics.fmean(far) - due) < 4 * statistics.stdev(far) / math.sqrt(len(far))


def test_a_layer_without_kept_weights_stays() -> None:
    nothing = {name: torch.zeros_like(kept) for name, kept in KEPT.items()}
    after = perturb.drawn(WEIGHTS, nothing, keep_signs=False, seed=0)
    assert all(torch.equal(after[name], value) for name, value in WEIGHTS.items())


def test_another_tensor_changes_no_draw() -> None:
    """So that weights are perturbed as they are, whatever else takes part."""
    further, flag = {"0.scale": torch.arange(6.0)}, {"0.scale": torch.ones(6, dtype=torch.bool)}
    sigmas = perturb.deviations({**OTHER, **further}, "layer")
    ways: list[Callable[..., Mapping[str, Tensor]]] = [
        partial(perturb.permuted, within="layer", keep_signs=False, seed=5),
        partial(perturb.permuted, within="filter", keep_signs=True, seed=5),
        partial(perturb.drawn, keep_signs=False, seed=5),
        partial(perturb.noisy, n=1.0, deviations=sigmas, seed=5),
    ]
    for way in ways:
        alone, together = way(WEIGHTS, KEPT), way({**WEIGHTS, **further}, {**KEPT, **flag})
        assert all(torch.equal(together[name], value) for name, value in alone.items())


def test_a_draw_belongs_to_its_place() -> None:
    """What is kept elsewhere changes no noise, so that the full network is perturbed as its subnetwork is."""
    sigmas, whole = perturb.deviations(OTHER, "layer"), {name: torch.ones_like(kept) for name, kept in KEPT.items()}
    part, all_of_it = (perturb.noisy(WEIGHTS, kept, n=1.0, deviations=sigmas, seed=5) for kept in (KEPT, whole))
    for name, kept in KEPT.items():
        assert torch.equal(part[name][kept], all_of_it[name][kept])
        assert torch.equal(part[name][~kept], WEIGHTS[name][~kept])
