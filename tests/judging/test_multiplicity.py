"""Contradictions of a spec by Holm's procedure: by hand, and how often any is wrong."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from harness.judging.evidence import Fresh
from harness.judging.multiplicity import Together, after_holm, together, wrong_at_most
from harness.judging.statistics import Estimate
from harness.judging.verdict import Judgement, Verdict, judge
from harness.observation import Observation, Quantity
from harness.schema.claims import Claim, KnownVerdict

REPRODUCED, CONTRADICTED, OPEN = Verdict.REPRODUCED, Verdict.CONTRADICTED, Verdict.INCONCLUSIVE
_POINTS = Quantity("points", (), "any number")
_AT_MOST = {"kind": "at_most", "estimand": "mean", "bound": 2.0}
_EQUALS = {"kind": "equals", "estimand": "mean", "value": 2.0, "margin": 1.0}


def claim_of(name: str, expect: dict[str, object]) -> Claim:
    source = {"paper": "lmc", "place": "Table 1"}
    content = {"id": name, "sentence": "It is so.", "source": source, "quantity": "rise"}
    return Claim.model_validate({**content, "checks": {"paper": {"expect": expect}}})


def told(name: str, verdict: Verdict, p: float | None, n: int = 5, kind: str = "mean") -> Judgement:
    claim = claim_of(name, _AT_MOST)
    fresh = None if kind == "crossing" else Fresh(0.5, 0.5)
    estimate = Estimate(3.0, n, 1.0, 2.0, 4.0, kind)
    return Judgement(claim, claim.checks["paper"], verdict, estimate, "points", "", "So it is.", p=p, fresh=fresh)


def known_to_fail(judgement: Judgement) -> Judgement:
    assert judgement.check is not None
    known = KnownVerdict(verdict="fails", why="An erratum.")
    return replace(judgement, check=judgement.check.model_copy(update={"known": known}))


@pytest.mark.parametrize(
    ("contradictions", "others", "survive"),
    [
        ([0.04], 0, [True]),
        ([0.04], 3, [False]),
        ([0.0125], 3, [True]),
        ([0.001, 0.012, 0.02, 0.04], 0, [True, True, True, True]),
        ([0.04, 0.012, 0.02, 0.001], 0, [True, True, True, True]),
        ([0.04, 0.001, 0.03], 1, [False, True, False]),
        ([0.02, 0.04, 0.049], 0, [False, False, False]),
        ([0.01, 0.02, 0.049], 1, [True, False, False]),
    ],
)
def test_contradictions_are_held_against_holms_limits(
    contradictions: list[float], others: int, survive: list[bool]
) -> None:
    before = [told(f"c{number}", CONTRADICTED, p) for number, p in enumerate(contradictions)]
    before += [told(f"o{number}", REPRODUCED, 0.01) for number in range(others)]
    after = after_holm(before)
    assert [one.claim.id for one in after] == [one.claim.id for one in before]
    assert [one.verdict is CONTRADICTED for one in after[: len(survive)]] == survive
    assert all(one.verdict is OPEN for one, stays in zip(after, survive, strict=False) if not stays)
    assert after[len(survive) :] == before[len(survive) :]


def test_the_reason_tells_p_and_limit() -> None:
    after = after_holm([told("a", CONTRADICTED, 0.04), *(told(name, OPEN, None) for name in "bcd")])
    assert after[0].why == (
        "So it is. By itself it would be contradicted: p = 0.04, not below 0.0125 after Holm over 4 claims."
    )


def test_a_crossing_contradicts_nothing_and_says_so() -> None:
    after = after_holm([told("a", CONTRADICTED, 0.04), told("b", CONTRADICTED, None, kind="crossing")])
    assert [one.verdict for one in after] == [CONTRADICTED, OPEN]
    assert "no p-value" in after[1].why
    assert after[0].why == "So it is."


def test_medians_that_no_data_decide_take_no_part() -> None:
    undecidable = [told(f"m{number}", OPEN, None, n=3, kind="median") for number in range(9)]
    assert after_holm([told("a", CONTRADICTED, 0.04), *undecidable])[0].verdict is CONTRADICTED
    decidable = [told("m", OPEN, None, n=5, kind="median")]
    assert after_holm([told("a", CONTRADICTED, 0.04), *decidable])[0].verdict is OPEN


def test_what_is_known_to_fail_takes_nothing_from_what_is_found() -> None:
    known = [known_to_fail(told(f"k{number}", CONTRADICTED, 0.001)) for number in range(9)]
    after = after_holm([told("a", CONTRADICTED, 0.04), *known])
    assert all(one.verdict is CONTRADICTED for one in after), "each family has its own m"
    beside = [told(f"o{number}", REPRODUCED, 0.01) for number in range(9)]
    after = after_holm([known_to_fail(told("k", CONTRADICTED, 0.04)), *beside])
    assert after[0].verdict is CONTRADICTED, "and the others take nothing from what is known"


def test_what_is_known_to_fail_and_left_open_by_holm_alone_is_as_expected() -> None:
    several = [known_to_fail(told(f"k{number}", CONTRADICTED, 0.04)) for number in range(3)]
    crossing = known_to_fail(told("c", CONTRADICTED, None, kind="crossing"))
    after = after_holm([*several, crossing])
    assert [(one.verdict, one.by_itself) for one in after] == [(OPEN, CONTRADICTED)] * 4
    assert all(one.as_expected for one in after)
    assert "Holm over 3 claims that are known to fail" in after[0].why
    by_its_own_test = known_to_fail(told("open", OPEN, None))
    assert not after_holm([by_its_own_test])[0].as_expected, "what its own test leaves open is not found again"
    surprise = after_holm([told("a", CONTRADICTED, 0.04), told("b", OPEN, None)])[0]
    assert (surprise.verdict, surprise.as_expected) == (OPEN, False), "what should stand was not shown"


def test_only_contradictions_are_corrected() -> None:
    before = [told("a", Verdict.FAILS, 0.04), told("b", Verdict.HOLDS, 0.04), told("c", Verdict.NOT_RUN, None)]
    assert after_holm(before) == before


def test_a_refuted_equality_errs_half_as_often() -> None:
    claim = claim_of("a", _EQUALS)
    one = Judgement(claim, claim.checks["paper"], CONTRADICTED, None, "", "", "")
    assert wrong_at_most(one) == 0.025
    assert wrong_at_most(told("a", CONTRADICTED, 0.01)) == wrong_at_most(told("a", REPRODUCED, 0.01)) == 0.05


def judged(name: str, expect: dict[str, object], values: np.ndarray) -> Judgement:
    claim = claim_of(name, expect)
    observations = [Observation("rise", {}, seed, 0, float(value)) for seed, value in enumerate(values)]
    return judge(
        claim,
        "paper",
        observations,
        _POINTS,
        {},
        {},
        check=claim.checks["paper"],
        may_reproduce=True,
        planned_initialisations=len(values),
    )


def _independent(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.normal(size=(6, n))


def _dependent(rng: np.random.Generator, n: int) -> np.ndarray:
    return 0.8 * rng.normal(size=(1, n)) + 0.6 * rng.normal(size=(6, n))


@pytest.mark.parametrize("draw", [_independent, _dependent])
def test_any_wrong_contradiction_is_rare(draw: Callable[[np.random.Generator, int], np.ndarray]) -> None:
    """Six true claims, each at the edge of being false: how often is any of them contradicted?"""
    rng, samples, n = np.random.default_rng(1), 600, 8
    expects = [
        {"kind": "at_most", "estimand": "mean", "bound": 0.0},
        {"kind": "at_least", "estimand": "mean", "bound": 0.0},
        {"kind": "at_most", "estimand": "median", "bound": 0.0},
        {"kind": "at_least", "estimand": "median", "bound": 0.0},
        {"kind": "equals", "estimand": "mean", "value": -0.5, "margin": 0.5},
        {"kind": "equals", "estimand": "mean", "value": 0.5, "margin": 0.5},
    ]
    alone = corrected = 0
    for _ in range(samples):
        rows = draw(rng, n)
        each = [judged(f"c{i}", expect, row) for i, (expect, row) in enumerate(zip(expects, rows, strict=True))]
        alone += any(one.verdict is CONTRADICTED for one in each)
        corrected += any(one.verdict is CONTRADICTED for one in after_holm(each))
    # One and a half standard errors of .05 over 600 samples are .0133; the rate itself is below .05.
    assert corrected / samples <= 0.05 + 0.0133
    assert corrected > 0
    assert alone / samples > 0.12, "without the correction it is no rare event"


def test_what_is_plainly_false_is_contradicted_among_many() -> None:
    rng = np.random.default_rng(2)
    expects = [{"kind": "at_most", "estimand": "mean", "bound": 0.0}] * 6
    each = [judged(f"c{i}", expect, rng.normal(5.0 * (i == 0), 1, 5)) for i, expect in enumerate(expects)]
    assert after_holm(each)[0].verdict is CONTRADICTED


@pytest.mark.parametrize("centre", [0.5, 1.0])
def test_fresh_initialisations_contradict_at_holms_level(centre: float) -> None:
    """Four claims on one law, were their estimates the truth; of a claim known to fail its own test is asked."""
    rng, expect, n = np.random.default_rng(3), {"kind": "at_most", "estimand": "mean", "bound": 0.0}, 6
    unit = (np.arange(n) - (n - 1) / 2) / np.arange(n).std(ddof=1)
    each = after_holm([judged(f"c{i}", expect, centre + unit) for i in range(4)])
    assert {one.verdict for one in each} == {OPEN}
    alone = after_holm([judged("c", expect, centre + unit)])[0].fresh
    told_fresh = each[0].fresh
    assert alone is not None
    assert told_fresh is not None
    assert told_fresh.falls < alone.falls
    assert told_fresh.stands == alone.stands, "only contradictions need more"
    alike = [known_to_fail(judged(f"k{i}", expect, centre + unit)) for i in range(4)]
    assert {one.fresh for one in after_holm(alike)} == {alone}
    falls = 0
    for draw in rng.normal(centre, 1.0, (400, n)):
        others = [told(f"o{number}", OPEN, None) for number in range(3)]
        falls += after_holm([judged("c", expect, draw), *others])[0].verdict is CONTRADICTED
    # Three standard errors of a share of 400.
    assert falls / 400 == pytest.approx(told_fresh.falls, abs=0.075)


def test_claims_of_one_initialisation_are_not_tested() -> None:
    lonely = [judged(f"l{i}", {"kind": "at_most", "estimand": "mean", "bound": 0.0}, np.ones(1)) for i in range(9)]
    assert after_holm([told("a", CONTRADICTED, 0.04), *lonely])[0].verdict is CONTRADICTED


def test_over_several_specs_fewer_contradictions_remain() -> None:
    """.02 is below .05 / 2 in a spec of two tests, and not below .05 / 4 over two such specs; .001 is."""
    first = after_holm([told("a", CONTRADICTED, 0.02), told("b", REPRODUCED, 0.01)])
    second = after_holm([told("a", CONTRADICTED, 0.001), told("b", REPRODUCED, 0.01)])
    assert together([first]) == Together(tested=2, families=1, contradicted=1, still=1)
    assert together([first, second]) == Together(tested=4, families=2, contradicted=2, still=1)
    assert together([]) == Together(0, 0, 0, 0)


def test_what_is_known_to_fail_is_a_family_of_its_own_over_several_specs_too() -> None:
    first = after_holm([known_to_fail(told("a", CONTRADICTED, 0.03)), told("b", REPRODUCED, 0.01)])
    second = after_holm([told("a", REPRODUCED, 0.01), told("b", REPRODUCED, 0.01)])
    assert together([first, second]) == Together(tested=4, families=3, contradicted=1, still=1)


def test_what_a_spec_left_open_stays_open_over_several() -> None:
    """It takes its place in the order of p-values, so that nothing weaker passes it."""
    first = after_holm([told(f"o{number}", REPRODUCED, 0.01) for number in range(5)] + [told("a", CONTRADICTED, 0.01)])
    assert first[-1].verdict is OPEN
    assert together([first, after_holm([told("b", CONTRADICTED, 0.02)])]) == Together(7, 2, 1, 0)


def test_a_contradiction_that_its_spec_left_open_is_none_among_fewer_claims() -> None:
    """.02 is not below .05 / 5 in the spec, and is below .05 / 2 over two of its claims; .001 is below both."""
    rest = [told(f"o{number}", REPRODUCED, 0.01) for number in range(3)]
    weak, strong = after_holm([told("a", CONTRADICTED, 0.02), told("b", CONTRADICTED, 0.001), *rest])[:2]
    assert (weak.verdict, strong.verdict) == (OPEN, CONTRADICTED)
    assert together([[weak], [strong]]) == Together(tested=2, families=2, contradicted=1, still=1)
    assert together([[weak]]) == Together(tested=1, families=1, contradicted=0, still=0)
