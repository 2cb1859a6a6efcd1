"""Instability analysis (LMC section 2, algorithm 1): copies trained apart from step k, and the line between them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, Literal

from pydantic import Field

from harness.figure import Figure
from harness.jobs.job import Job
from harness.observation import Condition, Observation, Quantity
from harness.protocols.common import pairs, relations, series
from harness.protocols.common.base import Claims, Measured, Measurement, Read, unread
from harness.protocols.common.recipe import LineOptions, SgdNoise
from harness.protocols.common.setting import TrainingSetting, time_problems
from harness.protocols.common.stability import STABLE_FROM, stable_from
from harness.protocols.common.training import TrainingExperiment
from harness.protocols.instability import figures as instability_figures
from harness.protocols.instability.derived import DISTANCE_TREND, FEWEST, TREND_AXES, relative_distances, trends
from harness.schema.base import Many, Model, Positive, Time
from harness.schema.load import Problem


class InstabilityOptions(Model):
    """What instability analysis leaves to choose.

    Attributes:
        forks: every k: steps at which the copies part.
        further: how long the copies train: ``remaining`` T - k iterations [paper], or ``full`` T iterations with
            the schedule started again (LMC Fig. 4).
        optimiser_at_fork: whether the copies carry on the optimiser's state or start with a fresh one [code, conflict].
        sgd_noise: what copies have each of its own: data order, augmentation of images, or both, as where one seed
            drives both [open]; the rest they share.
        stable_below: percentage points of instability below which a network is stable [paper: 2 %]: ``stable_from`` is
            judged by it.
        line: how the line is evaluated.
    """

    forks: Many[Time] = Field(min_length=1)
    further: Literal["remaining", "full"] = "remaining"
    optimiser_at_fork: Literal["carried", "reset"] = "carried"
    sgd_noise: SgdNoise = "both"
    stable_below: Positive = 2.0
    line: LineOptions = LineOptions()


InstabilitySetting = TrainingSetting[InstabilityOptions]


class Instability(TrainingExperiment[InstabilityOptions]):
    """Instability, and other distances between copies, against the fork step k."""

    name = "instability"
    settings = InstabilityOptions
    judged_only = frozenset({"stable_below"})
    compares_copies = True
    time_axes = frozenset({"fork"})
    quantities: ClassVar[Mapping[str, Quantity]] = {
        **{name: quantity.along("fork") for name, quantity in {**pairs.PAIR_QUANTITIES, **relations.RELATIONS}.items()},
        "stable_from": STABLE_FROM,
        "error": Quantity("%", ("fork", "split"), "error at the end of training"),
        "accuracy": Quantity("%", ("fork", "split"), "accuracy at the end of training", seldom_below=pairs.GUESSED),
        "error_at_fork": Quantity("%", ("fork", "split"), "error of the trunk at step k (LMC Fig. 10)"),
        "error_gap_at_fork": Quantity(
            "points", ("fork",), "error of the trunk at step k on the training set, minus test"
        ),
        "travel_before": Quantity("", ("fork",), "L2 distance of weights from initialisation to step k", least=0.0),
        "travel_after": Quantity("", ("fork",), "L2 distance of weights from step k to the end", least=0.0),
        "relative_distance": Quantity(
            "",
            ("fork",),
            "L2 distance between copies over the way that the copies from 0 travel in all (LMC appendix C)",
            least=0.0,
        ),
        "distance_trend": DISTANCE_TREND,
    }

    def measurements(self, setting: InstabilitySetting) -> Iterable[Measurement]:
        """Lines and comparisons of all pairs; errors of all copies and of the trunk; distances travelled."""
        recipe = setting.recipe
        for seed in setting.replicates.seeds:
            start = recipe.initial(seed)
            for fork in _forks(setting):
                at = {"fork": fork}
                trunk = recipe.trunk(seed, fork)
                copies = _copies(setting, seed, fork)
                yield Measurement(_at_fork, recipe.evaluate(trunk), at, seed)
                yield Measurement(pairs.travel_before, recipe.distance(start, trunk), at, seed)
                for order, copy in enumerate(copies):
                    yield Measurement(pairs.at_end, recipe.evaluate(copy), at, seed, order)
                    yield Measurement(pairs.travel_after, recipe.distance(trunk, copy), at, seed, order)
                    if fork == 0:
                        yield Measurement(unread, recipe.distance(start, copy), at, seed, order)
                for number, (a, b) in enumerate(setting.replicates.pairs):
                    line = recipe.line(copies[a], copies[b], setting.options.line)
                    yield Measurement(pairs.on_line, line, at, seed, number)
                    compared = recipe.compare(copies[a], copies[b])
                    yield Measurement(pairs.compared, compared, at, seed, number)

    def derived(
        self, setting: InstabilitySetting, observations: Sequence[Observation], read: Read
    ) -> Iterable[Observation]:
        """From where on copies are stable; how they compare with each other and with the copies from 0; trends."""
        threshold, forks = setting.options.stable_below, _forks(setting)
        yield from stable_from(observations, "fork", forks, threshold=threshold, end=setting.length)
        yield from relations.relations(setting, observations, "fork")
        yield from relations.split_gaps(observations, "error_at_fork", "error_gap_at_fork")
        yield from relative_distances(observations, _lengths(setting, read))
        yield from trends(observations, _before_drops(setting))

    def rests_on(
        self, setting: InstabilitySetting, quantity: str, at: Mapping[str, Condition], measurement: Measurement
    ) -> bool:
        """Each kind of table tells quantities of its own; the relative distance needs the ways of the copies from 0."""
        if measurement.reads is unread:
            return quantity == "relative_distance"
        return measurement.reads in _READ_BY[quantity] and relations.grounds(quantity, "fork", at, measurement)

    def axes(self, setting: InstabilitySetting) -> Mapping[str, Sequence[Condition]]:
        """Forks, splits, modes of batch normalisation, and the axes of trends."""
        return {
            **TREND_AXES,
            "fork": _forks(setting),
            "split": ("test", "train"),
            "batch_norm": setting.recipe.batch_norm_modes(setting.options.line),
        }

    def defaults(self, setting: InstabilitySetting) -> Mapping[str, Condition]:
        """Test set, the first mode of batch normalisation, and the first trend."""
        return {
            "split": "test",
            "batch_norm": setting.recipe.batch_norm_modes(setting.options.line)[0],
            **{axis: conditions[0] for axis, conditions in TREND_AXES.items()},
        }

    def unmeasured(self, setting: InstabilitySetting, quantity: str, at: Mapping[str, Condition]) -> str | None:
        """What is held against the copies from 0 needs them; a trend needs three steps beyond."""
        if quantity == "distance_trend" and len(_before_drops(setting)) < FEWEST:
            return f"a trend needs {FEWEST} forks after 0 before the rate drops: add them to settings.forks"
        return relations.unrelated(quantity, "fork", at, _forks(setting))

    def check_setting(self, setting: InstabilitySetting) -> Iterable[Problem]:
        """Forks lie in training, in order."""
        yield from super().check_setting(setting)
        yield from time_problems(setting.recipe, "forks", setting.options.forks)
        yield from pairs.noise_problems(setting.recipe, setting.options.sgd_noise)

    def figures(
        self, setting: InstabilitySetting, observations: Sequence[Observation], claims: Claims
    ) -> Sequence[Figure]:
        """Instability against k; the error along the line at the first and last k; distances; differences."""
        stable_below, modes = setting.options.stable_below, setting.recipe.batch_norm_modes(setting.options.line)
        return [
            instability_figures.instability(observations, claims, modes, stable_below),
            series.line_figure(observations, "fork", _forks(setting), modes[0]),
            instability_figures.distances(observations),
            instability_figures.differences(observations),
        ]


def _forks(setting: InstabilitySetting) -> list[int]:
    return [setting.iterations(fork) for fork in setting.options.forks]


def _copies(setting: InstabilitySetting, seed: int, fork: int) -> list[Job]:
    """Trained on from step k, each with SGD noise of its own."""
    full, recipe = setting.options.further == "full", setting.recipe
    noises = [recipe.copy_noise(seed, copy, setting.options.sgd_noise) for copy in range(setting.replicates.orders)]
    return [
        recipe.train(
            recipe.trunk(seed, fork),
            fork,
            fork + setting.length if full else setting.length,
            order=order,
            augmentation=augmentation,
            schedule_start=fork if full else 0,
            optimiser_state=setting.options.optimiser_at_fork,
        )
        for order, augmentation in noises
    ]


def _before_drops(setting: InstabilitySetting) -> list[int]:
    """The forks beyond 0 at which the rate has not dropped yet."""
    drops = [setting.iterations(drop) for drop in setting.recipe.training.schedule.drops]
    return [fork for fork in _forks(setting) if 0 < fork < min(drops, default=setting.length)]


def _lengths(setting: InstabilitySetting, read: Read) -> dict[int, list[float]]:
    """How far the copies from 0 travel in all, by initialisation; none where there are no such copies."""
    if 0 not in _forks(setting):
        return {seed: [] for seed in setting.replicates.seeds}
    ways = {
        seed: [setting.recipe.distance(setting.recipe.initial(seed), copy) for copy in _copies(setting, seed, 0)]
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
}

PROTOCOL = Instability()
