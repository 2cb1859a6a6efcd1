"""The resolved setting that an experiment works on, and what can be wrong with it."""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, Generic

from typing_extensions import TypeVar

from harness.datainfo import DatasetInfo
from harness.observation import Condition
from harness.protocols.common.recipe import Recipe
from harness.schema.base import Model
from harness.schema.document import Location
from harness.schema.load import Problem
from harness.schema.model import MAIN_RECIPE, Replicates, Scale, place_of_recipe
from harness.steps import MOST_ITERATIONS, Duration

Options = TypeVar("Options", bound=Model, default=Any)
"""An experiment's own settings."""


@dataclass(frozen=True)
class Setting(Generic[Options]):
    """A scale of a spec with everything resolved that jobs depend on.

    Attributes:
        replicates: how often.
        options: the protocol's own settings.
    """

    replicates: Replicates
    options: Options

    @property
    def datasets(self) -> Sequence[DatasetInfo]:
        """The datasets that are needed; the digest of one that is absent is ""."""
        return ()

    @property
    def departures(self) -> list[str]:
        """How this setting departs from a paper's, as far as it can tell by itself."""
        return []

    @property
    def facts(self) -> dict[str, str | int]:
        """What must be the same in every run of it, whatever the seeds."""
        return {}

    @property
    def description(self) -> dict[str, Any]:
        """Every choice as plain values, with the defaults written out."""
        return {
            "settings": self.options.model_dump(mode="json"),
            "replicates": self.replicates.model_dump(mode="json"),
        }


@dataclass(frozen=True)
class TrainingSetting(Setting[Options]):
    """The setting of an experiment that trains networks.

    Attributes:
        recipe: that the scale's ``training`` gives.
        others: further recipes, by the name that the scale has for each.
    """

    recipe: Recipe
    others: Mapping[str, Recipe] = field(default_factory=dict)

    @property
    def recipes(self) -> Mapping[str, Recipe]:
        """Name in the scale -> recipe."""
        return {MAIN_RECIPE: self.recipe, **self.others}

    def recipe_of(self, at: Mapping[str, Condition]) -> Recipe:
        """That of a measurement: the further one that its ``network`` is called by, else the main one."""
        return self.others.get(str(at.get("network")), self.recipe)

    @property
    def datasets(self) -> Sequence[DatasetInfo]:
        """Those of the recipes."""
        return list(dict.fromkeys(recipe.data for recipe in self.recipes.values()))

    @property
    def departures(self) -> list[str]:
        """Other datasets than the originals, other number formats than fp32."""
        departures = []
        for data in self.datasets:
            if not data.original:
                caveat = data.caveat or "not verified to be the original"
                departures.append(f"dataset {data.name}, digest {data.digest[:12]}: {caveat}")
        formats = dict.fromkeys(recipe.training.precision for recipe in self.recipes.values())
        return departures + [
            f"number format {precision} in place of fp32" for precision in formats if precision != "fp32"
        ]

    @property
    def facts(self) -> dict[str, str | int]:
        """Of each recipe: parameters of the network, digest and size of the dataset."""
        facts: dict[str, str | int] = {}
        for name, recipe in self.recipes.items():
            where = "" if recipe is self.recipe else f"{name}: "
            facts |= {
                f"{where}trainable parameters": recipe.training.parameters,
                f"{where}dataset digest": recipe.data.digest,
                f"{where}training images": recipe.data.n_train,
                f"{where}test images": recipe.data.n_test,
            }
        return facts

    @property
    def description(self) -> dict[str, Any]:
        """The recipes, and what every setting has."""
        recipes = {name: recipe.training.model_dump(mode="json") for name, recipe in self.recipes.items()}
        return {**recipes, **super().description}

    @property
    def length(self) -> int:
        """T of the recipe, in iterations."""
        return self.recipe.length

    def iterations(self, time: Duration) -> int:
        """A duration in iterations of the recipe."""
        return self.recipe.iterations(time)


def recipe_problems(scale: Scale, name: str, *, trains: bool, further: Set[str] | None) -> list[Problem]:
    """Recipes of a scale that are missing, or that an experiment has no use for; locations start at the scale.

    Args:
        scale: of a spec.
        name: of the experiment.
        trains: whether it trains networks.
        further: the names of further recipes that it needs; None: those that the scale has.
    """
    problems = []
    if trains and scale.training is None:
        problems.append(Problem((MAIN_RECIPE,), "this field is missing"))
    if not trains and scale.training is not None:
        problems.append(Problem((MAIN_RECIPE,), f"{name} trains no network: remove this field"))
    known = scale.recipes.keys() if further is None else further
    problems += [
        Problem(place_of_recipe(lacking), "this field is missing") for lacking in sorted(known - scale.recipes.keys())
    ]
    return problems + [
        Problem(place_of_recipe(needless), f"{name} uses no recipe of this name: remove it")
        for needless in sorted(scale.recipes.keys() - known)
    ]


def training_problems(recipe: Recipe, where: Location) -> Iterable[Problem]:
    """Problems of a recipe, at its place in a scale, that no single field shows."""
    training, data = recipe.training, recipe.data
    normalise = training.data.normalise
    channels = data.shape[0]
    for part in ("mean", "std"):
        values = getattr(normalise, part, None)
        if values is not None and len(values) != channels:
            yield Problem(
                (*where, "data", "normalise", part),
                f"found {len(values)} numbers, but {data.name} has {channels} channels",
            )
    yield from frame_problems(recipe, (*where, "data"))
    if training.data.augment.crop_padding > min(recipe.shape[1:]):
        yield Problem(
            (*where, "data", "augment", "crop_padding"),
            f"found {training.data.augment.crop_padding}, more than the side of an image of {data.name}",
        )
    yield from task_problems(recipe, (*where, "data", "task"))
    if training.batch > data.n_train:
        yield Problem((*where, "batch"), f"found {training.batch}, but {data.name} has {data.n_train} examples")
    if recipe.length < 1:
        yield Problem((*where, "length"), f"found {training.length}: a training needs at least one iteration")
    if recipe.length > MOST_ITERATIONS:
        message = f"found {training.length}, {recipe.length:,} iterations: at most {MOST_ITERATIONS:,}"
        yield Problem((*where, "length"), message)
    for number, drop in enumerate(training.schedule.drops):
        if recipe.iterations(drop) >= recipe.length:
            yield Problem(
                (*where, "schedule", "drops", number),
                f"found {drop}, but training ends at {training.length}: drop earlier or train longer",
            )
    if recipe.iterations(training.schedule.warmup) > recipe.length:
        yield Problem(
            (*where, "schedule", "warmup"),
            f"found {training.schedule.warmup}, longer than the training ({training.length})",
        )


def frame_problems(recipe: Recipe, where: Location) -> Iterable[Problem]:
    """Images of many sizes without one that they are brought to, or images of one size that are brought to another."""
    data, shown = recipe.data, recipe.training.data
    if data.sizes_vary and shown.frame is None:
        yield Problem((*where, "frame"), f"this field is missing: images of {data.name} have many sizes")
    if not data.sizes_vary and shown.frame is not None:
        size = "x".join(map(str, data.shape[1:]))
        yield Problem((*where, "frame"), f"all images of {data.name} are of {size} pixels: leave it out")
    if not data.sizes_vary and shown.augment.resized_crop is not None:
        yield Problem(
            (*where, "augment", "resized_crop"),
            f"it is of photographs of many sizes, and those of {data.name} have one: leave it out, or use crop_padding",
        )


def task_problems(recipe: Recipe, where: Location) -> Iterable[Problem]:
    """Images that cannot be turned, or be made smaller by a whole number of pixels."""
    task, (_, height, width) = recipe.training.data.task, recipe.shape
    if task.labels == "rotation" and height != width:
        yield Problem((*where, "labels"), f"found 'rotation', but images of {recipe.data.name} are not square")
    if height % task.blur or width % task.blur:
        message = f"found {task.blur}, which divides no image of {height}x{width} pixels ({recipe.data.name})"
        yield Problem((*where, "blur"), message)


def time_problems(recipe: Recipe, field: str, times: Sequence[Duration]) -> Iterable[Problem]:
    """Problems of a list of times in training: beyond the end, twice, or not in order."""
    before = -1
    for number, time in enumerate(times):
        here = recipe.iterations(time)
        place = ("settings", field, number)
        if here > recipe.length:
            yield Problem(place, f"found {time}, but training ends at {recipe.training.length}: choose k <= T")
        elif here <= before:
            yield Problem(place, f"found {time} after {times[number - 1]}: list each time once, in order")
        before = here
