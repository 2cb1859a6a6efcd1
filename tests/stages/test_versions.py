"""A golden pin of every stage's source with its version: an edit forces the question whether the meaning changed."""

import ast
import hashlib
import io
import tokenize
from pathlib import Path

import pytest

import harness
from harness.job import VERSIONS

ROOT = Path(harness.__file__).parent
FOLLOWED = ("harness.engine.", "harness.measure.", "harness.stages.", "harness.seeds")
"""Imports that decide results. ``harness.stages.base`` is followed no further: what a stage uses through its
context is named in ``_BY_CONTEXT``."""
_BY_CONTEXT = ("harness.engine.device", "harness.engine.feed", "harness.engine.labels", "harness.engine.networks")
_NOT_MEANING = ("harness.engine.datasets",)  # data is known by its digest, which is part of every key

PINS: dict[str, tuple[int, str]] = {
    "init": (1, "433e8cfe589d2d32"),
    "train": (1, "a151370e5d1f51cc"),
    "prune": (1, "13fb01d2bd88a79d"),
    "shuffle": (1, "e68336991dac3072"),
    "evaluate": (1, "e2e49b9bb2d1cb77"),
    "line": (1, "4837048033bd347c"),
    "compare": (2, "0fcd0406e7caf6f5"),
    "distance": (2, "d4fc1a982d6876f8"),
    "loss": (1, "86acfd79f8443a56"),
    "hessian": (1, "532a6288d28950a1"),
    "extremes": (1, "d09d12d5091953bc"),
    "quadratic_level": (1, "d68ab6c2efa23729"),
    "quadratic_relaxation": (1, "9a74e13ee4a8d2cf"),
    "quadratic_staircase": (1, "9a07c99e94798bca"),
    "valley_walk": (1, "089335587058cdc3"),
    "spectrum": (1, "e239eaaa57613f88"),
    "concentration": (1, "2dfbd27756951b1f"),
    "overlap": (2, "acfe8ae6e21fcab5"),
    "displacement": (2, "d538232c36f7e776"),
    "plane": (1, "afe43a940c25f21d"),
    "descend": (1, "a845c75f2ab7b74a"),
    "parabolas": (1, "16acd4e664af8134"),
    "minima": (1, "893e296ddd616334"),
    "newton": (1, "b25ab6be94dbede0"),
    "density": (1, "aca58243bbe3095d"),
    "gradient_noise": (1, "afc1fd3e2fcf8bce"),
}


def source_of(module: str) -> str:
    """The module's text without docstrings, comments and blank lines, which cannot change a result."""
    text = (ROOT.parent / Path(*module.split("."))).with_suffix(".py").read_text()
    lines = text.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines[node.lineno - 1 : node.end_lineno] = [""] * ((node.end_lineno or node.lineno) - node.lineno + 1)
    return "\n".join(line.rstrip() for line in lines if line.strip())


def imports_of(module: str) -> set[str]:
    """Modules of the harness that a module imports."""
    text = (ROOT.parent / Path(*module.split("."))).with_suffix(".py").read_text()
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module:
            for name in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names)):
                if (ROOT.parent / Path(*name.split("."))).with_suffix(".py").is_file():
                    found.add(name)
    return found


def rests_on(stage: str) -> list[str]:
    """The stage's module and all that decide its results with it."""
    found: set[str] = set()
    queue = [f"harness.stages.{stage}"]
    while queue:
        module = queue.pop()
        if module in found or module in _NOT_MEANING or not module.startswith(FOLLOWED):
            continue
        found.add(module)
        queue += [] if module == "harness.stages.base" else sorted(imports_of(module))
        queue += _BY_CONTEXT if "context." in source_of(module) and module != "harness.stages.base" else ()
    return sorted(found)


def digest_of(stage: str) -> str:
    """SHA-256 over the sources that the stage rests on."""
    text = "".join(f"{module}\n{source_of(module)}\n" for module in rests_on(stage))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@pytest.mark.parametrize("stage", VERSIONS)
def test_the_source_of_a_stage_is_the_pinned_one(stage: str) -> None:
    now = (VERSIONS[stage], digest_of(stage))
    assert now == PINS.get(stage), (
        f"The source of the stage {stage!r} or of a module it rests on ({', '.join(rests_on(stage))}) was edited. "
        f"Did the meaning change, so that results in stores would differ? Then raise VERSIONS[{stage!r}] in "
        f'harness/job.py. Then update this pin: "{stage}": ({VERSIONS[stage]}, "{digest_of(stage)}")'
    )


def test_every_stage_is_pinned_and_no_other() -> None:
    assert set(PINS) == set(VERSIONS)
    modules = {path.stem for path in (ROOT / "stages").glob("*.py") if "\nSTAGE = " in path.read_text()}
    assert modules == set(VERSIONS)


def test_stages_rest_on_what_they_use() -> None:
    """A few that must be there: else an edit would go unasked."""
    assert {"harness.stages.train", "harness.engine.train", "harness.engine.feed", "harness.engine.layers"} < set(
        rests_on("train")
    )
    assert {"harness.engine.optimise", "harness.engine.device", "harness.seeds"} < set(rests_on("train"))
    assert {"harness.measure.line", "harness.measure.evaluate", "harness.engine.feed"} < set(rests_on("line"))
    assert {"harness.engine.initialise", "harness.seeds", "harness.engine.networks"} < set(rests_on("init"))
    assert "harness.measure.distance" in rests_on("distance")
    assert {"harness.engine.prune", "harness.seeds"} < set(rests_on("shuffle"))
    assert all("harness.engine.labels" in rests_on(stage) for stage in ("train", "evaluate", "line", "compare"))
    assert "harness.engine.feed" not in rests_on("shuffle")


def test_every_module_that_computes_is_rested_on() -> None:
    aside = {"archives", "dataset_import", "datasets", "vision"}  # bring data in; its digest is in the key
    computing = {f"harness.engine.{path.stem}" for path in (ROOT / "engine").glob("*.py") if path.stem not in aside}
    computing |= {f"harness.measure.{path.stem}" for path in (ROOT / "measure").glob("*.py")}
    computing = {module for module in computing if not module.endswith("__init__")}
    assert computing <= {module for stage in VERSIONS for module in rests_on(stage)}


def test_comments_and_docstrings_are_no_part_of_the_pin() -> None:
    text = source_of("harness.seeds")
    assert "SplitMix64" not in text
    assert "_GAMMA = 0x9E3779B97F4A7C15" in text
