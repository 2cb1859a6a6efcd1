"""How the eigenvectors of the Hessian turn between successive checkpoints, and into which others."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from harness.digits import plain
from harness.figure import Figure
from harness.jobs.job import Job
from harness.observation import Condition, NoValue, Observation, Quantity
from harness.protocols.common import curvature
from harness.protocols.common.bands import BandOptions, no_vectors
from harness.protocols.common.base import Claims, Measured, Measurement, unread
from harness.protocols.common.setting import TrainingSetting, time_problems
from harness.protocols.common.training import TrainingExperiment
from harness.protocols.eigenvector_drift.figures import drift_figures
from harness.schema.base import Count, Many, Model, Positive, Time
from harness.schema.load import Problem


class EigenvectorDriftOptions(Model):
    """What the study of the eigenvectors leaves to choose.

    Attributes:
        checkpoints: times at which all eigenpairs are computed; each is compared with the next, the last with the end
            of training.
        objective: the loss that is differentiated.
        bands: whose eigenvectors are compared with those of equal rank; the top one also as a subspace.
        floor: eigenvalues of a magnitude up to this one share a bin [open].
        per_decade: bins in a factor of ten beyond it, of either sign [open].
        ranks: how many of the largest eigenvalues tell by how much the spectrum shifted between two checkpoints; the
            later one's are divided by that, so that a bin is a place within the spectrum [open].
    """

    checkpoints: Many[Time] = Field(min_length=1)
    objective: curvature.ObjectiveOptions = curvature.ObjectiveOptions()
    bands: BandOptions = BandOptions()
    floor: Positive = 1e-3
    per_decade: Annotated[int, Field(ge=1, le=1000)] = 2
    ranks: Count = 100


DriftSetting = TrainingSetting[EigenvectorDriftOptions]


def overlap(a: Job, b: Job, options: EigenvectorDriftOptions, size: int) -> Job:
    """How alike the ``size`` eigenvectors of two Hessians are."""
    params = {
        "size": size,
        "bands": dict(options.bands.ranks(size)),
        "floor": options.floor,
        "per_decade": options.per_decade,
        "ranks": options.ranks,
    }
    return Job("overlap", params, {"a": a, "b": b})


class EigenvectorDrift(TrainingExperiment[EigenvectorDriftOptions]):
    """The exact Hessian at several checkpoints, each with the next; ``start`` is the earlier one of a pair."""

    name = "eigenvector_drift"
    settings = EigenvectorDriftOptions
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "own_bin": Quantity(
            "%",
            ("start",),
            "share of the bins in log λ (the later λ divided by the shift of the spectrum) whose eigenvectors lie, "
            "measured by a random rotation, more in the same bin of the next checkpoint than in any other",
        ),
        "top_overlap": Quantity(
            "%", ("start",), "squared length of the top eigenvectors within the span of the next checkpoint's, mean"
        ),
        "spectrum_shift": Quantity(
            "x", ("start",), "geometric mean of the largest eigenvalues at the next checkpoint over that at this one"
        ),
        "top_overlap_over_null": Quantity("x", ("start",), "the same over that of a random rotation"),
        "self_overlap": Quantity(
            "%", ("start", "band"), "squared inner product of an eigenvector with the next one of its rank, band's mean"
        ),
        "bin_overlap": Quantity(
            "x", ("start", "bin", "other"), "squared inner products between two bins, over those of a random rotation"
        ),
    }
    time_axes: ClassVar[frozenset[str]] = frozenset({"start"})

    def measurements(self, setting: DriftSetting) -> Iterable[Measurement]:
        """For every initialisation and checkpoint but the last: its eigenvectors and those of the next."""
        options, times, size = setting.options, _checkpoints(setting), setting.recipe.training.parameters
        for seed in setting.replicates.seeds:
            hessians = [
                curvature.hessian(setting.recipe, setting.recipe.trunk(seed, time), options.objective) for time in times
            ]
            for time, hessian in zip(times, hessians, strict=True):
                yield Measurement(unread, hessian, {"start": time}, seed)
            for start, a, b in zip(times[:-1], hessians[:-1], hessians[1:], strict=True):
                yield Measurement(_of_pair, overlap(a, b, options, size), {"start": start}, seed)

    def axes(self, setting: DriftSetting) -> Mapping[str, Sequence[Condition]]:
        """The earlier checkpoint of each pair, and the bands."""
        return {"start": _checkpoints(setting)[:-1], "band": list(setting.options.bands.ranks(1))}

    def defaults(self, setting: DriftSetting) -> Mapping[str, Condition]:
        """The last pair, the top band."""
        return {"start": self.axes(setting)["start"][-1], "band": "top"}

    def check_setting(self, setting: DriftSetting) -> Iterable[Problem]:
        """Checkpoints lie in training, in order; there are as many eigenpairs as are asked for."""
        yield from super().check_setting(setting)
        yield from curvature.objective_problems(setting.recipe, setting.options.objective)
        yield from time_problems(setting.recipe, "checkpoints", setting.options.checkpoints)
        if len(_checkpoints(setting)) < 2:
            message = f"found {setting.recipe.training.length} alone, the end of training: give an earlier time"
            yield Problem(("settings", "checkpoints"), message)
        yield from curvature.exact_problems(setting.recipe)
        yield from setting.options.bands.problems(setting.recipe.training.parameters)

    def figures(self, setting: DriftSetting, observations: Sequence[Observation], claims: Claims) -> Sequence[Figure]:
        """Overlaps between bins, for every pair; how much stays, against the earlier checkpoint."""
        return drift_figures(
            observations,
            list(itertools.pairwise(_checkpoints(setting))),
            list(self.axes(setting)["band"]),
            floor=setting.options.floor,
            per_decade=setting.options.per_decade,
        )


def _checkpoints(setting: DriftSetting) -> list[int]:
    return curvature.checkpoints(setting.recipe, setting.options.checkpoints)


_NO_COMMON_BIN = NoValue("no bin of eigenvalues is occupied at both checkpoints")


def _of_pair(measured: Measured[DriftSetting]) -> Iterable[Observation]:
    """The observations of a table of ``overlap``, as far as the eigenvalues at both ends tell eigenvectors apart."""
    table, options, size = measured.table, measured.setting.options, measured.setting.recipe.training.parameters
    bands, null = options.bands.ranks(size), 100 * options.bands.top / size
    sides = {"": measured.of_input("a"), " at the next checkpoint": measured.of_input("b")}
    ends = {where: side["eigenvalue"] for where, side in sides.items() if side is not None}
    top, no_span, no_shift = table["subspace"][0], _no_span(ends, bands["top"][1]), _no_shift(ends, options.ranks)
    own = table["own_bin"][0]
    yield measured.seen("own_bin", no_shift or (_NO_COMMON_BIN if own is None else own))
    yield measured.seen("spectrum_shift", no_shift or table["shift"][0])
    yield measured.seen("top_overlap", no_span or top)
    yield measured.seen("top_overlap_over_null", no_span or top / null)
    for band in bands:
        yield measured.seen("self_overlap", _alike(ends, bands[band]) or table[f"self_{band}"][0], band=band)
    for row, column, value in zip(table["bin"], table["other"], table["over_null"], strict=True):
        yield measured.seen("bin_overlap", value, bin=row, other=column)


def _error(values: Sequence[float]) -> float:
    return curvature.EIGENVALUE_ERROR * max(abs(values[0]), abs(values[-1]))


def _alike(ends: Mapping[str, Sequence[float]], ranks: Sequence[int]) -> NoValue | None:
    """Why the vectors of some ranks are no vectors of their own."""
    for where, values in ends.items():
        without = no_vectors(values, ranks, _error(values))
        if without is not None:
            return NoValue(f"{without.why}{where}")
    return None


def _no_span(ends: Mapping[str, Sequence[float]], count: int) -> NoValue | None:
    """Why the largest eigenvalues have no subspace of their own."""
    for where, values in ends.items():
        if count < len(values) and values[count - 1] - values[count] <= _error(values):
            return NoValue(
                f"the eigenvalues of ranks {count} and {count + 1} are equal within their error of "
                f"{plain(_error(values), 3)}{where}, so that the top ones have no subspace of their own"
            )
    return None


def _no_shift(ends: Mapping[str, Sequence[float]], ranks: int) -> NoValue | None:
    """Why the largest eigenvalues, those that are positive at both checkpoints, have no logarithms."""
    count = min((sum(value > 0 for value in values) for values in ends.values()), default=ranks)
    for where, values in ends.items():
        if values[max(min(ranks, count), 1) - 1] <= _error(values):
            beyond = sum(value > _error(values) for value in values)
            return NoValue(
                f"only {beyond} eigenvalues are positive beyond their error of {plain(_error(values), 3)}{where}: "
                f"settings.ranks of {max(beyond, 1)} would leave the others out"
            )
    return None


PROTOCOL = EigenvectorDrift()
