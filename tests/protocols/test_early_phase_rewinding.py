"""Accuracy by level and rewinding iteration: what is derived of it, network by network, and what it shares with IMP."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from harness.conformance.tiny import tiny
from harness.errors import RequestError
from harness.jobs.job import Job
from harness.observation import Condition, Observation
from harness.pipeline.request import Request
from harness.protocols.common import series
from harness.protocols.early_phase_rewinding.protocol import PROTOCOL
from harness.schema.load import load
from tests.support import ROOT, Place, edited, request

TINY = (ROOT / "harness" / "protocols" / "early_phase_rewinding" / "tiny.yaml").read_text()


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Request:
    return tiny("early_phase_rewinding", tmp_path_factory.mktemp("tiny"))


def accuracies(by_place: Mapping[tuple[str, int, int], Sequence[float]]) -> list[Observation]:
    """(network, rewind, level) -> accuracy of each initialisation."""
    return [
        Observation("accuracy", {"network": network, "rewind": rewind, "level": level, "split": "test"}, seed, 0, value)
        for (network, rewind, level), values in by_place.items()
        for seed, value in enumerate(values)
    ]


def derived(asked: Request, seen: Sequence[Observation], quantity: str, **at: Condition) -> list[float]:
    """The values of a quantity at some place, by initialisation."""
    found = PROTOCOL.derived(asked.setting, seen, lambda job: None)
    mine = [one for one in found if one.quantity == quantity and at.items() <= one.at.items()]
    assert [one.initialisation for one in mine] == list(range(len(mine)))
    return [one.value for one in mine]


GOOD_AND_BAD = accuracies(
    {
        ("main", 0, 0): [90.0, 92.0],
        ("main", 10, 0): [92.0, 94.0],
        ("main", 0, 1): [80.0, 93.0],
        ("main", 10, 1): [91.0, 92.5],
        ("other", 0, 0): [50.0, 51.0],
        ("other", 10, 0): [52.0, 53.0],
        ("other", 0, 1): [30.0, 52.0],
        ("other", 10, 1): [20.0, 52.0],
    }
)
"""Full networks have means of 91 and 93, the others' of 51 and 52; single ones an sd of 2 and of 1.37 or so."""


def test_each_network_is_held_against_its_own_full_one(asked: Request) -> None:
    assert derived(asked, GOOD_AND_BAD, "accuracy_drop", network="main", rewind=0, level=1) == [11.0, 0.0]
    assert derived(asked, GOOD_AND_BAD, "accuracy_drop", network="other", rewind=0, level=1) == [21.0, 0.0]


def test_a_gain_is_over_the_first_rewinding_iteration_at_the_same_level(asked: Request) -> None:
    assert derived(asked, GOOD_AND_BAD, "rewinding_gain", network="main", rewind=10, level=1) == [11.0, -0.5]
    assert derived(asked, GOOD_AND_BAD, "rewinding_gain", network="main", rewind=10, level=0) == [2.0, 2.0]
    assert derived(asked, GOOD_AND_BAD, "rewinding_gain", network="other", rewind=0, level=1) == [0.0, 0.0]


def test_an_initialisation_matches_from_where_it_stays_within_the_margin_or_not_before_its_own_end(
    asked: Request,
) -> None:
    assert derived(asked, GOOD_AND_BAD, "matching_from", network="main", level=1) == [10, 0]
    assert derived(asked, GOOD_AND_BAD, "matching_from", network="other", level=1) == [30, 0]


def test_without_a_deviation_nothing_matches(asked: Request) -> None:
    single = [one for one in GOOD_AND_BAD if one.initialisation == 0]
    (value,) = derived(asked, single, "matching_from", network="main", level=1)
    assert math.isnan(value)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("level: 1}", "level: 3}", "level = 0, 1, 2"),
        ("level: 1}", "level: 2, network: other}", "other has 1 levels"),
        ("length: 30it", "length: 9it", "found 10it, but the training of other ends at 9it"),
        ("pruning_of: {other", "pruning_of: {another", "recipes are other"),
        ("rewinds:", "main_network: other\n      rewinds:", "found 'other', which is a recipe's"),
        ("rewinds: [0it, 10it]", "rewinds: [10it, 0it]", "found 0it after 10it"),
        ("pruning_of:", "judged_levels: [2]\n      pruning_of:", "of other, with levels 1 to 1, none is listed"),
        (
            "pruning_of:",
            "judged_levels: [1, 3]\n      pruning_of:",
            "judged_levels[1]: found 3; levels run from 1 to 2",
        ),
        ("pruning_of:", "judged_levels: [1, 1]\n      pruning_of:", "judged_levels[1]: found 1 twice"),
    ],
)
def test_what_no_field_shows_alone_is_told(old: str, new: str, words: str, tmp_path: Path) -> None:
    text = edited(TINY, "levels: 2}", "levels: 2}\n      pruning_of: {other: {levels: 1}}")
    with pytest.raises(RequestError) as caught:
        load(Place(tmp_path).write(edited(text, old, new)), {PROTOCOL.name: PROTOCOL})
    assert words in str(caught.value)


def test_a_claim_at_a_level_that_is_not_judged_is_refused(tmp_path: Path) -> None:
    text = edited(TINY, "levels: 2}", "levels: 2}\n      judged_levels: [1]")
    text = edited(text, "level: 1}", "level: 2}")
    Place(tmp_path).write(text)  # the density of a mask is told at all levels
    with pytest.raises(RequestError) as caught:
        load(Place(tmp_path).write(edited(text, "density", "accuracy_drop")), {PROTOCOL.name: PROTOCOL})
    assert "level 2 is not judged: add it to settings.judged_levels" in str(caught.value)


def test_it_shares_its_trainings_with_imp() -> None:
    """What IMP prunes at the rewinding iterations that both have, and its first copies at the level that both judge."""
    mine, imp = (request(ROOT / "specs" / f"{name}.yaml") for name in ("early_rewinding", "resnet20_imp"))
    pruned = {job.inputs["state"].key for job in imp.plan.jobs.values() if job.stage == "prune"}
    assert len(pruned) == 8 * 2 * 4
    assert pruned <= mine.plan.jobs.keys()
    judged = [
        measurement.job.key
        for measurement in imp.protocol.measurements(imp.setting)
        if measurement.job.stage == "evaluate" and measurement.repeat == 0 and at_level(measurement.at, 4)
    ]
    assert len(judged) == 8 * 2
    assert set(judged) <= mine.plan.jobs.keys()


def at_level(at: Mapping[str, Condition], level: int) -> bool:
    return at.get("level") == level and at.get("arm") == "imp"


def orders_before(mask: Job) -> set[str]:
    """The data orders of all trainings that a mask was made of, but for the trunk's."""
    trained = mask.inputs["state"]
    before = trained.inputs.get("mask")
    return {str(trained.params["order"])} | (orders_before(before) if before is not None else set())


@pytest.mark.parametrize("scale", ["toy", "paper"])
@pytest.mark.parametrize("name", ["early_rewinding", "pilot/early_networks"])
def test_no_subnetwork_is_judged_in_an_order_that_made_its_mask(name: str, scale: str) -> None:
    asked = request(ROOT / "specs" / f"{name}.yaml", scale)
    states = [job.inputs["state"] for job in asked.plan.jobs.values() if job.stage == "evaluate"]
    judged = [state for state in states if "mask" in state.inputs]
    assert len(judged) >= 8 * len(asked.setting.options.rewinds)
    assert all(state.params["order"] not in orders_before(state.inputs["mask"]) for state in judged)


def test_a_map_has_means_and_leaves_out_what_an_initialisation_lacks() -> None:
    seen = [
        *accuracies({("main", 0, 0): [1.0, 3.0], ("main", 10, 0): [5.0, 5.0], ("main", 0, 1): [7.0, 9.0]}),
        Observation(
            "accuracy", {"network": "main", "rewind": 10, "level": 1, "split": "test"}, 0, 0, math.nan, why="-"
        ),
        Observation("accuracy", {"network": "main", "rewind": 0, "level": 0, "split": "train"}, 0, 0, 100.0),
    ]
    across, up = series.Side("rewind", [0, 10]), series.Side("level", [0, 1, 2], ["100 %", "80 %", "64 %"])
    surface = series.heat_map(seen, "accuracy", {"split": "test"}, across=across, up=up, label="%")
    assert surface is not None
    assert [list(row) for row in surface.z[:1]] == [[2.0, 5.0]]
    assert surface.z[1][0] == 8.0
    assert all(math.isnan(value) for value in (surface.z[1][1], *surface.z[2]))
    assert (list(surface.x), surface.x_names, surface.y_names) == ([0, 1], ["0", "10"], ["100 %", "80 %", "64 %"])
    assert series.heat_map(seen, "error", {}, across=across, up=up, label="%") is None
