"""Pruning: exact counts at every level, globally, and random pruning at the same layer-wise density."""

from fractions import Fraction

import pytest
import torch

from harness import seeds
from harness.engine import prune
from harness.engine.networks.build import Network, build
from harness.engine.state import Mask
from harness.errors import InvariantBroken

LENET = build({"name": "lenet", "hidden": [300, 100]}, (1, 28, 28), 10)
RESNET_20 = build({"name": "resnet", "widths": [16, 32, 64], "blocks": 3}, (3, 32, 32), 10)


def weights_of(network: Network, *, output_layer: bool = True, seed: int = 0) -> dict[str, torch.Tensor]:
    """Drawn weights; layers of different scale, so that pruning globally differs from pruning each layer."""
    return {
        name: seeds.normal(seeds.stream("test", seed, name), torch.Size(network.parameters[name].shape).numel())
        .float()
        .reshape(network.parameters[name].shape)
        * (0.5 + 0.25 * number)
        for number, name in enumerate(network.prunable(output_layer=output_layer))
    }


def exact_levels(total: int, levels: int) -> list[int]:
    """Kept weights by level in rational arithmetic: a fifth of what remains, to the nearest whole, is pruned."""
    kept = [total]
    for _ in range(levels):
        fifth = Fraction(kept[-1], 5)
        kept.append(kept[-1] - int(fifth + Fraction(1, 2)))
    return kept


@pytest.mark.parametrize(
    ("network", "output_layer", "total", "levels"),
    [(LENET, True, 266_200, 15), (RESNET_20, True, 270_896, 11), (RESNET_20, False, 270_256, 11)],
    ids=["lenet", "resnet-20", "resnet-20-without-output"],
)
def test_counts_are_exact_at_every_level(network: Network, output_layer: bool, total: int, levels: int) -> None:
    weights = weights_of(network, output_layer=output_layer)
    expected = exact_levels(total, levels)
    mask = Mask().over(weights)
    for level in range(1, levels + 1):
        keep = prune.kept_after(mask.count(), 0.2, 1)
        before, mask = mask, prune.magnitude(weights, mask, keep)
        assert mask.count() == expected[level] == prune.kept_after(total, 0.2, level)
        assert not any((kept & ~before.kept[name]).any() for name, kept in mask.kept.items())  # it stays pruned
        weights = mask.applied(weights)


def test_counts_are_pinned() -> None:
    assert exact_levels(266_200, 15) == [
        266200,
        212960,
        170368,
        136294,
        109035,
        87228,
        69782,
        55826,
        44661,
        35729,
        28583,
        22866,
        18293,
        14634,
        11707,
        9366,
    ]
    assert exact_levels(270_896, 11) == [
        270896,
        216717,
        173374,
        138699,
        110959,
        88767,
        71014,
        56811,
        45449,
        36359,
        29087,
        23270,
    ]


@pytest.mark.parametrize(
    ("total", "level", "printed"),
    [(266_200, 15, 3.5), (270_896, 8, 16.8), (270_896, 9, 13.4), (270_896, 11, 8.6)],
)
def test_levels_have_the_densities_that_the_paper_prints(total: int, level: int, printed: float) -> None:
    """LMC Table 1 and section 4.3."""
    assert round(100 * prune.kept_after(total, 0.2, level) / total, 1) == printed


def test_lenets_density_tells_that_its_output_layer_is_pruned() -> None:
    """Were the output layer left whole, 15 levels would leave 3.9 % of all weights, not the printed 3.5 %."""
    left = prune.kept_after(265_200, 0.2, 15) + 1000
    assert round(100 * left / 266_200, 1) != 3.5


@pytest.mark.parametrize(("total", "fraction"), [(1, 0.2), (2, 0.2), (3, 0.2), (7, 0.2), (13, 0.5), (1000, 0.013)])
def test_few_weights_are_rounded_to_the_nearest(total: int, fraction: float) -> None:
    assert prune.kept_after(total, fraction, 1) == total - round(fraction * total)
    assert prune.kept_after(total, fraction, 0) == total


def test_the_smallest_of_all_layers_together_go() -> None:
    weights = weights_of(LENET)
    mask = prune.magnitude(weights, Mask().over(weights), 10_000)
    flat = torch.cat([value.flatten() for value in weights.values()]).abs()
    kept = torch.cat([value.flatten() for value in mask.kept.values()])
    assert flat[kept].min() >= flat[~kept].max()
    densities = [float(kept.double().mean()) for kept in mask.kept.values()]
    assert max(densities) > 5 * min(densities)  # layer by layer they would be equal


def test_a_small_example_by_hand() -> None:
    weights = {"a": torch.tensor([[0.5, -3.0], [0.1, 2.0]]), "b": torch.tensor([-0.4, 9.0])}
    first = prune.magnitude(weights, Mask().over(weights), 4)
    assert first.kept["a"].tolist() == [[True, True], [False, True]]
    assert first.kept["b"].tolist() == [False, True]
    trained = {"a": torch.tensor([[7.0, 0.2], [0.0, -0.3]]), "b": torch.tensor([0.0, 0.1])}
    second = prune.magnitude(trained, first, 2)
    assert second.kept["a"].tolist() == [[True, False], [False, True]]
    assert second.kept["b"].tolist() == [False, False]


def test_kept_weights_that_are_zero_outlive_pruned_ones() -> None:
    before = Mask({"a": torch.tensor([False, True, True, False, True])})
    kept = prune.magnitude({"a": torch.tensor([0.0, 0.0, 0.0, 0.0, 0.0])}, before, 2).kept["a"]
    assert kept.tolist() == [False, False, True, False, True]


@pytest.mark.parametrize("keep", [0, 1, 6, 11, 12])
def test_ties_are_pruned_in_order_so_that_the_count_is_exact(keep: int) -> None:
    weights = {"a": torch.full((2, 3), -1.0), "b": torch.ones(6)}
    mask = prune.magnitude(weights, Mask().over(weights), keep)
    flat = torch.cat([kept.flatten() for kept in mask.kept.values()])
    assert flat.tolist() == [False] * (12 - keep) + [True] * keep


def test_neighbouring_numbers_in_single_precision_are_told_apart() -> None:
    """16,777,217 of them would fall together were magnitudes rounded."""
    base = torch.tensor(1.0)
    steps = [base]
    for _ in range(9):
        steps.append(torch.nextafter(steps[-1], torch.tensor(2.0)))
    weights = {"a": torch.stack(steps).flip(0)}
    assert prune.magnitude(weights, Mask().over(weights), 4).kept["a"].tolist() == [True] * 4 + [False] * 6


def test_more_than_there_is_cannot_be_kept() -> None:
    with pytest.raises(InvariantBroken, match="cannot keep 3 of 2 weights"):
        prune.magnitude({"a": torch.tensor([1.0, 0.0, 2.0])}, Mask({"a": torch.tensor([True, False, True])}), 3)


def test_a_leaking_mask_is_an_error() -> None:
    before = Mask({"a": torch.tensor([True, False, False]), "b": torch.tensor([False])})
    weights = {"a": torch.tensor([1.0, 0.0, 1e-30]), "b": torch.tensor([-2.0])}
    with pytest.raises(InvariantBroken, match="the mask leaks: 2 pruned weights are not exactly zero"):
        prune.magnitude(weights, before, 1)


def test_shuffling_keeps_each_layers_count_and_moves_the_places() -> None:
    weights = weights_of(LENET)
    mask = prune.magnitude(weights, Mask().over(weights), 20_000)
    shuffled = prune.shuffled(mask, "shuffle/0")
    for name, kept in mask.kept.items():
        assert shuffled.kept[name].shape == kept.shape
        assert shuffled.kept[name].dtype == torch.bool
        assert int(shuffled.kept[name].sum()) == int(kept.sum())
        assert not torch.equal(shuffled.kept[name], kept)


def test_shuffling_is_a_function_of_its_seed_and_layer() -> None:
    mask = Mask({name: torch.arange(100) < 50 for name in ("a", "b")})
    first, again, other = (prune.shuffled(mask, seed).kept for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in mask.kept)
    assert not torch.equal(first["a"], other["a"])
    assert not torch.equal(first["a"], first["b"])


def test_shuffling_forgets_where_weights_were_kept() -> None:
    """The overlap with a mask of density d is d, as chance has it."""
    mask = Mask({"a": torch.arange(40_000) < 8_000})
    overlap = int((prune.shuffled(mask, 3).kept["a"] & mask.kept["a"]).sum())
    assert abs(overlap - 1600) < 5 * (1600 * 0.8 * 0.8) ** 0.5


def test_shuffling_over_all_layers_leaves_each_the_density_of_all() -> None:
    """A layer that was kept whole and one that was pruned away end alike, as chance has it."""
    mask = Mask({"a": torch.ones(100, 200, dtype=torch.bool), "b": torch.zeros(20_000, dtype=torch.bool)})
    shuffled = prune.shuffled(mask, 3, "global").kept
    assert sum(int(kept.sum()) for kept in shuffled.values()) == 20_000
    assert shuffled["a"].shape == (100, 200)
    assert abs(int(shuffled["a"].sum()) - 10_000) < 5 * 100
    assert not torch.equal(shuffled["a"].flatten(), prune.shuffled(mask, 4, "global").kept["a"].flatten())
