"""Rates on test sets that are drawn anew: what is told of their spread, and that nothing else changes."""

import math
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from harness.jobs.job import Job
from harness.jobs.store import Store
from harness.measure.marked import packed, unpacked
from harness.pipeline.resampling import RESAMPLES, resampled, times_drawn
from harness.stages import products
from tests.support import Place, claim, counted, edited, imp_text, instability_text, quadratic_text, request, stages_of

RATES = (
    claim("error", "error", expect="{kind: at_most, bound: 100.0}"),
    claim("less", "error", at="{fork: 0it}", expect="{kind: less_than, than: {fork: 10it}, by: -50.0}"),
    claim("line", "instability", expect="{kind: at_most, estimand: median, bound: 100.0}"),
    claim("recomputed", "disagreements", expect="{kind: at_least, estimand: geometric_mean, bound: 0.001}"),
)
OTHERS = (
    claim("trained", "error", at="{fork: 0it, split: train}", expect="{kind: at_most, bound: 100.0}"),
    claim("apart", "l2_distance", expect="{kind: at_least, bound: 0.0}"),
    claim("time", "stable_from", at="{}", expect="{kind: at_most, bound: 40.0}"),
    claim(
        "first",
        "instability",
        at="{}",
        expect="{kind: first_within, axis: fork, threshold: 50.0, earliest: 0it, latest: 10it}",
    ),
)
TEXT = instability_text(*RATES, *OTHERS)
TELLERS = {"answers", "answers_on_line", "differences"}


def claims_of(place: Place, text: str, *more: str) -> dict[str, dict[str, Any]]:
    said = place.verify(place.write(text), more=("--json", *more))
    assert said.code in (0, 1), said.err
    (document,) = said.json
    return {one["id"]: one for one in document["claims"]}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("resampled"))


@pytest.fixture(scope="module")
def before(place: Place) -> dict[str, dict[str, Any]]:
    return claims_of(place, TEXT)


@pytest.fixture(scope="module")
def after(place: Place, before: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return claims_of(place, TEXT, "--resample")


def test_rates_on_the_test_set_have_it_and_nothing_else_has(after: dict[str, dict[str, Any]]) -> None:
    assert {name for name, one in after.items() if "spread" in one} == {"error", "less", "line", "recomputed"}
    assert all(after[name]["spread"]["examples"] == 397 for name in ("error", "less", "line", "recomputed"))
    assert all(after[name]["spread"]["of_test_set"] > 0 for name in ("error", "less", "line", "recomputed"))


def test_verdicts_and_intervals_are_as_without(
    before: dict[str, dict[str, Any]], after: dict[str, dict[str, Any]]
) -> None:
    """So that nothing is widened: the test set's part stands beside the interval."""
    assert not any("spread" in one for one in before.values())
    assert {name: {key: one[key] for key in one.keys() - {"spread"}} for name, one in after.items()} == before


def test_only_what_tells_one_by_one_is_run_and_only_for_rates(place: Place, after: dict[str, dict[str, Any]]) -> None:
    path = place.write(TEXT)
    plain, asked = request(path), resampled(request(path))
    more = [job for key, job in asked.plan.jobs.items() if key not in plain.plan.jobs]
    assert {job.stage for job in more} == TELLERS
    assert plain.plan.jobs.keys() < asked.plan.jobs.keys() <= place.keys()
    error = resampled(request(place.write(instability_text(RATES[0], *OTHERS, identity="error_only"))))
    assert stages_of(list(error.one_by_one.values())) == {"answers": 4}
    none = resampled(request(place.write(instability_text(*OTHERS, identity="no_rates"))))
    assert not none.one_by_one
    assert not resampled(request(place.write(quadratic_text()))).one_by_one


def test_a_report_from_the_store_has_it_too_and_runs_nothing(place: Place, after: dict[str, dict[str, Any]]) -> None:
    with counted() as ran:
        again = claims_of(place, TEXT, "--resample")
    assert ran == []
    assert again == after
    page = (place.reports / "tiny-toy.md").read_text()
    assert "  - Spread: Of the sd of " in page
    assert "its 397 examples drawn anew 200 times" in page


def test_the_mean_of_errors_moves_as_the_mean_answer_does(place: Place, after: dict[str, dict[str, Any]]) -> None:
    """The closed form: the standard deviation over examples of how many trainings are wrong, over root m."""
    expected = float(wrong_of_initialisations(place, TEXT).mean(0).std(unbiased=False)) / math.sqrt(397)
    assert after["error"]["spread"]["of_test_set"] == pytest.approx(expected, rel=0.15)


def test_between_initialisations_is_what_examples_drawn_anew_do_not_add(place: Place) -> None:
    """The closed form of what they add: over examples, the variances within less the covariances between, over m."""
    text = instability_text(RATES[0], identity="several").replace("initialisations: 2", "initialisations: 8")
    told = claims_of(place, text, "--resample")["error"]["spread"]
    wrong = wrong_of_initialisations(place, text)
    visible = float(wrong.mean(1).var())
    drawn = (times_drawn("digits", 397) @ wrong.T / 397).var(1)
    covariances = torch.cov(wrong, correction=0)
    within, between = covariances.diagonal().mean(), covariances[~torch.eye(8, dtype=torch.bool)].mean()
    added = float(drawn.mean()) - visible
    assert added == pytest.approx(float(within - between) / 397, abs=4 * float(drawn.std()) / RESAMPLES**0.5)
    assert visible > 1.2 * added > 0, "else this shows nothing"
    assert told["between_initialisations"] ** 2 == pytest.approx(visible - added, rel=1e-6)


def wrong_of_initialisations(place: Place, text: str) -> Tensor:
    """[initialisations, 397]: in percent, how many copies forked at 0 are wrong about each example."""
    store, asked = Store(place.store, make=False), resampled(request(place.write(text)))
    wrong: dict[int, list[Tensor]] = {}
    for measurement in asked.protocol.measurements(asked.setting):
        teller = asked.one_by_one.get(measurement.job.key)
        if teller is not None and teller.stage == "answers" and measurement.at["fork"] == 0:
            marks = unpacked(products.read_table(store, teller)["marked"], 397)[0].double()
            wrong.setdefault(measurement.initialisation, []).append(100 * marks)
    assert {len(copies) for copies in wrong.values()} == {2}
    return torch.stack([torch.stack(copies).mean(0) for copies in wrong.values()])


def test_test_sets_are_drawn_with_replacement_and_the_same_for_all() -> None:
    drawn = times_drawn("digits", 397)
    assert drawn.shape == (RESAMPLES, 397)
    assert set(drawn.sum(1).tolist()) == {397}
    assert float(drawn.var()) == pytest.approx(1.0, rel=0.05)
    assert torch.equal(drawn, times_drawn("digits", 397))
    assert not torch.equal(drawn[0], drawn[1])


def planted(real: Callable[[Store, Job], Any]) -> Callable[[Store, Job], Any]:
    """The tables of what tells one by one, with other examples than were counted."""

    def read(store: Store, job: Job) -> Any:
        table = dict(real(store, job))
        if job.stage == "answers":
            table["marked"] = packed(torch.ones(1, 397, dtype=torch.bool))
        return table

    return read


def test_answers_that_are_not_those_that_were_counted_are_an_error(
    place: Place, after: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(products, "read_table", planted(products.read_table))
    said = place.verify(place.write(TEXT), more=("--resample",))
    assert said.code == 3
    assert "what is told one by one makes" in said.err


def test_where_a_job_that_tells_broke_no_claim_has_a_spread(
    place: Place, after: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Drawn beside what is not drawn, initialisations would be of other test sets."""
    broken = next(job for job in resampled(request(place.write(TEXT))).one_by_one.values() if job.stage == "answers")
    real = products.read_table

    def read(store: Store, job: Job) -> Any:
        return None if job.key == broken.key else real(store, job)

    monkeypatch.setattr(products, "read_table", read)
    told = claims_of(place, TEXT, "--resample")
    assert not any("spread" in one for one in told.values())
    rates = {
        name for name, one in told.items() if any("of 1 of its counts nothing tells" in w for w in one["warnings"])
    }
    assert rates == {"error", "less", "line", "recomputed"}
    assert all(one["verdict"] == after[name]["verdict"] for name, one in told.items())


def test_a_rate_without_logarithm_on_some_drawn_set_says_why_it_has_no_spread(
    place: Place, after: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy that differs from the other in one example, which about e^-1 of the drawn test sets lack."""
    real = products.read_table

    def read(store: Store, job: Job) -> Any:
        table = dict(real(store, job))
        if job.stage == "compare":
            table["disagreements"] = [
                1 if split == "test" else n for split, n in zip(table["split"], table["disagreements"], strict=True)
            ]
        if job.stage == "differences":
            table["marked"] = packed(torch.arange(397)[None] == 5)
        return table

    monkeypatch.setattr(products, "read_table", read)
    told = claims_of(place, TEXT, "--resample")
    assert {name for name, one in told.items() if "spread" in one} == {"error", "less", "line"}
    (warning,) = [words for words in told["recomputed"]["warnings"] if "is not told" in words]
    found = re.search(r"on (\d+) of the 200 test sets that were drawn there is none\. .*disagreements.* is 0 ", warning)
    assert found is not None
    assert int(found[1]) == pytest.approx(200 * math.exp(-1), abs=4 * math.sqrt(200 * 0.37 * 0.63))
    assert all(one["verdict"] == after[name]["verdict"] for name, one in told.items() if name != "recomputed")


def test_what_is_derived_from_several_tables_is_resampled_as_it_is(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A loss of accuracy against the full network, on the same examples: less than the two errors move apart."""
    place = Place(tmp_path_factory.mktemp("imp"))
    at = "{rewind: 0it, level: 2}"
    text = imp_text(
        claim("accuracy", "accuracy", at=at, expect="{kind: at_least, bound: 0.0}"),
        claim("drop", "accuracy_drop", at=at, expect="{kind: at_most, estimand: median, bound: 100.0}"),
        claim("beyond", "drop_beyond_sd", at=at, expect="{kind: at_most, estimand: median, bound: 100.0}"),
    )
    told = {name: one["spread"] for name, one in claims_of(place, text, "--resample").items()}
    assert all(told.values())
    assert 0 < told["drop"]["of_test_set"] < math.sqrt(2) * told["accuracy"]["of_test_set"]


def test_initialisations_of_one_have_the_test_sets_part_alone(place: Place, before: dict[str, dict[str, Any]]) -> None:
    one = claims_of(place, edited(TEXT, "id: tiny\n", "id: one\n"), "--resample", "--replicates", "1")["error"]
    assert one["spread"]["between_initialisations"] is None
    assert one["spread"]["of_test_set"] > 0


def test_looks_until_decided_have_it_too(place: Place, after: dict[str, dict[str, Any]]) -> None:
    """The plan of each look is made anew, with what tells one by one."""
    told = claims_of(place, TEXT, "--resample", "--until-decided", "--most", "3")
    assert told["error"]["spread"]["examples"] == 397
    assert "Look 1 of" in told["error"]["why"] or "Look 2 of" in told["error"]["why"]
