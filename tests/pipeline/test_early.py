"""Verdicts while a run goes on: those of its end, each once, and none of what is not there yet."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.execution.backends import on_devices
from harness.jobs.store import Store
from harness.judging.verdict import Judgement, Verdict
from harness.observation import Condition
from harness.pipeline import early
from harness.pipeline.outcome import Outcome
from harness.pipeline.verify import verify
from harness.protocols.common.base import Measurement
from harness.protocols.common.pairs import travel_before
from harness.protocols.imp.protocol import Imp
from harness.protocols.instability.protocol import Instability
from tests.pipeline.test_gaps import diverging
from tests.support import Place, claim, edited, imp_text, instability_text, quadratic_text, request

Patch = pytest.MonkeyPatch
AT_0 = claim("at_0", "error", "{fork: 0it}")
AT_10 = claim("at_10", "error", "{fork: 10it}", "{kind: at_least, bound: 99.0}")
BOTH = instability_text(AT_10, claim("anywhere", "travel_after", "{fork: 0it}", "{kind: at_least, bound: 0.0}"), AT_0)
IMP = imp_text(
    claim("density", "density", "{rewind: 0it, level: 1}", "{kind: equals, value: 80, margin: 1}"),
    claim("drop", "accuracy_drop", "{rewind: 0it, level: 1}", "{kind: at_most, bound: 100.0}"),
    claim("best", "best_drop", "{level: 1}", "{kind: at_most, bound: 100.0}"),
    claim("random", "error", "{rewind: 0it, level: 2, arm: random_prune}", "{kind: at_least, bound: 100.0}"),
)
QUADRATIC = quadratic_text(
    claim("level", "level", '{rate: "0.05", momentum: "0"}', "{kind: at_least, bound: 0.0}"),
    claim("relaxation", "relaxation_over_exact", '{rate: "0.02", momentum: "0"}', "{kind: at_least, bound: 0.0}"),
)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    torch.set_num_threads(1)
    return Place(tmp_path)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: Patch) -> None:
    """A look whenever something finished."""
    monkeypatch.setattr(early, "_EVERY_S", 0.0)
    monkeypatch.setattr(early, "_PAUSES", 0)


def judged(place: Place, text: str, *, workers: int = 1) -> tuple[list[Judgement], Outcome]:
    """The verdicts that were told before some job was done, and what came of the run.

    What is in the store does not say whether the run is over: a worker keeps its results before it tells of them.
    """
    asked, store = request(place.write(text)), Store(place.store)
    told: list[Judgement] = []
    last: list[str] = []
    outcome = verify(
        asked,
        store,
        backend=on_devices([torch.device("cpu")] * workers),
        data_root=Path("data"),
        on_progress=lambda progress: last.append("progress"),
        on_verdict=lambda judgement: (told.append(judgement), last.append("verdict"))[0],
    )
    assert last[-1:] != ["verdict"], "the run was over"
    return told, outcome


def by_claim(judgements: Sequence[Judgement]) -> Mapping[str, Judgement]:
    return {judgement.claim.id: judgement for judgement in judgements}


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("text", [BOTH, IMP, QUADRATIC], ids=["instability", "imp", "quadratic"])
def test_early_verdicts_are_those_of_the_end(text: str, workers: int, place: Place) -> None:
    told, outcome = judged(place, text, workers=workers)
    assert told, "no claim was judged before the end"
    assert len(by_claim(told)) == len(told), "a claim was told twice"
    assert by_claim(told).items() <= by_claim(outcome.judgements).items()
    assert outcome.failures == []


def test_claims_that_are_there_together_are_told_in_the_order_of_the_spec(place: Place) -> None:
    again = AT_0.replace("at_0", "once_more")
    told, _ = judged(place, instability_text(again, AT_10, AT_0))
    order = [judgement.claim.id for judgement in told]
    assert order.index("once_more") + 1 == order.index("at_0")


def test_what_was_in_the_store_is_told_at_the_end_only(place: Place) -> None:
    """A run that is taken up tells what it adds itself."""
    judged(place, edited(instability_text(AT_0), "forks: [0it, 10it]", "forks: [0it]"))
    told, outcome = judged(place, instability_text(AT_0, AT_10))
    assert "at_0" not in by_claim(told)
    assert by_claim(outcome.judgements)["at_0"].verdict is not Verdict.NOT_RUN
    assert judged(place, instability_text(AT_0, AT_10))[0] == []


def test_what_a_broken_job_touches_is_not_told(place: Place, monkeypatch: Patch) -> None:
    diverging(monkeypatch, 1)
    told, outcome = judged(place, instability_text(AT_0, AT_10))
    assert "at_10" not in by_claim(told)
    assert by_claim(outcome.judgements)["at_10"].verdict is Verdict.NOT_RUN
    assert by_claim(told).items() <= by_claim(outcome.judgements).items()


def test_drops_wait_for_the_full_networks() -> None:
    """Which are no condition of theirs."""
    at: dict[str, Condition] = {"arm": "imp", "rewind": 0, "level": 2, "split": "test"}
    full, other = ({"arm": "imp", "rewind": 0, "level": level} for level in (0, 1))
    asked = [Measurement(lambda measured: (), None, where, 0) for where in (full, other)]  # type: ignore[arg-type]
    assert [Imp().rests_on(None, "accuracy_drop", at, one) for one in asked] == [True, False]  # type: ignore[arg-type]
    assert [Imp().rests_on(None, "accuracy", at, one) for one in asked] == [False, False]  # type: ignore[arg-type]


def test_a_verdict_that_came_too_early_is_an_error(place: Place, monkeypatch: Patch) -> None:
    """An experiment that leaves out what its quantity rests on is told of, and so is the claim."""

    def on_the_first_weights(self: Any, setting: Any, quantity: Any, at: Any, measurement: Measurement) -> bool:
        return measurement.reads is travel_before and measurement.agrees(at)

    monkeypatch.setattr(Instability, "rests_on", on_the_first_weights)
    said = place.verify(place.write(instability_text(AT_0, AT_10)))
    assert said.code == 3
    assert "was judged NOT RUN while the run went on" in said.err
    assert "rests_on" in said.err


def test_the_command_prints_them_beside_its_progress(place: Place) -> None:
    spec = place.write(instability_text(AT_0, AT_10))
    said = place.verify(spec)
    told = [line for line in said.err.splitlines() if line.startswith("at_")]
    shown = {
        judgement["id"]: judgement["verdict"] for judgement in place.verify(spec, more=("--json",)).json[0]["claims"]
    }
    assert told
    for line in told:
        name, _, rest = line.partition(": ")
        assert rest.startswith(f"{shown[name]} (")
        assert rest.endswith(" %, n = 2)")
    assert not any(line in said.out for line in told)


@pytest.mark.parametrize("option", ["--quiet", "--json"])
def test_nothing_is_told_where_nothing_is_to_be_printed(option: str, place: Place) -> None:
    assert place.verify(place.write(instability_text(AT_0, AT_10)), more=(option,)).err == ""
