"""What the protocols on the curvature of the loss share: which loss is meant, and the jobs that differentiate it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from harness.digits import ROUNDING, plain
from harness.errors import RequestError
from harness.jobs.job import Job
from harness.jobs.stage_row import Table
from harness.measure.affordable import require_affordable
from harness.observation import SINGLE, NoValue
from harness.protocols.common.normalisation import chunk_problems
from harness.protocols.common.recipe import Recipe
from harness.schema.base import Count, Fraction, Hundreds, Model
from harness.schema.load import Problem
from harness.steps import Duration

EIGENVALUE_ERROR = 1e-5
"""Numerical error of an eigenvalue of an exact Hessian, over the largest magnitude of any [open]."""


class ObjectiveOptions(Model):
    """The loss that is differentiated: mean cross-entropy on training examples, without weight decay [code].

    Attributes:
        batch_norm: ``batch`` normalises by the examples at hand [code]; ``eval`` by the running statistics, which is
            another matrix (PyHessian and others take that one).
        examples: the first so many training examples; all where it is left out [code].
        chunk: examples that are normalised together, part of the definition with ``batch``; all where it is left out.
        precision: number format of the derivatives; never TF32.
    """

    batch_norm: Literal["batch", "eval"] = "batch"
    examples: Count | None = None
    chunk: Count | None = None
    precision: Literal["fp32", "fp64"] = "fp32"


class ExtremesOptions(Model):
    """How many of the largest and smallest eigenvalues Lanczos finds, and how exactly.

    Attributes:
        top: of the largest.
        bottom: of the smallest.
        tolerance: relative accuracy.
    """

    top: Hundreds = 1
    bottom: int = Field(default=0, ge=0, le=10_000)
    tolerance: Fraction = 1e-3


def loss_error(options: ObjectiveOptions) -> float:
    """By how much a loss of a nat may be wrong: losses are differences of logits, however small they are."""
    return {"fp32": SINGLE, "fp64": ROUNDING}[options.precision]


def loss(recipe: Recipe, state: Job, options: ObjectiveOptions) -> Job:
    """The loss at a state, and the length of its gradient."""
    return Job("loss", objective_params(recipe, options), {"state": state})


def hessian(recipe: Recipe, state: Job, options: ObjectiveOptions) -> Job:
    """The exact Hessian at a state: all eigenvalues and eigenvectors."""
    return Job("hessian", objective_params(recipe, options), {"state": state})


def extremes(recipe: Recipe, state: Job, options: ObjectiveOptions, pairs: ExtremesOptions) -> Job:
    """The largest and smallest eigenvalues at a state."""
    return Job("extremes", {**objective_params(recipe, options), **pairs.model_dump(mode="json")}, {"state": state})


def checkpoints(recipe: Recipe, times: Iterable[Duration]) -> list[int]:
    """Times in training, and its end; in iterations, in order."""
    return sorted({recipe.iterations(time) for time in (*times, recipe.training.length)})


def exact_problems(recipe: Recipe) -> Iterable[Problem]:
    """A network whose exact Hessian would cost too much."""
    try:
        require_affordable(recipe.training.parameters)
    except RequestError as error:
        yield Problem(("training", "network"), str(error))


@dataclass(frozen=True)
class Eigenvalue:
    """An eigenvalue that Lanczos found.

    Attributes:
        value: the eigenvalue.
        error: the length of its residual: an eigenvalue of the matrix is no further away.
    """

    value: float
    error: float


def objective_problems(recipe: Recipe, options: ObjectiveOptions, *, also_of_all: bool = False) -> Iterable[Problem]:
    """Chunks that batch normalisation cannot normalise; ``also_of_all``: a loss over all examples is taken too."""
    params = objective_params(recipe, options)
    if params["batch_norm"] != "batch":
        return
    field = "examples" if options.chunk is None else "chunk"
    for examples in dict.fromkeys([params["examples"], *([recipe.data.n_train] if also_of_all else [])]):
        chunk = min(options.chunk or examples, examples)
        problems = list(chunk_problems(recipe, ("settings", "objective", field), examples, chunk))
        if problems:
            yield from problems
            return


def extreme_of(table: Table, end: Literal["top", "bottom"]) -> Eigenvalue | NoValue:
    """The largest (``top``) or smallest eigenvalue in a table of ``extremes``, where its search converged."""
    rows = list(zip(table["end"], table["eigenvalue"], table["residual"], table["converged"], strict=True))
    mine = [(value, residual, converged) for its, value, residual, converged in rows if its == end]
    which = {"top": "largest", "bottom": "smallest"}[end]
    if not mine:
        return NoValue(f"the search for the {which} eigenvalue found none")
    if not all(converged for _, _, converged in mine):
        return NoValue(
            f"Lanczos did not converge on the {which} eigenvalue (residual "
            f"{plain(max(residual for _, residual, _ in mine), 3)}): a larger settings.extremes.tolerance, or "
            "settings.objective.precision fp64 where the products are too inexact, may help"
        )
    value, residual, _ = max(mine) if end == "top" else min(mine)
    return Eigenvalue(value, residual)


def objective_params(recipe: Recipe, options: ObjectiveOptions) -> dict[str, Any]:
    """The parameters of a job that tell which loss is meant."""
    examples = min(options.examples or recipe.data.n_train, recipe.data.n_train)
    return {
        **recipe.measuring,
        "precision": options.precision,
        "batch_norm": options.batch_norm if recipe.has_batch_norm else "eval",
        "examples": examples,
        "chunk": min(options.chunk or examples, examples),
    }
