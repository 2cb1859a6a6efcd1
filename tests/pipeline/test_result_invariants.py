"""What must hold of results whatever stage made them: its role says what it is taken for, its name does not matter."""

import itertools
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.errors import InvariantBroken
from harness.jobs.job import Job
from harness.jobs.store import Artifact, Store
from harness.pipeline.result_invariants import (
    counts_are_of_whole_splits,
    lines_end_in_their_copies,
    masks_keep_exact_counts,
    trainings_without_a_rate_stand_still,
)
from harness.pipeline.results import Results
from harness.protocols.common.recipe import LineOptions, Recipe
from harness.steps import Duration
from tests.plugin.lab import forget, installed
from tests.stages.bench import TINY_LENET, Bench, setting

PACKAGE = """
from harness.jobs.stage_row import AMOUNT, TEXT, Row, named
from harness.protocols.common.base import Experiment

class Own(Experiment):
    name = "own"

PROTOCOL = Own()
columns = named(TEXT, "split") | named(AMOUNT, "error")
STAGES = [
    Row(name="lab_evaluate", version=1, columns=columns, rows=2, role="evaluation", fingerprint="means of columns",
        module="lab_x.stage")
]
"""
HERE = setting(TINY_LENET)
START = HERE.recipe.trunk(0, 6)
A, B = (HERE.recipe.train(START, 6, 14, order=Recipe.copy_order(0, order)) for order in range(2))
LINE = HERE.recipe.line(A, B, LineOptions(alphas=3))


@pytest.fixture(autouse=True)
def _lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(installed(tmp_path / "lab", "lab_x", PACKAGE))
    forget("lab_x")
    yield
    forget("lab_x")


def check(folder: Path, evaluation: Job, error: float) -> None:
    """A line that is 10 % wrong everywhere, and an evaluation by itself."""
    store = Store(folder / "store")
    splits = [split for split in ("test", "train") for _ in range(3)]
    table: dict[str, list[Any]] = {"batch_norm": ["interpolated"] * 6, "split": splits, "alpha": [0.0, 0.5, 1.0] * 2}
    store.write(LINE, Artifact(table={**table, "error": [10.0] * 6, "loss": [1.0] * 6}), {})
    columns = {"split": ["test", "train"], "error": [error, 10.0], "loss": [1.0, 1.0]}
    store.write(evaluation, Artifact(table=columns), {})
    lines_end_in_their_copies(Results([LINE, evaluation], store, []))


@pytest.mark.parametrize("stage", ["evaluate", "lab_evaluate"])
@pytest.mark.parametrize("end", [A, B], ids="ab")
def test_a_line_that_does_not_end_in_an_evaluation_is_told(stage: str, end: Job, tmp_path: Path) -> None:
    evaluation = Job(stage, {**HERE.recipe.measuring, **({"of": "a lab"} if "lab" in stage else {})}, {"state": end})
    with pytest.raises(
        InvariantBroken, match=rf"the test error at alpha = .* is 10 %, but {end!r} .* has 12 % \({stage}"
    ):
        check(tmp_path, evaluation, 12.0)


@pytest.mark.parametrize("stage", ["evaluate", "lab_evaluate"])
def test_a_line_that_ends_in_its_evaluations_is_accepted(stage: str, tmp_path: Path) -> None:
    check(tmp_path, Job(stage, HERE.recipe.measuring, {"state": A}), 10.0)


@pytest.mark.parametrize(
    "other",
    [
        Job("lab_evaluate", HERE.recipe.measuring, {"state": START}),
        Job("lab_evaluate", HERE.recipe.measuring, {"state": A, "reference": B}),
        Job("lab_evaluate", {**HERE.recipe.measuring, "data": {"digest": "of others"}}, {"state": A}),
        Job("lab_evaluate", {**HERE.recipe.measuring, "precision": "bf16"}, {"state": A}),
    ],
    ids=["another state", "of two", "other data", "another number format"],
)
def test_an_evaluation_of_something_else_says_nothing_of_a_line(other: Job, tmp_path: Path) -> None:
    check(tmp_path, other, 12.0)


@pytest.mark.parametrize(("count", "sound"), [(0, True), (20.0, True), (21, False), (0.5, False), (10**6, False)])
@pytest.mark.parametrize("column", ["disagreements", "undecided"])
def test_counts_are_of_their_split(column: str, count: float, sound: bool, tmp_path: Path) -> None:
    data = replace(HERE.recipe.data, n_test=20)
    pair = HERE.recipe.compare(A, B) if column == "disagreements" else HERE.recipe.evaluate(A)
    others = ("l2", "loss_l2", "cosine") if column == "disagreements" else ("error", "loss", "examples")
    table: dict[str, list[Any]] = {
        "split": ["test", "train"],
        column: [count, 0],
        **{key: [1.0, 1.0] for key in others},
    }
    store = Store(tmp_path / "store")
    store.write(pair, Artifact(table=table), {})
    told = nullcontext() if sound else pytest.raises(InvariantBroken, match=rf"{column} .* of the test split are no")
    with told:
        counts_are_of_whole_splits(Results([pair], store, [data]))


FIRST = HERE.recipe.prune(A, None, output_layer=False, fraction=0.2)
SECOND = HERE.recipe.prune(
    HERE.recipe.train(START, 6, 14, order="next", mask=FIRST), FIRST, output_layer=False, fraction=0.2
)
ONCE = HERE.recipe.prune(A, None, output_layer=True, density=0.3)


def _prunable(*, output_layer: bool) -> int:
    """Of 36 inputs, the hidden layers and 3 classes, without biases."""
    widths = [36, *TINY_LENET["hidden"], 3]
    sizes = [a * b for a, b in itertools.pairwise(widths)]
    return sum(sizes if output_layer else sizes[:-1])


def _after(kept: int) -> int:
    return kept - round(0.2 * kept)


@pytest.mark.parametrize(
    ("pruning", "kept", "total"),
    [
        (FIRST, _after(_prunable(output_layer=False)), _prunable(output_layer=False)),
        (SECOND, _after(_after(_prunable(output_layer=False))), _prunable(output_layer=False)),
        (ONCE, round(0.3 * _prunable(output_layer=True)), _prunable(output_layer=True)),
    ],
    ids=["once", "twice", "one shot"],
)
@pytest.mark.parametrize(("more", "of_more", "sound"), [(0, 0, True), (1, 0, False), (-1, 0, False), (0, 3, False)])
def test_a_mask_of_another_count_is_told(
    pruning: Job, kept: int, total: int, more: int, of_more: int, sound: bool, tmp_path: Path
) -> None:
    store = Store(tmp_path / "store")
    mask = {"mask/planted": torch.ones(1, dtype=torch.bool)}
    store.write(pruning, Artifact(mask, {"kept": [kept + more], "total": [total + of_more]}), {})
    words = f"kept {kept + more} of {total + of_more} weights, .* leave {kept} of {total}"
    told = nullcontext() if sound else pytest.raises(InvariantBroken, match=words)
    with told:
        masks_keep_exact_counts(Results([pruning], store, []))


RATE_0 = Recipe(
    HERE.recipe.training.model_copy(
        update={"schedule": HERE.recipe.training.schedule.model_copy(update={"rate": 0.0, "warmup": Duration(0, "it")})}
    ),
    HERE.recipe.data,
)


@pytest.mark.parametrize("mask", [None, FIRST], ids=["dense", "sparse"])
@pytest.mark.parametrize("moved", [False, True])
def test_a_training_at_rate_0_that_moves_weights_is_told(moved: bool, mask: Job | None, tmp_path: Path) -> None:
    bench, store = Bench(), Store(tmp_path / "store")
    job = RATE_0.trunk(0, 6, mask)
    made = bench[job]
    if moved:
        nudged = {name: value + 1e-12 * (name == "weight:output.weight") for name, value in made.tensors.items()}
        made = Artifact({**nudged, "step": made.tensors["step"]}, {})
    for needed in [*job.inputs.values()]:
        store.write(needed, bench[needed], {})
    store.write(job, made, {})
    words = "has a learning rate of 0, but moved output.weight"
    with pytest.raises(InvariantBroken, match=words) if moved else nullcontext():
        trainings_without_a_rate_stand_still(Results([job], store, []))


def test_a_training_with_a_rate_may_move(tmp_path: Path) -> None:
    trainings_without_a_rate_stand_still(Results([START], Store(tmp_path / "empty"), []))
