"""Numbers of states, masks and evaluations by kind of job: finer than any verdict. Reads the store.

A verdict about percentages sees neither that weight decay was left out nor another momentum of batch normalisation;
the norms of weights and of running statistics do. Distances travelled tell of learning rates, where norms are still
those of the initialisation.
"""

import math
from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor

from harness.engine.state import Mask, State
from harness.errors import BrokenError
from harness.jobs.job import Job
from harness.jobs.stages import row
from harness.jobs.store import Artifact, Store
from harness.judging import statistics
from harness.regress.kinds import Kind
from harness.regress.model import ROUNDING, Number, is_plain
from harness.stages import products

_LEAST = 1e-12
"""Norms, distances and losses are compared by their logarithm, as they vary by factors; less than this is rounding."""

Seen = Iterator[tuple[str, float]]


def smoke_numbers(jobs: Mapping[str, Job], every: Mapping[str, Kind], store: Store) -> dict[str, float]:
    """Name -> the mean of the number of a smoke run, see ``fingerprints``; measurements on images more closely.

    Without a spread, errors and what is on a line tell of a change that no fresh run can.
    """
    numbers = fingerprints(jobs, every, store, closely=True)
    return {name: number.mean for name, number in numbers.items()}


def fingerprints(
    jobs: Mapping[str, Job],
    every: Mapping[str, Kind],
    store: Store,
    *,
    closely: bool = False,
) -> dict[str, Number]:
    """Name -> the number over initialisations; within one, jobs of a kind are averaged.

    Args:
        jobs: key -> job.
        every: key -> its kind.
        store: with their results; a job without one is passed over.
        closely: the numbers of a smoke run in place of those of a run.

    Raises:
        BrokenError: a stage of a package outside names a fingerprint that there is none of.
    """
    samples: dict[str, dict[int, list[float]]] = {}
    for key, job in jobs.items():
        about, kind = row(job.stage), every[key]
        seen = _reader(job.stage, about.seen_closely if closely else about.fingerprint)
        if seen is None or kind.initialisation is None or not store.has(job):
            continue
        for name, value in seen(products.read(store, job)):
            samples.setdefault(f"{name}, {kind.label}", {}).setdefault(kind.initialisation, []).append(value)
    return {name: _number(name, sample) for name, sample in samples.items()}


def _number(name: str, sample: statistics.Sample) -> Number:
    estimate, logarithm = statistics.estimate(sample), not is_plain(name)
    assert estimate.value is not None
    floor = ROUNDING if logarithm else ROUNDING * abs(estimate.value)
    return Number(mean=estimate.value, sd=estimate.sd, n=estimate.n, floor=floor, unit="", logarithm=logarithm)


def _of_state(artifact: Artifact) -> Seen:
    """Logarithms of the L2 norms of all weights, of all running means, of all running variances."""
    state = State.of(artifact.tensors)
    yield "norm of weights", _log(_norm(state.weights))
    for what in sorted({name.rsplit(".", 1)[-1] for name in state.buffers}):
        chosen = {name: value for name, value in state.buffers.items() if name.rsplit(".", 1)[-1] == what}
        yield f"norm of running {what}s", _log(_norm(chosen))


def _of_state_closely(artifact: Artifact) -> Seen:
    """Also the mean of every column of numbers, where the state has a table: what a training recorded."""
    yield from _of_state(artifact)
    yield from _of_columns(artifact)


def _of_mask(artifact: Artifact) -> Seen:
    """The mean of the layers' densities: the global one is exact, how it is spread over layers is not."""
    layers = Mask.of(artifact.tensors).kept.values()
    yield "mean density of layers", sum(float(kept.double().mean()) for kept in layers) / len(layers)


def _of_evaluation(artifact: Artifact) -> Seen:
    """The logarithm of the mean loss on each split."""
    for split, loss in zip(artifact.table["split"], artifact.table["loss"], strict=True):
        yield f"loss on {split} images", _log(loss)


def _of_two(artifact: Artifact) -> Seen:
    """The logarithm of the L2 distance between the weights of two states."""
    yield "L2", _log(artifact.table["l2"][0])


def _of_evaluation_closely(artifact: Artifact) -> Seen:
    """Also the error on each split, in percent."""
    yield from _of_evaluation(artifact)
    for split, error in zip(artifact.table["split"], artifact.table["error"], strict=True):
        yield f"error on {split} images", error


def _of_line(artifact: Artifact) -> Seen:
    """For each mode and split the mean error (percent) and the logarithm of the mean loss, over all places."""
    table = artifact.table
    lines: dict[str, list[tuple[float, float]]] = {}
    for mode, split, error, loss in zip(
        table["batch_norm"], table["split"], table["error"], table["loss"], strict=True
    ):
        lines.setdefault(f"{split} images, {mode} statistics", []).append((error, loss))
    for name, points in lines.items():
        errors, losses = zip(*points, strict=True)
        yield f"error on {name}", sum(errors) / len(errors)
        yield f"loss on {name}", _log(sum(losses) / len(losses))


def _of_comparison(artifact: Artifact) -> Seen:
    """Also the disagreements on each split, in examples, and the logarithm of the distance between losses."""
    yield from _of_two(artifact)
    table = artifact.table
    for split, count, apart in zip(table["split"], table["disagreements"], table["loss_l2"], strict=True):
        yield f"disagreements on {split} images", count
        yield f"distance of losses on {split} images", _log(apart)


def _log(value: float) -> float:
    return math.log(max(value, _LEAST))


def _norm(tensors: Mapping[str, Tensor]) -> float:
    return math.sqrt(sum(float(torch.linalg.vector_norm(value.double())) ** 2 for value in tensors.values()))


def _of_columns(artifact: Artifact) -> Seen:
    """The mean of every column of numbers, as it is."""
    for name, column in sorted(artifact.table.items()):
        if column and all(type(value) in (int, float) for value in column):
            yield f"mean of {name}", sum(column) / len(column)


READERS: Mapping[str, Callable[[Artifact], Seen]] = {
    "norms of the state": _of_state,
    "norms of the state and means of columns": _of_state_closely,
    "densities of layers": _of_mask,
    "losses": _of_evaluation,
    "losses and errors": _of_evaluation_closely,
    "means on the line": _of_line,
    "L2 distance": _of_two,
    "L2 distance and disagreements": _of_comparison,
    "means of columns": _of_columns,
}
"""What the rows of stages call their fingerprints -> what is seen of a result."""


def _reader(stage: str, name: str) -> Callable[[Artifact], Seen] | None:
    if name and name not in READERS:
        raise BrokenError(
            f"the row of the stage {stage!r} names the fingerprint {name!r}, which the guard does not know: name "
            f"one of {', '.join(READERS)}"
        )
    return READERS.get(name)
