"""The stage that perturbs states: what it gives, and the falsehoods that it must catch."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from harness import stages
from harness.engine import perturb
from harness.engine.state import Mask, State
from harness.errors import InvariantBroken
from harness.jobs.job import Job
from harness.stages import perturb as perturb_stage
from harness.stages import perturb_invariants
from tests.stages.bench import Bench, same, setting

COMMON = {
    "tensors": "prunable",
    "masked": "excluded",
    "batch_norm": "kept",
    "statistics": "kept",
    "optimiser_state": "reset",
}
PERMUTED = {"kind": "permute", "within": "layer", "keep_signs": False, "seed": "perturb/0/permute_layer"}
DRAWN = {"kind": "draw", "keep_signs": False, "seed": "perturb/0/draw_layer"}
DRAWN_SIGNS = {**DRAWN, "keep_signs": True}
NOISE = {"kind": "noise", "n": 1.0, "sigma": "layer", "seed": "perturb/0/noise"}
SWAP = {"kind": "swap", "signs": "state", "magnitudes": "initial"}
SCALE = {"kind": "scale", "like": "initial"}
IDENTITY = {"kind": "identity"}
KINDS = [
    PERMUTED,
    {**PERMUTED, "within": "filter", "keep_signs": True},
    NOISE,
    {**NOISE, "sigma": "global"},
    DRAWN,
    DRAWN_SIGNS,
    SWAP,
    SCALE,
    {**SCALE, "like": "fresh"},
]

HERE = setting()
TRUNK = HERE.recipe.trunk(0, 6)
MASK = HERE.recipe.prune(HERE.recipe.train(TRUNK, 6, 12, order="chain/0"), None, output_layer=True, fraction=0.4)


def job(how: Mapping[str, Any], **common: str) -> Job:
    inputs = {"state": TRUNK, "mask": MASK, "initial": HERE.recipe.initial(0)}
    inputs |= {"fresh": HERE.recipe.fresh_draw(0, 6, trained=False)} if "fresh" in how.values() else {}
    return HERE.recipe.perturb({**how, **COMMON, **common}, inputs)


@pytest.fixture(scope="module")
def bench() -> Bench:
    made = Bench()
    assert made[MASK]
    assert made[HERE.recipe.fresh_draw(0, 6, trained=False)]
    return made


def anew(bench: Bench) -> Bench:
    """With the inputs, without what was perturbed."""
    return Bench(made={key: made for key, made in bench.made.items() if "moved" not in made.table})


@pytest.mark.parametrize("how", KINDS, ids=str)
def test_only_surviving_weights_change(bench: Bench, how: Mapping[str, Any]) -> None:
    before, after = State.of(bench[TRUNK].tensors), State.of(bench[job(how)].tensors)
    kept = Mask.of(bench[MASK].tensors).kept
    assert any(not torch.equal(after.weights[name], before.weights[name]) for name in kept)
    for name, value in after.weights.items():
        pruned = ~kept[name] if name in kept else torch.ones_like(value, dtype=torch.bool)
        assert torch.equal(value[pruned], before.weights[name][pruned])
    assert all(torch.equal(value, before.buffers[name]) for name, value in after.buffers.items())
    assert (after.step, dict(after.optimiser)) == (6, {})
    assert before.optimiser, "there is a velocity to be dropped"


@pytest.mark.parametrize("how", [IDENTITY, {**SWAP, "magnitudes": "state"}], ids=["identity", "skmk"])
def test_what_changes_nothing_gives_the_states_bits(bench: Bench, how: Mapping[str, Any]) -> None:
    assert same(bench[job(how)], bench[TRUNK], leave_out=("optimiser:",))
    assert bench[job(how)].table == {"moved": [0.0], "hidden": [None]}


def test_the_unperturbed_arm_is_the_subnetwork_trained_without_this_stage(bench: Bench) -> None:
    """To its end, bit by bit."""
    ours, plain = (
        HERE.recipe.train(state, 6, 14, order="copy/0/0", mask=MASK, optimiser_state="reset")
        for state in (job(IDENTITY), TRUNK)
    )
    assert same(bench[ours], bench[plain])


def test_the_table_tells_the_distance_and_what_the_mask_hides(bench: Bench) -> None:
    """Of noise, whose draws belong to places, both follow from the noise of the whole network."""
    before, kept = State.of(bench[TRUNK].tensors).weights, Mask.of(bench[MASK].tensors).kept
    initial = State.of(bench[HERE.recipe.initial(0)].tensors).weights
    sigmas = perturb.deviations({name: initial[name] for name in kept}, "layer")
    weights = {name: before[name] for name in kept}
    whole = {name: torch.ones_like(flags) for name, flags in kept.items()}
    after = perturb.noisy(weights, whole, n=1.0, deviations=sigmas, seed=NOISE["seed"])
    seen = sum(float(((after[name] - before[name])[kept[name]].double() ** 2).sum()) for name in kept)
    hidden = sum(float(((after[name] - before[name])[~kept[name]].double() ** 2).sum()) for name in kept)
    table = bench[job(NOISE)].table
    assert table["moved"] == [pytest.approx(seen**0.5, rel=1e-6)]
    assert table["hidden"] == [pytest.approx(100 * hidden / (hidden + seen), rel=1e-6)]


def test_batch_normalisation_goes_back_where_asked(bench: Bench) -> None:
    initial = State.of(bench[HERE.recipe.initial(0)].tensors)
    after = State.of(bench[job(IDENTITY, batch_norm="initial", statistics="initial")].tensors)
    changed = {name for name, value in after.weights.items() if name.endswith((".scale", ".shift"))}
    assert changed
    for name in changed:
        assert torch.equal(after.weights[name], initial.weights[name].to(after.weights[name]))
    for name, value in after.buffers.items():
        assert torch.equal(value, initial.buffers[name].to(value))


def test_all_tensors_are_perturbed_where_asked(bench: Bench) -> None:
    before, after = (State.of(bench[one].tensors).weights for one in (TRUNK, job(PERMUTED, tensors="all")))
    assert not torch.equal(before["stem.bn.scale"], after["stem.bn.scale"])
    assert torch.equal(before["stem.bn.scale"].sort().values, after["stem.bn.scale"].sort().values)


@pytest.mark.parametrize("how", [PERMUTED, DRAWN], ids=str)
def test_pruned_weights_take_part_where_asked(bench: Bench, how: Mapping[str, Any]) -> None:
    """The full network is perturbed, whose whole layers keep their multiset, or give the moments."""
    before, after = (State.of(bench[one].tensors).weights for one in (TRUNK, job(how, masked="included")))
    kept = Mask.of(bench[MASK].tensors).kept
    assert any(not torch.equal(after[name][~flags], before[name][~flags]) for name, flags in kept.items())
    if how == PERMUTED:
        for name, flags in kept.items():
            assert torch.equal(after[name].flatten().sort().values, before[name].flatten().sort().values)
            left = {*before[name][flags].tolist()}
            assert name != max(kept, key=lambda one: kept[one].numel()) or not {*after[name][flags].tolist()} <= left
    trained = HERE.recipe.train(
        job(how, masked="included"), 6, 14, order="copy/0/0", mask=MASK, optimiser_state="reset"
    )
    end = State.of(bench[trained].tensors).weights
    assert all(not bool(end[name][~flags].any()) for name, flags in kept.items())


def test_a_carried_optimiser_state_is_that_of_k(bench: Bench) -> None:
    before, after = (State.of(bench[one].tensors) for one in (TRUNK, job(NOISE, optimiser_state="carried")))
    assert before.optimiser.keys() == after.optimiser.keys() != set()
    assert all(torch.equal(value, before.optimiser[name]) for name, value in after.optimiser.items())


def breaks(bench: Bench, how: Mapping[str, Any], words: str, **common: str) -> None:
    with pytest.raises(InvariantBroken, match=words):
        anew(bench)[job(how, **common)]


def test_a_permutation_that_leaks_over_layers_is_an_error(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    real = perturb.permuted
    monkeypatch.setattr(
        perturb, "permuted", lambda weights, kept, **how: real(weights, kept, **{**how, "within": "network"})
    )
    breaks(bench, PERMUTED, "not the same multiset: some came from elsewhere")
    breaks(bench, {**PERMUTED, "within": "filter"}, "not the same multiset")
    breaks(bench, {**PERMUTED, "keep_signs": True}, "not the same multiset")


def test_a_permutation_that_moves_signs_is_an_error(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    real = perturb.permuted
    monkeypatch.setattr(
        perturb, "permuted", lambda weights, kept, **how: real(weights, kept, **{**how, "keep_signs": False})
    )
    breaks(bench, {**PERMUTED, "keep_signs": True}, "signs were moved")


def test_a_permutation_that_moves_nothing_is_an_error(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(perturb, "permuted", lambda weights, kept, **how: dict(weights))
    breaks(bench, PERMUTED, "nothing was permuted")


@pytest.mark.parametrize("how", [PERMUTED, DRAWN, NOISE, SWAP, SCALE], ids=str)
def test_a_mask_that_is_applied_before_the_perturbation_is_an_error(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, how: Mapping[str, Any]
) -> None:
    """Pruned weights, zero by then, take part and take the places of others."""
    real = perturb_stage.KINDS[how["kind"]]

    def too_early(item: Any, weights: Mapping[str, Tensor], kept: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        masked = Mask(kept).applied(weights)
        return real(item, masked, {name: torch.ones_like(flags) for name, flags in kept.items()})

    monkeypatch.setattr(perturb_stage, "KINDS", {how["kind"]: too_early})
    breaks(bench, how, "pruned, or takes no part, was changed")


def test_a_carried_velocity_is_an_error(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    real = perturb_stage._rest

    def carries(item: Any, state: State, perturbed: Mapping[str, Tensor]) -> State:
        made = real(item, state, perturbed)
        return State(made.weights, made.buffers, made.step, state.optimiser)

    monkeypatch.setattr(perturb_stage, "_rest", carries)
    breaks(bench, PERMUTED, "optimiser's state, which belongs to other weights, is carried over")


def test_a_training_that_carries_a_velocity_which_was_reset_is_an_error(bench: Bench) -> None:
    end = HERE.recipe.train(job(PERMUTED), 6, 14, order="copy/0/0", mask=MASK, optimiser_state="carried")
    with pytest.raises(InvariantBroken, match="carries on an optimiser state that its input"):
        anew(bench)[end]


def test_signs_and_magnitudes_of_the_wrong_states_are_an_error(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    real = perturb.swapped
    monkeypatch.setattr(
        perturb,
        "swapped",
        lambda weights, kept, signs, magnitudes: real(weights, kept, signs=magnitudes, magnitudes=signs),
    )
    breaks(bench, SWAP, "magnitudes of .* are not those of initial")
    monkeypatch.setattr(
        perturb,
        "swapped",
        lambda weights, kept, signs, magnitudes: real(weights, kept, signs=magnitudes, magnitudes=magnitudes),
    )
    breaks(bench, {**SWAP, "signs": "fresh"}, "signs of .* are not those of fresh")


def test_noise_of_another_deviation_is_an_error(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    real = perturb.noisy
    monkeypatch.setattr(perturb, "noisy", lambda weights, kept, n, **how: real(weights, kept, n=1.35 * n, **how))
    breaks(bench, NOISE, "the draws of the network, .* in units of their deviation, have a mean square of 1")
    monkeypatch.setattr(
        perturb,
        "noisy",
        lambda weights, kept, **how: {name: value + 0.5 * kept[name] for name, value in weights.items()},
    )
    breaks(bench, NOISE, "the draws of .* have a mean of .*, where 0 is due")


@pytest.mark.parametrize("how", [DRAWN, DRAWN_SIGNS], ids=str)
def test_draws_of_another_deviation_are_an_error(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, how: Mapping[str, Any]
) -> None:
    real = perturb.drawn

    def wider(weights: Mapping[str, Tensor], kept: Mapping[str, Tensor], **how: Any) -> Mapping[str, Tensor]:
        made = real(weights, kept, **how)
        return {name: torch.where(kept[name], 3 * value, value) for name, value in made.items()}

    monkeypatch.setattr(perturb, "drawn", wider)
    breaks(bench, how, "the draws of .* have a mean square of .* is due")


def test_draws_about_another_mean_are_an_error(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    real = perturb.drawn

    def shifted(weights: Mapping[str, Tensor], kept: Mapping[str, Tensor], **how: Any) -> Mapping[str, Tensor]:
        made = real(weights, kept, **how)
        return {name: value + 3 * weights[name][kept[name]].std() * kept[name] for name, value in made.items()}

    monkeypatch.setattr(perturb, "drawn", shifted)
    breaks(bench, DRAWN, "the draws of .* have a mean of .*, where 0 is due")


@pytest.mark.parametrize("how", [DRAWN, DRAWN_SIGNS], ids=str)
def test_draws_that_are_the_weights_themselves_are_an_error(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, how: Mapping[str, Any]
) -> None:
    monkeypatch.setattr(perturb, "drawn", lambda weights, kept, **how: dict(weights))
    breaks(bench, how, "the draws of .* go with the weights that were there")


def test_draws_that_move_signs_are_an_error(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    real = perturb.drawn
    monkeypatch.setattr(
        perturb, "drawn", lambda weights, kept, **how: real(weights, kept, **{**how, "keep_signs": False})
    )
    breaks(bench, DRAWN_SIGNS, "signs were moved")


def test_weights_that_are_turned_when_scaled_are_an_error(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    real = perturb.scaled

    def turned(weights: Mapping[str, Tensor], kept: Mapping[str, Tensor], like: Mapping[str, Tensor]) -> Any:
        return {name: torch.where(kept[name], like[name].to(value), value) for name, value in weights.items()}

    monkeypatch.setattr(perturb, "scaled", turned)
    breaks(bench, SCALE, "was turned, or has not the norm of initial")
    monkeypatch.setattr(
        perturb,
        "scaled",
        lambda weights, kept, like: real(weights, kept, like={name: 2 * value for name, value in like.items()}),
    )
    breaks(bench, SCALE, "was turned, or has not the norm of initial")


def test_an_identity_that_is_none_is_an_error(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def nudged(item: Any, weights: Mapping[str, Tensor], kept: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        return {name: torch.nextafter(value, value + kept[name]) for name, value in weights.items()}

    monkeypatch.setattr(perturb_stage, "KINDS", {"identity": nudged})
    breaks(bench, IDENTITY, "identity: .* was changed")


@pytest.mark.parametrize("part", ["weights", "buffers"])
def test_what_takes_no_part_is_an_error_where_it_is_changed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    real = perturb_stage._rest

    def changes(item: Any, state: State, perturbed: Mapping[str, Tensor]) -> State:
        made = real(item, state, perturbed)
        name = "stem.bn.scale" if part == "weights" else "stem.bn.mean"
        moved = {part: {**getattr(made, part), name: getattr(made, part)[name] + 1.0}}
        return State(**{"weights": made.weights, "buffers": made.buffers, **moved}, step=made.step)

    monkeypatch.setattr(perturb_stage, "_rest", changes)
    breaks(bench, IDENTITY, "takes no part, was changed" if part == "weights" else "running statistics or the step")


def test_every_kind_has_its_invariant() -> None:
    assert perturb_stage.KINDS.keys() == perturb_invariants.CHECKS.keys()
    assert stages.find("perturb").effort(job(NOISE)).disk_bytes > 4 * HERE.recipe.training.parameters
