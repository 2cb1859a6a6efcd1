"""How the eigenvectors of the Hessian turn between successive checkpoints, and into which others."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from harness.digits import plain
from harness.figure import Figure
from harness.jobs.job import Job
from harness.jobs.store import Table
from harness.observation import Condition, NoValue, Observation, Quantity, observed
from harness.protocols.common import curvature, lineage
from harness.protocols.common.bands import BandOptions, no_vectors
from harness.protocols.common.base import Claims, Measurement, Read
from harness.protocols.common.setting import TrainingSetting, time_problems
from harness.protocols.common.training import TrainingProtocol
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


class EigenvectorDrift(TrainingProtocol):
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

    def measurements(self, setting: TrainingSetting) -> Iterable[Measurement]:
        """For every initialisation and checkpoint but the last: its eigenvectors and those of the next."""
        options: EigenvectorDriftOptions = setting.options
        times, size = curvature.checkpoints(setting), setting.training.parameters
        for seed in setting.replicates.seeds:
            hessians = [
                curvature.hessian(setting, lineage.trunk(setting, seed, time), options.objective) for time in times
            ]
            for time, hessian in zip(times, hessians, strict=True):
                yield Measurement("eigenvalues", hessian, {"start": time}, seed)
            for start, a, b in zip(times[:-1], hessians[:-1], hessians[1:], strict=True):
                yield Measurement("overlap", overlap(a, b, options, size), {"start": start}, seed)

    def observe(self, setting: TrainingSetting, read: Read) -> Sequence[Observation]:
        """What the tables hold."""
        found: list[Observation] = []
        options: EigenvectorDriftOptions = setting.options
        size = setting.training.parameters
        null = 100 * options.bands.top / size
        for one in self.measurements(setting):
            table = read(one.job)
            if one.kind == "overlap" and table is not None:
                sides = {"": read(one.job.inputs["a"]), " at the next checkpoint": read(one.job.inputs["b"])}
                ends = {where: side["eigenvalue"] for where, side in sides.items() if side is not None}
                found += _of_pair(one, table, null, options.bands.ranks(size), ends, options.ranks)
        return found

    def axes(self, setting: TrainingSetting) -> Mapping[str, Sequence[Condition]]:
        """The earlier checkpoint of each pair, and the bands."""
        return {"start": curvature.checkpoints(setting)[:-1], "band": list(setting.options.bands.ranks(1))}

    def defaults(self, setting: TrainingSetting) -> Mapping[str, Condition]:
        """The last pair, the top band."""
        return {"start": self.axes(setting)["start"][-1], "band": "top"}

    def check_setting(self, setting: TrainingSetting) -> Iterable[Problem]:
        """Checkpoints lie in training, in order; there are as many eigenpairs as are asked for."""
        yield from super().check_setting(setting)
        yield from curvature.objective_problems(setting)
        yield from time_problems(setting, "checkpoints", setting.options.checkpoints)
        if len(curvature.checkpoints(setting)) < 2:
            message = f"found {setting.training.length} alone, the end of training: give an earlier time"
            yield Problem(("settings", "checkpoints"), message)
        yield from curvature.exact_problems(setting)
        yield from setting.options.bands.problems(setting.training.parameters)

    def figures(
        self, setting: TrainingSetting, observations: Sequence[Observation], claims: Claims
    ) -> Sequence[Figure]:
        """Overlaps between bins, for every pair; how much stays, against the earlier checkpoint."""
        return drift_figures(
            observations,
            list(itertools.pairwise(curvature.checkpoints(setting))),
            list(self.axes(setting)["band"]),
            floor=setting.options.floor,
            per_decade=setting.options.per_decade,
        )


def _of_pair(
    one: Measurement,
    table: Table,
    null: float,
    bands: Mapping[str, Sequence[int]],
    ends: Mapping[str, Sequence[float]],
    ranks: int,
) -> list[Observation]:
    """The observations of a table of ``overlap``.

    Args:
        one: the measurement.
        table: its table.
        null: the top overlap of a random rotation, in percent.
        bands: name -> ranks.
        ends: in words at which checkpoint -> all eigenvalues there.
        ranks: how many of the largest the shift is of.
    """

    def seen(quantity: str, value: float, without: NoValue | None, **at: Condition) -> Observation:
        return observed(quantity, {**one.at, **at}, one.initialisation, one.within, without or value)

    top, no_span, no_shift = table["subspace"][0], _no_span(ends, bands["top"][1]), _no_shift(ends, ranks)
    return [
        seen("own_bin", table["own_bin"][0], no_shift),
        seen("spectrum_shift", table["shift"][0], no_shift),
        seen("top_overlap", top, no_span),
        seen("top_overlap_over_null", top / null, no_span),
        *(seen("self_overlap", table[f"self_{band}"][0], _alike(ends, bands[band]), band=band) for band in bands),
        *(
            seen("bin_overlap", value, None, bin=row, other=column)
            for row, column, value in zip(table["bin"], table["other"], table["over_null"], strict=True)
        ),
    ]


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
