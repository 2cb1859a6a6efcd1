"""The plane in weight space through three states: the mean of some before a cliff, the last before, one after.

Coordinates: the mean is (0, 0), the state after the cliff is (1, 0), and the last before it is (x, 1) with some x. So
the first axis runs along the valley, the second across it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from harness.errors import BrokenError


@dataclass(frozen=True)
class Plane:
    """A plane with coordinates.

    Attributes:
        origin: [P] at (0, 0).
        along: [P] from there to (1, 0).
        across: [P] from there to (0, 1); at right angles with ``along``.
    """

    origin: Tensor
    along: Tensor
    across: Tensor

    def at(self, coordinates: Tensor) -> Tensor:
        """[M, 2] to the points [M, P], in single or double precision as the origin."""
        axes = torch.stack([self.along, self.across])
        return self.origin + coordinates.to(axes) @ axes

    def coordinates(self, points: Tensor) -> Tensor:
        """[M, P] to the places [M, 2] of their projections, float64."""
        apart = (points - self.origin).double()
        axes = torch.stack([self.along, self.across]).double()
        return apart @ axes.t() / axes.square().sum(1)


def through(earlier: Tensor, before: Tensor, after: Tensor) -> Plane:
    """The plane of the mean of some states, of the last before a cliff and of one after it.

    Args:
        earlier: [M, P] the states whose mean is the origin.
        before: [P].
        after: [P].

    Raises:
        BrokenError: the three lie on one line.

    Examples:
        >>> import torch
        >>> from harness.measure.plane import through
        >>> before, after = torch.tensor([1.0, 2.0]), torch.tensor([4.0, 0.0])
        >>> plane = through(torch.tensor([[-1.0, 0.0], [1.0, 0.0]]), before, after)
        >>> plane.along.tolist(), plane.across.tolist()
        ([4.0, 0.0], [0.0, 2.0])
        >>> plane.coordinates(torch.stack([before, after])).tolist()
        [[0.25, 1.0], [1.0, 0.0]]
    """
    origin = earlier.double().mean(0)
    along, towards = after.double() - origin, before.double() - origin
    across = towards - along * (towards @ along) / (along @ along).clamp_min(1e-300)
    if not (along.norm() > 0 and across.norm() > 1e-6 * towards.norm()):
        raise BrokenError(
            f"the mean of {len(earlier)} earlier states, the state before the cliff and the one after lie on one line: "
            "there is no plane; take earlier states that are further apart"
        )
    return Plane(*(part.to(before) for part in (origin, along, across)))


def sides(points: int, margin: float) -> tuple[list[float], list[float]]:
    """The coordinates of a grid's columns and of its rows, around the three states.

    Args:
        points: on a side.
        margin: how far it reaches beyond (0, 0) to (1, 0), and beyond (0, -1) to (0, 1).

    Examples:
        >>> from harness.measure.plane import sides
        >>> sides(3, margin=0.5)
        ([-0.5, 0.5, 1.5], [-1.5, 0.0, 1.5])
    """
    step = (1 + 2 * margin) / (points - 1), (2 + 2 * margin) / (points - 1)
    return [-margin + i * step[0] for i in range(points)], [-1 - margin + i * step[1] for i in range(points)]


def grid(points: int, margin: float) -> Tensor:
    """[points², 2] coordinates of a grid (see ``sides``), float64, row after row from below.

    Examples:
        >>> from harness.measure.plane import grid
        >>> grid(2, margin=0.0).tolist()
        [[0.0, -1.0], [1.0, -1.0], [0.0, 1.0], [1.0, 1.0]]
    """
    x, y = (torch.tensor(side, dtype=torch.float64) for side in sides(points, margin))
    rows, columns = torch.meshgrid(y, x, indexing="ij")
    return torch.stack([columns.flatten(), rows.flatten()], 1)


def curvatures(x: Sequence[float], y: Sequence[float], values: Sequence[float]) -> tuple[float, float]:
    """Second derivatives along x and along y of the quadratic that fits values best.

    Args:
        x: coordinates of the points.
        y: the same.
        values: at the points; six points or more that lie on no conic.

    Examples:
        A saddle, x² - 2 y².

        >>> from harness.measure.plane import curvatures
        >>> x, y = [0.0, 1.0, 2.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0, 1.0, 2.0]
        >>> along_x, along_y = curvatures(x, y, [a * a - 2 * b * b for a, b in zip(x, y)])
        >>> round(along_x, 6), round(along_y, 6)
        (2.0, -4.0)
    """
    a, b = (torch.tensor(axis, dtype=torch.float64) for axis in (x, y))
    terms = torch.stack([torch.ones_like(a), a, b, a * a / 2, a * b, b * b / 2], 1)
    fitted = torch.linalg.lstsq(terms, torch.tensor(values, dtype=torch.float64)[:, None]).solution[:, 0]
    return float(fitted[3]), float(fitted[5])
