"""Copies that train T iterations whatever k beside copies that train the remaining ones (LMC section 3, Fig. 4)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from harness.observation import Condition, Observation, Quantity
from harness.protocols.instability.options import Further

FURTHER_GAP = Quantity(
    "points",
    ("fork", "split", "batch_norm"),
    "instability of copies that train T iterations from step k, the schedule restarted, minus that of copies that "
    "train the remaining ones, of the same pair of orders",
)


def untold_gap(further: Sequence[Further], at: Mapping[str, Condition]) -> str | None:
    """Why a setting does not tell the gap under some conditions, with the remedy; None where it does.

    Args:
        further: in which ways copies train.
        at: the conditions.
    """
    if len(further) < 2:
        return "it compares both ways to train: list remaining and full in settings.further"
    return "from 0 both ways to train are one: choose a later fork" if at.get("fork") == 0 else None


def everywhere(
    observations: Sequence[Observation], further: Sequence[Further]
) -> tuple[list[Observation], list[Observation]]:
    """All observations, and of them those of copies from 0 told again of the other ways to train.

    Args:
        observations: of copies, and of the trunk, which have no such axis.
        further: in which ways copies train; those from 0 were measured in the first.
    """
    again = [
        replace(observation, at={**observation.at, "further": other})
        for observation in observations
        if observation.at["fork"] == 0 and "further" in observation.at
        for other in further[1:]
    ]
    return [*observations, *again], again


def by_further(
    observations: Sequence[Observation], further: Sequence[Further]
) -> Iterator[tuple[Further, list[Observation]]]:
    """Each way to train with its observations, without that axis, and with those of the trunk."""
    for way in further:
        yield (
            way,
            [
                replace(observation, at={axis: at for axis, at in observation.at.items() if axis != "further"})
                for observation in observations
                if observation.at.get("further", way) == way
            ],
        )


def further_gaps(observations: Sequence[Observation]) -> Iterable[Observation]:
    """What training T iterations adds to the instability of a pair; of copies from 0 there is no such pair."""
    remaining: dict[tuple[int, int, frozenset[tuple[str, Condition]]], float] = {}
    for observation in observations:
        if observation.quantity == "instability" and observation.at["further"] == "remaining":
            remaining[_pair(observation)] = observation.value
    for observation in observations:
        if observation.quantity != "instability" or observation.at["further"] != "full" or observation.at["fork"] == 0:
            continue
        if (other := remaining.get(_pair(observation))) is not None:
            at = {axis: observation.at[axis] for axis in FURTHER_GAP.axes}
            gap = observation.value - other
            yield Observation("further_gap", at, observation.initialisation, observation.repeat, gap)


def _pair(observation: Observation) -> tuple[int, int, frozenset[tuple[str, Condition]]]:
    at = frozenset((axis, observation.at[axis]) for axis in FURTHER_GAP.axes)
    return observation.initialisation, observation.repeat, at
