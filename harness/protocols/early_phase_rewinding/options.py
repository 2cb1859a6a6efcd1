"""What the accuracy of pruned networks by level and rewinding iteration leaves to choose."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from harness.protocols.common.pruning import Iterative
from harness.protocols.common.recipe import Recipe
from harness.protocols.common.setting import TrainingSetting
from harness.schema.base import Many, Model, Name, NonNegative, Time
from harness.schema.load import Problem
from harness.schema.model import MAIN_RECIPE


class Pruning(Iterative):
    """How a network is pruned: in rounds.

    Attributes:
        style: rounds alone have levels.
        output_layer: whether the last layer is pruned; LMC's printed levels say yes for ResNet-20, no for VGG-16
            [arith], the source of early rewinding says nothing [open].
    """

    style: Literal["iterative"] = "iterative"
    output_layer: bool = True


class RewindingOptions(Model):
    """What the accuracy of pruned networks by level and rewinding iteration leaves to choose.

    Attributes:
        rewinds: every rewinding iteration k, in iterations or epochs of the scale's ``training``, for all networks.
        pruning: of the network of ``training``, and of every other one that ``pruning_of`` does not name. The source
            prunes 20 % a round [paper: LMC, whose framework it is].
        pruning_of: recipe -> how its network is pruned, where it is in another way.
        judged_levels: levels at which the subnetwork is trained anew, in a data order that made no mask of its own, and
            its accuracy told; a network has those of them that its pruning reaches. Left out: all. Each costs a
            training. The full network, level 0, has no mask and is always judged.
        main_network: what claims and figures call the network of ``training``; others are called as their recipes are.
        optimiser_at_rewind: whether training goes on with the optimiser's state of step k or a fresh one [code,
            conflict].
        matching_within: the margin, in points of accuracy, that is declared beside one standard deviation of the full
            network (LMC Fig. 7) for a subnetwork to be matching. ``matching_from`` is judged by it.
    """

    rewinds: Many[Time] = Field(min_length=1)
    pruning: Pruning
    pruning_of: dict[Name, Pruning] = Field(default_factory=dict, examples=[{"other": Pruning(levels=1)}])
    judged_levels: Annotated[Many[Annotated[int, Field(ge=1, le=60)]], Field(min_length=1)] | None = Field(
        None, examples=[[1]]
    )
    main_network: Name = "main"
    optimiser_at_rewind: Literal["carried", "reset"] = "carried"
    matching_within: NonNegative


RewindingSetting = TrainingSetting[RewindingOptions]


@dataclass(frozen=True)
class Pruned:
    """A network of a setting.

    Attributes:
        name: on the axis ``network``.
        recipe: that trains it.
        pruning: how it is pruned.
        judged: the levels at which its accuracy is told, in order, 0 the first.
    """

    name: str
    recipe: Recipe
    pruning: Pruning
    judged: Sequence[int]


def networks(setting: RewindingSetting) -> Mapping[str, Pruned]:
    """Name -> network, the main one first."""
    return {network.name: network for network in _networks(setting)}


def _networks(setting: RewindingSetting) -> Iterator[Pruned]:
    options = setting.options
    for recipe_name, recipe in setting.recipes.items():
        name = options.main_network if recipe_name == MAIN_RECIPE else recipe_name
        pruning = options.pruning_of.get(recipe_name, options.pruning)
        levels = range(1, pruning.levels + 1)
        chosen = levels if options.judged_levels is None else sorted(set(levels) & set(options.judged_levels))
        yield Pruned(name, recipe, pruning, (0, *chosen))


def level_problems(setting: RewindingSetting) -> Iterable[Problem]:
    """Judged levels that come twice, that no network has, or of which a network has none."""
    listed, every = setting.options.judged_levels or (), networks(setting).values()
    deepest = max(network.pruning.levels for network in every)
    for number, level in enumerate(listed):
        place = ("settings", "judged_levels", number)
        if level in listed[:number]:
            yield Problem(place, f"found {level} twice: list each level once")
        if level > deepest:
            yield Problem(place, f"found {level}; levels run from 1 to {deepest}")
    for network in every:
        if network.judged == (0,):
            words = f"of {network.name}, with levels 1 to {network.pruning.levels}, none is listed: add one"
            yield Problem(("settings", "judged_levels"), words)


def rewinds(setting: RewindingSetting) -> list[int]:
    """The rewinding iterations."""
    return [setting.iterations(rewind) for rewind in setting.options.rewinds]
