"""The simulations of the noisy quadratic as jobs: settings and a seed to steps, chains and names of noise."""

import math
from collections.abc import Sequence
from itertools import product

from harness.jobs.job import Job
from harness.protocols.noisy_quadratic import theory
from harness.protocols.noisy_quadratic.options import (
    NoisyQuadraticOptions,
    SpectrumOptions,
    StaircaseOptions,
    ValleyOptions,
)

_BINS = 20
"""Means kept of each learning rate, of which the second half counts as settled."""
_STAIR_TIMES = 10
"""Length of a stair in relaxation times: half of it forgets a ten times higher level to 10·e^-10."""
_DECAY_TIMES = 4
"""Relaxation times that are followed."""


def grid(options: NoisyQuadraticOptions, seed: int) -> Job:
    """Levels at every point of the grid, under one noise."""
    points = product(options.rates, options.curvatures, options.momenta, options.noises)
    return _levels(options, list(map(list, points)), _noise("grid", seed))


def batch(options: NoisyQuadraticOptions, seed: int) -> Job:
    """Pairs of levels: the larger batch, then the smaller rate."""
    curvature, sigma, factor = options.curvatures[0], options.noises[0], options.batch.factor
    points = []
    for rate, momentum in product(options.batch.rates, options.momenta):
        points.append([rate, curvature, momentum, sigma / math.sqrt(factor)])
        points.append([rate / factor, curvature, momentum, sigma])
    return _levels(options, points, _noise("batch", seed))


def _levels(options: NoisyQuadraticOptions, points: Sequence[Sequence[float]], noise: str) -> Job:
    slowest = max(theory.relaxation_time(*point[:3]) for point in points)
    params = {
        "points": points,
        "replicas": options.replicas,
        "burn_in": math.ceil(options.burn_in * slowest),
        "steps": options.samples,
        "noise": noise,
    }
    return Job("quadratic_level", params)


def stairs(options: StaircaseOptions, seed: int) -> Job:
    """A stair for each learning rate."""
    return _staircase(
        [options.curvature], options.rates, options.momentum, options.sigma, options.replicas, _noise("stairs", seed)
    )


def spectrum(options: SpectrumOptions, seed: int) -> Job:
    """One learning rate in many dimensions."""
    return _staircase(
        options.curvatures, [options.rate], options.momentum, options.sigma, options.replicas, _noise("sum", seed)
    )


def _staircase(
    curvatures: Sequence[float], rates: Sequence[float], momentum: float, sigma: float, replicas: int, noise: str
) -> Job:
    slowest = [max(theory.relaxation_time(rate, curvature, momentum) for curvature in curvatures) for rate in rates]
    params = {
        "curvatures": curvatures,
        "rates": rates,
        "lengths": [_BINS * math.ceil(_STAIR_TIMES * time / _BINS) or _BINS for time in slowest],
        "bins": _BINS,
        "momentum": momentum,
        "sigma": sigma,
        "replicas": replicas,
        "noise": noise,
    }
    return Job("quadratic_staircase", params)


def relaxation(options: NoisyQuadraticOptions, rate: float, momentum: float, seed: int) -> Job:
    """The mean's decay at one rate and momentum."""
    curvature, sigma = options.curvatures[0], options.noises[0]
    params = {
        "point": [rate, curvature, momentum, sigma],
        "start": options.relaxation.start * sigma,
        "replicas": options.relaxation.replicas,
        "steps": math.ceil(_DECAY_TIMES * theory.relaxation_time(rate, curvature, momentum)),
        "noise": _noise("relaxation", seed),
    }
    return Job("quadratic_relaxation", params)


def valley(options: ValleyOptions, seed: int) -> Job:
    """A walk with one drop."""
    params = {
        "rates": [options.rate_before, options.rate_after],
        "lengths": [options.steps_before, options.steps_after],
        "looks": _BINS,
        "sigma": options.sigma,
        "start": [options.start, 0.0],
        "replicas": options.replicas,
        "noise": _noise("valley", seed),
    }
    return Job("valley_walk", params)


def _noise(part: str, seed: int) -> str:
    return f"quadratic/{part}/{seed}"
