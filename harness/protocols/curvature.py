"""What the protocols on the curvature of the loss share: which loss is meant, and the jobs that differentiate it."""

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import Field

from harness.errors import RequestError
from harness.job import Job
from harness.measure.curvature import require_affordable
from harness.protocols import lineage
from harness.protocols.setting import TrainingSetting
from harness.spec.base import Count, Fraction, Hundreds, Model
from harness.spec.load import Problem
from harness.steps import Duration
from harness.store import Table


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


def loss(setting: TrainingSetting, state: Job, options: ObjectiveOptions) -> Job:
    """The loss at a state, and the length of its gradient."""
    return Job("loss", objective_params(setting, options), {"state": state})


def hessian(setting: TrainingSetting, state: Job, options: ObjectiveOptions) -> Job:
    """The exact Hessian at a state: all eigenvalues and eigenvectors."""
    return Job("hessian", objective_params(setting, options), {"state": state})


def extremes(setting: TrainingSetting, state: Job, options: ObjectiveOptions, pairs: ExtremesOptions) -> Job:
    """The largest and smallest eigenvalues at a state."""
    return Job("extremes", {**objective_params(setting, options), **pairs.model_dump(mode="json")}, {"state": state})


def checkpoints(setting: TrainingSetting, *more: Duration) -> list[int]:
    """The checkpoints of the options, more times, and the end of training; in iterations, in order."""
    times = (*setting.options.checkpoints, *more, setting.training.length)
    return sorted({setting.iterations(time) for time in times})


def exact_problems(setting: TrainingSetting) -> Iterable[Problem]:
    """A network whose exact Hessian would cost too much."""
    try:
        require_affordable(setting.training.parameters)
    except RequestError as error:
        yield Problem(("training", "network"), str(error))


def largest(table: Table) -> float | None:
    """The largest eigenvalue in a table of ``extremes``; None where Lanczos did not converge: it means nothing then."""
    found = [
        value
        for end, value, converged in zip(table["end"], table["eigenvalue"], table["converged"], strict=True)
        if end == "top" and converged
    ]
    return max(found, default=None)


def objective_params(setting: TrainingSetting, options: ObjectiveOptions) -> dict[str, Any]:
    """The parameters of a job that tell which loss is meant."""
    examples = min(options.examples or setting.data.n_train, setting.data.n_train)
    return {
        **lineage.measuring(setting),
        "precision": options.precision,
        "batch_norm": options.batch_norm if lineage.has_batch_norm(setting) else "eval",
        "examples": examples,
        "chunk": min(options.chunk or examples, examples),
    }
