"""What the noisy quadratic leaves to choose, and which choices cannot be."""

import math
from collections.abc import Iterable, Sequence
from itertools import product
from typing import Annotated

from pydantic import Field

from harness.protocols.common.setting import Setting
from harness.protocols.noisy_quadratic import theory
from harness.schema.base import Chains, Many, Model, NonNegative, Positive
from harness.schema.load import Problem

_MOST_VALUES = 30
"""On an axis of the grid, whose points are simulated side by side."""
_MOST_POINTS = 1000
_MOST_STEPS = 10**7
"""In which the slowest point may relax."""

Momentum = Annotated[float, Field(ge=0, lt=1)]
Some = Annotated[Many[Positive], Field(min_length=1, max_length=_MOST_VALUES)]


class BatchOptions(Model):
    """A larger batch against a smaller learning rate, at the first curvature and noise of the grid.

    Attributes:
        factor: the batch grows so many times, its noise variance falls so; the other side divides the rate.
        rates: the learning rates of the larger batch.
    """

    factor: Annotated[float, Field(gt=1, le=1e9)] = 5.0
    rates: Some


class StaircaseOptions(Model):
    """A learning rate that drops, in one dimension.

    Attributes:
        rates: one a stair, falling.
        curvature: λ.
        momentum: γ.
        sigma: of the noise.
        replicas: chains.
    """

    rates: Annotated[Many[Positive], Field(min_length=2, max_length=_MOST_VALUES)]
    curvature: Positive = 1.0
    momentum: Momentum = 0.0
    sigma: Positive = 1.0
    replicas: Chains = 1024


class SpectrumOptions(Model):
    """A quadratic in several dimensions whose curvatures follow a power law: λ_i = largest · i^−exponent.

    Attributes:
        dimensions: how many.
        largest: λ_1.
        exponent: 1 is the slope of the measured spectra, where the 100th value is about 1/100 of the first.
        rate: α.
        momentum: γ.
        sigma: of the noise in each direction.
        replicas: chains.
    """

    dimensions: Annotated[int, Field(ge=1, le=1000)] = 16
    largest: Positive = 1.0
    exponent: NonNegative = 1.0
    rate: Positive = 0.1
    momentum: Momentum = 0.0
    sigma: Positive = 1.0
    replicas: Chains = 256

    @property
    def curvatures(self) -> list[float]:
        """λ of each direction."""
        return [self.largest * place**-self.exponent for place in range(1, self.dimensions + 1)]


class RelaxationOptions(Model):
    """How fast the mean decays, at the first curvature and noise of the grid; only where it does not swing.

    Attributes:
        rates: α.
        momenta: γ.
        start: x before the first step, in σ; far enough for the mean to stand out of the noise after four times.
        replicas: chains.
    """

    rates: Some
    momenta: Annotated[Many[Momentum], Field(min_length=1, max_length=_MOST_VALUES)]
    start: Annotated[float, Field(ge=20, le=1e9)] = 20.0
    replicas: Annotated[int, Field(ge=64, le=10**6)] = 1024


class ValleyOptions(Model):
    """The narrowing valley, walked by plain descent with one drop of the learning rate.

    Attributes:
        rate_before: until the drop.
        rate_after: from then on.
        sigma: of the noise that shifts x and y.
        start: x at which chains begin, on the valley's floor.
        steps_before: until the drop; the second half counts.
        steps_after: likewise.
        replicas: chains.
    """

    rate_before: Positive = 0.1
    rate_after: Positive = 0.01
    sigma: Positive = 0.1
    start: Annotated[float, Field(ge=-1000, le=1000)] = -0.5
    steps_before: Annotated[int, Field(ge=20, le=10**8, multiple_of=20)] = 400
    steps_after: Annotated[int, Field(ge=20, le=10**8, multiple_of=20)] = 2000
    replicas: Chains = 256


class NoisyQuadraticOptions(Model):
    """What simulations of the noisy quadratic leave to choose; the slides name no values.

    Attributes:
        rates: every α of the grid.
        curvatures: every λ.
        momenta: every γ.
        noises: every σ.
        replicas: chains at each point of the grid.
        samples: steps of each chain that count.
        burn_in: steps before these, in relaxation times of the slowest point: after 5 a level begun at 0 lacks e^-10.
        batch: batch against rate.
        staircase: drops of the learning rate.
        spectrum: several dimensions.
        relaxation: decay of the mean.
        valley: the narrowing valley.
    """

    rates: Some
    curvatures: Some
    momenta: Annotated[Many[Momentum], Field(min_length=1, max_length=_MOST_VALUES)]
    noises: Some
    replicas: Chains = 1024
    samples: Annotated[int, Field(ge=1, le=10**8)] = 4000
    burn_in: Annotated[float, Field(gt=0, le=1000)] = 5.0
    batch: BatchOptions
    staircase: StaircaseOptions
    spectrum: SpectrumOptions = SpectrumOptions()
    relaxation: RelaxationOptions
    valley: ValleyOptions = ValleyOptions()


QuadraticSetting = Setting[NoisyQuadraticOptions]


def named(value: float) -> str:
    """A number as the condition of an axis."""
    return f"{value:g}"


def problems(setting: QuadraticSetting) -> Iterable[Problem]:
    """What no single field shows: divergence, numbers given twice, rates that do not fall, a mean that swings."""
    options = setting.options
    if setting.replicates.orders > 1:
        message = f"found {setting.replicates.orders}, but noisy_quadratic compares no copies: leave this field out"
        yield Problem(("replicates", "orders"), message)
    for field in ("rates", "curvatures", "momenta", "noises"):
        yield from _repeated(("settings", field), getattr(options, field))
    for part, field in (("batch", "rates"), ("relaxation", "rates"), ("relaxation", "momenta")):
        yield from _repeated(("settings", part, field), getattr(getattr(options, part), field))
    points = math.prod(len(getattr(options, field)) for field in ("rates", "curvatures", "momenta", "noises"))
    if points > _MOST_POINTS:
        yield Problem(("settings",), f"found a grid of {points:,} points: at most {_MOST_POINTS:,}, shorten its axes")
    yield from _divergent(("settings", "rates"), options.rates, options.curvatures, options.momenta)
    first = options.curvatures[:1]
    yield from _divergent(("settings", "batch", "rates"), options.batch.rates, first, options.momenta)
    slow = product(options.batch.rates, options.momenta)
    stairs, spectrum, relaxation = options.staircase, options.spectrum, options.relaxation
    yield from _divergent(("settings", "staircase", "rates"), stairs.rates, [stairs.curvature], [stairs.momentum])
    ends = [spectrum.largest, spectrum.curvatures[-1]]
    yield from _divergent(("settings", "spectrum", "rate"), [spectrum.rate], ends, [spectrum.momentum])
    if not all(_relaxes(rate / options.batch.factor, first[0], momentum) for rate, momentum in slow):
        yield Problem(("settings", "batch", "factor"), f"found {options.batch.factor:g}: the divided rate is too low")
    for number, (before, after) in enumerate(zip(stairs.rates, stairs.rates[1:], strict=False), start=1):
        if after >= before:
            place = ("settings", "staircase", "rates", number)
            yield Problem(place, f"found {after:g} after {before:g}: the learning rate must fall from stair to stair")
    for rate, momentum in product(relaxation.rates, relaxation.momenta):
        if not theory.is_overdamped(rate, first[0], momentum):
            yield Problem(
                ("settings", "relaxation", "rates"),
                f"found {rate:g}, but at curvature {first[0]:g} and momentum {momentum:g} the mean swings and has no "
                "simple decay: choose a smaller rate or momentum",
            )
        elif not _relaxes(rate, first[0], momentum):
            yield Problem(("settings", "relaxation", "rates"), _too_slow(rate, first[0], momentum))
        elif theory.relaxation_time(rate, first[0], momentum) < 1:
            yield Problem(
                ("settings", "relaxation", "rates"),
                f"found {rate:g}, but at curvature {first[0]:g} and momentum {momentum:g} the mean falls e-fold in "
                "less than a step: choose a smaller rate",
            )


def _repeated(place: tuple[str | int, ...], values: Sequence[float]) -> Iterable[Problem]:
    names = list(map(named, values))
    for number, name in enumerate(names):
        if name in names[:number]:
            yield Problem((*place, number), f"found {name} a second time: list each value once")


def _divergent(
    place: tuple[str | int, ...], rates: Sequence[float], curvatures: Sequence[float], momenta: Sequence[float]
) -> Iterable[Problem]:
    """The first point of a grid at which the heavy ball does not converge, or too slowly."""
    for rate, curvature, momentum in product(rates, curvatures, momenta):
        if not theory.is_stable(rate, curvature, momentum):
            yield Problem(
                place,
                f"found {rate:g}, which diverges at curvature {curvature:g} and momentum {momentum:g}: descent needs "
                f"rate x curvature < 1 + momentum = {1 + momentum:g}",
            )
            return
        if not _relaxes(rate, curvature, momentum):
            yield Problem(place, _too_slow(rate, curvature, momentum))
            return


def _too_slow(rate: float, curvature: float, momentum: float) -> str:
    return (
        f"found {rate:g}, which takes more than {_MOST_STEPS:,} steps to relax at curvature {curvature:g} and "
        f"momentum {momentum:g}: choose a larger rate"
    )


def _relaxes(rate: float, curvature: float, momentum: float) -> bool:
    """Whether the mean falls e-fold within the steps that can be simulated."""
    try:
        return theory.relaxation_time(rate, curvature, momentum) <= _MOST_STEPS
    except ZeroDivisionError:  # so slow that the factor of a step is rounded to 1
        return False
