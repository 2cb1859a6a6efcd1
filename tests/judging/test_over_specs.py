"""Joined properties: counts by hand, and how often the test errs where dependence is planted."""

import random
from collections.abc import Iterable, Iterator

import pytest

from harness.judging.over_specs import Grid, Joined, Table, joined, table

FIRST = [[-1, 1, 1, 1], [-1] * 4, [-1] * 4]
OPPOSED = [[1, -1, -1, -1], [1] * 4, [1] * 4]


def test_counts_and_p_by_hand() -> None:
    # One row of three and one column of four are special: 3 * 4 orders of equal chance, one of which agrees wholly.
    found = joined([(FIRST, FIRST), (FIRST, FIRST)])
    assert found.p_only_when == pytest.approx(1 / 144)
    assert (found.least_p, found.p_against, found.exceptions, found.stands) == (found.p_only_when, 1.0, 0, True)
    assert joined([(FIRST, FIRST)]).stands is None
    assert table([[1, 1, -1, -1, 0]], [[1, -1, 1, -1, 1]]) == Table(1, 1, 1, 1, 1)


def test_opposed_properties_fall_and_an_exception_leaves_it_open() -> None:
    assert joined([(FIRST, OPPOSED), (FIRST, OPPOSED)]).stands is False
    with_one = [[1, 1, 1, 1], [-1] * 4, [-1] * 4]
    networks = [(FIRST, FIRST), (FIRST, FIRST), (FIRST, FIRST), (with_one, FIRST)]
    found = joined(networks)
    assert (found.p_only_when < 0.05, found.exceptions, found.stands) == (True, 1, None)


def test_a_property_that_is_everywhere_tells_nothing() -> None:
    everywhere = [[1], [1], [1]]
    assert joined([([[1], [-1], [-1]], everywhere)]).p_only_when == 1.0


def _grid(rnd: random.Random, row: float, column: float) -> Grid:
    rows, columns = [rnd.gauss(0, row) for _ in range(3)], [rnd.gauss(0, column) for _ in range(4)]
    return [[1 if a + b + rnd.gauss(0, 0.3) > 0 else -1 for b in columns] for a in rows]


def _special(row: int, column: int) -> Grid:
    """One row of three has the property, but for one column of four."""
    return [[1 if i == row and j != column else -1 for j in range(4)] for i in range(3)]


SPECIAL = [_special(row, column) for row in range(3) for column in range(4)]


def _errs(worlds: Iterable[Joined], of: str = "p_only_when") -> float:
    """How often a p-value is at most .05, exceptions or not."""
    found = [getattr(one, of) <= 0.05 for one in worlds]
    return sum(found) / len(found)


def _sampled(row: float, column: float) -> Iterator[Joined]:
    rnd = random.Random(7)
    for _ in range(WORLDS):
        yield joined([(_grid(rnd, row, column), _grid(rnd, row, column)) for _ in range(2)])


WORLDS = 400
HIGHEST = 0.05 + 3 * (0.05 * 0.95 / 400) ** 0.5
"""Three standard errors of as many worlds above .05."""


@pytest.mark.parametrize(("row", "column"), [(0.0, 0.0), (2.0, 0.2), (0.2, 2.0), (1.0, 1.0)])
def test_the_level_is_kept_where_rows_and_columns_depend(row: float, column: float) -> None:
    assert _errs(_sampled(row, column)) <= HIGHEST


def test_networks_alike_by_a_common_cause_break_the_level_and_the_p_for_them_keeps_it() -> None:
    # Every world, equally likely: the first grid can be fixed, as only the order of the second to it counts.
    apart = [joined([(FIRST, one), (FIRST, other)]) for one in SPECIAL for other in SPECIAL]
    alike = [joined([(FIRST, one)] * 2) for one in SPECIAL]
    assert _errs(apart) <= 0.05
    assert _errs(alike) == pytest.approx(1 / 12)
    assert _errs(alike, "p_alike") <= 0.05


def test_what_is_left_open_is_no_evidence() -> None:
    """Each cell is open in one of both, so that no order can be told from another, wherever they lie."""
    assert joined([([[0], [-1], [0]], [[1], [0], [1]])]).p_only_when == 1.0
