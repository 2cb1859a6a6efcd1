"""Instability analysis (LMC section 2, algorithm 1): copies trained apart from step k, and the line between them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from harness.figure import Figure
from harness.jobs.job import Job
from harness.observation import Condition, Observation, Quantity
from harness.protocols.common import pairs, relations, series
from harness.protocols.common.arms import Subnetwork
from harness.protocols.common.base import Claims, Measured, Measurement, Read, unread
from harness.protocols.common.setting import time_problems
from harness.protocols.common.stability import STABLE_FROM, stable_from
from harness.protocols.common.training import TrainingExperiment
from harness.protocols.instability import figures as instability_figures
from harness.protocols.instability.derived import DISTANCE_TREND, FEWEST, TREND_AXES, relative_distances, trends
from harness.protocols.instability.further import FURTHER_GAP, by_further, everywhere, further_gaps, untold_gap
from harness.protocols.instability.options import Further, InstabilityOptions, InstabilitySetting
from harness.schema.load import Problem

_COPIES = ("fork", "further")
"""Axes of what is told of copies; of the trunk there is ``fork`` alone."""


class Instability(TrainingExperiment[InstabilityOptions]):
    """Instability, and other distances between copies, against the fork step k."""

    name = "instability"
    settings = InstabilityOptions
    judged_only = frozenset({"stable_below"})
    compares_copies = True
    time_axes = frozenset({"fork"})
    quantities: ClassVar[Mapping[str, Quantity]] = {
        **{
            name: quantity.along(*_COPIES)
            for name, quantity in {**pairs.PAIR_QUANTITIES, **relations.RELATIONS}.items()
        },
        "stable_from": STABLE_FROM.along("further"),
        "further_gap": FURTHER_GAP,
        "error": Quantity("%", (*_COPIES, "split"), "error at the end of training"),
        "accuracy": Quantity("%", (*_COPIES, "split"), "accuracy at the end of training", seldom_below=pairs.GUESSED),
        "error_at_fork": Quantity("%", ("fork", "split"), "error of the trunk at step k (LMC Fig. 10)"),
        "error_gap_at_fork": Quantity(
            "points", ("fork",), "error of the trunk at step k on the training set, minus test"
        ),
        "travel_before": Quantity("", ("fork",), "L2 distance of weights from initialisation to step k", least=0.0),
        "travel_after": Quantity("", _COPIES, "L2 distance of weights from step k to the end", least=0.0),
        "relative_distance": Quantity(
            "",
            _COPIES,
            "L2 distance between copies over the way that the copies from 0 travel in all (LMC appendix C)",
            least=0.0,
        ),
        "distance_trend": DISTANCE_TREND.along("further"),
    }

    def measurements(self, setting: InstabilitySetting) -> Iterable[Measurement]:
        """Lines and comparisons of all pairs; errors of all copies and of the trunk; distances travelled."""
        recipe = setting.recipe
        for seed in setting.replicates.seeds:
            start = recipe.initial(seed)
            for fork in _forks(setting):
                trunk = recipe.trunk(seed, fork)
                yield Measurement(_at_fork, recipe.evaluate(trunk), {"fork": fork}, seed)
                yield Measurement(pairs.travel_before, recipe.distance(start, trunk), {"fork": fork}, seed)
                for further in setting.options.trained(fork):
                    yield from _compared(setting, seed, fork, further)

    def derived(
        self, setting: InstabilitySetting, observations: Sequence[Observation], read: Read
    ) -> Iterable[Observation]:
        """From where on copies are stable; how they compare with each other and with the copies from 0; trends."""
        options, forks, ways = setting.options, _forks(setting), _lengths(setting, read)
        yield from relations.split_gaps(observations, "error_at_fork", "error_gap_at_fork")
        observations, copied = everywhere(observations, options.further)
        yield from copied
        yield from further_gaps(observations)
        for further, mine in by_further(observations, options.further):
            found = [
                *stable_from(mine, "fork", forks, threshold=options.stable_below, end=setting.length),
                *relations.relations(setting, mine, "fork"),
                *relative_distances(mine, ways),
                *trends(mine, _before_drops(setting)),
            ]
            for observation in found:
                yield replace(observation, at={**observation.at, "further": further})

    def rests_on(
        self, setting: InstabilitySetting, quantity: str, at: Mapping[str, Condition], measurement: Measurement
    ) -> bool:
        """Each kind of table tells quantities of its own; the relative distance needs the ways of the copies from 0."""
        if "further" in at and "further" in measurement.at and measurement.at["fork"] == 0:
            at = {**at, "further": measurement.at["further"]}
        if measurement.reads is unread:
            return quantity == "relative_distance"
        return measurement.reads in _READ_BY[quantity] and relations.grounds(quantity, "fork", at, measurement)

    def axes(self, setting: InstabilitySetting) -> Mapping[str, Sequence[Condition]]:
        """Forks, how long copies train, splits, modes of batch normalisation, and the axes of trends."""
        return {
            **TREND_AXES,
            "fork": _forks(setting),
            "further": setting.options.further,
            "split": ("test", "train"),
            "batch_norm": setting.recipe.batch_norm_modes(setting.options.line),
        }

    def defaults(self, setting: InstabilitySetting) -> Mapping[str, Condition]:
        """The first way in which copies train, test set, the first mode of batch normalisation, and the first trend."""
        return {
            "further": setting.options.further[0],
            "split": "test",
            "batch_norm": setting.recipe.batch_norm_modes(setting.options.line)[0],
            **{axis: conditions[0] for axis, conditions in TREND_AXES.items()},
        }

    def unmeasured(self, setting: InstabilitySetting, quantity: str, at: Mapping[str, Condition]) -> str | None:
        """What is held against the copies from 0 needs them; a trend needs three steps beyond; a gap two trainings."""
        if quantity == "further_gap":
            return untold_gap(setting.options.further, at)
        if quantity == "distance_trend" and len(_before_drops(setting)) < FEWEST:
            return f"a trend needs {FEWEST} forks after 0 before the rate drops: add them to settings.forks"
        return relations.unrelated(quantity, "fork", at, _forks(setting))

    def censored(self, setting: InstabilitySetting, quantity: str, at: Mapping[str, Condition]) -> float | None:
        """T stands for copies that are stable from no fork on."""
        return setting.length if quantity == "stable_from" else None

    def check_setting(self, setting: InstabilitySetting) -> Iterable[Problem]:
        """Forks lie in training, in order."""
        yield from super().check_setting(setting)
        yield from time_problems(setting.recipe, "forks", setting.options.forks)
        yield from pairs.noise_problems(setting.recipe, setting.options.sgd_noise)

    def figures(
        self, setting: InstabilitySetting, observations: Sequence[Observation], claims: Claims
    ) -> Sequence[Figure]:
        """Instability against k; the error along the line at the first and last k; distances; differences."""
        options, modes = setting.options, setting.recipe.batch_norm_modes(setting.options.line)
        both = [instability_figures.further(observations, options, modes[0])] if len(options.further) > 1 else []
        first = [one for one in observations if one.at.get("further", options.further[0]) == options.further[0]]
        return [
            instability_figures.instability(first, claims, modes, options.stable_below),
            *both,
            series.line_figure(first, "fork", _forks(setting), modes[0]),
            instability_figures.distances(first),
            instability_figures.differences(first),
        ]


def _forks(setting: InstabilitySetting) -> list[int]:
    return [setting.iterations(fork) for fork in setting.options.forks]


def _copies(setting: InstabilitySetting, seed: int, fork: int, further: Further) -> list[Job]:
    """Trained on from step k, each with SGD noise of its own."""
    full, recipe = further == "full", setting.recipe
    return pairs.copies(
        recipe,
        Subnetwork(recipe.trunk(seed, fork), None),
        fork,
        fork + setting.length if full else setting.length,
        seed=seed,
        orders=setting.replicates.orders,
        noise=setting.options.sgd_noise,
        optimiser_state=setting.options.optimiser_at_fork,
        schedule_start=fork if full else 0,
    )


def _compared(setting: InstabilitySetting, seed: int, fork: int, further: Further) -> Iterable[Measurement]:
    """Lines and comparisons of all pairs; errors of all copies and how far they travel."""
    recipe, at = setting.recipe, {"fork": fork, "further": further}
    copies, trunk = _copies(setting, seed, fork, further), recipe.trunk(seed, fork)
    for order, copy in enumerate(copies):
        yield Measurement(pairs.at_end, recipe.evaluate(copy), at, seed, order)
        yield Measurement(pairs.travel_after, recipe.distance(trunk, copy), at, seed, order)
        if fork == 0:
            yield Measurement(unread, recipe.distance(recipe.initial(seed), copy), at, seed, order)
    for number, (a, b) in enumerate(setting.replicates.pairs):
        line = recipe.line(copies[a], copies[b], setting.options.line)
        yield Measurement(pairs.on_line, line, at, seed, number)
        yield Measurement(pairs.compared, recipe.compare(copies[a], copies[b]), at, seed, number)


def _before_drops(setting: InstabilitySetting) -> list[int]:
    """The forks beyond 0 at which the rate has not dropped yet."""
    drops = [setting.iterations(drop) for drop in setting.recipe.training.schedule.drops]
    return [fork for fork in _forks(setting) if 0 < fork < min(drops, default=setting.length)]


def _lengths(setting: InstabilitySetting, read: Read) -> dict[int, list[float]]:
    """How far the copies from 0 travel in all, by initialisation; none where there are no such copies."""
    if 0 not in _forks(setting):
        return {seed: [] for seed in setting.replicates.seeds}
    (further,) = setting.options.trained(0)
    ways = {
        seed: [
            setting.recipe.distance(setting.recipe.initial(seed), copy) for copy in _copies(setting, seed, 0, further)
        ]
        for seed in setting.replicates.seeds
    }
    return {seed: [table["l2"][0] for job in jobs if (table := read(job)) is not None] for seed, jobs in ways.items()}


def _at_fork(measured: Measured) -> Iterable[Observation]:
    return pairs.errors(measured, "error_at_fork")


_READ_BY = {
    **pairs.READ_BY,
    **relations.READ_BY,
    "error_at_fork": (_at_fork,),
    "error_gap_at_fork": (_at_fork,),
    "distance_trend": pairs.READ_BY["l2_distance"],
    "relative_distance": pairs.READ_BY["l2_distance"],
    "stable_from": pairs.READ_BY["instability"],
    "further_gap": pairs.READ_BY["instability"],
}

PROTOCOL = Instability()
