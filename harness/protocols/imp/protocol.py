"""Iterative magnitude pruning with rewinding (LMC section 4, algorithm 2), its baselines, and their instability."""

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import ClassVar

from harness.figure import Figure
from harness.jobs.job import Job
from harness.observation import Condition, Observation, Quantity
from harness.protocols.common import matching, pairs, relations
from harness.protocols.common.arms import Subnetwork, subnetworks
from harness.protocols.common.base import Claims, Measured, Measurement, Read
from harness.protocols.common.pruning import by_level, chain_order, density, rewound
from harness.protocols.common.setting import time_problems
from harness.protocols.common.stability import STABLE_FROM, stable_from
from harness.protocols.common.training import TrainingExperiment
from harness.protocols.imp import figures as imp_figures
from harness.protocols.imp.by_level import (
    FALL_AT_STABILITY,
    MATCHING_LAG,
    MATCHING_TO,
    STEPS_UNTIL_STABLE,
    falls_at_stability,
    lags,
    matching_to,
)
from harness.protocols.imp.derived import (
    BEST,
    OVER_IMP,
    RELATIVE_DISTANCE,
    at_best_rewind,
    over_imp,
    relative_distances,
)
from harness.protocols.imp.level_figures import level_figures
from harness.protocols.imp.options import ImpOptions, ImpSetting
from harness.schema.load import Problem


class Imp(TrainingExperiment[ImpOptions]):
    """Accuracy and instability of pruned subnetworks against level and rewinding iteration."""

    name = "imp"
    settings = ImpOptions
    judged_only = frozenset({"matching_within", "stable_below"})
    compares_copies = True
    time_axes = frozenset({"rewind"})
    quantities: ClassVar[Mapping[str, Quantity]] = {
        **{
            name: quantity.along("arm", "rewind", "level")
            for name, quantity in {**pairs.PAIR_QUANTITIES, **relations.RELATIONS}.items()
        },
        "error": Quantity("%", ("arm", "rewind", "level", "split"), "error at the end of training"),
        "accuracy": Quantity(
            "%", ("arm", "rewind", "level", "split"), "accuracy at the end of training", seldom_below=pairs.GUESSED
        ),
        "accuracy_drop": Quantity(
            "points",
            ("arm", "rewind", "level", "split"),
            "accuracy of the full network minus that of the subnetwork, same initialisation",
        ),
        **BEST,
        "drop_beyond_sd": Quantity(
            "points",
            ("arm", "rewind", "level", "split"),
            "accuracy drop less one standard deviation of the full network's accuracy between trainings (LMC Fig. 7); "
            "matching is at most the margin that the claim declares. The deviation is that of the run's own full "
            "networks, and its error is in no interval",
            least=-math.inf,
            caution=matching.SHARED_DEVIATION,
        ),
        "best_drop_beyond_sd": Quantity(
            "points",
            BEST["best_drop"].axes,
            "likewise of the best drop (LMC Fig. 9)",
            least=-math.inf,
            caution=matching.SHARED_DEVIATION,
        ),
        "stable_from": STABLE_FROM.along("arm", "level"),
        "matching_from": matching.MATCHING_FROM.along("arm"),
        "matching_lag": MATCHING_LAG,
        "matching_to": MATCHING_TO,
        "steps_until_stable": STEPS_UNTIL_STABLE,
        "fall_at_stability": FALL_AT_STABILITY,
        "density": Quantity("%", ("rewind", "level"), "share of the prunable weights that remains"),
        "error_at_rewind": Quantity("%", ("rewind", "split"), "error of the full network at step k (LMC Fig. 10)"),
        "travel_before": Quantity(
            "", ("rewind", "level"), "L2 distance of the unpruned weights from initialisation to step k", least=0.0
        ),
        "travel_after": Quantity(
            "", ("rewind", "level"), "L2 distance of the IMP subnetwork from step k to the end", least=0.0
        ),
        "way_ahead": relations.RELATIONS["way_ahead"].along("rewind", "level"),
        "relative_distance": RELATIVE_DISTANCE,
        **OVER_IMP,
    }

    def measurements(self, setting: ImpSetting) -> Iterable[Measurement]:
        """Errors at every level; lines and comparisons of copies at the compared levels."""
        options, recipe = setting.options, setting.recipe
        for seed in setting.replicates.seeds:
            for rewind in map(setting.iterations, options.rewinds):
                trunk = recipe.trunk(seed, rewind)
                yield Measurement(_at_rewind, recipe.evaluate(trunk), {"rewind": rewind}, seed)
                trained = partial(self._chained, setting, seed, rewind)
                chain = by_level(recipe, trunk, options.pruning, trained, output_layer=options.prune_output_layer)
                for level, subnetwork in enumerate(chain):
                    at: dict[str, Condition] = {"arm": "imp", "rewind": rewind, "level": level}
                    if subnetwork.mask is not None:
                        yield Measurement(density, subnetwork.mask, {"rewind": rewind, "level": level}, seed)
                    if level in options.compared_levels:
                        for arm, made in subnetworks(recipe, seed, rewind, subnetwork, options):
                            yield from self._compared(setting, seed, rewind, made, {**at, "arm": arm})
                        yield from self._travel(setting, seed, rewind, subnetwork, level)
                    else:
                        yield Measurement(pairs.at_end, recipe.evaluate(trained(subnetwork)), at, seed)

    def _chained(self, setting: ImpSetting, seed: int, rewind: int, subnetwork: Subnetwork) -> Job:
        """The training that IMP prunes next."""
        own = setting.options.chain_order == "own"
        order = chain_order(seed) if own else setting.recipe.copy_order(seed, 0)
        return rewound(
            setting.recipe, subnetwork, rewind, order=order, optimiser_state=setting.options.optimiser_at_rewind
        )

    def _trained(self, setting: ImpSetting, seed: int, rewind: int, subnetwork: Subnetwork, copy: int) -> Job:
        """One of the copies that are compared."""
        options = setting.options
        order, augmentation = setting.recipe.copy_noise(seed, copy, options.sgd_noise)
        return rewound(
            setting.recipe,
            subnetwork,
            rewind,
            order=order,
            augmentation=augmentation,
            optimiser_state=options.optimiser_at_rewind,
        )

    def _compared(
        self, setting: ImpSetting, seed: int, rewind: int, subnetwork: Subnetwork, at: Mapping[str, Condition]
    ) -> Iterable[Measurement]:
        copies = [self._trained(setting, seed, rewind, subnetwork, order) for order in range(setting.replicates.orders)]
        for order, copy in enumerate(copies):
            yield Measurement(pairs.at_end, setting.recipe.evaluate(copy), at, seed, order)
        for number, (a, b) in enumerate(setting.replicates.pairs):
            line = setting.recipe.line(copies[a], copies[b], setting.options.line, subnetwork.mask)
            yield Measurement(pairs.on_line, line, at, seed, number)
            yield Measurement(pairs.compared, setting.recipe.compare(copies[a], copies[b]), at, seed, number)

    def _travel(
        self, setting: ImpSetting, seed: int, rewind: int, subnetwork: Subnetwork, level: int
    ) -> Iterable[Measurement]:
        at: dict[str, Condition] = {"rewind": rewind, "level": level}
        recipe = setting.recipe
        start = recipe.initial(seed)
        yield Measurement(pairs.travel_before, recipe.distance(start, subnetwork.state, subnetwork.mask), at, seed)
        for order in range(setting.replicates.orders):
            end = self._trained(setting, seed, rewind, subnetwork, order)
            yield Measurement(
                pairs.travel_after, recipe.distance(subnetwork.state, end, subnetwork.mask), at, seed, order
            )

    def derived(self, setting: ImpSetting, observations: Sequence[Observation], read: Read) -> Iterable[Observation]:
        """Drops of accuracy; from where on all is stable and matching; copies beside those from 0, and IMP's."""
        drops = matching.drops(observations)
        drops += at_best_rewind(drops, "accuracy_drop")
        options = setting.options
        rewinds = [setting.iterations(rewind) for rewind in options.rewinds]
        stable = stable_from(observations, "rewind", rewinds, threshold=options.stable_below, end=setting.length)
        beyond = matching.beyond_sd(observations, drops)
        matches = matching.matching_from(beyond, rewinds, within=options.matching_within, end=setting.length)
        return [
            *drops,
            *beyond,
            *stable,
            *at_best_rewind(observations, "instability"),
            *matches,
            *lags(stable, matches, rewinds),
            *falls_at_stability(stable, observations, rewinds),
            *matching_to(beyond, options.compared_levels, options.matching_within),
            *relations.relations(setting, observations, "rewind"),
            *relative_distances(observations),
            *over_imp(observations),
        ]

    def rests_on(
        self, setting: ImpSetting, quantity: str, at: Mapping[str, Condition], measurement: Measurement
    ) -> bool:
        """Drops and matching are from the full networks; some are from IMP's copies."""
        of_full = quantity in _BESIDE_FULL and measurement.at.get("level") == 0
        of_imp = quantity in OVER_IMP and measurement.agrees({**at, "arm": "imp"})
        return of_full or of_imp or relations.grounds(quantity, "rewind", at, measurement)

    def axes(self, setting: ImpSetting) -> Mapping[str, Sequence[Condition]]:
        """Arms, rewinding iterations, levels, splits and modes of batch normalisation."""
        return {
            "arm": setting.options.arms,
            "rewind": [setting.iterations(rewind) for rewind in setting.options.rewinds],
            "level": range(setting.options.levels + 1),
            "split": ("test", "train"),
            "batch_norm": setting.recipe.batch_norm_modes(setting.options.line),
        }

    def defaults(self, setting: ImpSetting) -> Mapping[str, Condition]:
        """IMP, the test set, and the first mode of batch normalisation."""
        mode = setting.recipe.batch_norm_modes(setting.options.line)[0]
        return {"arm": "imp", "split": "test", "batch_norm": mode}

    def unmeasured(self, setting: ImpSetting, quantity: str, at: Mapping[str, Condition]) -> str | None:
        """Copies are compared, and baselines trained, at the compared levels only; the full network has no mask."""
        level, compared = at.get("level"), setting.options.compared_levels
        if level == 0 and (quantity == "density" or at.get("arm", "imp") != "imp"):
            return "level 0 is the full network: it has no mask and no baselines"
        of_all_levels = quantity not in _OF_COMPARED and at.get("arm", "imp") == "imp"
        if "level" in at and level not in compared and not of_all_levels:
            return f"level {level} is not compared: add it to settings.compared_levels"
        return relations.unrelated(quantity, "rewind", at, [setting.iterations(k) for k in setting.options.rewinds])

    def censored(self, setting: ImpSetting, quantity: str, at: Mapping[str, Condition]) -> float | None:
        """T stands for subnetworks that are stable or matching from no rewinding iteration on."""
        if quantity == "matching_to":
            return max(setting.options.compared_levels)
        if quantity == "steps_until_stable":
            return len(setting.options.rewinds)
        return setting.length if quantity in ("stable_from", "matching_from") else None

    def check_setting(self, setting: ImpSetting) -> Iterable[Problem]:
        """Rewinding iterations lie in training, in order; compared levels exist."""
        options = setting.options
        yield from super().check_setting(setting)
        yield from time_problems(setting.recipe, "rewinds", options.rewinds)
        yield from pairs.noise_problems(setting.recipe, setting.options.sgd_noise)
        for number, level in enumerate(options.compared_levels):
            if level in options.compared_levels[:number]:
                yield Problem(("settings", "compared_levels", number), f"found {level} twice: list each level once")
            if not 0 <= level <= options.levels:
                yield Problem(
                    ("settings", "compared_levels", number),
                    f"found {level}; levels run from 0 to {options.levels}",
                )

    def figures(self, setting: ImpSetting, observations: Sequence[Observation], claims: Claims) -> Sequence[Figure]:
        """Accuracy against density; instability and error against k; lines; differences; all by level of pruning."""
        return [*imp_figures.figures(setting, observations, claims), *level_figures(setting, observations)]


_BESIDE_FULL = frozenset(
    {"accuracy_drop", "best_drop", "drop_beyond_sd", "best_drop_beyond_sd"}
    | {"matching_from", "matching_lag", "matching_to"}
)
"""What is told beside the full networks of an initialisation."""

_OF_COMPARED = frozenset(
    {*pairs.PAIR_QUANTITIES, *relations.RELATIONS, *OVER_IMP}
    | {"best_instability", "relative_distance", "stable_from", "matching_lag"}
    | {"steps_until_stable", "fall_at_stability"}
    | {"travel_before", "travel_after"}
)
"""What is told of levels at which copies are compared, only."""


def _at_rewind(measured: Measured) -> Iterable[Observation]:
    return pairs.errors(measured, "error_at_rewind")


PROTOCOL = Imp()
