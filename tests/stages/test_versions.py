"""A golden file of every stage's version and sources: an edit forces the question whether the meaning changed."""

import ast

import pytest

from harness.jobs.stage_row import Row
from harness.jobs.stages import OWN
from tests.golden.bless import golden
from tests.golden.sources import ROOT, digest_of, rests_on, source_of

NAMES = [one.name for one in OWN]


@pytest.mark.parametrize("stage", OWN, ids=lambda stage: stage.name)
def test_the_source_of_a_stage_is_the_blessed_one(stage: Row) -> None:
    now = {"version": stage.version, "sources": digest_of(stage.name)}
    assert golden("stages.json").get(stage.name) == now, (
        f"The source of the stage {stage.name!r} or of a module it rests on ({', '.join(rests_on(stage.name))}) was "
        "edited. Did the meaning change, so that results in stores would differ? Then raise the version in its row of "
        "harness/jobs/stages.py. Run `make bless` and read its diff"
    )


def test_every_stage_is_blessed_and_no_other() -> None:
    assert list(golden("stages.json")) == sorted(NAMES), "run `make bless` and read its diff"
    modules = {path.stem for path in (ROOT / "stages").glob("*.py") if "\nSTAGE = " in path.read_text()}
    assert modules == set(NAMES)


def test_nothing_asks_for_a_stage_by_its_name() -> None:
    """What is asked of a stage is a property of its row: else a stage from outside would be passed over silently."""
    asked = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in ROOT.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Compare)
        and isinstance(node.left, ast.Attribute)
        and node.left.attr == "stage"
        and any(isinstance(one, ast.Constant) and isinstance(one.value, str) for one in ast.walk(node))
    ]
    assert asked == []


def test_stages_rest_on_what_they_use() -> None:
    """A few that must be there: else an edit would go unasked."""
    assert {
        "harness.stages.train",
        "harness.engine.train",
        "harness.engine.feed",
        "harness.engine.networks.layers",
    } < set(rests_on("train"))
    assert {"harness.engine.optimise", "harness.engine.device", "harness.seeds"} < set(rests_on("train"))
    assert {"harness.measure.line", "harness.measure.evaluate", "harness.engine.feed"} < set(rests_on("line"))
    assert {"harness.engine.networks.initialise", "harness.seeds", "harness.engine.networks.build"} < set(
        rests_on("init")
    )
    assert "harness.measure.distance" in rests_on("distance")
    assert {"harness.engine.prune", "harness.seeds"} < set(rests_on("shuffle"))
    assert all("harness.engine.data.labels" in rests_on(stage) for stage in ("train", "evaluate", "line", "compare"))
    assert "harness.engine.feed" not in rests_on("shuffle")


def test_every_module_that_computes_is_rested_on() -> None:
    """Those of ``engine/data`` bring data in, whose digest is in every key; labels are changed after that.

    ``normalised`` only looks at forms, by which a spec is refused; ``cores`` and ``compiling`` only look, too.
    Experiments read tables by ``beyond_line``, ``normal_plot``, ``piecewise`` and ``tail_laws``, whose numbers are in
    no store.
    """
    paths = [path for path in (ROOT / "engine").rglob("*.py") if "data" not in path.parts]
    paths += [ROOT / "engine" / "data" / "labels.py", *(ROOT / "measure").glob("*.py")]
    modules = {".".join(path.relative_to(ROOT.parent).with_suffix("").parts) for path in paths}
    looking = (".normalised", ".cores", ".compiling")
    reading = (".beyond_line", ".normal_plot", ".piecewise", ".tail_laws")
    aside = ("__init__", *looking, *reading)
    computing = {module for module in modules if not module.endswith(aside)}
    assert len(computing) > 30
    assert computing <= {module for stage in NAMES for module in rests_on(stage)}


def test_comments_and_docstrings_are_no_part_of_the_pin() -> None:
    text = source_of("harness.seeds")
    assert "SplitMix64" not in text
    assert "_GAMMA = 0x9E3779B97F4A7C15" in text
