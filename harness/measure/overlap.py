"""How alike the eigenvectors of two matrices are: squared inner products, against those of random directions."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

_ROWS = 1024
"""Eigenvectors of the first matrix that are multiplied at once; bounds memory, not results."""


@dataclass(frozen=True)
class BinOverlaps:
    """Overlaps between bins of eigenvectors.

    Attributes:
        rows: [I] bins of the first matrix that hold something, ascending.
        columns: [J] bins of the second.
        row_sizes: [I] eigenvectors in each.
        column_sizes: [J].
        share: [I, J] the share of the squared length of a row's eigenvectors that lies in the span of the
            column's; over all columns it sums to 1. A random rotation has size of the column / n on average.
        over_null: [I, J] that share over the one of a random rotation.
    """

    rows: Tensor
    columns: Tensor
    row_sizes: Tensor
    column_sizes: Tensor
    share: Tensor
    over_null: Tensor


def log_bins(values: Tensor, *, floor: float, per_decade: int) -> Tensor:
    """The bin of each eigenvalue: bins of equal width in log |λ|, with its sign.

    Args:
        values: [n].
        floor: magnitudes up to this one are all in bin 0.
        per_decade: bins in a factor of ten.

    Returns:
        [n] int64. Bin k > 0 begins at floor * 10^((k - 1) / per_decade); bin -k mirrors it.

    Examples:
        >>> import torch
        >>> from harness.measure.overlap import log_bins
        >>> log_bins(torch.tensor([50.0, 5.0, 0.5, -5.0]), floor=1.0, per_decade=1).tolist()
        [2, 1, 0, -1]
    """
    exponent = (values.double().abs() / floor).clamp_min(1e-300).log10()
    number = (exponent * per_decade).floor().long() + 1
    return torch.where(values.abs() > floor, number, 0) * values.sign().long()


def shift(first: Tensor, second: Tensor, ranks: int) -> float:
    """By how much a spectrum is larger than another: ratio of the geometric means of their largest eigenvalues.

    Args:
        first: [n] eigenvalues, the largest first.
        second: [n].
        ranks: how many of the largest; fewer where fewer are positive in both.

    Returns:
        That of the second over the first; 1 where nothing is positive in both.

    Examples:
        >>> import torch
        >>> from harness.measure.overlap import shift
        >>> round(shift(torch.tensor([4.0, 1.0, 0.0]), torch.tensor([12.0, 3.0, -1.0]), ranks=3), 6)
        3.0
    """
    count = min(ranks, int((first > 0).sum()), int((second > 0).sum()))
    if not count:
        return 1.0
    return float((second[:count].double().log().mean() - first[:count].double().log().mean()).exp())


def bin_overlaps(first: Tensor, second: Tensor, first_bins: Tensor, second_bins: Tensor) -> BinOverlaps:
    """Overlaps between the bins of two orthonormal bases.

    The share of row bin I in column bin J is Σ (uᵢ·vⱼ)² / |I| over i in I and j in J; its null is |J| / n.

    Args:
        first: [n, n], an eigenvector a row.
        second: [n, n].
        first_bins: [n] the bin of each row.
        second_bins: [n].

    Examples:
        The identity with itself, in bins of two and of one: each bin holds its own vectors, 3/2 and 3 times what a
        random rotation would give.

        >>> import torch
        >>> from harness.measure.overlap import bin_overlaps
        >>> bins = torch.tensor([1, 0, 0])
        >>> same = bin_overlaps(torch.eye(3), torch.eye(3), bins, bins)
        >>> same.share.tolist(), same.over_null.tolist()
        ([[1.0, 0.0], [0.0, 1.0]], [[1.5, 0.0], [0.0, 3.0]])
    """
    rows, row_of, row_sizes = first_bins.unique(return_inverse=True, return_counts=True)
    columns, column_of, column_sizes = second_bins.unique(return_inverse=True, return_counts=True)
    members = torch.nn.functional.one_hot(column_of).to(second)
    total = torch.zeros(len(rows), len(columns), dtype=torch.float64, device=first.device)
    for part, place in zip(first.split(_ROWS), row_of.split(_ROWS), strict=True):
        total.index_add_(0, place, ((part @ second.mT).square() @ members).double())
    share = total / row_sizes[:, None]
    return BinOverlaps(rows, columns, row_sizes, column_sizes, share, share * len(first) / column_sizes)


def own_bin(overlaps: BinOverlaps) -> float | None:
    """Share (%) of the bins that are more alike their own bin of the other matrix than any other one.

    Alike is ``over_null``. Bins that are empty in one of the two are left out; None where that leaves none.

    Examples:
        >>> import torch
        >>> from harness.measure.overlap import bin_overlaps, own_bin
        >>> bins = torch.tensor([1, 0])
        >>> own_bin(bin_overlaps(torch.eye(2), torch.eye(2), bins, bins))
        100.0
        >>> own_bin(bin_overlaps(torch.eye(2), torch.eye(2).flip(0), bins, bins))
        0.0
    """
    same = overlaps.rows[:, None] == overlaps.columns[None, :]
    held = same.any(1)
    best = overlaps.over_null.max(dim=1).values
    own = torch.where(same, overlaps.over_null, 0.0).sum(1)
    return 100 * float((own >= best)[held].double().mean()) if bool(held.any()) else None


def subspace(first: Tensor, second: Tensor) -> float:
    """Mean squared length (%) of the projections of some orthonormal vectors [m, n] on the span of others [k, n].

    100 Σ (uᵢ·vⱼ)² / m.

    Examples:
        Two planes of space that share a line.

        >>> import torch
        >>> from harness.measure.overlap import subspace
        >>> subspace(torch.eye(3)[:2], torch.eye(3)[1:])
        50.0
    """
    return 100 * float((first.double() @ second.double().mT).square().sum()) / len(first)


def of_equal_rank(first: Tensor, second: Tensor, ranks: Sequence[int]) -> float:
    """Mean squared inner product (%) of vectors with those of the same rank.

    Args:
        first: [n, n], a vector a row.
        second: [n, n].
        ranks: the first row and the one after the last.

    Examples:
        A rotation by an angle whose cosine is 0.6.

        >>> import torch
        >>> from harness.measure.overlap import of_equal_rank
        >>> round(of_equal_rank(torch.eye(2), torch.tensor([[0.6, 0.8], [-0.8, 0.6]]), (0, 2)), 4)
        36.0
    """
    a, b = (basis[slice(*ranks)].double() for basis in (first, second))
    return 100 * float((a * b).sum(1).square().mean())
