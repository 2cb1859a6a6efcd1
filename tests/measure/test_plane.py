"""The plane through three states, with a planted quadratic valley."""

import pytest
import torch

from harness import seeds
from harness.errors import BrokenError
from harness.measure import plane

SIZE = 7


def _basis() -> torch.Tensor:
    return torch.linalg.qr(seeds.normal(3, SIZE * SIZE).reshape(SIZE, SIZE)).Q


def _planted() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Earlier states around a mean, and states before (2 along and 5 across) and after (4 along) a cliff."""
    a, b, c, *_ = _basis()
    mean = torch.ones(SIZE, dtype=torch.float64)
    earlier = torch.stack([mean + 5 * b + c, mean - 5 * b - c])
    return mean, earlier, mean + 2 * a + 5 * b, mean + 4 * a


def test_coordinates_of_the_three_states() -> None:
    mean, earlier, before, after = _planted()
    found = plane.through(earlier, before, after)
    torch.testing.assert_close(found.origin, mean)
    assert float(found.along @ found.across) == pytest.approx(0, abs=1e-12)
    assert (float(found.along.norm()), float(found.across.norm())) == pytest.approx((4, 5))
    places = found.coordinates(torch.stack([mean, before, after, *earlier]))
    expected = torch.tensor([[0, 0], [0.5, 1], [1, 0], [0, 1], [0, -1]], dtype=torch.float64)
    torch.testing.assert_close(places, expected, atol=1e-12, rtol=0)
    torch.testing.assert_close(found.at(places[:3]), torch.stack([mean, before, after]))


def test_points_and_coordinates_are_inverse_on_the_grid() -> None:
    _, earlier, before, after = _planted()
    found, places = plane.through(earlier, before, after), plane.grid(4, 0.5)
    torch.testing.assert_close(found.coordinates(found.at(places)), places)


def test_the_grid_goes_row_after_row_around_the_states() -> None:
    x, y = plane.sides(3, 1.0)
    assert (x, y) == ([-1.0, 0.5, 2.0], [-2.0, 0.0, 2.0])
    assert plane.grid(3, 1.0)[:4].tolist() == [[-1.0, -2.0], [0.5, -2.0], [2.0, -2.0], [-1.0, 0.0]]


def test_states_on_one_line_span_no_plane() -> None:
    mean, earlier, _, after = _planted()
    with pytest.raises(BrokenError, match=r"2 earlier states.* lie on one line"):
        plane.through(earlier, mean + 0.3 * (after - mean), after)


def test_curvatures_of_a_planted_valley_are_recovered() -> None:
    """5 - 2 x + y + 0.3 x² / 2 + 0.7 x y + 12 y² / 2."""
    x, y = plane.grid(5, 1.0).t()
    values = 5 - 2 * x + y + 0.15 * x**2 + 0.7 * x * y + 6 * y**2
    assert plane.curvatures(x.tolist(), y.tolist(), values.tolist()) == pytest.approx((0.3, 12.0), rel=1e-9)


def test_a_ridge_has_negative_curvature() -> None:
    x, y = plane.grid(5, 1.0).t()
    along, across = plane.curvatures(x.tolist(), y.tolist(), (x**2 - y**2).tolist())
    assert (along, across) == pytest.approx((2.0, -2.0))
