"""How large a network's exact Hessian may be; without torch, as specs are refused by it."""

import math

from harness.errors import RequestError

MOST_EXACT = 40_000
"""Parameters beyond which an exact Hessian is refused: its eigenvectors alone would take 13 GB in double precision."""


def require_affordable(size: int) -> None:
    """Raises RequestError where an exact Hessian of ``size`` parameters would take more than it should.

    Examples:
        >>> from harness.measure.affordable import require_affordable
        >>> require_affordable(26_490)
        >>> require_affordable(272_474)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        harness.errors.RequestError: an exact Hessian of 272,474 parameters has 272,474² entries: ...
    """
    if size > MOST_EXACT:
        raise RequestError(
            f"an exact Hessian of {size:,} parameters has {size:,}² entries: {8 * size**2 / 2**30:,.0f} GiB, as much "
            f"again for its eigenvectors, about {4 * math.ceil(size / 1000):,} thousand passes over the data and "
            f"{10.0 * size**3:.0e} operations for its eigenvectors. "
            "Use top and bottom eigenpairs (Lanczos) or the spectral density (settings.density of hessian_spectrum)"
        )
