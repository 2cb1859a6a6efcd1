"""What pretraining in place of rewinding leaves to choose."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from harness.protocols.common.pruning import Iterative, OneShot
from harness.protocols.common.recipe import Recipe
from harness.protocols.common.setting import TrainingSetting, task_problems, time_problems
from harness.protocols.early_phase_pretraining.pretexts import PRETEXTS, SUPERVISED, PretextName
from harness.schema.base import Many, Model, Seed, Time
from harness.schema.load import Problem
from harness.schema.model import place_of_recipe
from harness.schema.task import Task

PRETEXT = "pretext"
"""A further recipe: how pretraining goes, where its rate and its length are its own."""

_OF_ALL_TRAINING = ("network", "parameters", "initialisation", "data", "batch", "sampling", "precision")
"""Fields that the recipe of pretraining has from ``training``."""


class PretrainingOptions(Model):
    """What pretraining in place of rewinding leaves to choose.

    The source's text is not at hand. [code] is the public framework of its authors, which pretrains so, but neither
    turns images by quarters nor blurs them, by faults of its own.

    Attributes:
        pruning: of the masks: iterative or one-shot; the last level is trained.
        prune_output_layer: whether the last layer is pruned, as for ResNet-20 in LMC [arith].
        mask: under which a pretrained state is trained: its ``own``, by IMP that starts from it and rewinds to it
            [code], or that of the state that is ``rewound`` to, at k, which costs no training more.
        optimiser_at_rewind: whether the trainings that make the masks of the references, and the full network's, go on
            with the velocity of k or a fresh one, as in the experiment ``imp`` [code, conflict]. No arm has one, nor
            have the trainings that make its own mask.
        rewind: the iteration k to which a reference is rewound [open: 500 and 2000 are in the paper's captions].
        pretexts: task of pretraining, a name of ``pretexts.py`` -> its lengths, at the rates with which the recipe of
            pretraining begins [lore; of the abstract: that labels are not needed]. Half way is measured by the first
            length of ``supervised``; ``frozen`` is a control, at rate 0.
        pretrained: the network pretrained whole (``dense``), or with the mask present from the start (``sparse``),
            which takes a mask that is there before, ``mask: rewound`` [lore: both].
        blur: how many times smaller images are made, and larger again [lore: 4, of CIFAR-10].
        task_seed: of random labels and of turns, one for all replicates [open].
        schedule: of the learning rate, and of training's end: ``continued`` from the length of pretraining [code], so
            that training ends at T, or ``restarted``, so that T iterations follow, whatever that length; of what is
            rewound to k, too.
        head: the last layer, ``fresh``, the one of the initialisation, in all arms, so that they differ in their bodies
            alone, or ``kept`` where the classes are as many [code]: after rotations, four, it is always fresh.
        statistics: running statistics of batch normalisation, ``kept`` from pretraining [code] or the ``initial`` ones;
            likewise for what is rewound to k. Training does not use them, and replaces them within some tens of steps.
    """

    pruning: Iterative | OneShot = Field(discriminator="style")
    prune_output_layer: bool = True
    mask: Literal["own", "rewound"] = "own"
    optimiser_at_rewind: Literal["carried", "reset"] = "carried"
    rewind: Time
    pretexts: dict[PretextName, Annotated[Many[Time], Field(min_length=1)]] = Field(min_length=1)
    pretrained: Many[Literal["dense", "sparse"]] = Field(("dense",), min_length=1)
    blur: Literal[2, 4, 8] = 4
    task_seed: Seed = 0
    schedule: Literal["continued", "restarted"] = "continued"
    head: Literal["fresh", "kept"] = "fresh"
    statistics: Literal["kept", "initial"] = "kept"

    @model_validator(mode="after")
    def _pretrained_as_it_can_be(self) -> Self:
        if len(set(self.pretrained)) < len(self.pretrained):
            raise ValueError("pretrained names one twice: list each once")
        if "sparse" in self.pretrained and self.mask == "own":
            raise ValueError(
                "pretrained names 'sparse', but with mask: own the mask is found after pretraining: leave it out, or "
                "give mask: rewound"
            )
        return self


PretrainingSetting = TrainingSetting[PretrainingOptions]


def pretext_recipe(setting: PretrainingSetting, name: PretextName) -> Recipe:
    """How a network is pretrained on a task: by the recipe of pretraining, or else by that of the training after it."""
    options, pretext = setting.options, PRETEXTS[name]
    recipe = setting.others.get(PRETEXT, setting.recipe).posed(pretext.task(options.blur, options.task_seed))
    return _at_no_rate(recipe) if pretext.frozen else recipe


def lengths(setting: PretrainingSetting) -> Mapping[PretextName, list[int]]:
    """Pretext, in the order of legends -> the lengths of its pretraining, in iterations."""
    asked = setting.options.pretexts
    return {name: [setting.iterations(time) for time in asked[name]] for name in PRETEXTS if name in asked}


def half_way_length(setting: PretrainingSetting) -> int | None:
    """The length of the supervised pretraining by which half way is measured; None where there is none."""
    dense = "dense" in setting.options.pretrained
    return lengths(setting)[SUPERVISED][0] if dense and SUPERVISED in setting.options.pretexts else None


def pretraining_problems(setting: PretrainingSetting) -> Iterable[Problem]:
    """Times outside training, images that a pretext does not fit, and recipes that change more than rate and length."""
    yield from _time_problems(setting)
    yield from _recipe_problems(setting)
    if setting.recipe.training.data.task != Task():
        message = "what comes after pretexts is the dataset's own task: leave this field out"
        yield Problem(("training", "data", "task"), message)
    for name in setting.options.pretexts:
        task = PRETEXTS[name].task(setting.options.blur, setting.options.task_seed)
        for problem in task_problems(setting.recipe.showing(task), ()):
            yield Problem(("settings", "pretexts", name), problem.message)


def _time_problems(setting: PretrainingSetting) -> Iterator[Problem]:
    recipe, options = setting.recipe, setting.options
    if not 0 < recipe.iterations(options.rewind) < recipe.length:
        message = f"found {options.rewind}: choose a time after 0 and before the end, {recipe.training.length}"
        yield Problem(("settings", "rewind"), message)
    pretext = setting.others.get(PRETEXT, recipe)
    for name, times in options.pretexts.items():
        for problem in time_problems(pretext, "pretexts", times):
            yield replace(problem, location=("settings", "pretexts", name, *problem.location[2:]))
        for number, time in enumerate(times):
            place = ("settings", "pretexts", name, number)
            if recipe.iterations(time) == 0:
                yield Problem(place, f"found {time}: choose a time after 0")
            elif options.schedule == "continued" and recipe.iterations(time) >= recipe.length:
                message = f"found {time}, but training, whose schedule goes on, ends at {recipe.training.length}"
                yield Problem(place, f"{message}: choose a time before, or schedule: restarted")


def _recipe_problems(setting: PretrainingSetting) -> Iterator[Problem]:
    for name, recipe in setting.others.items():
        if name != PRETEXT:
            yield Problem(place_of_recipe(name), f"pretraining uses no recipe of this name: call it {PRETEXT!r}")
            continue
        for field in _OF_ALL_TRAINING:
            here, due = (getattr(one.training, field) for one in (recipe, setting.recipe))
            if here != due:
                message = f"found {here!s}, but the network that is trained after has {due!s}: make it so"
                yield Problem((*place_of_recipe(name), field), message)


def _at_no_rate(recipe: Recipe) -> Recipe:
    schedule = recipe.training.schedule.model_copy(update={"rate": 0.0})
    return replace(recipe, training=recipe.training.model_copy(update={"schedule": schedule}))
