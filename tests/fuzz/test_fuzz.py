"""Some malformed specs, stores and archives, the same at every run; ``benchmarks/fuzz.py`` tries thousands."""

import random
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from harness.errors import RequestError
from tests.fuzz import trial
from tests.fuzz.archive_trial import archive_outcome
from tests.fuzz.spec_mutations import mutated, sound
from tests.fuzz.spec_trial import spec_outcome
from tests.fuzz.store_trial import Sound, store_outcome
from tests.fuzz.trial import Outcome, Unclear, Wrong, tried

GENEROUS_S = 30.0
"""Of computing, where the long fuzzing allows two: the machines that run the tests have other things to do."""
DRAWS = st.randoms(use_true_random=False)


def some(examples: int) -> settings:
    """So many cases; none is shrunk, which would try hundreds."""
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


def sound_outcome(outcome: Outcome) -> None:
    note(f"{outcome.kind}: {outcome.words}")
    assert not outcome.found or (outcome.kind == "slow" and outcome.seconds < GENEROUS_S)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Sound:
    return Sound(tmp_path_factory.mktemp("stores"))


@some(40)
@given(DRAWS)
def test_a_spoiled_spec_is_refused_at_its_place_or_means_what_it_says(draw: random.Random) -> None:
    with tempfile.TemporaryDirectory() as name:
        sound_outcome(spec_outcome(draw, Path(name)))


@some(30)
@given(DRAWS)
def test_a_spoiled_archive_is_refused_or_is_other_data_and_told(draw: random.Random) -> None:
    with tempfile.TemporaryDirectory() as name:
        sound_outcome(archive_outcome(draw, Path(name)))


@some(4)
@given(DRAWS)
def test_a_damaged_store_gives_the_same_numbers_or_an_error_that_heals_it(stores: Sound, draw: random.Random) -> None:
    with tempfile.TemporaryDirectory() as name:
        sound_outcome(store_outcome(draw, Path(name), stores))


def test_a_mutation_is_a_function_of_its_seed() -> None:
    for seed in range(20):
        assert mutated(random.Random(seed)) == mutated(random.Random(seed))
    assert len({mutated(random.Random(seed)) for seed in range(200)}) > 150
    assert all(spec["schema_version"] == 1 for spec in sound())  # not they are spoiled, but copies


def test_specs_that_are_not_spoiled_are_accepted(tmp_path: Path) -> None:
    """Else nothing but refusals would be tried."""
    outcomes = [spec_outcome(random.Random(seed), tmp_path).kind for seed in range(60)]
    assert {"accepted", "refused"} <= set(outcomes)
    assert outcomes.count("accepted") >= 6


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (RequestError("x.yaml:1: id: found 1: give another"), "refused"),
        (RequestError("this is a bug of the harness"), "words"),
        (RequestError("found \x1b[2J"), "words"),
        (RequestError(""), "words"),
        (RequestError("x" * 10**6), "words"),
        (KeyError("id"), "traceback"),
        (SystemExit("unpickled"), "traceback"),
        (Wrong("other numbers"), "wrong"),
        (Unclear("no place"), "words"),
    ],
)
def test_what_is_a_finding(error: BaseException, kind: str) -> None:
    def case() -> str:
        raise error

    assert tried(case).kind == kind


def test_what_does_not_end_is_broken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "HANGS_S", 0.02)
    outcome = tried(lambda: str(time.sleep(20)))
    assert (outcome.kind, outcome.found) == ("slow", True)
    assert "no end" in outcome.words
