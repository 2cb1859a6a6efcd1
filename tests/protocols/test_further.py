"""Copies that train T further beside those that train the rest: two arms of one run, one from 0."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.errors import RequestError
from harness.jobs.job import Job
from harness.observation import Observation
from harness.protocols.common.base import Measurement
from harness.protocols.instability.further import further_gaps
from tests.support import Place, claim, instability_text, request

BOTH = "further: [remaining, full]"


def planned(folder: Path, further: str, *claims: str) -> Any:
    path = folder / "tiny.yaml"
    path.write_text(instability_text(*claims).replace("stable_below: 2.0", further))
    return request(path)


def ends(measurements: Iterable[Measurement], fork: int, further: str) -> list[Job]:
    """The copies of an arm of the first initialisation."""
    at = {"fork": fork, "further": further}
    return [one.job.inputs["state"] for one in measurements if one.at == at and one.job.stage == "evaluate"][:2]


def test_an_arm_trains_as_it_does_alone(tmp_path: Path) -> None:
    """The keys of both are those of runs with one; from 0 they are one job, measured once."""
    both, remaining, full = (
        planned(tmp_path, further) for further in (BOTH, "further: [remaining]", "further: [full]")
    )
    assert both.plan.jobs.keys() == remaining.plan.jobs.keys() | full.plan.jobs.keys()
    measured = list(both.protocol.measurements(both.setting))
    assert ends(measured, 0, "remaining")
    assert not ends(measured, 0, "full")
    rest, whole = (ends(measured, 10, further)[0].params for further in ("remaining", "full"))
    assert (rest["start"], rest["stop"], rest["schedule_start"]) == (10, 40, 0)
    assert (whole["start"], whole["stop"], whole["schedule_start"]) == (10, 50, 10)
    assert {**rest, "stop": 0, "schedule_start": 0} == {**whole, "stop": 0, "schedule_start": 0}
    alone = list(full.protocol.measurements(full.setting))
    assert [job.key for job in ends(alone, 0, "full")] == [job.key for job in ends(measured, 0, "remaining")]


def seen(value: float, repeat: int = 0, seed: int = 0, **at: Any) -> Observation:
    return Observation("instability", {"split": "test", "batch_norm": "interpolated", **at}, seed, repeat, value)


def test_gaps_are_of_one_pair_and_of_none_from_0() -> None:
    found = further_gaps(
        [
            seen(9.0, 0, fork=8, further="full"),
            seen(1.0, 1, fork=8, further="full"),
            seen(4.0, 0, fork=8, further="remaining"),
            seen(2.5, 1, fork=8, further="remaining"),
            seen(3.0, 0, seed=1, fork=8, further="full"),
            seen(5.0, fork=0, further="full"),
            seen(5.0, fork=0, further="remaining"),
        ]
    )
    values: Mapping[tuple[object, ...], float] = {(one.at["fork"], one.repeat): one.value for one in found}
    assert values == {(8, 0): 5.0, (8, 1): -1.5}


@pytest.mark.parametrize(
    ("further", "fork", "words"),
    [
        (BOTH, "0it", "from 0 both ways to train are one: choose a later fork"),
        ("further: [full]", "10it", "list remaining and full in settings.further"),
    ],
)
def test_a_gap_that_is_not_there_is_refused(further: str, fork: str, words: str, tmp_path: Path) -> None:
    gap = claim("a", "further_gap", f"{{fork: {fork}}}", "{kind: equals, value: 0, margin: 1}")
    with pytest.raises(RequestError, match=words):
        planned(tmp_path, further, gap)


def test_a_way_to_train_is_listed_once(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="further names a way to train twice: list each once"):
        planned(tmp_path, "further: [full, full]")


def test_claims_on_both_are_judged(tmp_path: Path) -> None:
    """Of copies from 0 too, whose numbers are those of the other arm."""
    at, expect = "{fork: 0it, further: full}", "{kind: less_than, than: {further: remaining}, by: -1.0}"
    same = claim("same", "instability", at, expect)
    gap = claim("gap", "further_gap", "{fork: 10it}", "{kind: equals, value: 0, margin: 100}")
    place = Place(tmp_path)
    said = place.verify(place.write(instability_text(same, gap).replace("stable_below: 2.0", BOTH)))
    assert said.code == 0, said.out + said.err
    assert said.out.count("HOLDS") == 2
    judged = json.loads((place.reports / "tiny-toy.json").read_text())["claims"][0]
    assert (judged["id"], judged["estimate"]["value"]) == ("same", 0.0), "no difference"
