"""Nothing is imported that a command does not use: that is what a user waits for before the first line."""

import subprocess
import sys
from pathlib import Path

import pytest

from harness.pipeline.calibration import UNMEASURED, keep
from tests.support import ROOT, SPECS, instability_text

PROGRAM = """
import sys
from harness.cli import main
try:
    main(sys.argv[1:])
finally:
    print(*sorted({"torch", "torchvision", "numpy", "scipy", "matplotlib", "sklearn", "safetensors", "dvc", "pydantic",
        "jinja2", "numba", "sympy", "torch._dynamo"} & sys.modules.keys()), file=sys.stderr)
"""
OF_TORCH = {"torch", "numpy"}  # numpy comes with it

COMMANDS: dict[str, tuple[list[str], set[str], int, str]] = {
    "help": (["--help"], set(), 0, "Exit codes"),
    "help of a command": (["verify", "--help"], {"pydantic"}, 0, "--workers"),
    "version": (["--version"], set(), 0, "harness "),
    "a mistyped option": (["verify", "--storre", "x"], {"pydantic"}, 2, "--storre"),
    "list": (["list"], {"pydantic"}, 0, "specs/resnet20_imp.yaml"),
    "schema": (["schema"], {"pydantic"}, 0, "$schema"),
    "data list": (["data", "list"], {"pydantic"}, 0, "digits"),
    "gate": (["gate", "verdicts/toy.json"], {"pydantic"}, 1, "not in order"),  # docs/verdict-changes.md
    "coverage": (["coverage", "--statements", "absent"], {"pydantic"}, 2, "absent: no statements"),
    "validate": (["validate", *map(str, SPECS)], {"pydantic", "safetensors", *OF_TORCH}, 0, "resnet20_imp.yaml: "),
    "plan": (["plan", *map(str, SPECS), "--store", "absent"], {"pydantic", "safetensors", *OF_TORCH}, 0, "to go"),
    "plan at the papers' setting": (
        ["plan", "specs/resnet20_imp.yaml", "specs/vgg16_low_imp.yaml", "--scale", "paper", "--store", "absent"],
        {"pydantic", "safetensors", *OF_TORCH},
        0,
        "to go",
    ),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_light_command_imports_little(name: str) -> None:
    arguments, allowed, code, words = COMMANDS[name]
    keep(UNMEASURED)  # measuring the machine, once, takes the compiled loops
    done = subprocess.run([sys.executable, "-c", PROGRAM, *arguments], cwd=ROOT, capture_output=True, text=True)
    imported = set(done.stderr.splitlines()[-1].split())
    assert imported == allowed
    assert (done.returncode, words in done.stdout + done.stderr) == (code, True)


def test_the_test_sees_what_a_heavy_command_imports(tmp_path: Path) -> None:
    spec = tmp_path / "tiny.yaml"
    spec.write_text(instability_text())
    verify = ["verify", str(spec), "--store", str(tmp_path / "store"), "--report", str(tmp_path), "--exit-zero"]
    done = subprocess.run([sys.executable, "-c", PROGRAM, *verify], cwd=ROOT, capture_output=True, text=True)
    imported = set(done.stderr.splitlines()[-1].split())
    assert {"torch", "pydantic", "jinja2", "matplotlib", "scipy"} <= imported
    assert "sklearn" not in imported, "its digits are a file, and need none of it"
