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

import pytest

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
