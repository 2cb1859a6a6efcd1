"""What all experiments that train networks have in common."""

from collections.abc import Callable, Iterable
from typing import ClassVar

from harness.datainfo import DatasetInfo
from harness.observation import Condition
from harness.protocols.common.base import Experiment
from harness.protocols.common.normalisation import batch_problems
from harness.protocols.common.recipe import Recipe
from harness.protocols.common.setting import Options, TrainingSetting, training_problems
from harness.schema.load import Problem
from harness.schema.model import MAIN_RECIPE, Replicates, Scale, place_of_recipe
from harness.steps import Duration


class TrainingExperiment(Experiment[TrainingSetting[Options]]):
    """An experiment that trains networks; ``time_axes`` are read as durations of training.

    Subclasses that compare copies trained with different data orders say so: then ``replicates.orders`` matters.
    """

    settings: type[Options]
    trains = True
    compares_copies: ClassVar[bool] = False

    def setting(
        self, scale: Scale, options: Options, replicates: Replicates, dataset: Callable[[str], DatasetInfo]
    ) -> TrainingSetting[Options]:
        """The scale with its recipe and the facts of its dataset."""
        assert scale.training is not None, "a scale without a recipe is refused when it is loaded"
        recipes = {name: Recipe(training, dataset(training.data.name)) for name, training in scale.trainings.items()}
        return TrainingSetting(replicates, options, recipes.pop(MAIN_RECIPE), recipes)

    def check_setting(self, setting: TrainingSetting[Options]) -> Iterable[Problem]:
        """What no single field shows of the recipe and the replicates."""
        orders = setting.replicates.orders
        place = ("replicates", "orders")
        if self.compares_copies and orders < 2:
            yield Problem(place, f"found {orders}, but {self.name} compares copies: give 2 data orders or more")
        if not self.compares_copies and orders > 1:
            yield Problem(place, f"found {orders}, but {self.name} compares no copies: leave this field out")
        line = getattr(setting.options, "line", None)
        recomputed = line is not None and "recomputed" in line.batch_norm
        alike = self.further_recipes is None  # then each trains a network that is measured as the first
        for name, recipe in setting.recipes.items():
            yield from training_problems(recipe, place_of_recipe(name))
            yield from batch_problems(
                recipe, place_of_recipe(name), recomputed=recomputed and (alike or name == MAIN_RECIPE)
            )

    def _condition(self, setting: TrainingSetting[Options], axis: str, value: Condition) -> Condition:
        return setting.iterations(Duration.parse(value)) if axis in self.time_axes else value

    def shown(self, axis: str, value: Condition) -> str:
        """A condition as a spec writes it: a time in iterations."""
        return f"{value}it" if axis in self.time_axes else str(value)
