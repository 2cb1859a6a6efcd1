"""Numbers of a claim that its quantity cannot have, or that are hardly meant. Pure."""

from collections.abc import Iterator, Mapping

from harness.digits import no_more, plain
from harness.observation import Quantity
from harness.schema.claims import AtLeast, AtMost, Check, Claim, Equals, Expectation, FirstWithin, LastWithin, LessThan

Remark = tuple[tuple[str, ...], str]
"""(place in the claim, what is to say of the number there)."""


def impossible(claim: Claim, scale: str, quantity: Quantity) -> Iterator[Remark]:
    """What of a claim's check at a scale, and of the paper's number, lies outside the quantity's range.

    Args:
        claim: with a check at the scale.
        scale: its name.
        quantity: of the claim.
    """
    expect = claim.checks[scale].expect
    place = ("checks", scale, "expect")
    for name, value in _values(expect).items():
        if not _possible(value, quantity):
            yield (*place, name), f"found {plain(value)}, but {claim.quantity} is {quantity.range}: correct the number"
    if not isinstance(expect, FirstWithin | LastWithin) and expect.estimand == "geometric_mean" and _has_sign(quantity):
        message = (
            f"found 'geometric_mean', but {claim.quantity} is {quantity.range}, and that mean is of positive values"
        )
        yield (*place, "estimand"), f"{message}: choose 'median' or 'mean'"
    width = quantity.high - quantity.low
    if isinstance(expect, LessThan) and abs(expect.by) > width:
        message = f"found {plain(expect.by)}, but two values of {claim.quantity} differ by at most {plain(width)}"
        yield (*place, "by"), f"{message}: correct the number"
    paper = claim.paper_value
    if paper is not None and _about_values(claim.checks) and not _possible(paper, quantity):
        yield ("paper_value",), f"found {plain(paper)}, but {claim.quantity} is {quantity.range}: correct the number"


def doubts(claim: Claim, checks: Mapping[str, Check], paper_scale: str, quantity: Quantity) -> Iterator[Remark]:
    """What of a claim's numbers is probably mistyped; nothing that is merely unusual.

    Args:
        claim: whatever it says.
        checks: its checks by scale, with times in iterations.
        paper_scale: name of the scale at which the check is about the paper's own number.
        quantity: of the claim.
    """
    paper, of_paper = claim.paper_value, checks.get(paper_scale)
    numbers: dict[tuple[str, ...], float] = {}
    for scale, check in checks.items():
        for name, value in _values(check.expect).items():
            numbers["checks", scale, "expect", name] = value
    if paper is not None and _about_values(checks):
        numbers["paper_value",] = paper
    for place, value in numbers.items():
        if quantity.seldom_below is not None and 0 < value <= quantity.seldom_below:
            message = f"found {plain(value)} for {claim.quantity}, which is in {quantity.unit}"
            yield place, f"{message}: is {plain(100 * value)} meant?"
    if paper is not None and of_paper is not None and of_paper.sentence is None:
        expected = _disagreement(paper, of_paper.expect)
        if expected:
            message = f"the paper's {plain(paper)} is not {expected}, as the check at the scale {paper_scale!r} expects"
            yield ("paper_value",), f"{message}: one of these numbers is probably mistyped"


def _values(expect: Expectation) -> dict[str, float]:
    """Field -> number, of those that are values of the quantity."""
    match expect:
        case Equals():
            return {"value": expect.value}
        case AtMost() | AtLeast():
            return {"bound": expect.bound}
        case FirstWithin() | LastWithin():
            return {"threshold": expect.threshold}
        case LessThan():
            return {}


def _about_values(checks: Mapping[str, Check]) -> bool:
    """Whether the claim is about a value of the quantity, and not about a difference or a point of an axis."""
    return all(isinstance(check.expect, Equals | AtMost | AtLeast) for check in checks.values())


def _has_sign(quantity: Quantity) -> bool:
    """Whether it is a difference or a share that can be negative by its meaning."""
    return quantity.low < 0 and quantity.unit in ("%", "points")


def _possible(value: float, quantity: Quantity) -> bool:
    return quantity.low <= value <= quantity.high


def _disagreement(paper: float, expect: Expectation) -> str | None:
    """What the paper's number is not, though it is expected; None where both agree or cannot be compared."""
    match expect:
        case Equals(value=value, margin=margin):
            agree = no_more(abs(paper - value), margin, max(abs(paper), abs(value)))
            return None if agree else f"within {plain(value)} ± {plain(margin)}"
        case AtMost(bound=bound):
            return None if no_more(paper, bound) else f"at most {plain(bound)}"
        case AtLeast(bound=bound):
            return None if no_more(bound, paper) else f"at least {plain(bound)}"
        case FirstWithin(earliest=int(first), latest=int(last)) | LastWithin(earliest=int(first), latest=int(last)):
            return None if first <= paper <= last else f"from {first} to {last}"
        case _:
            return None
