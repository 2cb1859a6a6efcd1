"""The whole verdict table, its invariances, and how often it errs."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.digits import plain
from harness.errors import InvariantBroken, RequestError
from harness.judging.conditions import conditions
from harness.judging.verdict import Verdict, judge
from harness.observation import Observation, Quantity
from harness.schema.claims import AtLeast, AtMost, Check, Claim, Equals, FirstWithin, LastWithin, LessThan, Source

QUANTITY = Quantity(unit="points", axes=("arm", "rewind"), meaning="rise of the error on the line")
DEFAULTS = {"arm": "imp", "rewind": 0, "level": 3}
REWINDS = (0, 100, 500, 2000)
UNDECIDED = Verdict.INCONCLUSIVE


def check_of(expect, at=None):
    return Check(at=at or {}, expect=expect)


def claim_of(check):
    return Claim(
        id="stable",
        sentence="It is stable.",
        source=Source(paper="lmc", place="Table 1"),
        quantity="instability",
        checks={"toy": check},
    )


def observe(sample, **at):
    """Seed -> values within, or a list with one value an initialisation, as observations."""
    rows = sample if isinstance(sample, dict) else {seed: [value] for seed, value in enumerate(sample)}
    return [
        Observation("instability", DEFAULTS | at, seed, within, value)
        for seed, values in rows.items()
        for within, value in enumerate(values)
    ]


def rule(expect, observations, *, at=None, may_reproduce=False, planned=3, axis_values=None, quantity=QUANTITY):
    check = check_of(expect, at)
    return judge(
        claim_of(check),
        "toy",
        observations,
        quantity,
        DEFAULTS,
        {"rewind": REWINDS} if axis_values is None else axis_values,
        check=check,
        may_reproduce=may_reproduce,
        planned_initialisations=planned,
    )


def along(*samples, **at):
    """Observations along the rewinds."""
    return [one for k, sample in zip(REWINDS, samples, strict=True) for one in observe(sample, rewind=k, **at)]


EQUALS = Equals(kind="equals", estimand="mean", value=2, margin=0.5)
AT_MOST = AtMost(kind="at_most", estimand="mean", bound=2)
AT_LEAST = AtLeast(kind="at_least", estimand="mean", bound=2)
LESS = LessThan(kind="less_than", estimand="mean", than={"arm": "random"})
LESS_BY = LessThan(kind="less_than", estimand="mean", than={"arm": "random"}, by=1)
FIRST = FirstWithin(kind="first_within", axis="rewind", threshold=2, earliest=100, latest=500)
LAST = LastWithin(kind="last_within", axis="rewind", threshold=2, earliest=100, latest=500)

OVER, UNDER, AROUND = (9, 9.1, 9.2), (0.1, 0.2, 0.3), (1, 2, 3.3)
RANDOM = observe((5, 7, 9), arm="random")

GOOD, BAD, OPEN = True, False, None
TABLE = [
    ("equals, inside", EQUALS, observe((1.9, 2, 2.1)), GOOD),
    ("equals, above", EQUALS, observe((2.9, 3, 3.1)), BAD),
    ("equals, below", EQUALS, observe((0.9, 1, 1.1)), BAD),
    ("equals, covers an edge from inside", EQUALS, observe((2.3, 2.4, 2.6)), OPEN),
    ("equals, covers an edge from outside", EQUALS, observe((2.4, 2.7, 2.9)), OPEN),
    ("equals, covers all", EQUALS, observe((0, 2, 4)), OPEN),
    ("equals, 90 % inside though not 95 %", EQUALS, observe((1.9, 2.1, 2.3)), GOOD),
    ("equals, 90 % outside but not 95 %", EQUALS, observe((2.88, 3, 3.12, 2.44)), OPEN),
    ("equals, one inside", EQUALS, observe((2,)), OPEN),
    ("equals, one outside", EQUALS, observe((9,)), OPEN),
    ("equals, no spread inside", EQUALS, observe((2.1, 2.1, 2.1)), GOOD),
    ("equals, no spread at the edge", EQUALS, observe((2.5, 2.5, 2.5)), GOOD),
    ("equals, no spread outside", EQUALS, observe((2.6, 2.6, 2.6)), BAD),
    ("at most, inside", AT_MOST, observe((1.7, 1.8, 1.6)), GOOD),
    ("at most, outside", AT_MOST, observe((2.3, 2.4, 2.2)), BAD),
    ("at most, covering from inside", AT_MOST, observe((1.7, 1.9, 2.1)), OPEN),
    ("at most, covering from outside", AT_MOST, observe((1.9, 2.1, 2.3)), OPEN),
    ("at most, one inside", AT_MOST, observe((0,)), OPEN),
    ("at most, one outside", AT_MOST, observe((9,)), OPEN),
    ("at most, no spread inside", AT_MOST, observe((0, 0, 0)), GOOD),
    ("at most, no spread at the bound", AT_MOST, observe((2, 2, 2)), GOOD),
    ("at most, no spread outside", AT_MOST, observe((2.01, 2.01, 2.01)), BAD),
    ("at least, inside", AT_LEAST, observe((2.3, 2.4, 2.2)), GOOD),
    ("at least, outside", AT_LEAST, observe((1.7, 1.8, 1.6)), BAD),
    ("at least, covering", AT_LEAST, observe((1.9, 2.1, 2.3)), OPEN),
    ("at least, one inside", AT_LEAST, observe((9,)), OPEN),
    ("at least, no spread at the bound", AT_LEAST, observe((2, 2, 2)), GOOD),
    ("at least, no spread outside", AT_LEAST, observe((1.99, 1.99, 1.99)), BAD),
    ("less, inside", LESS, observe((4, 6, 8.1)) + RANDOM, GOOD),
    ("less, outside", LESS, observe((6, 8, 10.1)) + RANDOM, BAD),
    ("less, covering", LESS, observe((4, 6.9, 9.5)) + RANDOM, OPEN),
    ("less, one inside", LESS, observe((4,)) + RANDOM, OPEN),
    ("less, no spread inside", LESS, observe((4, 6, 8)) + RANDOM, GOOD),
    ("less, no difference", LESS, observe((5, 7, 9)) + RANDOM, BAD),
    ("less by 1, inside", LESS_BY, observe((3, 5, 7.1)) + RANDOM, GOOD),
    ("less by 1, too little", LESS_BY, observe((4.5, 6.5, 8.6)) + RANDOM, BAD),
    ("less by 1, no spread at the limit", LESS_BY, observe((4, 6, 8)) + RANDOM, GOOD),
    ("first, inside", FIRST, along(OVER, OVER, UNDER, UNDER), GOOD),
    ("first, set fills the window", FIRST, along(OVER, AROUND, UNDER, UNDER), GOOD),
    ("first, before", FIRST, along(UNDER, UNDER, UNDER, UNDER), BAD),
    ("first, after", FIRST, along(OVER, OVER, OVER, UNDER), BAD),
    ("first, nowhere", FIRST, along(OVER, OVER, OVER, OVER), BAD),
    ("first, covering the start", FIRST, along(AROUND, UNDER, UNDER, UNDER), OPEN),
    ("first, covering the end", FIRST, along(OVER, OVER, AROUND, UNDER), OPEN),
    ("first, perhaps nowhere", FIRST, along(OVER, OVER, UNDER, AROUND), OPEN),
    ("first, one inside", FIRST, along((9,), (9,), (0,), (0,)), OPEN),
    ("first, one outside", FIRST, along((9,), (9,), (9,), (9,)), OPEN),
    ("first, no spread", FIRST, along((9, 9, 9), (2, 2, 2), (0, 0, 0), (0, 0, 0)), GOOD),
    ("first, unobserved beside the window", FIRST, along((), OVER, UNDER, UNDER), GOOD),
    ("first, unobserved where it matters", FIRST, along(OVER, OVER, UNDER, ()), OPEN),
    ("last, inside", LAST, along(UNDER, UNDER, OVER, OVER), GOOD),
    ("last, inside with a gap", LAST, along(UNDER, OVER, UNDER, OVER), GOOD),
    ("last, set fills the window", LAST, along(UNDER, UNDER, AROUND, OVER), GOOD),
    ("last, before", LAST, along(UNDER, OVER, OVER, OVER), BAD),
    ("last, after", LAST, along(UNDER, UNDER, UNDER, UNDER), BAD),
    ("last, nowhere", LAST, along(OVER, OVER, OVER, OVER), BAD),
    ("last, covering the end", LAST, along(UNDER, UNDER, UNDER, AROUND), OPEN),
    ("last, perhaps nowhere", LAST, along(OVER, OVER, AROUND, OVER), OPEN),
    ("last, one inside", LAST, along((0,), (0,), (9,), (9,)), OPEN),
    ("last, no spread", LAST, along((0, 0, 0), (2, 2, 2), (9, 9, 9), (9, 9, 9)), GOOD),
]


@pytest.mark.parametrize(
    ("expect", "observations", "stands"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_table(expect, observations, stands):
    toy = rule(expect, observations)
    paper = rule(expect, observations, may_reproduce=True)
    assert toy.verdict is {GOOD: Verdict.HOLDS, BAD: Verdict.FAILS, OPEN: UNDECIDED}[stands]
    best = Verdict.HOLDS if any("Only 0 of 3" in one for one in paper.warnings) else Verdict.REPRODUCED
    assert paper.verdict is {GOOD: best, BAD: Verdict.CONTRADICTED, OPEN: UNDECIDED}[stands]
    assert toy.estimate == paper.estimate
    assert toy.estimate is not None
    assert toy.check.expect == expect


@pytest.mark.parametrize("expect", [EQUALS, AT_MOST, AT_LEAST, LESS, LESS_BY, FIRST, LAST])
class TestEveryExpectation:
    def test_without_observations_it_is_not_run(self, expect):
        for observations in ([], observe((1, 2, 3), arm="reinit")):
            found = rule(expect, observations, may_reproduce=True)
            assert (found.verdict, found.estimate) == (Verdict.NOT_RUN, None)
            assert "No observation of instability" in found.why

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    def test_what_is_not_finite_is_not_judged(self, expect, value):
        observations = along(*[(0, 0, value)] * 4) + RANDOM
        found = rule(expect, observations, may_reproduce=True)
        assert (found.verdict, found.estimate) == (Verdict.NOT_RUN, None)
        assert f"is {plain(value)} in initialisation 2, replicate 0" in found.why

    def test_what_has_no_value_is_not_run_for_its_own_reason(self, expect):
        first = along(*[(0, 0, 0)] * 4)
        lost = [replace(one, value=math.nan, why="all of it is rounding") for one in first if one.initialisation == 1]
        others = [one for one in first if one.initialisation != 1]
        found = rule(expect, others + lost + RANDOM, may_reproduce=True)
        assert (found.verdict, found.estimate) == (Verdict.NOT_RUN, None)
        assert "has no value in initialisation 1: all of it is rounding." in found.why
        assert "nan" not in found.why

    def test_one_initialisation_says_inside_or_outside(self, expect):
        observations = along(*[{0: [2.0, 2.0]}] * 4) + observe({0: [4.0]}, arm="random")
        found = rule(expect, observations, planned=1, may_reproduce=True)
        assert found.verdict is UNDECIDED
        assert "no interval (one initialisation)" in found.why
        assert ("outside" if expect in (FIRST, LAST) else "inside") in found.why
        assert found.warnings == ("One initialisation gives no interval.",)
        assert (found.estimate.low, found.estimate.high, found.replicates_needed) == (None, None, None)


class TestMissingReplicates:
    GOOD_ENOUGH = (1.0, 1.01, 1.02)

    def test_fewer_than_planned_never_reproduces(self):
        full = rule(AT_MOST, observe(self.GOOD_ENOUGH), may_reproduce=True, planned=3)
        short = rule(AT_MOST, observe(self.GOOD_ENOUGH), may_reproduce=True, planned=4)
        assert (full.verdict, full.warnings) == (Verdict.REPRODUCED, ())
        assert short.verdict is Verdict.HOLDS
        assert short.warnings == ("Only 3 of 4 planned initialisations at arm=imp, rewind=0.",)

    def test_more_than_planned_reproduces(self):
        assert rule(AT_MOST, observe(self.GOOD_ENOUGH), may_reproduce=True, planned=2).verdict is Verdict.REPRODUCED

    def test_a_replicate_missing_inside_never_reproduces(self):
        found = rule(AT_MOST, observe({0: [1, 1], 1: [1.1], 2: [1, 1]}), may_reproduce=True)
        assert found.verdict is Verdict.HOLDS
        assert found.warnings == ("Some initialisations lack replicates that others have at arm=imp, rewind=0.",)

    def test_only_pairs_count(self):
        other = observe({1: [5.0], 2: [6.0], 3: [7.0]}, arm="random")
        found = rule(LESS, observe((1, 1.1, 2.2)) + other, may_reproduce=True, planned=3)
        assert (found.verdict, found.estimate.n) == (Verdict.HOLDS, 2)

    def test_nothing_to_pair_is_not_run(self):
        found = rule(LESS, observe((1, 1, 1)) + observe({7: [5.0], 8: [6.0]}, arm="random"))
        assert found.verdict is Verdict.NOT_RUN
        assert "nothing can be paired" in found.why

    def test_one_side_missing_is_not_run_and_named(self):
        found = rule(LESS, observe((1, 1, 1)))
        assert found.why == "No observation of instability at arm=random, rewind=0: the jobs for it failed."

    def test_many_gaps_are_summed_up(self):
        found = rule(FIRST, along(OVER, OVER, UNDER, UNDER), may_reproduce=True, planned=9)
        assert found.verdict is Verdict.HOLDS
        assert len(found.warnings) == 3
        assert found.warnings[-1] == "And 2 more gaps like these."

    def test_no_check_at_this_scale(self):
        found = judge(
            claim_of(check_of(AT_MOST)),
            "room",
            [],
            QUANTITY,
            {},
            {},
            check=None,
            may_reproduce=True,
            planned_initialisations=3,
        )
        assert (found.verdict, found.check, found.estimate) == (Verdict.NOT_RUN, None, None)
        assert found.why == "The spec has no check at the scale 'room'."


class TestSelection:
    def test_by_the_quantitys_axes_with_defaults_overridden(self):
        observations = (
            observe((1, 1.1, 1.2), rewind=100) + observe((9, 9, 9)) + observe((9, 9, 9), arm="random", rewind=100)
        )
        assert rule(AT_MOST, observations, at={"rewind": 100}).verdict is Verdict.HOLDS
        assert rule(AT_MOST, observations).verdict is Verdict.FAILS

    def test_other_quantities_and_axes_of_other_quantities_do_not_matter(self):
        other = Observation("error", DEFAULTS, 0, 0, 99.0)
        one = observe((1, 1.1, 1.2), level=8)
        assert rule(AT_MOST, [other, *one]).estimate.value == pytest.approx(1.1)

    def test_a_replicate_observed_twice_is_an_error(self):
        with pytest.raises(InvariantBroken, match=r"instability at arm=imp, rewind=0 was observed twice in .* 1, rep"):
            rule(AT_MOST, [*observe((1, 2, 3)), *observe({1: [2.0]})])

    @pytest.mark.parametrize(
        ("expect", "at", "message"),
        [
            (AT_MOST, {"depth": 3}, "no axis 'depth'; it has arm, rewind"),
            (LessThan(kind="less_than", estimand="mean", than={"level": 1}), {}, "no axis 'level'"),
            (LessThan(kind="less_than", estimand="mean", than={"arm": "imp"}), {}, "with itself"),
            (FIRST.model_copy(update={"axis": "depth"}), {}, "no axis 'depth'"),
            (
                FIRST.model_copy(update={"axis": "arm"}),
                {},
                "holds no point of the axis 'arm', which has none",
            ),
            (
                FIRST.model_copy(update={"latest": "late"}),
                {},
                "'late' is no point of the searched axis: 0, 100",
            ),
            (
                FIRST.model_copy(update={"earliest": 501, "latest": 1999}),
                {},
                "holds no point .* 0, 100, 500, 2000",
            ),
            (FIRST.model_copy(update={"earliest": 500, "latest": 100}), {}, "holds no point"),
        ],
    )
    def test_a_check_that_does_not_fit_is_a_wrong_request(self, expect, at, message):
        with pytest.raises(RequestError, match=message):
            rule(expect, observe((1, 2, 3)), at=at)

    def test_an_axis_without_a_condition_is_a_wrong_request(self):
        check = check_of(AT_MOST)
        with pytest.raises(RequestError, match="'arm' has no default"):
            conditions(claim_of(check), check, QUANTITY, {"rewind": 0}, {})

    @pytest.mark.parametrize(
        ("expect", "expected"),
        [
            (AT_MOST, [("imp", 0)]),
            (LESS, [("imp", 0), ("random", 0)]),
            (FIRST, [("imp", k) for k in REWINDS]),
        ],
    )
    def test_conditions(self, expect, expected):
        check = check_of(expect)
        found = conditions(claim_of(check), check, QUANTITY, DEFAULTS, {"rewind": REWINDS})
        assert found == [{"arm": arm, "rewind": k} for arm, k in expected]

    def test_a_window_of_numbers_may_end_between_points(self):
        wide = FIRST.model_copy(update={"earliest": 101, "latest": 1999})
        assert rule(wide, along(OVER, OVER, UNDER, UNDER)).verdict is Verdict.HOLDS
        assert rule(wide, along(OVER, UNDER, UNDER, UNDER)).verdict is Verdict.FAILS

    @pytest.mark.parametrize(("names", "values"), [(("early", "mid", "late"), (9, 0, 0)), ((30, 20, 10), (9, 0, 0))])
    def test_other_axes_go_by_their_order(self, names, values):
        quantity = Quantity("points", ("stage",), "")
        observations = [
            Observation("instability", {"stage": name}, seed, 0, value)
            for name, value in zip(names, values, strict=True)
            for seed in range(3)
        ]
        for latest, verdict in ((names[1], Verdict.HOLDS), (names[0], Verdict.FAILS)):
            window = FirstWithin(kind="first_within", axis="stage", threshold=2, earliest=names[0], latest=latest)
            found = rule(window, observations, axis_values={"stage": names}, quantity=quantity)
            assert (found.verdict, found.estimate.value, found.unit) == (verdict, 1, "stage")
            assert f"first stage within 2: {names[1]} " in found.why


class TestWords:
    @pytest.mark.parametrize(
        ("expect", "expected"),
        [
            (EQUALS, "mean instability = 2 ± 0.5 points at arm=imp, rewind=0"),
            (AT_MOST, "mean instability ≤ 2 points at arm=imp, rewind=0"),
            (AT_LEAST, "mean instability ≥ 2 points at arm=imp, rewind=0"),
            (LESS, "instability at arm=imp, rewind=0 less than at arm=random, in the mean difference"),
            (
                LESS_BY,
                "instability at arm=imp, rewind=0 less than at arm=random, by at least 1 points, in the mean "
                "difference",
            ),
            (FIRST, "instability stays ≤ 2 points from a rewind between 100 and 500 on at arm=imp"),
            (LAST, "instability ≤ 2 points for the last time at a rewind between 100 and 500 at arm=imp"),
        ],
    )
    def test_expected(self, expect, expected):
        assert rule(expect, []).expected == expected

    def test_why_a_bound_holds(self):
        assert rule(AT_MOST, observe((1, 1.25, 1.5))).why == (
            "mean 1.25 points (sd 0.25) over 3 initialisations; its 90 % interval [0.82854, 1.6715] is ≤ 2 throughout."
        )

    def test_why_a_paper_number_is_contradicted(self):
        assert rule(EQUALS, observe((4, 4.25, 4.5))).why == (
            "mean 4.25 points (sd 0.25) over 3 initialisations; "
            "its 95 % interval [3.629, 4.871] is within 2 ± 0.5 nowhere."
        )

    def test_why_a_difference_holds(self):
        assert rule(LESS_BY, observe((3, 5, 7)) + RANDOM).why == (
            "5 against 7 points. Differences by initialisation: mean −2 points (sd 0) "
            "over 3 initialisations; its 90 % interval [−2, −2] is ≤ −1 throughout."
        )

    def test_why_a_crossing_holds(self):
        found = rule(FIRST, along(OVER, AROUND, UNDER, UNDER))
        assert found.why == (
            "first rewind within 2: 500 by the means, by initialisation 100, 100, 500; "
            "the data allow 100 to 500, which is from 100 to 500 throughout."
        )
        estimate = found.estimate
        assert (estimate.kind, estimate.value, estimate.low, estimate.high) == ("crossing", 500, 100, 500)
        assert found.unit == "rewind"

    def test_the_last_point_of_a_search_for_the_last_is_a_bound_only(self):
        """Beyond it nothing was looked at, so that it is no number to report."""
        why = rule(LAST, along(UNDER, UNDER, UNDER, UNDER)).why
        end = f"{REWINDS[-1]} or more, being the last searched"
        assert f"last rewind within 2: {end} by the means" in why
        assert f"the data allow {end} to {end}, which is from 100 to 500 nowhere." in why
        assert "or more" not in rule(LAST, along(UNDER, UNDER, UNDER, OVER)).why

    def test_a_crossing_nowhere_is_none(self):
        found = rule(FIRST, along(OVER, OVER, OVER, OVER))
        assert "no point" in found.why
        assert (found.estimate.value, found.estimate.low, found.estimate.high) == (None, None, None)

    def test_undecided_says_how_many_would_settle_it(self):
        near, on = rule(AT_MOST, observe((0, 1, 2))), rule(AT_MOST, observe((1, 2, 3)))
        assert near.replicates_needed == 8
        assert near.why.endswith("is ≤ 2 only in part; about 8 initialisations would settle it.")
        assert on.replicates_needed is None
        assert on.why.endswith("more than 1000 initialisations would settle it.")

    def test_undecided_outside_looks_to_the_nearest_limit_only(self):
        by_bound = rule(AT_LEAST, observe((0, 1, 2)))
        assert by_bound.replicates_needed == 8
        by_value = rule(EQUALS.model_copy(update={"value": 2.5}), observe((0, 1, 2)))
        assert by_value.verdict is UNDECIDED
        assert by_value.replicates_needed > 8  # the same distance, but at 97.5 %

    def test_a_margin_under_two_sd_is_warned_of(self):
        assert rule(EQUALS, observe((1.7, 2, 2.3))).warnings == ("The margin 0.5 is under 2 sd (0.6): hard to show.",)
        assert rule(EQUALS, observe((1.8, 2, 2.2))).warnings == ()

    def test_no_spread_is_warned_of(self):
        (warning,) = rule(AT_MOST, observe((0, 0, 0))).warnings
        assert warning.startswith("All 3 initialisations agree exactly")


class TestRounding:
    """Numbers are compared by their own size, or by that of the numbers that they were computed from."""

    LEVEL = Quantity("", ("arm", "rewind"), "E[λx²] at equilibrium", least=0.0)
    TINY, TENFOLD = (1.009e-14, 1.010e-14, 1.012e-14), (1.109e-13, 1.110e-13, 1.112e-13)

    @pytest.mark.parametrize(
        ("expect", "verdict"),
        [
            (Equals(kind="equals", estimand="mean", value=1.0101e-14, margin=5e-16), Verdict.HOLDS),
            (Equals(kind="equals", estimand="mean", value=5e-13, margin=1e-14), Verdict.FAILS),
            (Equals(kind="equals", estimand="mean", value=1.0203e-14, margin=1e-16), Verdict.INCONCLUSIVE),
            (AtMost(kind="at_most", estimand="mean", bound=2e-14), Verdict.HOLDS),
            (AtMost(kind="at_most", estimand="mean", bound=1e-16), Verdict.FAILS),
            (AtLeast(kind="at_least", estimand="mean", bound=1e-13), Verdict.FAILS),
            (LESS, Verdict.HOLDS),
        ],
    )
    def test_small_numbers_are_numbers(self, expect, verdict):
        observations = observe(self.TINY) + observe(self.TENFOLD, arm="random")
        found = rule(expect, observations, quantity=self.LEVEL)
        assert found.verdict is verdict
        assert found.estimate.sd > 0
        assert not any("agree exactly" in warning for warning in found.warnings)

    def test_a_threshold_crossed_by_small_numbers(self):
        expect = FirstWithin(kind="first_within", axis="rewind", threshold=2e-14, earliest=500, latest=500)
        found = rule(expect, along(self.TENFOLD, self.TENFOLD, self.TINY, self.TINY), quantity=self.LEVEL)
        assert (found.verdict, found.estimate.value) == (Verdict.HOLDS, 500)

    def test_a_difference_that_is_only_the_rounding_of_percentages_is_none(self):
        """92.2 - 92.1 - 0.1 is 4e-15; as a number without a unit it would be a difference."""
        residue = (92.2 - 92.1) - 0.1
        assert residue > 0
        for expect in (
            AtMost(kind="at_most", estimand="mean", bound=0),
            Equals(kind="equals", estimand="mean", value=0, margin=1e-9),
        ):
            found = rule(expect, observe((residue, residue, -residue)))
            assert (found.verdict, found.estimate.value, found.estimate.sd) == (Verdict.HOLDS, 0, 0)
            assert "mean 0 points (sd 0)" in found.why
        bare = Quantity("", ("arm", "rewind"), "")
        found = rule(
            AtMost(kind="at_most", estimand="mean", bound=0), observe((residue, residue, residue)), quantity=bare
        )
        assert found.verdict is Verdict.FAILS

    def test_equal_sides_are_not_less_however_their_rounding_falls(self):
        sides = observe((0.1 + 0.2, 0.3, 0.3)) + observe((0.3, 0.1 + 0.2, 0.1 + 0.2), arm="random")
        found = rule(LESS, sides, quantity=self.LEVEL)
        assert (found.verdict, found.estimate.sd) == (Verdict.FAILS, 0)

    @given(st.lists(st.floats(1, 2), min_size=3, max_size=3), st.floats(1, 2), st.integers(-900, 0))
    def test_the_size_of_a_quantity_changes_no_verdict(self, sample, bound, exponent):
        size = 2.0**exponent
        for kind in ("equals", "at_most", "at_least"):
            here = rule(means_of(kind, bound, 0.1), observe(sample), quantity=self.LEVEL)
            scaled = observe([size * one for one in sample])
            there = rule(means_of(kind, size * bound, size * 0.1), scaled, quantity=self.LEVEL)
            assert here.verdict is there.verdict


class TestRange:
    ACCURACY = Quantity("%", ("arm", "rewind"), "accuracy")

    def test_no_interval_is_shown_beyond_what_can_be_though_the_verdict_is_student_s(self):
        expect = AtLeast(kind="at_least", estimand="mean", bound=99)
        found = rule(expect, observe((99.9, 97.0, 99.8)), quantity=self.ACCURACY)
        assert found.verdict is UNDECIDED
        assert (found.estimate.low > 90, found.estimate.high) == (True, 100)
        assert ", 100] is ≥ 99 only in part" in found.why
        found = rule(AT_LEAST, observe((0.1, 0.0, 3.0)), quantity=self.ACCURACY)
        assert (found.estimate.low, found.estimate.high < 10) == (0, True)

    @pytest.mark.parametrize(
        ("expect", "sample"),
        [
            (AtMost(kind="at_most", estimand="mean", bound=100), (99.9, 97.0, 99.8)),
            (AtLeast(kind="at_least", estimand="mean", bound=0), (0.1, 0.0, 3.0)),
            (Equals(kind="equals", estimand="mean", value=99, margin=3), (99.9, 97.9, 99.8)),
        ],
    )
    def test_beyond_the_range_there_is_no_limit_to_cross(self, expect, sample):
        assert rule(expect, observe(sample), quantity=self.ACCURACY).verdict is Verdict.HOLDS

    def test_a_difference_has_the_width_of_the_range(self):
        wide = observe((0, 100, 0)) + observe((100, 0, 100), arm="random")
        found = rule(LESS, wide, quantity=self.ACCURACY)
        assert (found.estimate.low, found.estimate.high) == (-100, 100)


class TestOutlier:
    def test_an_initialisation_that_stands_apart_is_warned_of(self):
        (warning,) = rule(AT_MOST, observe((1, 1.1, 0.9, 1.05, 1.0, 0.0))).warnings
        assert warning == (
            "Initialisation 5 stands apart: 0 where the others have 1.01 points (sd 0.0742). Among normal numbers that "
            "happens in 1 % of samples: see whether it is sound."
        )

    def test_it_is_looked_for_among_differences_where_these_are_judged(self):
        shared = (10.0, 20.0, 30.0, 40.0, 50.0, 60.0)
        other = [one + more for one, more in zip(shared, (1, 1.3, 0.8, 1.1, 0.9, 40.0), strict=True)]
        found = rule(LESS, observe(shared) + observe(other, arm="random"))
        assert any(warning.startswith("Initialisation 5 stands apart: −40 ") for warning in found.warnings)

    def test_a_single_image_is_none(self):
        assert not any("apart" in one for one in rule(AT_MOST, observe((0, 0, 0, 0, 0.25))).warnings)


values = st.lists(st.floats(-10, 10).map(lambda value: round(value, 3)), min_size=2, max_size=6)
RANK = {Verdict.FAILS: 0, Verdict.INCONCLUSIVE: 1, Verdict.HOLDS: 2}


def means_of(kind, bound, margin=1.0):
    return {
        "equals": lambda: Equals(kind="equals", estimand="mean", value=bound, margin=margin),
        "at_most": lambda: AtMost(kind="at_most", estimand="mean", bound=bound),
        "at_least": lambda: AtLeast(kind="at_least", estimand="mean", bound=bound),
    }[kind]()


class TestProperties:
    @given(values, st.floats(-10, 10), st.integers(-64, 64), st.sampled_from(["equals", "at_most", "at_least"]))
    def test_shifting_data_and_bound_together_changes_nothing(self, sample, bound, shift, kind):
        bound = round(bound, 3)
        here = rule(means_of(kind, bound), observe(sample))
        there = rule(means_of(kind, bound + shift), observe([one + shift for one in sample]))
        assert here.verdict is there.verdict
        assert here.replicates_needed == there.replicates_needed

    @given(values, st.floats(-10, 10), st.floats(0.01, 5), st.floats(0, 5))
    def test_a_wider_margin_never_serves_a_claim_worse(self, sample, bound, margin, more):
        narrow = rule(means_of("equals", bound, margin), observe(sample))
        wide = rule(means_of("equals", bound, margin + more), observe(sample))
        assert RANK[narrow.verdict] <= RANK[wide.verdict]

    @given(values, st.floats(-10, 10), st.floats(0, 5))
    def test_a_laxer_bound_never_serves_a_claim_worse(self, sample, bound, more):
        for kind, sign in (("at_most", 1), ("at_least", -1)):
            strict = rule(means_of(kind, bound), observe(sample))
            lax = rule(means_of(kind, bound + sign * more), observe(sample))
            assert RANK[strict.verdict] <= RANK[lax.verdict]

    @given(values, st.floats(-10, 10))
    def test_at_least_mirrors_at_most(self, sample, bound):
        here = rule(means_of("at_most", bound), observe(sample))
        there = rule(means_of("at_least", -bound), observe([-one for one in sample]))
        assert (here.verdict, here.replicates_needed) == (there.verdict, there.replicates_needed)

    @given(values, values, st.floats(-10, 10))
    def test_less_than_sees_only_differences(self, at, shared, shift):
        n = min(len(at), len(shared))
        base = rule(LESS, observe(at[:n]) + observe([0.0] * n, arm="random"))
        moved = [round(one + other, 3) for one, other in zip(at, shared, strict=False)]
        assert rule(LESS, observe(moved) + observe(shared[:n], arm="random")).verdict is base.verdict

    @given(st.lists(st.lists(st.floats(0, 4), min_size=3, max_size=3), min_size=4, max_size=4), st.booleans())
    def test_a_wider_window_never_serves_a_claim_worse(self, rows, first):
        inner = FIRST if first else LAST
        outer = inner.model_copy(update={"earliest": 0, "latest": 2000})
        observations = along(*rows)
        assert RANK[rule(inner, observations).verdict] <= RANK[rule(outer, observations).verdict]

    @given(st.permutations(observe({0: [1, 2], 1: [3, 4], 2: [1, 1]})))
    def test_the_order_of_observations_does_not_matter(self, observations):
        found = rule(AT_MOST, observations)
        assert (found.estimate.value, found.estimate.n) == (2, 3)


class TestErrorRates:
    """Simulated with fixed seeds: rates of 5 % within about .015, of 50 % within about .03."""

    EXPERIMENTS = 1000

    def rates(self, expect, *, mean, n, seed):
        """How often the claim holds and fails, when initialisations have sd 1."""
        draws = np.random.default_rng(seed).normal(mean, 1.0, size=(self.EXPERIMENTS, n))
        found = [rule(expect, observe(list(row))).verdict for row in draws]
        return [found.count(verdict) / self.EXPERIMENTS for verdict in (Verdict.HOLDS, Verdict.FAILS)]

    @pytest.mark.parametrize(
        ("margin", "n", "power"),
        [(1, 3, 0.13), (1, 5, 0.29), (1, 10, 0.79), (2, 3, 0.56), (2, 5, 0.95), (3, 3, 0.88), (3, 5, 1)],
    )
    def test_power_of_equivalence(self, margin, n, power):
        expect = Equals(kind="equals", estimand="mean", value=0, margin=margin)
        holds, fails = self.rates(expect, mean=0, n=n, seed=margin * 100 + n)
        assert holds == pytest.approx(power, abs=0.04)
        assert fails <= 0.02

    @pytest.mark.parametrize("n", [3, 5, 10])
    def test_at_the_edge_of_a_margin(self, n):
        """Two one-sided tests hold in 5 % at most; the 95 % interval misses the margin in 2.5 %."""
        holds, fails = self.rates(Equals(kind="equals", estimand="mean", value=0, margin=3), mean=3, n=n, seed=n)
        assert 0.03 <= holds <= 0.065
        assert 0.01 <= fails <= 0.04

    @pytest.mark.parametrize("n", [3, 5])
    def test_at_a_bound(self, n):
        """Either way 5 %."""
        holds, fails = self.rates(AtMost(kind="at_most", estimand="mean", bound=0), mean=0, n=n, seed=n + 50)
        assert 0.03 <= holds <= 0.07
        assert 0.03 <= fails <= 0.07


def test_what_weakens_every_judgement_on_a_quantity_is_warned_of() -> None:
    cautious = replace(QUANTITY, caution="Its values move together.")
    for sample in (OVER, UNDER, AROUND):
        plain_one, warned = (rule(AT_MOST, observe(sample), quantity=quantity) for quantity in (QUANTITY, cautious))
        assert warned == replace(plain_one, warnings=(*plain_one.warnings, "Its values move together."))
