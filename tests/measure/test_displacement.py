"""Shares of a displacement by eigenvalue, with planted directions."""

import pytest
import torch

from harness import seeds
from harness.measure import displacement


def test_shares_of_a_planted_displacement() -> None:
    """3, 4 and 12 along three of the directions: 9, 16 and 144 of 169."""
    basis = torch.linalg.qr(seeds.normal(1, 25).reshape(5, 5)).Q
    moved = 3 * basis[0] + 4 * basis[2] - 12 * basis[4]
    found = displacement.shares(basis, moved)
    expected = torch.tensor([900, 0, 1600, 0, 14400], dtype=torch.float64) / 169
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_low_is_by_magnitude_against_the_largest_and_strictly() -> None:
    assert displacement.low([100.0, 1.0, 0.99, 0.0, -0.5, -1.0, -50.0], 0.01) == [
        False, False, True, True, True, False, False,
    ]  # fmt: skip


def test_chosen_parts_and_their_null() -> None:
    chosen = [True, False, True, False]
    assert displacement.total([10.0, 20.0, 30.0, 40.0], chosen) == 40.0
    assert displacement.of_random(chosen) == 50.0


def test_a_random_displacement_has_the_null_share() -> None:
    size, draws = 40, 400
    chosen = [rank < 10 for rank in range(size)]
    moves = seeds.normal(2, size * draws).reshape(draws, size)
    found = [displacement.total(displacement.shares(torch.eye(size), move).tolist(), chosen) for move in moves]
    assert sum(found) / draws == pytest.approx(displacement.of_random(chosen), rel=0.05)


def test_bins_take_every_direction_once_and_the_ends_take_what_lies_beyond() -> None:
    values = [10.0, 5.0, 1.0, 0.5, 0.01, 0.0, -0.7, -20.0]
    bins = displacement.binned(values, [0.01, 0.1, 1.0])
    assert bins == [
        [False, False, False, True, True, True, True, False],
        [True, True, True, False, False, False, False, True],
    ]
    assert [sum(one) for one in zip(*bins, strict=True)] == [1] * len(values)
