"""Whether one property is there only when another is, over grids of decided outcomes. Exact and pure.

Each network is a grid, as arms by rewinding points, in which both properties are decided, or left open. Cells of one
row share masks and trainings, those of one column the point and the schedule, so cells are not exchangeable one by
one. Rows are, as wholes, and columns are, if the first property has nothing to do with the second: the test permutes
whole rows and whole columns of the second property's grid against the first's (as in a test of Mantel's kind), in
each network by itself. So whatever rows or columns have in common in a property stays. Conditional on both grids of
each network it is a test of Cochran's, Mantel's and Haenszel's kind whose permutations are restricted: the statistic is
the number of cells that disagree, or agree, summed over networks. A cell that one of both leaves open is open in both,
and does neither in any order, so that what is left open is no evidence. All orders are counted, none is drawn.

Assumed: networks are independent of each other under the null, and nothing binds a row to a column in both
properties but their association.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import permutations

from harness.schema.power import LEVEL

Grid = Sequence[Sequence[int]]
"""Rows of a property: 1 it is there, -1 it is not, 0 left open."""


@dataclass(frozen=True)
class Table:
    """Cells of a network by what was decided; ``open`` are those in which one of both was left open."""

    both: int
    first_only: int
    second_only: int
    neither: int
    open: int


@dataclass(frozen=True)
class Joined:
    """What the test says.

    Attributes:
        p_only_when: probability of as few cells that disagree, or fewer, if the properties have nothing to do with each
            other.
        p_against: of as few that agree, or fewer.
        least_p: the least ``p_only_when`` that these grids could have given in any order.
        p_alike: as ``p_only_when``, where networks of one shape have one order together: it holds where rows and
            columns act alike in all of them, too, which leaves few orders and little power.
        exceptions: cells in which the first is without the second.
        stands: True where agreement is shown and there is no exception, False where disagreement is shown, else None.
    """

    p_only_when: float
    p_against: float
    least_p: float
    p_alike: float
    exceptions: int
    stands: bool | None


def table(first: Grid, second: Grid) -> Table:
    """Counts of a network's grids, of one shape."""
    counts = Counter((a, b) for rows in zip(first, second, strict=True) for a, b in zip(*rows, strict=True))
    both, first_only, second_only, neither = (counts[pair] for pair in ((1, 1), (1, -1), (-1, 1), (-1, -1)))
    still_open = counts.total() - both - first_only - second_only - neither
    return Table(both, first_only, second_only, neither, still_open)


def joined(networks: Iterable[tuple[Grid, Grid]], level: float = LEVEL) -> Joined:
    """Tests whether the first property is there only when the second is.

    Args:
        networks: of each the grids of the first and of the second property, of one shape.
        level: of each of the two one-sided tests.
    """
    pairs = [_decided_in_both(*pair) for pair in networks]
    by_shape: dict[tuple[int, int], list[tuple[Grid, Grid]]] = {}
    for pair in pairs:
        by_shape.setdefault((len(pair[0]), len(pair[0][0])), []).append(pair)
    singly = [[pair] for pair in pairs]
    disagreeing, least = _at_most_observed(singly, -1)
    alike, _ = _at_most_observed(list(by_shape.values()), -1)
    agreeing, _ = _at_most_observed(singly, 1)
    exceptions = sum(table(*pair).first_only for pair in pairs)
    stands = True if disagreeing <= level and not exceptions else False if agreeing <= level else None
    return Joined(disagreeing, agreeing, least, alike, exceptions, stands)


def _decided_in_both(first: Grid, second: Grid) -> tuple[Grid, Grid]:
    """The grids with a cell open in both where it is in either."""
    cells = [list(zip(*rows, strict=True)) for rows in zip(first, second, strict=True)]
    return [[a * abs(b) for a, b in row] for row in cells], [[b * abs(a) for a, b in row] for row in cells]


def _at_most_observed(groups: Sequence[Sequence[tuple[Grid, Grid]]], product: int) -> tuple[float, float]:
    """Probabilities of as few cells of a product as there are, or fewer, and of the fewest that any order has.

    Args:
        groups: networks; those of one group have one order together.
        product: -1 of cells that disagree, 1 of those that agree.
    """
    chances = reduce(_sum, (_chances(group, product) for group in groups))
    observed = sum(
        a * b == product
        for group in groups
        for pair in group
        for rows in zip(*pair, strict=True)
        for a, b in zip(*rows, strict=True)
    )
    return min(sum(chance for number, chance in chances.items() if number <= observed), 1.0), chances[min(chances)]


def _chances(networks: Sequence[tuple[Grid, Grid]], product: int) -> Mapping[int, float]:
    """Cells of a product -> probability, over all orders of the second's rows and columns, one for all networks."""
    size, width = len(networks[0][1]), len(networks[0][1][0])
    counts = Counter[int]()
    for columns in permutations(range(width)):
        products = [
            [
                sum(first[i][k] * second[j][c] == product for first, second in networks for k, c in enumerate(columns))
                for j in range(size)
            ]
            for i in range(size)
        ]
        counts.update(sum(products[i][j] for i, j in enumerate(rows)) for rows in permutations(range(size)))
    return {value: number / counts.total() for value, number in counts.items()}


def _sum(one: Mapping[int, float], other: Mapping[int, float]) -> Mapping[int, float]:
    """The distribution of the sum of two independent numbers."""
    chances: dict[int, float] = {}
    for a, p in one.items():
        for b, q in other.items():
            chances[a + b] = chances.get(a + b, 0.0) + p * q
    return chances
