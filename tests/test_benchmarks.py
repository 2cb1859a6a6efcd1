"""The benchmarks still run, and say what they measured. What they measure is no matter of tests."""

import subprocess
import sys

import pytest

from tests.support import ROOT

RUNS = {
    "throughput": (
        ("--quick", "--only", "toy", "--replicas", "1", "2", "--precision", "fp32", "--processes", "1", "2"),
        ["losses agree", "2 idiomatic loops at once", "trainings/h", "no goal is judged"],
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
