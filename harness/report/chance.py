"""What chance does to the verdicts of a run: how many are wrong, and whether fresh seeds would give them again."""

import math
from collections.abc import Sequence
from typing import Any

from harness.digits import plain
from harness.judging.multiplicity import Together, together, wrong_at_most
from harness.judging.verdict import Judgement
from harness.report.text import count
from harness.schema.power import LEVEL


def wrong_words(primary: Sequence[float], others: Sequence[float], crossings: int = 0) -> str:
    """How many decided verdicts are wrong by chance.

    Args:
        primary: for each decided verdict on a primary claim, the probability, at most, with which it is wrong.
        others: the same of all other claims.
        crossings: decided verdicts without such a probability.

    Returns:
        A sentence or two.

    Examples:
        >>> from harness.report.chance import wrong_words
        >>> wrong_words([0.05] * 3, [0.05] * 10)
        '13 verdicts are decided, each wrong with a probability of at most 5 %: by chance up to 0.15 of the 3 primary \
ones, and up to 0.5 of the other 10.'
    """
    decided = len(primary) + len(others)
    if crossings:
        also = (
            f"{count(crossings, 'crossing')} {'is' if crossings == 1 else 'are'} decided too, and may err more often."
        )
        return f"{wrong_words(primary, others)} {also}" if decided else also.replace(" too", "")
    if not decided:
        return "No verdict is decided, so that none is wrong by chance."
    text = f"{count(decided, 'verdict')} {'is' if decided == 1 else 'are'} decided, each wrong with a probability of at"
    text += f" most {plain(100 * LEVEL)} %: by chance up to"
    if not primary:
        return f"{text} {_number(others)} of them; none is on a primary claim."
    if not others:
        return f"{text} {_number(primary)} of them, all on primary claims."
    text += f" {_number(primary)} of the {len(primary)} primary {'one' if len(primary) == 1 else 'ones'}"
    return f"{text}, and up to {_number(others)} of the other {len(others)}."


def wrong_by_chance(judgements: Sequence[Judgement]) -> str:
    """The same of judgements, of one report or of many."""
    primary, others = _rates(judgements)
    return wrong_words(primary, others, sum(judgement.decided for judgement in judgements) - len(primary) - len(others))


def contradictions(specs: Sequence[Sequence[Judgement]]) -> str:
    """What the claims of a paper that several specs test say together, as a correction is made within each spec.

    Args:
        specs: the judgements of each at the paper's own scale.

    Returns:
        Some sentences; empty where nothing could be contradicted.
    """
    every = together(specs)
    if not every.tested:
        return ""
    primary = together([[one for one in judgements if one.claim.primary] for judgements in specs])
    text = f"At paper scale {count(every.tested, 'claim')} can be contradicted. "
    text += (
        "Holm's correction is made within a spec, for what is known to fail apart: with "
        f"{count(every.families, 'such correction')}, up to {plain(LEVEL * every.families, 2)} of them let a wrong "
        "contradiction through by chance."
    )
    if not every.contradicted:
        return f"{text} No claim is contradicted."
    text += f" Of {_remaining(every, 'contradiction')} with one correction over all {every.tested}"
    if primary.contradicted:
        text += f"; of {_remaining(primary, 'primary one')} with one over the {primary.tested} primary claims alone"
    return f"{text}."


def _remaining(some: Together, noun: str) -> str:
    return f"{count(some.contradicted, noun)} {some.still} {'remains' if some.still == 1 else 'remain'}"


def in_order_again(judgements: Sequence[Judgement]) -> str:
    """How likely a run with as many fresh initialisations would be in order too, were this one's estimates the truth.

    The product over the claims that are in order, as though they were independent.

    Args:
        judgements: of a spec at a scale.

    Returns:
        A sentence; empty where nothing tells, as in reports of versions that did not.
    """
    probability, told, left_out = _again(judgements)
    checked = [judgement for judgement in judgements if judgement.check is not None]
    if not told:
        return ""
    whole = told + left_out == len(checked)
    which = f"all {told}" if told > 1 else "the one"
    text = f"With fresh seeds {which} claim{'s' * (told > 1)} {'' if whole else 'now '}in order would be so again with"
    text += f" probability {_about(probability)}"
    return f"{text} (left out: {left_out}, crossings and single initialisations)." if left_out else f"{text}."


def chance_document(judgements: Sequence[Judgement]) -> dict[str, Any]:
    """Both for the machine form: words and numbers."""
    primary, others = _rates(judgements)
    probability, told, left_out = _again(judgements)
    return {
        "words": [words for words in (wrong_by_chance(judgements), in_order_again(judgements)) if words],
        "primary": {"decided": len(primary), "wrong_at_most": math.fsum(primary)},
        "others": {"decided": len(others), "wrong_at_most": math.fsum(others)},
        "in_order_again": {"probability": probability if told else None, "claims": told, "left_out": left_out},
    }


def _rates(judgements: Sequence[Judgement]) -> tuple[list[float], list[float]]:
    primary: list[float] = []
    others: list[float] = []
    for judgement in judgements:
        if judgement.decided and (rate := wrong_at_most(judgement)) is not None:
            (primary if judgement.claim.primary else others).append(rate)
    return primary, others


def _again(judgements: Sequence[Judgement]) -> tuple[float, int, int]:
    """The product, over how many claims, and how many in order have no such probability."""
    in_order = [judgement for judgement in judgements if judgement.check is not None and judgement.as_expected]
    each = [judgement.in_order_again for judgement in in_order]
    told = [probability for probability in each if probability is not None]
    return math.prod(told), len(told), len(each) - len(told)


def _number(rates: Sequence[float]) -> str:
    return plain(math.fsum(rates), 2)


def _about(probability: float) -> str:
    if probability < 0.01:
        return "under 0.01"
    return "over 0.99" if probability > 0.99 else f"about {plain(probability, 2)}"
