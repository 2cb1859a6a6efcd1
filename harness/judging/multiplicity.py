"""Many claims at once: contradictions of a spec held to one level, and what chance does to its verdicts. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.digits import plain
from harness.judging.verdict import Judgement, Verdict
from harness.schema.claims import Equals
from harness.schema.power import LEVEL, deciding

_NO_P = (
    "By itself it would be contradicted; but a crossing is found by means and has no p-value, so that it contradicts "
    "no paper."
)


def after_holm(judgements: Sequence[Judgement]) -> list[Judgement]:
    """The judgements of a spec, in which any wrong contradiction by a test has a probability of at most 5 %.

    Holm's step-down procedure (1979): the i-th least of m p-values is held against .05 / (m - i + 1), and the first
    above it ends the contradictions. m counts the claims that were tested, but for medians of so few initialisations
    that no data decide them. A contradiction that does not survive is INCONCLUSIVE; other verdicts stay. The claims may
    depend on each other.

    Claims that the spec knows to fail are a family of their own: to find them so again is no discovery, and takes
    nothing from what can be found of the others. The 5 % are of each family.

    Fresh initialisations would contradict a claim at the level that comes next: .05 over the claims of the family that
    are not contradicted now. Where they would only find again what is known to fail, its own test does.

    Args:
        judgements: of one spec at one scale.

    Returns:
        As many, in their order. A crossing contradicts nothing: it has no p-value to hold.
    """
    known = [judgement for judgement in judgements if judgement.known_to_fail]
    others = [judgement for judgement in judgements if not judgement.known_to_fail]
    after = {
        judgement.claim.id: judgement
        for judgement in (*_of_family(others, "claims"), *_of_family(known, "claims that are known to fail"))
    }
    return [after[judgement.claim.id] for judgement in judgements]


@dataclass(frozen=True)
class Together:
    """Claims of one paper that several specs test, under one correction.

    Attributes:
        tested: claims that data could have refuted.
        families: of claims of a spec, each held to 5 % by itself, that have one.
        contradicted: claims that are contradicted now, each family by itself.
        still: how many of them are by Holm over all of the specs.
    """

    tested: int
    families: int
    contradicted: int
    still: int


def together(specs: Sequence[Sequence[Judgement]]) -> Together:
    """What Holm's correction over several specs leaves of what each of them contradicts.

    What the correction of its own spec leaves open keeps its place in the order of p-values and is not counted, so that
    none is among them that does not survive in its own spec, also where only some claims of each are given. What is
    known to fail is a family of its own here too.

    Args:
        specs: the judgements of each, or some of them, after Holm.
    """
    whole = [judgement for judgements in specs for judgement in judgements]
    by_kind = [[one for one in whole if one.known_to_fail is known] for known in (False, True)]
    return Together(
        tested=sum(map(_tested, whole)),
        families=sum(
            any(_tested(one) for one in judgements if one.known_to_fail is known)
            for judgements in specs
            for known in (False, True)
        ),
        contradicted=sum(one.verdict is Verdict.CONTRADICTED for one in whole),
        still=sum(map(_still_contradicted, by_kind)),
    )


def _still_contradicted(kind: Sequence[Judgement]) -> int:
    """How many of the claims that their specs contradict are contradicted among all of the kind."""
    by_themselves = sorted(filter(_contradicted_by_itself, kind), key=_p)
    survive = _surviving(by_themselves, sum(map(_tested, kind)))
    return sum(one.verdict is Verdict.CONTRADICTED for one in by_themselves[:survive])


def _contradicted_by_itself(judgement: Judgement) -> bool:
    return (judgement.by_itself or judgement.verdict) is Verdict.CONTRADICTED and judgement.p is not None


def _surviving(contradicted: Sequence[Judgement], of_all: int) -> int:
    """How many of the contradictions, the least p-value first, survive among so many tests."""
    survive = 0
    for judgement in contradicted:
        if _p(judgement) > LEVEL / (of_all - survive):
            break
        survive += 1
    return survive


def _of_family(family: Sequence[Judgement], name: str) -> list[Judgement]:
    """The judgements of a family by Holm; in any order."""
    of_all = sum(map(_tested, family))
    contradicted = [judgement for judgement in family if judgement.verdict is Verdict.CONTRADICTED]
    after = [judgement for judgement in family if judgement.verdict is not Verdict.CONTRADICTED]
    after += [_open(judgement, _NO_P) for judgement in contradicted if judgement.p is None]
    tested = sorted((judgement for judgement in contradicted if judgement.p is not None), key=_p)
    survive = _surviving(tested, of_all)
    next_level = LEVEL / max(of_all - survive, 1)
    for judgement in tested[survive:]:
        limit = f"p = {plain(_p(judgement), 2)}, not below {plain(next_level, 3)} after Holm over {of_all} {name}"
        after.append(_open(judgement, f"By itself it would be contradicted: {limit}."))
    return [_with_outlook(judgement, next_level / LEVEL) for judgement in (*after, *tested[:survive])]


def _with_outlook(judgement: Judgement, share: float) -> Judgement:
    """With what fresh initialisations would say, where a contradiction needs this share of its level."""
    if judgement.outlook is None:
        return judgement
    fresh = judgement.outlook.fresh(1.0 if judgement.known_to_fail else share)
    return replace(judgement, fresh=fresh, outlook=None)


def _p(judgement: Judgement) -> float:
    assert judgement.p is not None, "only decisions by a test are ordered"
    return judgement.p


def _tested(judgement: Judgement) -> bool:
    """Whether data could have refuted the claim by a test."""
    estimate = judgement.estimate
    if judgement.fresh is None or estimate is None:
        return False
    return estimate.kind != "median" or deciding(estimate.n, _refuting(judgement)) is not None


def _open(judgement: Judgement, why: str) -> Judgement:
    return replace(judgement, verdict=Verdict.INCONCLUSIVE, by_itself=judgement.verdict, why=f"{judgement.why} {why}")


def wrong_at_most(judgement: Judgement) -> float | None:
    """The probability, at most, with which a decided verdict is wrong: .05, or .025 where ``equals`` is refuted.

    None of a crossing: it is found by the means of values whose law may have a long tail, and errs as these do
    (docs/verdicts.md).
    """
    if judgement.estimate is not None and judgement.estimate.kind == "crossing":
        return None
    return LEVEL if judgement.verdict.good else _refuting(judgement)


def _refuting(judgement: Judgement) -> float:
    """The level of the one-sided test that refutes the claim."""
    return LEVEL / 2 if judgement.check is not None and isinstance(judgement.check.expect, Equals) else LEVEL
