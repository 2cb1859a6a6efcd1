"""Nothing is imported that a command does not use: that is what a user waits for before the first line."""

import subprocess
import sys

import pytest

from tests.support import ROOT

PROGRAM = """
import sys
from harness.cli import main
try:
    main(sys.argv[1:])
finally:
    print(*sorted({"torch", "torchvision", "numpy", "scipy", "matplotlib", "sklearn", "safetensors", "dvc", "pydantic"}
        & sys.modules.keys()), file=sys.stderr)
"""

COMMANDS = {
    "help": (["--help"], set()),
    "help of a command": (["verify", "--help"], {"pydantic"}),
    "version": (["--version"], set()),
    "a mistyped option": (["verify", "--storre", "x"], {"pydantic"}),
    "list": (["list"], {"pydantic"}),
    "schema": (["schema"], {"pydantic"}),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_light_command_imports_little(name: str) -> None:
    arguments, allowed = COMMANDS[name]
    done = subprocess.run([sys.executable, "-c", PROGRAM, *arguments], cwd=ROOT, capture_output=True, text=True)
    imported = set(done.stderr.splitlines()[-1].split())
    assert imported == allowed


def test_the_test_sees_what_a_heavy_command_imports() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "plan", "specs/lenet_imp.yaml"], cwd=ROOT, capture_output=True, text=True
    )
    assert {"torch", "pydantic"} <= set(done.stderr.splitlines()[-1].split())
