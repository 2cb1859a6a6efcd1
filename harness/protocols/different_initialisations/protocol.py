"""Networks of different initialisations, and the line between them (LMC section 1), beside copies of one.

Each initialisation has three networks trained from step 0: two copies, which are the jobs of ``instability``, and
one whose first weights are another draw, fed in the second copy's order. So the pairs share their first network, and
their second ones differ in their first weights alone. Replicates share nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

from harness.figure import Figure
from harness.jobs.job import Job
from harness.observation import Condition, Observation, Quantity, observed
from harness.protocols.common import pairs
from harness.protocols.common.base import Claims, Measurement, Read
from harness.protocols.common.recipe import LineOptions, Recipe
from harness.protocols.common.setting import TrainingSetting
from harness.protocols.common.training import TrainingExperiment
from harness.protocols.different_initialisations.figures import line_figures
from harness.schema.base import Model, Name
from harness.schema.load import Problem
from harness.schema.model import MAIN_RECIPE

PAIRS = ("different", "same")
"""Pairs of networks, by their first weights."""

_ENDS: Mapping[str, tuple[int, int]] = {"different": (0, 2), "same": (0, 1)}
"""Of a pair, by their numbers in ``_trained``."""


class DifferentInitialisationsOptions(Model):
    """What the line between networks of different initialisations leaves to choose.

    Attributes:
        main_network: what claims and figures call the network of ``training``; others are called as their recipes are.
        line: how the line is evaluated.
    """

    main_network: Name = "main"
    line: LineOptions = LineOptions()


Setting = TrainingSetting[DifferentInitialisationsOptions]


class DifferentInitialisations(TrainingExperiment[DifferentInitialisationsOptions]):
    """Pairs of networks of different initialisations and of one, of one network or of several."""

    name = "different_initialisations"
    settings = DifferentInitialisationsOptions
    further_recipes = None
    judged_only = frozenset({"main_network"})
    quantities: ClassVar[Mapping[str, Quantity]] = {
        **{name: quantity.along("network", "pair") for name, quantity in pairs.PAIR_QUANTITIES.items()},
        "error": Quantity("%", ("network", "split"), "error at the end of training, of all networks that are paired"),
        "accuracy": Quantity(
            "%",
            ("network", "split"),
            "accuracy at the end of training, of all networks that are paired",
            seldom_below=pairs.GUESSED,
        ),
        "lowest_accuracy": Quantity(
            "%",
            ("network", "split"),
            "lowest accuracy at the end of training of the networks of an initialisation that are paired",
            seldom_below=pairs.GUESSED,
        ),
    }

    def measurements(self, setting: Setting) -> Iterable[Measurement]:
        """Of each network and initialisation three trainings, evaluated, and two pairs of them."""
        for name, recipe in _networks(setting).items():
            for seed in setting.replicates.seeds:
                trained = _trained(recipe, seed)
                for number, network in enumerate(trained):
                    yield Measurement(pairs.at_end, recipe.evaluate(network), {"network": name}, seed, number)
                for pair, (a, b) in _ENDS.items():
                    at: dict[str, Condition] = {"network": name, "pair": pair}
                    line = recipe.line(trained[a], trained[b], setting.options.line)
                    yield Measurement(pairs.on_line, line, at, seed)
                    yield Measurement(pairs.compared, recipe.compare(trained[a], trained[b]), at, seed)

    def derived(self, setting: Setting, observations: Sequence[Observation], read: Read) -> Iterable[Observation]:
        """The worst network of an initialisation: one that has learnt nothing has no barrier."""
        found: dict[tuple[int, tuple[tuple[str, Condition], ...]], list[float]] = {}
        for one in observations:
            if one.quantity == "accuracy":
                found.setdefault((one.initialisation, tuple(one.at.items())), []).append(one.value)
        for (seed, place), accuracies in found.items():
            yield observed("lowest_accuracy", dict(place), seed, 0, min(accuracies))

    def rests_on(self, setting: Setting, quantity: str, at: Mapping[str, Condition], measurement: Measurement) -> bool:
        """Each kind of table tells quantities of its own."""
        quantity = "accuracy" if quantity == "lowest_accuracy" else quantity
        return measurement.reads in pairs.READ_BY[quantity] and measurement.agrees(at)

    def axes(self, setting: Setting) -> Mapping[str, Sequence[Condition]]:
        """Networks, pairs, splits, and the modes of batch normalisation of any network."""
        modes = [
            mode for recipe in _networks(setting).values() for mode in recipe.batch_norm_modes(setting.options.line)
        ]
        return {
            "network": list(_networks(setting)),
            "pair": PAIRS,
            "split": ("test", "train"),
            "batch_norm": list(dict.fromkeys(modes)),
        }

    def defaults(self, setting: Setting) -> Mapping[str, Condition]:
        """The network of ``training``, different initialisations, the test set, and that network's first mode."""
        return {
            "network": setting.options.main_network,
            "pair": "different",
            "split": "test",
            "batch_norm": setting.recipe.batch_norm_modes(setting.options.line)[0],
        }

    def unmeasured(self, setting: Setting, quantity: str, at: Mapping[str, Condition]) -> str | None:
        """A network without batch normalisation has no statistics to recompute."""
        modes = _networks(setting)[str(at["network"])].batch_norm_modes(setting.options.line)
        if at.get("batch_norm", modes[0]) not in modes:
            return f"a line of {at['network']} has batch_norm = {', '.join(modes)}: choose that"
        return None

    def check_setting(self, setting: Setting) -> Iterable[Problem]:
        """The main network has a name of its own."""
        yield from super().check_setting(setting)
        if setting.options.main_network in setting.others:
            found = f"found {setting.options.main_network!r}, which is a recipe's: choose another"
            yield Problem(("settings", "main_network"), found)

    def figures(self, setting: Setting, observations: Sequence[Observation], claims: Claims) -> Sequence[Figure]:
        """The error along the line, network by network."""
        modes = {name: recipe.batch_norm_modes(setting.options.line)[0] for name, recipe in _networks(setting).items()}
        return line_figures(observations, modes, PAIRS)


def _networks(setting: Setting) -> Mapping[str, Recipe]:
    """Name -> recipe, the main one first."""
    return {
        setting.options.main_network if name == MAIN_RECIPE else name: recipe
        for name, recipe in setting.recipes.items()
    }


def _trained(recipe: Recipe, seed: int) -> Sequence[Job]:
    """Two copies of an initialisation, and a network of another draw, at the end of training."""
    own, other = recipe.initial(seed), recipe.fresh_draw(seed, 0, trained=False)
    return [
        recipe.train(start, 0, recipe.length, order=recipe.copy_order(seed, order))
        for start, order in ((own, 0), (own, 1), (other, 1))
    ]


PROTOCOL = DifferentInitialisations()
