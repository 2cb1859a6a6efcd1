"""What an experiment observed: one value of one quantity under named conditions, in one replicate."""

import math
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from harness.digits import ROUNDING, plain
from harness.errors import InvariantBroken

Condition = str | int

SINGLE = 1e-6
"""Error of a number that was computed in single precision, relative to its scale."""

_TINY = sys.float_info.min
"""The least number with all its digits; a ratio over less has none."""


@dataclass(frozen=True)
class Unit:
    """What holds for numbers of a unit, unless a quantity says otherwise.

    Attributes:
        low: the least that they can be.
        high: the most.
        scale: size of the numbers that they are computed from, whose rounding they carry: 100 for a difference of
            percentages, however small. 0: no other than themselves.
    """

    low: float = -math.inf
    high: float = math.inf
    scale: float = 0.0


UNITS: Mapping[str, Unit] = {
    "": Unit(),
    "%": Unit(0.0, 100.0, 100.0),
    "points": Unit(-100.0, 100.0, 100.0),
    "examples": Unit(0.0),
    "nats": Unit(0.0, scale=1.0),  # a loss is a difference of logits, or of numbers of their size
    "x": Unit(0.0),
    "times": Unit(0.0),
    "sd": Unit(),
    "iterations": Unit(0.0),
}
"""The units of quantities. "%" is a share of a whole; "points" is a difference of two shares; "x" and "times" are
ratios of what cannot be negative; "sd" is a deviate of the normal law."""


@dataclass(frozen=True)
class Quantity:
    """Something that a protocol measures and a claim can be about.

    Attributes:
        unit: of its values, as shown to a reader ("points" are percentage points), perhaps one of ``UNITS``.
        axes: the conditions that tell its observations apart.
        meaning: one sentence.
        least: the least that it can be; None: the unit's.
        most: the most that it can be; None: the unit's.
        computed_from: size of the numbers that it is computed from; None: the unit's.
        seldom_below: a claim's number that is positive and no greater is doubted, as a fraction of 1 where per cent is
            meant; None: any may be meant.
        caution: what weakens every judgement on it, as a sentence; empty: nothing that is known.
    """

    unit: str
    axes: tuple[str, ...]
    meaning: str
    least: float | None = None
    most: float | None = None
    computed_from: float | None = None
    seldom_below: float | None = None
    caution: str = ""

    def along(self, *axes: str) -> "Quantity":
        """The same quantity with further axes in front."""
        return replace(self, axes=(*axes, *self.axes))

    @property
    def low(self) -> float:
        """The least that it can be; minus infinity where nothing bounds it."""
        return self._unit.low if self.least is None else self.least

    @property
    def high(self) -> float:
        """The most that it can be."""
        return self._unit.high if self.most is None else self.most

    @property
    def scale(self) -> float:
        """Size of the numbers that it is computed from, whose rounding it carries; 0: its own."""
        return self._unit.scale if self.computed_from is None else self.computed_from

    def resolution(self, examples: int | None) -> float:
        """The step in which it moves where it is a rate over so many examples, or counts them: one example.

        Args:
            examples: over which it is taken; None where it is no rate and no count over examples.

        Returns:
            The step in its unit; 0 where there is none that is known.

        Examples:
            >>> from harness.observation import Quantity
            >>> Quantity("%", ("split",), "error").resolution(400)
            0.25
        """
        if examples is None:
            return 0.0
        return {"%": 100 / examples, "points": 100 / examples, "examples": 1.0}.get(self.unit, 0.0)

    @property
    def _unit(self) -> Unit:
        return UNITS.get(self.unit, Unit())

    @property
    def range(self) -> str:
        """Its range in words: "from 0 to 100 %"."""
        unit = f" {self.unit}" if self.unit else ""
        if math.isinf(self.high):
            return f"{plain(self.low)}{unit} or more"
        return f"from {plain(self.low)} to {plain(self.high)}{unit}"


@dataclass(frozen=True)
class Gap:
    """An observation that is missing, or rests on fewer replicates than planned, because a job broke.

    Attributes:
        quantity: its name; None where only the measurement is known: then every quantity that has nothing there.
        at: axis -> condition.
        initialisation: seed.
        why: what broke, in words.
    """

    quantity: str | None
    at: Mapping[str, Condition]
    initialisation: int
    why: str


@dataclass(frozen=True)
class Observation:
    """One value.

    Attributes:
        quantity: its name.
        at: axis -> condition; times are in iterations.
        initialisation: seed of the initialisation, the unit of replication.
        repeat: number of the replicate inside the initialisation (an order, or a pair of orders).
        value: in the quantity's unit; NaN where there is none.
        limits: the least and the most that its quantity can be; known once it was ``checked``.
        why: why there is no value, as a clause: "no eigenvalue is negative beyond its error"; None where there is one.
    """

    quantity: str
    at: Mapping[str, Condition]
    initialisation: int
    repeat: int
    value: float
    limits: tuple[float, float] = (-math.inf, math.inf)
    why: str | None = None


@dataclass(frozen=True)
class NoValue:
    """In place of a number that would mean nothing: the ratio of what may be all rounding, the logarithm of zero.

    Attributes:
        why: a clause that tells what is missing, with the numbers that show it.
    """

    why: str


def observed(
    quantity: str, at: Mapping[str, Condition], initialisation: int, repeat: int, value: float | NoValue
) -> Observation:
    """An observation, with or without a value: a claim that needs it is not run then, for that reason."""
    if isinstance(value, NoValue):
        return Observation(quantity, at, initialisation, repeat, math.nan, why=value.why)
    return Observation(quantity, at, initialisation, repeat, value)


def ratio(above: float, below: float, *, error: float, of: str) -> float | NoValue:
    """A ratio, unless what it is over may be all error.

    Args:
        above: the numerator.
        below: the denominator.
        error: by how much the denominator may be wrong, at least its own rounding is taken.
        of: what the denominator is, in words: "the loss before the drop".

    Examples:
        >>> from harness.observation import ratio
        >>> ratio(1.0, 4.0, error=0.1, of="the length")
        0.25
        >>> ratio(1.0, 0.05, error=0.1, of="the length").why
        'the length is 0.05, no more than its error of 0.1'
    """
    if abs(below) > max(error, _TINY):
        return above / below
    if below == 0:
        return NoValue(f"{of} is 0")
    if math.isnan(below):
        return NoValue(f"{of} has no value")
    return NoValue(f"{of} is {plain(below)}, no more than its error of {plain(max(error, _TINY))}")


def checked(observations: Iterable[Observation], quantities: Mapping[str, Quantity]) -> list[Observation]:
    """Observations that are possible, without the rounding that hides a 0 or an end of a range.

    Args:
        observations: any; those that are not finite are left to the judge, who tells which.
        quantities: name -> quantity.

    Returns:
        As many, with their limits; a value that is 0, or an end of the quantity's range, but for rounding is
        exactly that.

    Raises:
        InvariantBroken: a value lies outside its quantity's range by more than single precision explains.
    """
    return [_checked(observation, quantities[observation.quantity]) for observation in observations]


def _checked(observation: Observation, quantity: Quantity) -> Observation:
    if not math.isfinite(observation.value):
        return observation
    ends = [abs(end) for end in (quantity.low, quantity.high) if math.isfinite(end)]
    error = SINGLE * max(quantity.scale, *ends, 0.0)
    if not quantity.low - error <= observation.value <= quantity.high + error:
        at = ", ".join(f"{axis}={condition}" for axis, condition in observation.at.items())
        raise InvariantBroken(
            f"{observation.quantity}{' at ' * bool(at)}{at} is {plain(observation.value)} {quantity.unit} in "
            f"initialisation {observation.initialisation}, replicate {observation.repeat}, but it is {quantity.range} "
            "by what it means: the code that measured it is broken, or the quantity's range in its protocol is wrong"
        )
    limits = (quantity.low, quantity.high)
    near = (exact for exact in (0.0, *limits) if abs(observation.value - exact) <= ROUNDING * quantity.scale)
    return replace(observation, value=next(near, observation.value), limits=limits)
