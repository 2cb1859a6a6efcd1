"""Networks of different initialisations: what the two pairs share, where they differ, and what no field shows alone."""

from pathlib import Path
from typing import Any

import pytest

from harness.conformance.tiny import tiny
from harness.errors import RequestError
from harness.jobs.job import Job
from harness.observation import Observation
from harness.protocols.common import pairs
from harness.protocols.common.base import Measured
from harness.protocols.different_initialisations.protocol import PROTOCOL
from harness.schema.load import load
from tests.support import ROOT, Place, edited, request

SPEC = ROOT / "specs" / "different_initialisations.yaml"
TINY = (ROOT / "harness" / "protocols" / "different_initialisations" / "tiny.yaml").read_text()


def lines(tmp_path: Path) -> dict[tuple[str, str, int], Job]:
    asked = tiny("different_initialisations", tmp_path)
    return {
        (str(one.at["network"]), str(one.at["pair"]), one.initialisation): one.job
        for one in asked.protocol.measurements(asked.setting)
        if one.job.stage == "line"
    }


def test_the_pairs_differ_in_the_first_weights_of_their_second_network_alone(tmp_path: Path) -> None:
    found = lines(tmp_path)
    assert len(found) == 2 * 2 * 2
    for (network, pair, seed), other in found.items():
        if pair == "different":
            same = found[network, "same", seed]
            assert other.inputs["a"] == same.inputs["a"]
            mine, control = other.inputs["b"], same.inputs["b"]
            assert mine.params == control.params
            assert mine.inputs["state"] != control.inputs["state"] == other.inputs["a"].inputs["state"]


def test_no_two_replicates_share_a_draw(tmp_path: Path) -> None:
    found = lines(tmp_path)
    draws = [
        found["main", "different", seed].inputs[role].inputs["state"].key for seed in range(2) for role in ("a", "b")
    ]
    assert len(set(draws)) == 4


def test_ends_are_evaluated_by_the_recipe_of_their_own_network(tmp_path: Path) -> None:
    """Where statistics are recomputed alone, a line does not tell the errors of its ends."""
    asked = tiny("different_initialisations", tmp_path)
    networks = set()

    def read(job: Job) -> dict[str, list[Any]]:
        assert job.key in asked.plan.jobs
        return {"split": ["test"], "error": [3.0]}

    for measurement in asked.protocol.measurements(asked.setting):
        if measurement.job.stage == "line":
            networks.add(measurement.at["network"])
            measured = Measured(asked.setting, measurement, {}, read)
            assert pairs.own_errors(measured, {}, "test") == [3.0, 3.0]
    assert networks == {"main", "other"}


def test_one_dead_network_shows_in_the_lowest_accuracy(tmp_path: Path) -> None:
    asked = tiny("different_initialisations", tmp_path)
    seen = [
        Observation("accuracy", {"network": "main", "split": "test"}, seed, number, accuracy)
        for seed, accuracies in enumerate([(97.0, 96.0, 10.0), (97.0, 96.0, 98.0)])
        for number, accuracy in enumerate(accuracies)
    ]
    found = list(asked.protocol.derived(asked.setting, seen, lambda job: {}))
    assert [(one.quantity, one.initialisation, one.value) for one in found] == [
        ("lowest_accuracy", 0, 10.0),
        ("lowest_accuracy", 1, 96.0),
    ]


@pytest.mark.parametrize("name", ["lenet", "resnet20", "vgg16"])
@pytest.mark.parametrize("scale", ["toy", "paper"])
def test_its_copies_of_one_initialisation_are_those_of_instability(name: str, scale: str) -> None:
    mine, theirs = request(SPEC, scale), request(ROOT / "specs" / f"{name}_stability.yaml", scale)
    shared = [
        one.job
        for one in mine.protocol.measurements(mine.setting)
        if one.at["network"] == name and one.initialisation in theirs.setting.replicates.seeds
        if one.job.stage == "line" and one.at["pair"] == "same"
    ]
    assert len(shared) == theirs.setting.replicates.initialisations
    assert {job.key for job in shared} <= theirs.plan.jobs.keys()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("line: {", "main_network: other\n      line: {", "found 'other', which is a recipe's: choose another"),
        ("pair: same", "network: other, batch_norm: recomputed", "a line of other has batch_norm = interpolated"),
        ("pair: same", "pair: own", "this scale has pair = different, same"),
    ],
)
def test_what_no_field_shows_alone_is_told(old: str, new: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(RequestError) as caught:
        load(Place(tmp_path).write(edited(TINY, old, new)), {PROTOCOL.name: PROTOCOL})
    assert words in str(caught.value)
