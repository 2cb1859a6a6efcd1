"""Instability throughout training: what a line says at a time, what all times say together, and whose jobs its are."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.conformance.tiny import tiny
from harness.errors import RequestError
from harness.observation import Condition, Observation
from harness.protocols.common.base import Measured, Measurement
from harness.protocols.common.recipe import LineOptions, Recipe
from harness.protocols.instability_throughout.figures import figures
from harness.protocols.instability_throughout.observations import at_time, throughout
from harness.protocols.instability_throughout.protocol import PROTOCOL
from harness.schema.load import load
from harness.steps import Duration
from tests.stages.bench import setting
from tests.support import ROOT, Place, edited, request

TINY = (ROOT / "harness" / "protocols" / "instability_throughout" / "tiny.yaml").read_text()
TIMES = {4: [10, 20, 30, 44]}


def seen_on(errors: Mapping[str, Sequence[float]]) -> dict[tuple[str, str], float]:
    """(quantity, mode) -> what a line with these errors at even places says; error has no mode."""
    here = setting()
    start = here.recipe.trunk(0, 6)
    a, b = (here.recipe.train(start, 6, 14, order=Recipe.copy_order(0, order)) for order in range(2))
    places = [
        (mode, number / (len(line) - 1), error) for mode, line in errors.items() for number, error in enumerate(line)
    ]
    table: dict[str, list[Any]] = {
        "batch_norm": [mode for mode, _, _ in places],
        "alpha": [alpha for _, alpha, _ in places],
        "error": [error for _, _, error in places],
        "split": ["test"] * len(places),
    }
    line = here.recipe.line(a, b, LineOptions(alphas=5))
    measured = Measured(here, Measurement(at_time, line, {"time": 14}, 0), table, lambda job: None)
    found = [(one.quantity, str(one.at.get("batch_norm", "")), one.value) for one in at_time(measured)]
    assert len({place[:2] for place in found}) == len(found)
    return {(quantity, mode): value for quantity, mode, value in found}


def test_a_barrier_is_above_the_straight_course_between_the_copies_own_errors() -> None:
    assert seen_on({"interpolated": [2.0, 9.0, 20.0, 7.0, 6.0]}) == {
        ("error", ""): 4.0,
        ("instability", "interpolated"): 16.0,
        ("barrier", "interpolated"): 16.0,
    }
    off_the_middle = seen_on({"interpolated": [2.0, 13.0, 4.0, 5.0, 6.0]})
    assert (off_the_middle["instability", "interpolated"], off_the_middle["barrier", "interpolated"]) == (9.0, 10.0)


def test_copies_that_differ_in_their_errors_alone_have_no_barrier_but_instability() -> None:
    found = seen_on({"interpolated": [2.0, 3.0, 4.0, 5.0, 6.0]})
    assert (found["instability", "interpolated"], found["barrier", "interpolated"]) == (2.0, 0.0)


def test_recomputed_statistics_are_held_against_the_copies_own_errors() -> None:
    found = seen_on({"interpolated": [2.0, 9.0, 6.0], "recomputed": [50.0, 7.0, 50.0]})
    assert (found["instability", "recomputed"], found["barrier", "recomputed"], found["error", ""]) == (3.0, 3.0, 4.0)
    assert seen_on({"recomputed": [50.0, 7.0, 50.0]}) == {}, "the copies' own errors are not there"


def courses(quantities: Mapping[str, Sequence[Sequence[float]]]) -> list[Observation]:
    """Quantity -> the values of each pair at ``TIMES``."""
    return [
        Observation(
            quantity,
            {"arm": "full", "fork": 4, "time": time, "split": "test"}
            | ({} if quantity == "error" else {"batch_norm": "interpolated"}),
            0,
            repeat,
            value,
        )
        for quantity, pairs in quantities.items()
        for repeat, values in enumerate(pairs)
        for time, value in zip(TIMES[4], values, strict=True)
    ]


def together(quantities: Mapping[str, Sequence[Sequence[float]]], threshold: float = 2.0) -> dict[str, Observation]:
    return {one.quantity: one for one in throughout(courses(quantities), TIMES, threshold)}


def test_all_times_together_by_hand() -> None:
    found = together(
        {
            "instability": [[4.0, 10.0, 3.0, 1.0], [6.0, 0.0, 1.0, 1.0]],
            "barrier": [[1.0, 7.0, 3.0, 1.0], [3.0, 0.0, 0.0, 1.0]],
            "error": [[50.0, 20.0, 10.0, 5.0], [70.0, 20.0, 10.0, 5.0]],
        }
    )
    values = {name: one.value for name, one in found.items()}
    assert values.pop("follows_error") > 0.5
    assert values == {
        "highest_instability": 5.0,
        "highest_barrier": 3.5,
        "highest_error": 65.0,
        "stable_share": 0.5,
        "barrier_fall": 2.5,
        "barrier_highest_at": pytest.approx(16 / 40),
        "half_at": pytest.approx(6 / 40),
    }
    place: dict[str, Condition] = {"arm": "full", "fork": 4, "split": "test", "batch_norm": "interpolated"}
    assert all(dict(one.at) == place for one in found.values())


def test_a_late_rise_is_told_from_an_early_one() -> None:
    course = [[0.0, 4.0, 10.0, 12.0]]
    late = together({"instability": course, "barrier": course, "error": [[9.0, 8.0, 7.0, 6.0]]})
    assert (late["barrier_highest_at"].value, late["barrier_fall"].value) == (1.0, 0.0)
    assert late["half_at"].value == pytest.approx(26 / 40)
    assert late["follows_error"].value < -0.9


def test_what_never_rises_is_highest_nowhere() -> None:
    flat = together({"instability": [[0.0] * 4], "barrier": [[0.0] * 4], "error": [[9.0, 8.0, 7.0, 6.0]]})
    assert (flat["highest_instability"].value, flat["stable_share"].value) == (0.0, 1.0)
    assert (flat["half_at"].why, flat["barrier_highest_at"].why) == (
        "instability never rises",
        "the barrier never rises",
    )


def test_instability_that_falls_with_what_copies_errors_differ_by_is_no_spike() -> None:
    """A drop of the rate makes both copies' errors quiet; no barrier rose before, so none falls."""
    noisy = together(
        {"instability": [[6.0, 6.0, 6.0, 0.0]], "barrier": [[0.5] * 4], "error": [[20.0, 20.0, 20.0, 5.0]]}
    )
    assert noisy["barrier_fall"].value == 0.0


def test_a_pair_that_is_stable_at_the_end_alone_is_not_stable_throughout() -> None:
    quantities = {"barrier": [[0.0] * 4], "error": [[9.0, 8.0, 7.0, 6.0]]}
    ends = together({"instability": [[8.0, 8.0, 8.0, 0.0]], **quantities})
    always = together({"instability": [[2.0, 1.0, 0.0, 0.0]], **quantities})
    assert (ends["stable_share"].value, always["stable_share"].value) == (0.25, 1.0)


def test_what_never_changes_has_no_correlation() -> None:
    found = together({"instability": [[0.0] * 4], "barrier": [[0.0] * 4], "error": [[9.0, 8.0, 7.0, 6.0]]})
    assert found["follows_error"].why == "instability is the same at all times"


def test_where_a_time_lacks_nothing_is_told() -> None:
    whole = courses({"instability": [[1.0] * 4], "barrier": [[0.0] * 4], "error": [[9.0, 8.0, 7.0, 6.0]]})
    assert list(throughout([one for one in whole if one.at["time"] != 20], TIMES, 2.0)) == []


@pytest.mark.parametrize("name", ["resnet20", "vgg16"])
def test_its_copies_are_on_the_way_of_those_of_instability(name: str) -> None:
    """No training is another, but for the initialisations that the other spec has not."""
    mine = request(ROOT / "specs" / f"{name}_throughout.yaml")
    theirs = request(ROOT / "specs" / f"{name}_stability.yaml")
    trained = {job.trajectory for job in theirs.plan.jobs.values() if job.stage == "train"}
    both, shared = set(theirs.setting.replicates.seeds) & set(mine.setting.replicates.seeds), set()
    for one in mine.protocol.measurements(mine.setting):
        if one.initialisation in both and one.at["arm"] == "full":
            ends = one.job.inputs.values()
            assert {end.trajectory for end in ends} <= trained
            if one.at["time"] == mine.setting.length:
                shared |= {end.key for end in ends}
    assert len(shared) == len(both) * len(mine.setting.options.forks) * mine.setting.replicates.orders
    assert shared <= theirs.plan.jobs.keys()


def test_its_subnetworks_are_those_of_imp() -> None:
    mine, imp = (request(ROOT / "specs" / f"{name}.yaml") for name in ("vgg16_throughout", "vgg16_imp"))
    theirs = imp.setting.options
    options = mine.setting.options.model_copy(
        update={
            "forks": theirs.rewinds,
            "every": Duration(400, "it"),
            "pruning": theirs.pruning,
            "prune_output_layer": theirs.prune_output_layer,
        }
    )
    ends = {
        end.key
        for one in mine.protocol.measurements(dataclasses.replace(mine.setting, options=options))
        if one.at["arm"] == "imp" and one.at["time"] == mine.setting.length
        for end in one.job.inputs.values()
    }
    assert len(ends) == 8 * 2 * (2 + 1), "two copies and their mask, of each initialisation and k"
    assert ends <= imp.plan.jobs.keys()


def test_without_own_ends_on_the_line_copies_are_evaluated(tmp_path: Path) -> None:
    path = Place(tmp_path).write(edited(TINY, "{alphas: 3}", "{alphas: 3, batch_norm: [recomputed]}"))
    asked = request(path)
    evaluated = {job.inputs["state"].key for job in asked.plan.jobs.values() if job.stage == "evaluate"}
    lines = [job for job in asked.plan.jobs.values() if job.stage == "line"]
    assert {job.inputs[role].key for job in lines for role in ("a", "b")} == evaluated


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("forks: [0it, 10it]", "forks: [0it, 40it]", "forks[1]: found 40it, the end of training: choose k < T"),
        ("every: 9it", "every: 0it", "every: found 0it: give an iteration or more"),
        ("{fork: 0it}", "{fork: 10it, time: 9it}", "at 9it copies that part at 10it are one network"),
        ("{fork: 0it}", "{fork: 0it, time: 10it}", "this scale has time = 9it, 18it, 27it, 36it, 40it"),
        ("{fork: 0it}", "{fork: 0it, arm: random_prune}", "this scale has arm = full, imp"),
    ],
)
def test_what_no_field_shows_alone_is_told(old: str, new: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(RequestError) as caught:
        load(Place(tmp_path).write(edited(TINY, old, new)), {PROTOCOL.name: PROTOCOL})
    assert words in str(caught.value)


def test_curves_begin_at_k_and_the_map_leaves_out_what_is_before(tmp_path: Path) -> None:
    asked = tiny("instability_throughout", tmp_path)
    seen = []
    for arm, fork, time in itertools.product(("full", "imp"), (0, 10), (9, 18, 27, 36, 40)):
        for split, seed in itertools.product(("test", "train"), range(2)):
            at = {"arm": arm, "fork": fork, "time": time, "split": split, "batch_norm": "interpolated"}
            seen += [Observation("instability", at, seed, 0, 5.0)] if time > fork else []
    curves, heat, *of_imp = figures(asked.setting, seen)
    assert len(of_imp) == 2
    per_epoch = asked.setting.recipe.per_epoch
    assert [(line.label, line.x[0], line.y[0]) for line in curves.series if line.panel == 0] == [
        ("k = 0", 0.0, 0.0),
        ("k = 10", 10 / per_epoch, 0.0),
    ]
    assert heat.surface is not None
    assert [value == value for value in heat.surface.z[1]] == [False, True, True, True, True]
