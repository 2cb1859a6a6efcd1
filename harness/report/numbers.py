"""Numbers as a reader wants them: as many digits as the interval supports, and the unit beside them."""

import math

from harness.stats import Estimate

NO_POINT = "at no point"
"""How a crossing that never happens is told."""

_TIGHT_UNITS = ("it", "ep")
"""Units written without a space, as a spec writes them."""

_SIGNIFICANT = 3
"""Digits of a number that comes without an interval."""


def estimate_text(estimate: Estimate | None, unit: str) -> str:
    """An estimate with its interval and n: "2.6 [1.9, 3.3] points, n = 5", "100it [25it, 250it], n = 5".

    Args:
        estimate: what was measured, or None.
        unit: of its value; of a crossing, "it" or "ep" where it is a time, else the axis ("level 8 [7, 9]").

    Returns:
        One line; a dash for None. Where there is no interval, it says so.
    """
    if estimate is None:
        return "–"
    text = _crossing(estimate, unit) if estimate.kind == "crossing" else _mean(estimate, unit)
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


def plain(value: float) -> str:
    """A number as it was given, in up to six significant digits: "0.0001", "1e-8", "91.7", "63,000".

    Args:
        value: any float, also one that is not finite.

    Returns:
        The text, with a true minus sign.
    """
    if not math.isfinite(value):
        return _not_finite(value)
    if value == 0:
        return "0"
    if abs(value) >= 1e9 or abs(value) < 1e-4:
        mantissa, exponent = f"{value:.5e}".split("e")
        return _sign(f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}")
    return fixed(value, max(0, 5 - math.floor(math.log10(abs(value)))), trim=True)


def integer(value: float) -> str:
    """A time's count as a spec writes it, without separators: "63000".

    Args:
        value: the count; a fraction keeps its digits.

    Returns:
        The text.
    """
    if not math.isfinite(value):
        return _not_finite(value)
    return _sign(f"{value:.0f}") if value == round(value) else plain(value)


def fixed(value: float, decimals: int, *, trim: bool = False) -> str:
    """A number with a given number of decimals, with separators of thousands from 10,000 on.

    Args:
        value: the number.
        decimals: digits after the point.
        trim: whether to leave out zeros at the end.

    Returns:
        The text; what rounds to zero has no sign.
    """
    if not math.isfinite(value):
        return _not_finite(value)
    rounded = round(value, decimals) + 0.0
    text = f"{rounded:,.{decimals}f}" if abs(rounded) >= 10_000 else f"{rounded:.{decimals}f}"
    if trim and "." in text:
        text = text.rstrip("0").rstrip(".")
    return _sign(text)


def decimals_for(low: float | None, high: float | None, value: float) -> int:
    """How many decimals a value deserves.

    Half the width of its interval is shown in one significant digit, or in two where the first is 1 or 2;
    without an interval the value itself is shown in three.

    Args:
        low: lower end, if any.
        high: upper end, if any.
        value: the value.

    Returns:
        Decimals, at most 12.
    """
    half = (high - low) / 2 if low is not None and high is not None else 0.0
    if half > 0 and math.isfinite(half):
        exponent = math.floor(math.log10(half))
        digits = 2 if half / 10**exponent < 2.95 else 1
        return min(12, max(0, digits - 1 - exponent))
    if value == 0 or not math.isfinite(value):
        return 0
    return min(12, max(0, _SIGNIFICANT - 1 - math.floor(math.log10(abs(value)))))


def _mean(estimate: Estimate, unit: str) -> str:
    value, low, high = estimate.value, estimate.low, estimate.high
    if value is None:
        return "no value"
    decimals = decimals_for(low, high, value)
    text = fixed(value, decimals, trim=low is None and high is None)
    if low is not None or high is not None:
        left = "(−∞" if low is None else f"[{fixed(low, decimals)}"
        right = "∞)" if high is None else f"{fixed(high, decimals)}]"
        text = f"{text} {left}, {right}"
    return _attach(text, unit, tight=False)


def _crossing(estimate: Estimate, unit: str) -> str:
    ends = (estimate.low, estimate.high)
    tight = unit in _TIGHT_UNITS
    shown = [NO_POINT if one is None else integer(one) + unit * tight for one in (estimate.value, *ends)]
    text = shown[0] if ends == (None, None) else f"{shown[0]} [{shown[1]}, {shown[2]}]"
    return text if tight or not unit or estimate.value is None else f"{unit} {text}"


def _attach(text: str, unit: str, *, tight: bool = True) -> str:
    if not unit:
        return text
    return f"{text}{unit}" if tight and unit in _TIGHT_UNITS else f"{text} {unit}"


def _sign(text: str) -> str:
    return text.replace("-", "−", 1) if text.startswith("-") else text


def _not_finite(value: float) -> str:
    return "not a number" if math.isnan(value) else "∞" if value > 0 else "−∞"
