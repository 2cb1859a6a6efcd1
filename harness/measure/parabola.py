"""Parabolas through losses along lines, by least squares, many at once."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Parabolas:
    """level + slope t + curvature t² / 2, each an array [...], one entry a line.

    Attributes:
        level: at t = 0.
        slope: there.
        curvature: the second derivative.
        r2: share of the variance of the losses that the parabola explains; 1 where all are equal.
    """

    level: Floats
    slope: Floats
    curvature: Floats
    r2: Floats

    @property
    def minimum(self) -> Floats:
        """[...] where the parabola is lowest; NaN where it opens downwards or is a straight line."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.curvature > 0, -self.slope / self.curvature, np.nan)


def fit(reach: Floats, losses: Floats) -> Parabolas:
    """The parabolas that fit best.

    Args:
        reach: [...] half the length of each line. Its points are spaced evenly from minus this to this.
        losses: [..., M] at its points, three or more.

    Examples:
        1 + 3 t + t² at -2, 0 and 2.

        >>> import numpy as np
        >>> from harness.measure.parabola import fit
        >>> fitted = fit(np.array(2.0), np.array([-1.0, 1.0, 11.0]))
        >>> [round(float(x), 6) for x in (fitted.level, fitted.slope, fitted.curvature, fitted.r2, fitted.minimum)]
        [1.0, 3.0, 2.0, 1.0, -1.5]
    """
    unit = np.linspace(-1, 1, losses.shape[-1])
    design = np.stack([np.ones_like(unit), unit, unit**2 / 2], axis=1)
    # About the mean: losses vary by a small part of their size.
    mean = losses.mean(axis=-1, keepdims=True)
    apart = losses - mean
    fitted = apart @ np.linalg.pinv(design).T
    left = np.square(apart - fitted @ design.T).sum(axis=-1)
    total = np.square(apart).sum(axis=-1)
    r2 = 1 - np.divide(left, total, out=np.zeros_like(left), where=total > 0)
    return Parabolas(mean[..., 0] + fitted[..., 0], fitted[..., 1] / reach, fitted[..., 2] / reach**2, r2)
