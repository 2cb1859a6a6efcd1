"""How far the loss is a noisy quadratic: along single eigenvectors, at its implied minimum, and summed up."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from harness.digits import plain
from harness.figure import Figure
from harness.jobs.job import Job
from harness.jobs.stage_row import Table
from harness.observation import Condition, NoValue, Observation, Quantity, observed, ratio
from harness.protocols.common import curvature
from harness.protocols.common.base import Claims, Measured, Measurement, Read, unread
from harness.protocols.common.heavy_ball import is_stable, level
from harness.protocols.common.phases import phase_problems, phases
from harness.protocols.common.setting import time_problems
from harness.protocols.common.training import TrainingExperiment
from harness.protocols.quadratic_approximation import figures as approximation_figures
from harness.protocols.quadratic_approximation.observations import of_lines, of_minima
from harness.protocols.quadratic_approximation.options import (
    ApproximationSetting,
    QuadraticApproximationOptions,
    chosen,
    gradient_noise,
    minima,
    newton,
    parabolas,
)
from harness.schema.load import Problem

_DRAWN = 12
"""Batches whose losses are drawn."""


class QuadraticApproximation(TrainingExperiment[QuadraticApproximationOptions]):
    """The exact Hessian at several checkpoints, and what the quadratic that it makes says of the loss."""

    name = "quadratic_approximation"
    settings = QuadraticApproximationOptions
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "fit_r2": Quantity(
            "",
            ("checkpoint", "band"),
            "share of the variance of a batch's loss along an eigenvector that a parabola explains (R²), the median",
            least=0.0,
            most=1.0,
            computed_from=1.0,
        ),
        "parabola_over_line": Quantity(
            "",
            ("checkpoint", "band"),
            "share of what a straight line leaves of the variance of a batch's loss along an eigenvector that a "
            "parabola explains, the median: 1 for a parabola, a quarter for noise on five points",
            least=0.0,
            most=1.0,
            computed_from=1.0,
        ),
        "curvature_spread": Quantity(
            "",
            ("checkpoint", "band"),
            "standard deviation of the fitted curvature over batches, over its mean; the median direction",
            least=0.0,
        ),
        "with_minimum": Quantity(
            "%", ("checkpoint", "band"), "directions along which every batch's parabola opens upwards"
        ),
        "rejected_share": Quantity(
            "%",
            ("checkpoint", "band"),
            "of these, those where a normal law of the minima is rejected (Shapiro-Wilk, Holm over all directions)",
        ),
        "normal_plot_r2": Quantity(
            "",
            ("checkpoint", "band"),
            "of these, R² of the sorted minima on normal quantiles (Shapiro-Francia), the median direction",
            least=0.0,
            most=1.0,
            computed_from=1.0,
        ),
        "sigma_slope": Quantity(
            "", ("checkpoint",), "slope of log σ of the minima on log of the mean fitted curvature, over all of these"
        ),
        "explained": Quantity(
            "%",
            ("checkpoint",),
            "fall of the loss to the lowest of the minima of the local quadratic, over its fall until the end",
            least=-math.inf,
            most=math.inf,
        ),
        "overprediction": Quantity(
            "x",
            ("checkpoint",),
            "sum of the noisy quadratic's levels (heavy ball, exact) over the directions of positive curvature where "
            "it is stable, over the loss above the lowest of the minima of the local quadratic",
        ),
        "loss": Quantity("nats", ("checkpoint",), "training loss on the examples that curvature is measured on"),
        "newton_loss": Quantity("nats", ("checkpoint",), "lowest loss at a minimum of the local quadratic"),
        "threshold_loss": Quantity(
            "nats", ("checkpoint", "share"), "loss at the quadratic's minimum over eigenvalues from this share upwards"
        ),
        "minimum_sd": Quantity("", ("checkpoint", "rank"), "standard deviation of the minima of batches", least=0.0),
        "fitted_curvature": Quantity("", ("checkpoint", "rank"), "mean curvature of the parabolas of batches"),
        "batch_loss": Quantity(
            "nats", ("checkpoint", "band", "batch", "place"), "loss of a batch along an eigenvector"
        ),
    }
    time_axes: ClassVar[frozenset[str]] = frozenset({"checkpoint"})

    def measurements(self, setting: ApproximationSetting) -> Iterable[Measurement]:
        """For every initialisation and checkpoint: parabolas and their minima, Newton's steps, noise of gradients."""
        for seed in setting.replicates.seeds:
            for checkpoint in _checkpoints(setting):
                jobs = _jobs(setting, seed, checkpoint)
                at: Mapping[str, Condition] = {"checkpoint": checkpoint}
                yield Measurement(_of_newton, jobs.newton, at, seed)
                yield Measurement(unread, jobs.noise, at, seed)
                yield Measurement(_drawn, jobs.parabolas, at, seed)
                yield Measurement(of_minima, jobs.minima, at, seed)

    def derived(
        self, setting: ApproximationSetting, observations: Sequence[Observation], read: Read
    ) -> Iterable[Observation]:
        """What the local quadratic explains of the loss's fall, and by how much it over-predicts the loss."""
        for seed in setting.replicates.seeds:
            end = read(_jobs(setting, seed, setting.length).newton)
            for checkpoint in _checkpoints(setting):
                jobs, at = _jobs(setting, seed, checkpoint), {"checkpoint": checkpoint}
                here, noise = read(jobs.newton), read(jobs.noise)
                if here is not None and end is not None and checkpoint < setting.length:
                    yield observed("explained", at, seed, 0, _explained(setting, here, end))
                if here is not None and noise is not None and checkpoint > 0:
                    yield observed("overprediction", at, seed, 0, _overpredicted(setting, here, noise, checkpoint))

    def rests_on(
        self, setting: ApproximationSetting, quantity: str, at: Mapping[str, Condition], measurement: Measurement
    ) -> bool:
        """What is explained is compared with the loss at the end."""
        at_end = quantity == "explained" and measurement.at["checkpoint"] == setting.length
        return at_end or measurement.agrees(at)

    def axes(self, setting: ApproximationSetting) -> Mapping[str, Sequence[Condition]]:
        """Checkpoints and bands."""
        return {"checkpoint": _checkpoints(setting), "band": list(setting.options.bands.ranks(1))}

    def defaults(self, setting: ApproximationSetting) -> Mapping[str, Condition]:
        """The top band."""
        return {"band": "top"}

    def unmeasured(self, setting: ApproximationSetting, quantity: str, at: Mapping[str, Condition]) -> str | None:
        """Nothing falls after the end; before the first step nothing is level."""
        if quantity == "explained" and at["checkpoint"] == setting.length:
            return "explained compares with the loss at the end: choose an earlier checkpoint"
        if quantity == "overprediction" and at["checkpoint"] == 0:
            return "the noisy quadratic's level is that after training: choose a later checkpoint"
        return None

    def check_setting(self, setting: ApproximationSetting) -> Iterable[Problem]:
        """Checkpoints lie in training, in order; the recipe is the quadratic's; there are as many eigenvectors."""
        yield from super().check_setting(setting)
        yield from curvature.objective_problems(setting.recipe, setting.options.objective)
        yield from phase_problems(setting.recipe)
        yield from time_problems(setting.recipe, "checkpoints", setting.options.checkpoints)
        yield from curvature.exact_problems(setting.recipe)
        yield from setting.options.bands.problems(setting.recipe.training.parameters)

    def figures(
        self, setting: ApproximationSetting, observations: Sequence[Observation], claims: Claims
    ) -> Sequence[Figure]:
        """Parabolas of batches; σ of their minima; the loss at the minimum of the local quadratic."""
        return approximation_figures.figures(observations, _checkpoints(setting), list(self.axes(setting)["band"]))


@dataclass(frozen=True)
class _Jobs:
    """The jobs at a checkpoint."""

    newton: Job
    noise: Job
    parabolas: Job
    minima: Job


def _jobs(setting: ApproximationSetting, seed: int, checkpoint: int) -> _Jobs:
    state = setting.recipe.trunk(seed, checkpoint)
    hessian = curvature.hessian(setting.recipe, state, setting.options.objective)
    lines = parabolas(setting, state, hessian, seed)
    return _Jobs(
        newton(setting, state, hessian),
        gradient_noise(setting, state, hessian, seed),
        lines,
        minima(lines, setting.options),
    )


def _checkpoints(setting: ApproximationSetting) -> list[int]:
    return curvature.checkpoints(setting.recipe, setting.options.checkpoints)


def _of_newton(measured: Measured[ApproximationSetting]) -> Iterable[Observation]:
    table = measured.table
    yield measured.seen("loss", table["here"][0])
    yield measured.seen("newton_loss", _lowest(table))
    for share, value in zip(table["share"], table["loss"], strict=True):
        if value is not None:
            yield measured.seen("threshold_loss", value, share=f"{share:.3g}")


def _lowest(table: Table) -> float | NoValue:
    finite = [value for value in table["loss"] if value is not None]
    return min(finite) if finite else NoValue("no step to a minimum of the local quadratic ends at a finite loss")


def _drawn(measured: Measured[ApproximationSetting]) -> Iterable[Observation]:
    """How much the parabolas explain beyond lines; at the end, to be drawn, losses of a few batches.

    Drawn is the middle one of each band's directions, of the top band the first.
    """
    yield from of_lines(measured)
    if measured.measurement.at["checkpoint"] != measured.setting.length:
        return
    table, options = measured.table, measured.setting.options
    points = options.points
    ranks = chosen(options, measured.setting.recipe.training.parameters)
    drawn = {(band, some[0 if band == "top" else len(some) // 2] + 1) for band, some in ranks.items()}
    for row, (band, rank, batch) in enumerate(zip(table["band"], table["rank"], table["batch"], strict=True)):
        if (band, rank) in drawn and batch < _DRAWN:
            for point in range(points):
                place = f"{table['reach'][row] * (2 * point / (points - 1) - 1):.6g}"
                yield measured.seen("batch_loss", table[f"loss_{point}"][row], band=band, batch=batch, place=place)


def _error(setting: ApproximationSetting, loss: float) -> float:
    return curvature.loss_error(setting.options.objective) * max(1.0, loss)


def _explained(setting: ApproximationSetting, here: Table, end: Table) -> float | NoValue:
    """Share (%) of the fall until the end; that fall may be less than the rounding of the losses, or none."""
    lowest, now, last = _lowest(here), here["here"][0], end["here"][0]
    if isinstance(lowest, NoValue):
        return lowest
    if last >= now:
        return NoValue(f"the loss does not fall until the end: {plain(now)} here and {plain(last)} there")
    share = ratio(now - lowest, now - last, error=_error(setting, now), of="the fall of the loss until the end")
    return share if isinstance(share, NoValue) else 100 * share


def _overpredicted(setting: ApproximationSetting, here: Table, noise: Table, checkpoint: int) -> float | NoValue:
    """The sum of the levels over the loss above the lowest, which may be less than the rounding of the losses."""
    rate = next(phase.rate for phase in phases(setting.recipe) if phase.start < checkpoint <= phase.stop)
    lowest, now = _lowest(here), here["here"][0]
    if isinstance(lowest, NoValue):
        return lowest
    if lowest >= now:
        return NoValue(f"no step to a minimum of the local quadratic lowers the loss of {plain(now)}")
    total = predicted_level(noise, rate, getattr(setting.recipe.training.optimiser, "momentum", 0.0))
    of = "the loss above the lowest of the minima of the local quadratic"
    return ratio(total, now - lowest, error=_error(setting, now), of=of)


def predicted_level(noise: Table, rate: float, momentum: float) -> float:
    """Sum of the noisy quadratic's levels over directions, from the noise of gradients along them.

    f = (λ/2)(x + ε)² has the second derivative λ and the gradient λ(x + ε), so that σ is the gradient's deviation
    over λ. Directions that are not positive, or too steep for the rate, have no level.

    Args:
        noise: with the columns ``eigenvalue`` (λ) and ``sd`` (of the gradient).
        rate: the learning rate.
        momentum: of the heavy ball.
    """
    return sum(
        level(rate, value, momentum, sd / value)
        for value, sd in zip(noise["eigenvalue"], noise["sd"], strict=True)
        if value > 0 and is_stable(rate, value, momentum)
    )


PROTOCOL = QuadraticApproximation()
