"""What the edge of stability leaves to choose."""

from collections.abc import Iterable

from harness.protocols.common import curvature
from harness.protocols.common.phases import chosen_problems, phase_problems
from harness.protocols.common.setting import TrainingSetting, time_problems
from harness.schema.base import Count, Many, Model, Time
from harness.schema.load import Problem


class EdgeOptions(Model):
    """What is left to choose.

    Attributes:
        checkpoints: iterations at which loss and largest eigenvalue are taken, besides those just before each drop and
            the end, where they always are.
        objective: the loss that is differentiated; the loss that is drawn is the same, over all examples.
        extremes: how the largest eigenvalue is found.
        undropped: numbers of the drops beside which a training goes on at the rate before the drop, to the end of the
            phase, with the same batches; the source has none.
        accuracy: whether the networks are evaluated at the end of training.
    """

    checkpoints: Many[Time] = ()
    objective: curvature.ObjectiveOptions = curvature.ObjectiveOptions()
    extremes: curvature.ExtremesOptions = curvature.ExtremesOptions()
    undropped: Many[Count] = ()
    accuracy: bool = False


EdgeSetting = TrainingSetting[EdgeOptions]


def edge_problems(setting: EdgeSetting) -> Iterable[Problem]:
    """What is wrong with the settings: drops out of order or not there, late checkpoints, no decay to leave out."""
    options, recipe = setting.options, setting.recipe
    yield from curvature.objective_problems(recipe, options.objective, also_of_all=True)
    yield from phase_problems(recipe)
    yield from time_problems(recipe, "checkpoints", options.checkpoints)
    yield from chosen_problems(recipe, "undropped", options.undropped)
    if recipe.training.optimiser.weight_decay == 0:
        yield Problem(
            ("training", "optimiser", "weight_decay"), "found 0, but it is compared with training without: give one"
        )
