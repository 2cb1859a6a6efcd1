"""Numbers as a reader wants them: as many digits as the interval supports, and the unit beside them."""

import math
from collections.abc import Callable
from decimal import Decimal

from harness.digits import LARGE, SMALL, fixed, integer, plain, signed
from harness.judging.estimands import NAMES
from harness.judging.statistics import Estimate

NO_POINT = "at no point"
"""How a crossing that never happens is told."""

_TIGHT_UNITS = ("it", "ep")
"""Units written without a space, as a spec writes them."""

_SIGNIFICANT = 3
"""Digits of a number that comes without an interval."""

_USUAL = 0.95
"""Level of an interval that is not told."""

_DOUBLE = 14
"""Digits after the first that a double has for certain."""


def estimate_text(estimate: Estimate | None, unit: str) -> str:
    """An estimate with its interval and n: "median 2.6 [1.9, 3.3] points (93.8 %), mean 2.9, n = 5".

    The level is told where it is not 95 %, the mean where it is not the estimand. A crossing: "100it [25it, 250it]".

    Args:
        estimate: what was measured, or None.
        unit: of its value; of a crossing, "it" or "ep" where it is a time, else the axis ("level 8 [7, 9]").

    Returns:
        One line; a dash for None. Where there is no interval, it says so.
    """
    if estimate is None:
        return "–"
    text = _crossing(estimate, unit) if estimate.kind == "crossing" else _estimand(estimate, unit)
    none = ", no interval" if estimate.value is not None and estimate.low is None and estimate.high is None else ""
    return f"{text}, n = {estimate.n}{none}"


def with_unit(value: float | None, unit: str) -> str:
    """A number alone: "3.2 points", "2000it", or a dash for None.

    Args:
        value: the number.
        unit: its unit, perhaps empty.

    Returns:
        The number in at least three significant digits of what is not zero.
    """
    if value is None:
        return "–"
    return _attach(integer(value) if unit in _TIGHT_UNITS else plain(value), unit)


def decimals_for(low: float | None, high: float | None, value: float) -> int:
    """How many decimals a value deserves, however small or large it is.

    Half the width of its interval is shown in one significant digit, or in two where the first is 1 or 2;
    without an interval the value itself is shown in three.

    Args:
        low: lower end, if any.
        high: upper end, if any.
        value: the value.

    Returns:
        Decimals; below zero where not even the units count.
    """
    half = (high - low) / 2 if low is not None and high is not None else 0.0
    if half > 0 and math.isfinite(half):
        first, exponent = _leading(half)
        return (2 if first < 2.95 else 1) - 1 - exponent
    return _SIGNIFICANT - 1 - _leading(value)[1] if value and math.isfinite(value) else 0


def _leading(value: float) -> tuple[float, int]:
    """A number that is not zero as m and e of m x 10^e, 1 <= m < 10."""
    mantissa, exponent = f"{abs(value):.16e}".split("e")
    return float(mantissa), int(exponent)


def _estimand(estimate: Estimate, unit: str) -> str:
    name = NAMES.get(estimate.kind, estimate.kind)
    level = "" if estimate.level == _USUAL or estimate.low is None else f" ({plain(100 * estimate.level, 3)} %)"
    beside = "" if estimate.mean is None else f", mean {plain(estimate.mean, _SIGNIFICANT)}"
    return f"{name} {_located(estimate, unit)}{level}{beside}"


def _located(estimate: Estimate, unit: str) -> str:
    value, low, high = estimate.value, estimate.low, estimate.high
    if value is None:
        return "no value"
    alone = low is None and high is None
    shown = [abs(number) for number in (value, low, high) if number is not None and math.isfinite(number)]
    write = _writer(max(shown, default=0.0), decimals_for(low, high, value), trim=alone)
    text = write(value)
    if not alone:
        left = "(−∞" if low is None else f"[{write(low)}"
        right = "∞)" if high is None else f"{write(high)}]"
        text = f"{text} {left}, {right}"
    return _attach(text, unit, tight=False)


def _writer(size: float, decimals: int, *, trim: bool) -> Callable[[float], str]:
    """What writes a value and its interval alike: with decimals, or of very small or large numbers with one power."""
    power = _leading(size)[1] if size else 0
    decimals = min(decimals, _DOUBLE - power)
    if not size or SMALL <= size < LARGE:
        return lambda value: fixed(value, max(0, decimals), trim=trim)

    def scientific(value: float) -> str:
        if value == 0 or not math.isfinite(value):
            return plain(value)
        text = f"{Decimal(value).scaleb(-power):z.{max(0, decimals + power)}f}"
        if trim and "." in text:
            text = text.rstrip("0").rstrip(".")
        return signed(f"{text}e{power}")

    return scientific


def _crossing(estimate: Estimate, unit: str) -> str:
    ends = (estimate.low, estimate.high)
    tight = unit in _TIGHT_UNITS
    shown = [NO_POINT if number is None else integer(number) + unit * tight for number in (estimate.value, *ends)]
    text = shown[0] if ends == (None, None) else f"{shown[0]} [{shown[1]}, {shown[2]}]"
    return text if tight or not unit or estimate.value is None else f"{unit} {text}"


def _attach(text: str, unit: str, *, tight: bool = True) -> str:
    if not unit:
        return text
    return f"{text}{unit}" if tight and unit in _TIGHT_UNITS else f"{text} {unit}"
