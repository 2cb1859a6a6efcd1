"""Which observations a check is about: its conditions, and the samples found under them. Pure."""

import math
from collections.abc import Callable, Mapping, Sequence

from harness.digits import plain
from harness.errors import InvariantBroken, RequestError
from harness.judging.statistics import means_of
from harness.observation import Condition, Gap, Observation, Quantity
from harness.schema.claims import Check, Claim, Expectation, FirstWithin, LastWithin, LessThan


def conditions(
    claim: Claim,
    check: Check,
    quantity: Quantity,
    defaults: Mapping[str, Condition],
    axis_values: Mapping[str, Sequence[Condition]],
) -> list[dict[str, Condition]]:
    """The conditions under which a check needs its quantity: one, two to compare, or one a point of an axis.

    Raises:
        RequestError: an axis is unknown or has no condition, a comparison is with itself, a window is empty.
    """
    expect, place = check.expect, f"claim {claim.id!r}, quantity {claim.quantity!r}"
    searched = expect.axis if isinstance(expect, FirstWithin | LastWithin) else None
    than = expect.than if isinstance(expect, LessThan) else {}
    for axis in (*check.at, *than, *([searched] if searched else [])):
        if axis not in quantity.axes:
            raise RequestError(f"{place}: there is no axis {axis!r}; it has {', '.join(quantity.axes) or 'none'}")
    given = {**defaults, **check.at}
    for axis in quantity.axes:
        if axis not in given and axis != searched:
            raise RequestError(f"{place}: the axis {axis!r} has no default; give it a value in at")
    at = {axis: given[axis] for axis in quantity.axes if axis != searched}
    if isinstance(expect, LessThan):
        other = at | than
        if other == at:
            raise RequestError(
                f"{place}: less_than compares {at_words(at)} with itself; name another condition in than"
            )
        return [at, other]
    if isinstance(expect, FirstWithin | LastWithin):
        points = axis_values.get(expect.axis, ())
        places = ranks(points, (*points, expect.earliest, expect.latest), place)
        earliest, latest = places[-2:]
        if not any(earliest <= rank <= latest for rank in places[:-2]):
            raise RequestError(
                f"{place}: the window from {expect.earliest} to {expect.latest} holds no point of the axis "
                f"{expect.axis!r}, which has {', '.join(map(str, points)) or 'none'}: widen it or add points"
            )
        return [{axis: point if axis == expect.axis else at[axis] for axis in quantity.axes} for point in points]
    return [at]


def ranks(points: Sequence[Condition], wanted: Sequence[Condition], place: str) -> list[float]:
    """Conditions as numbers: themselves where the axis is of ascending numbers, else positions on it."""
    if all(isinstance(condition, int) for condition in (*points, *wanted)) and list(points) == sorted(points, key=int):
        return [float(condition) for condition in wanted]
    for condition in wanted:
        if condition not in points:
            raise RequestError(
                f"{place}: {condition!r} is no point of the searched axis: {', '.join(map(repr, points))}"
            )
    return [float(points.index(condition)) for condition in wanted]


def select(
    observations: Sequence[Observation], name: str, quantity: Quantity, at: Mapping[str, Condition]
) -> dict[int, dict[int, float]]:
    """Initialisation -> number of the repeat -> value, of the observations under exactly these conditions."""
    sample: dict[int, dict[int, float]] = {}
    for observation in observations:
        if observation.quantity == name and all(observation.at.get(axis) == at[axis] for axis in quantity.axes):
            repeats = sample.setdefault(observation.initialisation, {})
            if observation.repeat in repeats:
                raise InvariantBroken(
                    f"{name}{at_words(at)} was observed twice in initialisation {observation.initialisation}, "
                    f"replicate {observation.repeat}: it would count double; number the replicates of the protocol "
                    "apart"
                )
            repeats[observation.repeat] = observation.value
    return sample


def values(sample: Mapping[int, Mapping[int, float]]) -> dict[int, list[float]]:
    """Initialisation -> its values."""
    return {seed: list(repeats.values()) for seed, repeats in sample.items()}


def why_without_value(
    observations: Sequence[Observation], name: str, quantity: Quantity, asked: Sequence[Mapping[str, Condition]]
) -> str | None:
    """Why samples cannot be judged in which a replicate has no value; None where all that are there have one."""
    for at in asked:
        for observation in observations:
            if (
                observation.why
                and observation.quantity == name
                and all(observation.at.get(axis) == at[axis] for axis in quantity.axes)
            ):
                seed, why = observation.initialisation, observation.why
                return f"{name}{at_words(at)} has no value in initialisation {seed}: {why}."
    return None


def why_not_run(
    expect: Expectation,
    name: str,
    asked: Sequence[Mapping[str, Condition]],
    samples: Sequence[Mapping[int, Mapping[int, float]]],
) -> str | None:
    """Why samples cannot be judged at all; see ``why_without_value`` too."""
    for at, sample in zip(asked, samples, strict=True):
        for seed, repeats in sample.items():
            for number, value in repeats.items():
                if not math.isfinite(value):
                    return (
                        f"{name}{at_words(at)} is {plain(value)} in initialisation {seed}, replicate {number}: "
                        "without a finite value there is no mean to judge."
                    )
    if isinstance(expect, FirstWithin | LastWithin):
        return None if any(samples) else f"No observation of {name} at any {expect.axis}: the jobs for it failed."
    for at, sample in zip(asked, samples, strict=True):
        if not sample:
            return f"No observation of {name}{at_words(at)}: the jobs for it failed."
    if isinstance(expect, LessThan) and not samples[0].keys() & samples[1].keys():
        return f"No initialisation has {name} on both sides, so nothing can be paired."
    return _why_no_geometric_mean(expect, name, asked, samples)


def _why_no_geometric_mean(
    expect: Expectation,
    name: str,
    asked: Sequence[Mapping[str, Condition]],
    samples: Sequence[Mapping[int, Mapping[int, float]]],
) -> str | None:
    """A value that is not positive, whose logarithm is asked for."""
    if isinstance(expect, FirstWithin | LastWithin) or expect.estimand != "geometric_mean":
        return None
    for at, sample in zip(asked, samples, strict=True):
        for seed, mean in means_of(values(sample)).items():
            if mean <= 0:
                return (
                    f"{name}{at_words(at)} is {plain(mean)} in initialisation {seed}, and a geometric mean is of "
                    "positive values only: judge the median, or the mean."
                )
    return None


def why_incomplete(
    name: str,
    asked: Sequence[Mapping[str, Condition]],
    samples: Sequence[Mapping[int, Mapping[int, float]]],
    gaps: Sequence[Gap],
    measured: Callable[[Mapping[str, Condition]], bool],
) -> str | None:
    """Why samples that broken jobs left behind cannot be judged: a mean over survivors leaves out what diverged.

    Args:
        name: of the quantity.
        asked: the conditions of each sample.
        samples: of the quantity.
        gaps: what broken jobs took.
        measured: whether a setting measures the quantity under some conditions.
    """
    for at, sample in zip(asked, samples, strict=True):
        for gap in gaps:
            if gap.quantity is None:
                here = not sample and measured(at) and all(at.get(axis, is_) == is_ for axis, is_ in gap.at.items())
            else:
                here = gap.quantity == name and all(gap.at.get(axis) == condition for axis, condition in at.items())
            if here:
                return (
                    f"{name}{at_words(at)} lacks a planned replicate of initialisation {gap.initialisation}, because "
                    f"a job broke: {gap.why}"
                )
    return None


def missing_replicates(
    asked: Sequence[Mapping[str, Condition]],
    samples: Sequence[Mapping[int, Mapping[int, float]]],
    planned: int,
) -> list[str]:
    """Replicates that should be there: what jobs failed to give."""
    gaps = []
    for at, sample in zip(asked, samples, strict=True):
        numbers = [set(repeats) for repeats in sample.values()]
        if len(sample) < planned:
            gaps.append(f"Only {len(sample)} of {planned} planned initialisations{at_words(at)}.")
        if any(repeats != numbers[0] for repeats in numbers):
            gaps.append(f"Some initialisations lack replicates that others have{at_words(at)}.")
    if len(gaps) > 3:
        gaps[2:] = [f"And {len(gaps) - 2} more gaps like these."]
    return gaps


def at_words(at: Mapping[str, Condition]) -> str:
    """Conditions for a sentence: " at arm=imp, rewind=0", or nothing."""
    return " at " + ", ".join(f"{axis}={condition}" for axis, condition in at.items()) if at else ""
