"""Numbers as text with a true minus sign, and how far rounding can move one."""

import math

ROUNDING = 1e-12
"""Relative error that a chain of sums, differences, means and roots in double precision may have: some thousand units
in the last place. It is relative to the numbers that went in, not to what came out: see ``stats.no_more``."""

SMALL, LARGE = 1e-4, 1e9
"""Below and from here on a number is written with a power of ten."""


def plain(value: float, digits: int = 6) -> str:
    """A number as it was given, in few significant digits: "0.0001", "1e-8", "91.7", "63,000".

    Args:
        value: any float, also one that is not finite.
        digits: significant digits after the point at most; those before it are all written up to a thousand million.

    Returns:
        The text, with a true minus sign.
    """
    if not math.isfinite(value):
        return _not_finite(value)
    if value == 0:
        return "0"
    if not SMALL <= abs(value) < LARGE:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        return signed(f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}")
    return fixed(value, max(0, digits - 1 - math.floor(math.log10(abs(value)))), trim=True)


def integer(value: float) -> str:
    """A time's count as a spec writes it, without separators: "63000".

    Args:
        value: the count; a fraction keeps its digits.

    Returns:
        The text.
    """
    if not math.isfinite(value):
        return _not_finite(value)
    return signed(f"{value:.0f}") if value == round(value) else plain(value)


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
    return signed(text)


def signed(text: str) -> str:
    """The text of a number with a true minus sign in front, not a hyphen."""
    return text.replace("-", "−", 1) if text.startswith("-") else text


def _not_finite(value: float) -> str:
    return "not a number" if math.isnan(value) else "∞" if value > 0 else "−∞"


def no_more(a: float, b: float, scale: float = 0.0) -> bool:
    """Whether a <= b, where numbers equal to rounding count as equal.

    Args:
        a: the one.
        b: the other, in the same unit.
        scale: size of the numbers that both were computed from, where it is above their own.
    """
    return a <= b or math.isclose(a, b, rel_tol=ROUNDING, abs_tol=ROUNDING * scale)
