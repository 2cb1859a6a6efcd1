"""Overlaps of eigenvectors against loops, for bases that are the same, turned by hand, and turned at random."""

import math

import pytest
import torch
from torch import Tensor

from harness import seeds
from harness.measure import overlap
from harness.measure.overlap import bin_overlaps, log_bins, of_equal_rank, own_bin, shift, subspace

BINS = torch.tensor([2, 2, 1, 1, 1, 0])


def rotation(size: int, seed: int) -> Tensor:
    return torch.linalg.qr(seeds.normal(seeds.stream("rotation", seed), size * size).reshape(size, size))[0]


def test_bins_begin_where_they_say() -> None:
    values = torch.tensor([100.0, 99.0, 3.2, 3.1, 1.0001, 1.0, 0.0, -1.0, -1.1, -40.0])
    assert log_bins(values, floor=1.0, per_decade=2).tolist() == [5, 4, 2, 1, 1, 0, 0, 0, -1, -4]


def test_equal_bases_overlap_with_themselves_alone() -> None:
    basis = rotation(6, 0)
    found = bin_overlaps(basis, basis, BINS, BINS)
    assert (found.rows.tolist(), found.row_sizes.tolist()) == ([0, 1, 2], [1, 3, 2])
    torch.testing.assert_close(found.share, torch.eye(3).double())
    torch.testing.assert_close(found.over_null, torch.diag(torch.tensor([6.0, 2.0, 3.0])).double())
    assert own_bin(found) == 100.0
    assert subspace(basis[:2], basis[:2]) == pytest.approx(100)
    assert of_equal_rank(basis, -basis, (1, 5)) == pytest.approx(100)


def test_a_rotation_within_a_bin_stays_there() -> None:
    angle = 0.3
    turned = torch.eye(4)
    turned[:2, :2] = torch.tensor([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    bins = torch.tensor([1, 1, 0, 0])
    torch.testing.assert_close(bin_overlaps(torch.eye(4), turned, bins, bins).share, torch.eye(2).double())
    assert of_equal_rank(torch.eye(4), turned, (0, 2)) == pytest.approx(100 * math.cos(angle) ** 2)
    assert subspace(torch.eye(4)[:2], turned[:2]) == pytest.approx(100)
    assert subspace(torch.eye(4)[:1], turned[:1]) == pytest.approx(100 * math.cos(angle) ** 2)


def test_overlaps_are_means_over_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlap, "_ROWS", 4)
    a, b, other = rotation(6, 1), rotation(6, 2), torch.tensor([3, 1, 1, 0, 0, 0])
    found = bin_overlaps(a, b, BINS, other)
    for i, row in enumerate(found.rows.tolist()):
        for j, column in enumerate(found.columns.tolist()):
            squares = [
                float(a[m] @ b[n]) ** 2 for m in range(6) for n in range(6) if BINS[m] == row and other[n] == column
            ]
            assert float(found.over_null[i, j]) == pytest.approx(6 * sum(squares) / len(squares), rel=1e-9)
    torch.testing.assert_close(found.share.sum(1), torch.ones(3).double())


def test_a_random_rotation_gives_the_null() -> None:
    size = 400
    a, b = rotation(size, 3), rotation(size, 4)
    bins = torch.arange(size) // 100
    found = bin_overlaps(a, b, bins, bins)
    # A mean of 100² squares of normal numbers: standard deviation sqrt(2) / 100.
    torch.testing.assert_close(found.over_null, torch.ones(4, 4).double(), rtol=0, atol=0.07)
    assert subspace(a[:40], b[:40]) == pytest.approx(100 * 40 / size, rel=0.15)
    assert of_equal_rank(a, b, (0, size)) == pytest.approx(100 / size, rel=0.4)


def test_own_bin_of_no_common_bin_is_none() -> None:
    first, second = torch.tensor([1, 1, 2]), torch.tensor([3, 3, 4])
    assert own_bin(bin_overlaps(torch.eye(3), torch.eye(3), first, second)) is None


def test_own_bin_counts_bins_that_both_have() -> None:
    """The second basis is the first with the eigenvectors of two bins swapped; one bin has no counterpart."""
    bins, other = torch.tensor([3, 2, 1, 0, 0, 4]), torch.tensor([2, 3, 1, 0, 0, 5])
    assert own_bin(bin_overlaps(torch.eye(6), torch.eye(6), bins, other)) == pytest.approx(100 * 2 / 4)


def test_the_shift_is_a_ratio_of_geometric_means_of_what_is_positive_in_both() -> None:
    first, second = torch.tensor([4.0, 1.0, 0.5, -1.0]), torch.tensor([16.0, 1.0, -0.1, -3.0])
    assert shift(first, second, 2) == pytest.approx(2.0)
    assert shift(first, second, 4) == pytest.approx(2.0)
    assert shift(-first.flip(0), -second.flip(0) - 9, 4) == 1.0
