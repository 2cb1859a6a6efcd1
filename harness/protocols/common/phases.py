"""Training between the drops of its learning rate."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from harness.protocols.common.recipe import Recipe
from harness.schema.load import Problem
from harness.schema.training import Sgd


@dataclass(frozen=True)
class Phase:
    """A stretch of training with one learning rate.

    Attributes:
        number: 0 before the first drop; phase j begins with drop j.
        start: its first iteration.
        stop: the iteration of the next drop, or the end; the state there has not yet felt the next rate.
        rate: the learning rate.
    """

    number: int
    start: int
    stop: int
    rate: float


def phases(recipe: Recipe) -> list[Phase]:
    """The phases of a recipe, in order; a warmup is not told apart."""
    schedule = recipe.training.schedule
    ends = [0, *(recipe.iterations(drop) for drop in schedule.drops), recipe.length]
    return [
        Phase(number, start, stop, schedule.rate * schedule.factor**number)
        for number, (start, stop) in enumerate(pairwise(ends))
    ]


def drops(recipe: Recipe) -> dict[int, int]:
    """Number of each drop, from 1 -> its iteration."""
    return {phase.number: phase.start for phase in phases(recipe)[1:]}


def chosen_problems(recipe: Recipe, field: str, chosen: Sequence[int]) -> Iterable[Problem]:
    """Drops that ``settings.<field>`` chooses by number: those that the schedule has not, and those named twice."""
    known = drops(recipe)
    for number, drop in enumerate(chosen):
        place = ("settings", field, number)
        if drop not in known:
            yield Problem(place, f"found {drop}, but the schedule has the drops {', '.join(map(str, known)) or 'none'}")
        elif drop in chosen[:number]:
            yield Problem(place, f"found {drop} twice: list each drop once")


def phase_problems(recipe: Recipe) -> Iterable[Problem]:
    """What is wrong with a recipe that is to have drops: none, out of order, during the warmup; another optimiser."""
    schedule, optimiser = recipe.training.schedule, recipe.training.optimiser
    place = ("training", "schedule", "drops")
    if not isinstance(optimiser, Sgd):
        yield Problem(
            ("training", "optimiser", "name"),
            f"found {optimiser.name!r}, but what drops of the rate do is claimed of sgd: choose it",
        )
    if not schedule.drops:
        yield Problem(place, "found none: name the iterations at which the learning rate drops")
    times: Sequence[int] = [recipe.iterations(drop) for drop in schedule.drops]
    for number, (before, here) in enumerate(pairwise([0, *times])):
        if here <= before:
            yield Problem((*place, number), f"found {schedule.drops[number]}: list each drop once, in order, after 0")
    if times and recipe.iterations(schedule.warmup) > times[0]:
        yield Problem(("training", "schedule", "warmup"), f"found {schedule.warmup}: it must end before the first drop")
