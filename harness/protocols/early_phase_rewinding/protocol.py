"""The accuracy of iterative magnitude pruning by level and rewinding iteration (EP Fig. 1), of one network or several.

A subnetwork is judged by a training of its own, in an order that made no mask of it, as the first copy of ``imp`` is;
``imp`` compares copies, and has baselines.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import ClassVar

from harness.figure import Figure
from harness.observation import Condition, Observation, Quantity
from harness.protocols.common import matching, pairs
from harness.protocols.common.base import Claims, Measurement, Read
from harness.protocols.common.pruning import by_level, chain_order, density, rewound
from harness.protocols.common.setting import time_problems
from harness.protocols.common.training import TrainingExperiment
from harness.protocols.early_phase_rewinding import figures
from harness.protocols.early_phase_rewinding.options import (
    Pruned,
    RewindingOptions,
    RewindingSetting,
    level_problems,
    networks,
    rewinds,
)
from harness.schema.load import Problem

_PLACE = ("network", "rewind", "level", "split")


class EarlyPhaseRewinding(TrainingExperiment[RewindingOptions]):
    """Accuracy of pruned subnetworks against level and rewinding iteration, network by network."""

    name = "early_phase_rewinding"
    settings = RewindingOptions
    further_recipes = None
    judged_only = frozenset({"main_network", "matching_within"})
    time_axes = frozenset({"rewind"})
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "error": Quantity("%", _PLACE, "error at the end of training"),
        "accuracy": Quantity("%", _PLACE, "accuracy at the end of training", seldom_below=pairs.GUESSED),
        "accuracy_drop": Quantity(
            "points",
            _PLACE,
            "mean accuracy of the full network, trained on from every rewinding iteration, minus that of the "
            "subnetwork, same initialisation",
        ),
        "drop_beyond_sd": Quantity(
            "points",
            _PLACE,
            "accuracy drop less one standard deviation of the full network's accuracy between trainings (LMC Fig. 7); "
            "matching is at most the margin that the claim declares. The deviation is that of the run's own full "
            "networks, and its error is in no interval",
            least=-math.inf,
            caution=matching.SHARED_DEVIATION,
        ),
        "rewinding_gain": Quantity(
            "points",
            _PLACE,
            "accuracy of the subnetwork minus that of the one rewound to the first rewinding iteration, at the same "
            "level and of the same initialisation",
        ),
        "matching_from": matching.MATCHING_FROM.along("network"),
        "density": Quantity("%", ("network", "rewind", "level"), "share of the prunable weights that remains"),
    }

    def measurements(self, setting: RewindingSetting) -> Iterable[Measurement]:
        """The accuracy of every subnetwork, and what its mask leaves."""
        for network in networks(setting).values():
            for seed in setting.replicates.seeds:
                for rewind in rewinds(setting):
                    yield from _chain(setting, network, seed, rewind)

    def derived(
        self, setting: RewindingSetting, observations: Sequence[Observation], read: Read
    ) -> Iterable[Observation]:
        """Accuracy drops, beyond one sd of each network's own; gains over the first k; from which k on all match."""
        times = rewinds(setting)
        yield from _gains(observations, times[0])
        for network in networks(setting).values():
            mine = [observation for observation in observations if observation.at["network"] == network.name]
            drops = matching.drops(mine)
            beyond = matching.beyond_sd(mine, drops)
            yield from (*drops, *beyond)
            yield from matching.matching_from(
                beyond, times, within=setting.options.matching_within, end=network.recipe.length
            )

    def rests_on(
        self, setting: RewindingSetting, quantity: str, at: Mapping[str, Condition], measurement: Measurement
    ) -> bool:
        """Drops are from a network's own full trainings, gains over its first rewinding iteration."""
        if measurement.at["network"] != at["network"]:
            return False
        level, rewind = measurement.at["level"], measurement.at["rewind"]
        of_full = quantity in ("accuracy_drop", "drop_beyond_sd", "matching_from") and level == 0
        of_first = quantity == "rewinding_gain" and rewind == rewinds(setting)[0] and level == at.get("level")
        return of_full or of_first or measurement.agrees(at)

    def axes(self, setting: RewindingSetting) -> Mapping[str, Sequence[Condition]]:
        """Networks, rewinding iterations, levels and splits."""
        every = networks(setting)
        return {
            "network": list(every),
            "rewind": rewinds(setting),
            "level": range(max(network.pruning.levels for network in every.values()) + 1),
            "split": ("test", "train"),
        }

    def defaults(self, setting: RewindingSetting) -> Mapping[str, Condition]:
        """The network of ``training``, and the test set."""
        return {"network": setting.options.main_network, "split": "test"}

    def unmeasured(self, setting: RewindingSetting, quantity: str, at: Mapping[str, Condition]) -> str | None:
        """The full network has no mask, each network its own number of levels, and not all need be judged."""
        level, network = at.get("level"), networks(setting)[str(at["network"])]
        if level == 0 and quantity == "density":
            return "level 0 is the full network: it has no mask"
        if isinstance(level, int) and level > network.pruning.levels:
            return f"{network.name} has {network.pruning.levels} levels: see settings.pruning and pruning_of"
        if isinstance(level, int) and quantity != "density" and level not in network.judged:
            return f"level {level} is not judged: add it to settings.judged_levels"
        return None

    def censored(self, setting: RewindingSetting, quantity: str, at: Mapping[str, Condition]) -> float | None:
        """T stands for subnetworks that are matching from no rewinding iteration on."""
        return networks(setting)[str(at["network"])].recipe.length if quantity == "matching_from" else None

    def check_setting(self, setting: RewindingSetting) -> Iterable[Problem]:
        """Rewinding iterations lie in every training, in order; networks that are pruned otherwise exist."""
        options = setting.options
        yield from super().check_setting(setting)
        yield from time_problems(setting.recipe, "rewinds", options.rewinds)
        yield from level_problems(setting)
        last = rewinds(setting)[-1]
        for name, recipe in setting.others.items():
            if last > recipe.length:
                place = ("settings", "rewinds", len(options.rewinds) - 1)
                yield Problem(place, f"found {last}it, but the training of {name} ends at {recipe.training.length}")
        for name in sorted(options.pruning_of.keys() - setting.others.keys()):
            there = ", ".join(setting.others) or "none"
            yield Problem(
                ("settings", "pruning_of", name), f"no recipe has this name: recipes are {there}; name one of them"
            )
        if options.main_network in setting.others:
            yield Problem(
                ("settings", "main_network"), f"found {options.main_network!r}, which is a recipe's: choose another"
            )

    def figures(
        self, setting: RewindingSetting, observations: Sequence[Observation], claims: Claims
    ) -> Sequence[Figure]:
        """For each network the loss of accuracy as a map and accuracy against density; all of them against k."""
        return figures.figures(setting, observations)


def _chain(setting: RewindingSetting, network: Pruned, seed: int, rewind: int) -> Iterable[Measurement]:
    """The subnetworks of one initialisation that are rewound to one iteration.

    What is pruned next is trained in the chain's order; a subnetwork, whose mask that order made, is judged in another.
    """
    recipe, pruning = network.recipe, network.pruning
    trained = partial(rewound, recipe, k=rewind, optimiser_state=setting.options.optimiser_at_rewind)
    chained = partial(trained, order=chain_order(seed))
    chain = by_level(recipe, recipe.trunk(seed, rewind), pruning, chained, output_layer=pruning.output_layer)
    for level, subnetwork in enumerate(chain):
        at: dict[str, Condition] = {"network": network.name, "rewind": rewind, "level": level}
        if subnetwork.mask is not None:
            yield Measurement(density, subnetwork.mask, at, seed)
        if level in network.judged:
            order = chain_order(seed) if subnetwork.mask is None else recipe.copy_order(seed, 0)
            yield Measurement(pairs.at_end, recipe.evaluate(trained(subnetwork, order=order)), at, seed)


def _gains(observations: Sequence[Observation], first: int) -> Iterable[Observation]:
    """What rewinding later than to the first iteration gains."""
    accuracies = {
        (*(observation.at[axis] for axis in _PLACE), observation.initialisation): observation
        for observation in observations
        if observation.quantity == "accuracy"
    }
    for (network, _, level, split, seed), observation in accuracies.items():
        reference = accuracies.get((network, first, level, split, seed))
        if reference is not None:
            value = observation.value - reference.value
            yield Observation("rewinding_gain", observation.at, observation.initialisation, observation.repeat, value)


PROTOCOL = EarlyPhaseRewinding()
