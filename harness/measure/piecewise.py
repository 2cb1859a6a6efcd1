"""A course of numbers in time as a few phases, each with one level, and as a smooth curve that is as free."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Phases:
    """Phases of a course.

    Attributes:
        starts: place of the first point of each phase; the first is 0.
        levels: mean over the points of each.
        residual: sum of squared differences between the points and their phase's level.
    """

    starts: tuple[int, ...]
    levels: tuple[float, ...]
    residual: float


def phases(values: Sequence[float], count: int, least: int = 2) -> Phases:
    """The course cut into phases, so that the sum of squares about each one's mean is as small as can be.

    min over 0 = s₁ < s₂ < ... < s_K of Σ_k Σ_{s_k ≤ i < s_{k+1}} (v_i - mean_k)², by dynamic programming over all
    places of the cuts (Bellman & Roth 1969), so that no start of a search decides.

    Args:
        values: in the order of time; points count alike, so that their spacing says how much each stretch counts.
        count: K, of phases.
        least: points of each phase.

    Raises:
        ValueError: there are fewer points than that takes.

    Examples:
        >>> from harness.measure.piecewise import phases
        >>> found = phases([5.0, 5.0, 1.0, 1.0, 1.0, 0.0, 0.0], count=3)
        >>> found.starts, found.levels, found.residual
        ((0, 2, 5), (5.0, 1.0, 0.0), 0.0)
    """
    size = len(values)
    if count * least > size:
        raise ValueError(f"{size} points are no {count} phases of {least} points or more")
    within = _squares_within(torch.tensor(values, dtype=torch.float64))
    within[torch.arange(size)[:, None] + least > torch.arange(size + 1)] = torch.inf  # [start, stop] of a phase
    best = within[0]
    cuts = []
    for _ in range(count - 1):
        through, cut = (best[:size, None] + within).min(0)
        best = through
        cuts.append(cut.tolist())
    starts, stop = [], size
    for cut in reversed(cuts):
        stop = cut[stop]
        starts.append(stop)
    starts = [0, *reversed(starts)]
    parts = [values[start:stop] for start, stop in zip(starts, [*starts[1:], size], strict=True)]
    levels = tuple(sum(part) / len(part) for part in parts)
    residual = sum((value - level) ** 2 for part, level in zip(parts, levels, strict=True) for value in part)
    return Phases(tuple(starts), levels, residual)


def freedom(count: int) -> int:
    """Coefficients of a polynomial that leaves about as much of a course without phases as ``count`` phases do.

    K levels are K numbers; each of the K - 1 cuts, sought over all places, takes up about four more: 5K - 4. Of a
    constant course with independent noise both leave as much then (tests/measure/test_piecewise.py).

    Examples:
        >>> from harness.measure.piecewise import freedom
        >>> freedom(3)
        11
    """
    return 5 * count - 4


def smooth_residual(places: Sequence[float], values: Sequence[float], count: int) -> float:
    """What a polynomial of ``count`` coefficients leaves: Σ (v_i - p(x_i))², by least squares.

    Args:
        places: x, more than ``count`` different ones.
        values: v.
        count: coefficients.

    Examples:
        >>> from harness.measure.piecewise import smooth_residual
        >>> round(smooth_residual([0.0, 1.0, 2.0, 3.0], [0.0, 1.0, 4.0, 9.0], count=3), 12)
        0.0
        >>> round(smooth_residual([0.0, 1.0, 2.0, 3.0], [0.0, 1.0, 4.0, 9.0], count=2), 12)
        4.0
    """
    x, v = torch.tensor(places, dtype=torch.float64), torch.tensor(values, dtype=torch.float64)
    low, high = x.min(), x.max()
    angles = torch.arccos((2 * (x - low) / (high - low) - 1).clamp(-1, 1))
    basis = torch.cos(angles[:, None] * torch.arange(count))  # Chebyshev polynomials, which are far from alike
    orthonormal = torch.linalg.qr(basis).Q
    return float((v - orthonormal @ (orthonormal.T @ v)).square().sum())


def _squares_within(values: Tensor) -> Tensor:
    """[n, n + 1]: sum of squares about the mean of the points from a start to before a stop."""
    centred = values - values.mean()
    zero = centred.new_zeros(1)
    sums, squares = (torch.cat([zero, part.cumsum(0)]) for part in (centred, centred.square()))
    size = len(values)
    counts = (torch.arange(size + 1) - torch.arange(size)[:, None]).clamp(min=1)
    of_part = sums - sums[:size, None]
    return (squares - squares[:size, None] - of_part.square() / counts).clamp(min=0)
