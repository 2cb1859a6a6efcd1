"""What follows from several tables of copies: pairs held against pairs that part at 0, one split against the other."""

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from harness.observation import Condition, NoValue, Observation, Quantity, observed, ratio
from harness.protocols.common import pairs
from harness.protocols.common.base import Measured, Measurement
from harness.protocols.common.setting import TrainingSetting

DISTANCES = ("l2_distance", "cosine_distance", "disagreements", "loss_distance")
"""What tells how far copies are apart."""

WHOLE_WAY = "the length of the way from the first weights"
"""What a relative distance is held against, in words."""

_KEPT = {name: f"{name}_kept" for name in DISTANCES}
"""What is held against the copies that part at 0 -> its ratio to theirs."""

_OF_FIRST = frozenset({*_KEPT.values(), "relative_distance"})
"""Quantities that rest on the copies that part at 0, too."""

_OF_LATER = frozenset({*_KEPT.values(), "way_ahead"})
"""Quantities that say nothing of step 0."""

RELATIONS: Mapping[str, Quantity] = {
    "instability_gap": Quantity(
        "points", ("batch_norm",), "instability on the training set minus that on the test set, of the same pair"
    ),
    **{
        kept: Quantity(
            "times",
            pairs.PAIR_QUANTITIES[name].axes,
            f"{pairs.PAIR_QUANTITIES[name].meaning}, over that of the copies from 0 of the same initialisation",
        )
        for name, kept in _KEPT.items()
    },
    "share_of_differences": Quantity(
        "",
        ("split",),
        "examples that two copies classify differently over the most that their errors allow, the sum of what each "
        "classifies wrongly (LMC appendix H)",
        least=0.0,
        most=1.0,
    ),
    "way_ahead": Quantity(
        "times", (), "L2 distance from step k to the end over that from initialisation to step k (LMC appendix C)"
    ),
}
"""Of pairs and their ways; axes of an experiment come in front."""

READ_BY: Mapping[str, tuple[Callable[[Measured], Iterable[Observation]], ...]] = {
    "instability_gap": pairs.READ_BY["instability"],
    **{kept: pairs.READ_BY[name] for name, kept in _KEPT.items()},
    "share_of_differences": (*pairs.READ_BY["disagreements"], *pairs.READ_BY["error"]),
    "way_ahead": (*pairs.READ_BY["travel_before"], *pairs.READ_BY["travel_after"]),
}
"""Quantity -> what reads the tables on which it rests."""

_Place = tuple[int, tuple[tuple[str, Condition], ...]]


def relations(setting: TrainingSetting[Any], observations: Sequence[Observation], axis: str) -> Iterable[Observation]:
    """All of ``RELATIONS``.

    Args:
        setting: which orders make pairs, and how many examples there are.
        observations: what single tables say.
        axis: of the steps at which copies part.
    """
    yield from split_gaps(observations, "instability", "instability_gap")
    yield from _kept(observations, axis)
    yield from _shares(setting, observations)
    yield from _ways_ahead(observations, axis)


def unrelated(quantity: str, axis: str, at: Mapping[str, Condition], steps: Sequence[int]) -> str | None:
    """Why a setting does not tell a relation under some conditions, with the remedy; None where it does.

    Args:
        quantity: any.
        axis: of the steps at which copies part.
        at: the conditions.
        steps: all of the axis.
    """
    if quantity in _OF_FIRST and 0 not in steps:
        return f"it is held against the copies from 0: add 0it to settings.{axis}s"
    if quantity in _OF_LATER and at.get(axis) == 0:
        return f"it is about the way to step k, or held against the copies from 0: choose a later {axis}"
    return None


def grounds(quantity: str, axis: str, at: Mapping[str, Condition], measurement: Measurement) -> bool:
    """Whether a quantity may rest on a measurement: of its own conditions, or of the copies from 0 it is held against.

    Args:
        quantity: any.
        axis: of the steps at which copies part.
        at: its conditions.
        measurement: of which all else is known to fit.
    """
    return measurement.agrees(at) or (quantity in _OF_FIRST and measurement.agrees({**at, axis: 0}))


def split_gaps(observations: Sequence[Observation], quantity: str, name: str) -> Iterable[Observation]:
    """What a quantity has on the training set minus what it has on the test set, replicate by replicate.

    Args:
        observations: with those of the quantity.
        quantity: that has a split.
        name: of the difference.
    """
    on_test = {
        (_place(observation, "split"), observation.repeat): observation.value
        for observation in observations
        if observation.quantity == quantity and observation.at["split"] == "test"
    }
    for observation in observations:
        if observation.quantity == quantity and observation.at["split"] == "train":
            place = _place(observation, "split")
            if (test := on_test.get((place, observation.repeat))) is not None:
                gap = observation.value - test
                yield Observation(name, dict(place[1]), observation.initialisation, observation.repeat, gap)


def over(
    observation: Observation, others: Sequence[float], name: str, at: Mapping[str, Condition], of: str
) -> Observation:
    """An observation over the mean of other values.

    Args:
        observation: with a value, or with the reason why it has none.
        others: that it is held against.
        name: of the ratio.
        at: conditions of the ratio.
        of: what the others are, in words.
    """
    found = ratio(observation.value, statistics.fmean(others), error=0.0, of=of)
    value = found if observation.why is None else NoValue(observation.why)
    return observed(name, at, observation.initialisation, observation.repeat, value)


def _kept(observations: Sequence[Observation], axis: str) -> Iterable[Observation]:
    """Each distance between copies over the mean of those that part at 0; one below 0 by rounding counts as 0."""
    first = {name: _by_place(observations, name, axis, lambda step: step == 0) for name in _KEPT}
    for observation in observations:
        if observation.quantity not in _KEPT or observation.at[axis] == 0:
            continue
        of_first = first[observation.quantity].get(_place(observation, axis))
        if of_first:
            name, of = _KEPT[observation.quantity], "the same of the copies from 0"
            yield over(replace(observation, value=max(observation.value, 0.0)), of_first, name, observation.at, of)


def _shares(setting: TrainingSetting[Any], observations: Sequence[Observation]) -> Iterable[Observation]:
    """An example on which two copies differ is wrong in one of them at least."""
    orders, data = setting.replicates.pairs, setting.recipe.data
    examples: Mapping[Condition, int] = {"train": data.n_train, "test": data.n_test}
    errors = {
        (_place(observation), observation.repeat): observation.value
        for observation in observations
        if observation.quantity == "error"
    }
    for observation in observations:
        if observation.quantity != "disagreements":
            continue
        place = _place(observation)
        of_copies = [errors.get((place, order)) for order in orders[observation.repeat]]
        wrong = [error for error in of_copies if error is not None]
        if len(wrong) == len(of_copies):
            most = sum(wrong) / 100 * examples[observation.at["split"]]
            share = ratio(observation.value, most, error=0.0, of="the number of examples that the copies have wrong")
            yield observed(
                "share_of_differences", observation.at, observation.initialisation, observation.repeat, share
            )


def _ways_ahead(observations: Sequence[Observation], axis: str) -> Iterable[Observation]:
    """At 0 there is no way behind."""
    behind = _by_place(observations, "travel_before", "", lambda step: True)
    for observation in observations:
        if observation.quantity == "travel_after" and observation.at[axis] != 0:
            way = behind.get(_place(observation))
            if way:
                yield over(observation, way, "way_ahead", observation.at, "the way from the first weights to step k")


def _by_place(
    observations: Sequence[Observation], quantity: str, axis: str, of: Callable[[Condition | None], bool]
) -> Mapping[_Place, list[float]]:
    """Initialisation and conditions without an axis -> values of a quantity, at some of the axis' conditions."""
    found: dict[_Place, list[float]] = {}
    for observation in observations:
        if observation.quantity == quantity and of(observation.at.get(axis)):
            found.setdefault(_place(observation, axis), []).append(observation.value)
    return found


def _place(observation: Observation, without: str = "") -> _Place:
    at = ((axis, condition) for axis, condition in observation.at.items() if axis != without)
    return observation.initialisation, tuple(sorted(at))
