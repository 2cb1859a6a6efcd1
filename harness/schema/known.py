"""What is known of claims beforehand, held against its own numbers: the power calculations of a spec."""

from collections.abc import Iterator, Mapping

from harness.digits import plain
from harness.schema.claims import Check, Claim, FirstWithin, LastWithin
from harness.schema.model import Scale
from harness.schema.power import power

Remark = tuple[tuple[str, ...], str]
"""(place in the claim, what is wrong there)."""

ENOUGH = 0.8
"""The power from which on a setting can decide a claim; the custom of power calculations."""

_NEAR = 0.05
"""How far the power that a spec gives may be from the calculated one."""

_CALCULATION = "power: {effect: ..., sd: ..., n: ..., power: ...}"


def wrong_powers(claim: Claim, scales: Mapping[str, Scale]) -> Iterator[Remark]:
    """What of the power calculations of a claim is missing, out of place or miscalculated.

    Args:
        claim: any.
        scales: of its spec, as far as they are sound.
    """
    for scale, check in claim.checks.items():
        for field, message in _wrong(check, scales.get(scale)):
            yield ("checks", scale, "known", *field), message


def _wrong(check: Check, scale: Scale | None) -> Iterator[Remark]:
    known, expect = check.known, check.expect
    if known is None:
        return
    if known.verdict == "fails":
        if known.power is not None:
            yield ("power",), "a claim that is known to fail needs no power calculation: leave it out"
        return
    if isinstance(expect, FirstWithin | LastWithin):
        message = "a crossing has no test whose power could be told, so that nothing says that it stays open"
        yield ("verdict",), f"{message}: leave the check out, or give another expectation"
        return
    given = known.power
    if given is None:
        yield (), f"what this setting cannot decide has its calculation, {_CALCULATION}; the field power is missing"
        return
    if (given.effect < 0) != (known.verdict == "fails_or_inconclusive"):
        yield ("power", "effect"), _wrong_side(given.effect)
        return
    if scale is None:
        return
    if given.n != scale.replicates.initialisations:
        planned = scale.replicates.initialisations
        yield ("power", "n"), f"found {given.n}, but the scale has {planned} initialisations: calculate for these"
        return
    calculated = power(expect.estimand, abs(given.effect), given.sd, given.n)
    if abs(calculated - given.power) > _NEAR:
        message = f"found {plain(given.power)}, but the test of the {expect.estimand.replace('_', ' ')} has the power"
        yield ("power", "power"), f"{message} {plain(calculated, 2)} with this effect, sd and n: correct the numbers"
    elif calculated >= ENOUGH or given.power >= ENOUGH:
        message = (
            f"found {plain(given.power)}: with a power of {plain(ENOUGH)} or more this setting can decide the claim"
        )
        yield ("power", "power"), f"{message}; leave known out, or say that it fails"


def _wrong_side(effect: float) -> str:
    """Of an effect whose sign is not that of the verdict."""
    if effect < 0:
        return (
            f"found {plain(effect)}, on the side where the claim fails: with such an estimand it fails or stays open, "
            "verdict: fails_or_inconclusive; 'inconclusive' is for what is taken to be true"
        )
    return (
        f"found {plain(effect)}, on the side where the claim is true, and 'fails_or_inconclusive' is for what is taken "
        "to be false: give the effect its sign, or say 'inconclusive'"
    )
