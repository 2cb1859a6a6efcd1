"""What a parabola explains beyond a straight line, which explains all of a line's variance by itself."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class BeyondLine:
    """Values at evenly spaced places, an entry a line [...].

    Attributes:
        explained: [...] share of what the best straight line leaves of the sum of squares that the best parabola
            explains, from 0 to 1; 1 where nothing is left.
        left: [...] greatest distance of a value from the best straight line.
    """

    explained: Floats
    left: Floats


def beyond_line(values: Floats) -> BeyondLine:
    """Of values [..., M] at M evenly spaced places, four or more: three would always lie on a parabola.

    Examples:
        A parabola on a steep slope, and a cubic on it, of which a straight line explains 98 % and more as well.

        >>> import numpy as np
        >>> from harness.measure.beyond_line import beyond_line
        >>> t = np.linspace(-1, 1, 5)
        >>> made = beyond_line(np.stack([9 * t + t**2, 9 * t + t**3]))
        >>> made.explained.round(6).tolist()
        [1.0, 0.0]
    """
    places = np.linspace(-1, 1, values.shape[-1])
    about = values - values.mean(axis=-1, keepdims=True)
    left = about - (about @ places / np.square(places).sum())[..., None] * places
    bow = np.square(places) - np.square(places).mean()
    bowed = np.square(left @ bow) / np.square(bow).sum()
    total = np.square(left).sum(axis=-1)
    explained = np.divide(bowed, total, out=np.ones_like(total), where=total > 0)
    return BeyondLine(explained, np.abs(left).max(axis=-1))
