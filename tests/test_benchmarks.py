"""The benchmarks still run, and say what they measured. What they measure is no matter of tests."""

import ast
import contextlib
import importlib
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from harness.judging.evidence import Fresh
from harness.judging.statistics import Estimate
from harness.judging.verdict import Judgement, Verdict
from harness.schema.claims import Check, Claim
from tests.support import ROOT

KERNELS = "compiled loops" if find_spec("numba") else "PyTorch's operations"
RUNS = {
    "throughput": (
        ("--quick", "--only", "toy", "--replicas", "1", "2", "--precision", "fp32", "--processes", "1", "2"),
        [
            "PyTorch uses ",
            f"toy ResNet on digits: trained by {KERNELS}",
            "losses agree",
            "2 idiomatic loops at once",
            "trainings/h",
            "no goal is judged",
        ],
    ),
    "telemetry": (("--only", "toy", "--turns", "1", "--steps", "2"), ["toy ResNet on digits", "to the store"]),
    "branches": (("--only", "toy", "--replicas", "2", "--turns", "1", "--seconds", "0.1"), ["toy"]),
}


@pytest.mark.parametrize("name", RUNS)
def test_a_benchmark_runs(name: str) -> None:
    options, expected = RUNS[name]
    command = [sys.executable, ROOT / f"benchmarks/{name}.py", *options, "--device", "cpu", "--threads", "1"]
    said = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert said.returncode == 0, said.stderr
    for words in expected:
        assert words in said.stdout


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("kernels", ("--replicas", "2", "--turns", "1", "--seconds", "0.1")),
        ("kernels", ("--lines", "--turns", "1")),
        ("second_order", ("--examples", "20")),
    ],
    ids=["training", "lines", "second order"],
)
def test_a_benchmark_of_compiled_loops_runs(name: str, options: tuple[str, ...]) -> None:
    pytest.importorskip("numba")
    command = [sys.executable, ROOT / f"benchmarks/{name}.py", *options]
    said = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert said.returncode == 0, said.stderr
    assert "times as fast" in said.stdout


@pytest.fixture
def guard(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("guard")


def test_every_fault_can_still_be_planted(guard: ModuleType) -> None:
    """Its old text stands in today's source once, and the source is Python afterwards."""
    names = [mutation.name for mutation in guard.MUTATIONS]
    assert len(set(names)) == len(names)
    for mutation in guard.MUTATIONS:
        text = (ROOT / mutation.file).read_text()
        for old, new in mutation.edits:
            assert text.count(old) == 1, f"{mutation.name}: {old!r} stands {text.count(old)} times in {mutation.file}"
            text = text.replace(old, new)
        ast.parse(text)
        assert all((ROOT / f"reports/baseline/{spec}.toy.json").exists() for spec in mutation.specs)


@pytest.fixture
def fuzz(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("fuzz")


@pytest.mark.parametrize(("kind", "code"), [("refused", 0), ("wrong", 1)])
def test_the_fuzzing_fails_where_anything_is_found(
    kind: str, code: int, fuzz: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @contextlib.contextmanager
    def workers(*_: object) -> Iterator[object]:
        yield lambda seeds: [fuzz.Outcome(kind, "other numbers") for _ in seeds]

    monkeypatch.setattr(fuzz, "workers", workers)
    monkeypatch.setattr(sys, "argv", ["fuzz.py", "--specs", "0", "--stores", "2", "--archives", "1", "--seed", "7"])
    assert fuzz.main() == code
    said = capsys.readouterr().out
    assert ("stores, seed 8: wrong: other numbers" in said) == bool(code)
    assert [line.split()[:2] for line in said.splitlines() if "seed" not in line][1:] == [
        ["archives", "1"],
        ["stores", "2"],
    ]


def test_a_process_of_the_fuzzing_that_dies_is_a_finding(fuzz: ModuleType, tmp_path: Path) -> None:
    worker = fuzz.Worker("no such kind", tmp_path)
    outcome = worker.outcome(0)
    assert outcome.found
    assert outcome.words == "the process died"


@pytest.fixture
def fresh_seeds(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("fresh_seeds")


def judged(verdict: Verdict, *, known: bool = False, again: float | None = 0.8) -> Judgement:
    """A judgement of a bound; one that fresh seeds let stand with probability ``again``, a crossing where None."""
    check: dict[str, Any] = {"expect": {"kind": "at_most", "estimand": "median", "bound": 2.0}}
    check |= {"known": {"verdict": "fails", "why": "planted"}} if known else {}
    claim = Claim.model_validate(
        {
            "id": "bound",
            "sentence": "A sentence.",
            "source": {"paper": "lmc", "place": "Section 3"},
            "quantity": "instability",
            "checks": {"toy": check},
        }
    )
    estimate = Estimate(1.5, 5, 0.2, 1.2, 1.8, "median" if again is not None else "crossing")
    fresh = None if again is None else Fresh(again, 1 - again)
    return Judgement(claim, Check.model_validate(check), verdict, estimate, "points", "", "", fresh=fresh)


HOLDS, FAILS, OPEN = Verdict.HOLDS, Verdict.FAILS, Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("truth", "sets", "wrong", "unfounded"),
    [
        (HOLDS, (HOLDS, FAILS, OPEN, FAILS), 2, 0),
        (FAILS, (HOLDS, FAILS, OPEN, FAILS), 1, 0),
        (OPEN, (HOLDS, FAILS, OPEN, OPEN), 0, 2),
    ],
)
def test_a_verdict_of_a_set_is_wrong_where_all_seeds_say_the_opposite(
    fresh_seeds: ModuleType, truth: Verdict, sets: tuple[Verdict, ...], wrong: int, unfounded: int
) -> None:
    claimed = fresh_seeds.Claimed(judged(truth), [judged(verdict) for verdict in sets])
    assert (claimed.wrong, claimed.unfounded) == (wrong, unfounded)


def test_what_sets_promise_is_held_against_what_other_sets_say(fresh_seeds: ModuleType) -> None:
    """Of one claim in order in three of four sets: in another set with frequency (3 * 2 + 1 * 3) / 12.

    A set with nothing in order promises the empty product; a crossing promises nothing.
    """
    one = fresh_seeds.Claimed(judged(HOLDS), [judged(verdict) for verdict in (HOLDS, HOLDS, FAILS, HOLDS)])
    crossing = fresh_seeds.Claimed(judged(HOLDS, again=None), [judged(FAILS, again=None)] * 4)
    assert one.promised == pytest.approx(0.8)
    assert crossing.promised is None
    row = fresh_seeds.table([one, crossing]).splitlines()
    assert row[2] == "| `bound` | HOLDS, 1.5 points | 3 | 1 | 0 | 1 | 3 | .80 |"
    assert row[3] == "| `bound` | HOLDS, 1.5 points | 0 | 4 | 0 | 4 | 0 | – |"
    said = fresh_seeds.summary([one, crossing])
    assert "4 verdicts by tests are decided where all initialisations decide too: 1 are wrong" in said
    assert "by chance up to 0.2 may be" in said
    assert "Of crossings 4 are decided, 4 wrong." in said
    assert "All 2 claims are in order in 0 of 4 sets." in said
    assert "with frequency .75; the sets promise .85 on average, .80 to 1." in said


def test_what_is_known_to_fail_is_in_order_where_it_does(fresh_seeds: ModuleType) -> None:
    claimed = fresh_seeds.Claimed(
        judged(FAILS, known=True), [judged(FAILS, known=True, again=0.1), judged(HOLDS, known=True, again=0.6)]
    )
    assert fresh_seeds.table([claimed]).splitlines()[2].endswith("| 1 | 1 | 0 | 1 | 1 | .90 |")


def test_sets_of_fresh_seeds_are_judged_one_by_one_and_together(
    fresh_seeds: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = tmp_path / "tiny_quadratic.yaml"
    spec.write_text((ROOT / "harness/protocols/noisy_quadratic/tiny.yaml").read_text())
    options = ["--sets", "3", "--store", str(tmp_path / "store"), "--device", "cpu", "--threads", "1"]
    monkeypatch.setattr(sys, "argv", ["fresh_seeds.py", str(spec), *options])
    fresh_seeds.main()
    said = capsys.readouterr().out
    assert "`tiny_quadratic`, 3 sets of 2, seeds 20000 to 20005:" in said
    assert "| `level` | HOLDS, " in said
    assert "3 verdicts by tests are decided where all initialisations decide too: 0 are wrong" in said
