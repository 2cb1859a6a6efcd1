"""A golden pin of every stage's source with its version: an edit forces the question whether the meaning changed."""

import ast
import hashlib
import io
import tokenize
from pathlib import Path

import pytest

import harness
from harness.job import VERSIONS
from harness.stages.products import PRODUCTS

ROOT = Path(harness.__file__).parent
FOLLOWED = ("harness.engine.", "harness.measure.", "harness.stages.", "harness.seeds")
"""Imports that decide results. ``harness.stages.base`` is followed no further: what a stage uses through its
context is named in ``_BY_CONTEXT``."""
_BY_CONTEXT = ("harness.engine.device", "harness.engine.feed", "harness.engine.labels", "harness.engine.networks")
_NOT_MEANING = ("harness.engine.datasets",)  # data is known by its digest, which is part of every key

PINS: dict[str, tuple[int, str]] = {
    "init": (1, "d0f6219128d99343"),
    "train": (1, "0e73b580ffcf1ea3"),
    "prune": (1, "df6b197b2bd94e44"),
    "shuffle": (1, "f1dc232ce10663c0"),
    "evaluate": (1, "85b84240ba85f7ca"),
    "line": (1, "ed74cd7c9a03b577"),
    "compare": (2, "43d5395dd0410ccf"),
    "distance": (2, "f18febacd08087bd"),
    "loss": (1, "88d40f3360b3f5db"),
    "hessian": (1, "58763a4f44ee65f5"),
    "extremes": (2, "d888765d291baaf3"),
    "quadratic_level": (1, "6d976af85b7a3896"),
    "quadratic_relaxation": (1, "9a6d5c5140795f31"),
    "quadratic_staircase": (1, "229cd87f5e8658a2"),
    "valley_walk": (1, "5df4af789489740d"),
    "spectrum": (1, "b1e3dbb0162a660f"),
    "concentration": (1, "c6f52b59a64af404"),
    "overlap": (2, "004eef7508c19d11"),
    "displacement": (2, "c9de22b30eca9533"),
    "plane": (1, "eb3588480c90c7d4"),
    "descend": (1, "041cb232e878875b"),
    "parabolas": (1, "877bee0d0fe048cd"),
    "minima": (1, "003931e155ebb4f7"),
    "newton": (1, "71cdf2c26296f881"),
    "density": (1, "da64c517eef43795"),
    "gradient_noise": (1, "ac07f9566e12029d"),
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


def test_every_stage_says_what_it_gives() -> None:
    assert set(PRODUCTS) == set(VERSIONS)


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
    aside = {
        "archives",
        "bounds",
        "dataset_import",
        "datasets",
        "folders",
        "vision",
        "normalised",
    }  # bring data in, whose digest is in the key; or refuse a spec
    computing = {f"harness.engine.{path.stem}" for path in (ROOT / "engine").glob("*.py") if path.stem not in aside}
    computing |= {f"harness.measure.{path.stem}" for path in (ROOT / "measure").glob("*.py")}
    computing = {module for module in computing if not module.endswith("__init__")}
    assert computing <= {module for stage in VERSIONS for module in rests_on(stage)}


def test_comments_and_docstrings_are_no_part_of_the_pin() -> None:
    text = source_of("harness.seeds")
    assert "SplitMix64" not in text
    assert "_GAMMA = 0x9E3779B97F4A7C15" in text
