"""What the study of the quadratic approximation leaves to choose, and the jobs that it makes of that."""

from typing import Any

from pydantic import Field

from harness.jobs.job import Job
from harness.protocols.common import curvature
from harness.protocols.common.bands import BandOptions
from harness.protocols.common.setting import TrainingSetting
from harness.schema.base import Fraction, Hundreds, Many, Model, Positive, Time


class QuadraticApproximationOptions(Model):
    """What the study of the quadratic approximation leaves to choose.

    Attributes:
        checkpoints: times at which all eigenpairs are computed; the end of training is always one more.
        objective: the loss whose Hessian and gradient are meant. Batches are normalised alike, each by itself.
        bands: of which eigenvectors the directions are.
        directions: of each band, evenly spaced in rank [open].
        batches: along each direction, of the training's size, the same for all directions [open].
        points: on a line [open]; three would always lie on a parabola.
        rise: of the quadratic, in nats, that decides how far a line reaches [open].
        flattest: directions of a smaller share of the largest eigenvalue are looked along as far as one of it [open].
        significance: of the test that all minima of a checkpoint are normal [open].
        thresholds: how many Newton steps are tried [paper: 20].
        lowest: the smallest threshold over the largest eigenvalue [open].
    """

    checkpoints: Many[Time] = ()
    objective: curvature.ObjectiveOptions = curvature.ObjectiveOptions()
    bands: BandOptions = BandOptions()
    directions: Hundreds = 10
    batches: int = Field(default=64, ge=3, le=5000)
    points: int = Field(default=5, ge=4, le=1000)
    rise: Positive = 0.05
    flattest: Fraction = 0.01
    significance: Fraction = 0.05
    thresholds: int = Field(default=20, ge=2, le=10_000)
    lowest: Fraction = 1e-4


ApproximationSetting = TrainingSetting[QuadraticApproximationOptions]


def parabolas(setting: ApproximationSetting, state: Job, hessian: Job, seed: int) -> Job:
    """The losses of batches along some eigenvectors."""
    options = setting.options
    params = {
        **_batches(setting, seed),
        "ranks": chosen(options, setting.recipe.training.parameters),
        "points": options.points,
        "rise": options.rise,
        "flattest": options.flattest,
    }
    return Job("parabolas", params, {"state": state, "hessian": hessian})


def minima(lines: Job, options: QuadraticApproximationOptions) -> Job:
    """How the parabolas of batches differ."""
    return Job("minima", {"significance": options.significance}, {"parabolas": lines})


def newton(setting: ApproximationSetting, state: Job, hessian: Job) -> Job:
    """The loss where the local quadratic has its minimum."""
    options = setting.options
    params = {
        **curvature.objective_params(setting.recipe, options.objective),
        "thresholds": options.thresholds,
        "lowest": options.lowest,
    }
    return Job("newton", params, {"state": state, "hessian": hessian})


def gradient_noise(setting: ApproximationSetting, state: Job, hessian: Job, seed: int) -> Job:
    """How the gradients of batches scatter."""
    return Job("gradient_noise", _batches(setting, seed), {"state": state, "hessian": hessian})


def chosen(options: QuadraticApproximationOptions, size: int) -> dict[str, list[int]]:
    """Band -> the ranks, from 0, of its directions among ``size`` eigenvalues."""
    import numpy as np

    return {
        band: sorted({round(rank) for rank in np.linspace(ranks[0], ranks[-1] - 1, options.directions).tolist()})
        for band, ranks in options.bands.ranks(size).items()
    }


def _batches(setting: ApproximationSetting, seed: int) -> dict[str, Any]:
    options = setting.options
    return {
        **curvature.objective_params(setting.recipe, options.objective),
        "batch": setting.recipe.training.batch,
        "batches": options.batches,
        "seed": seed,
    }
