"""What the experiments around loss cliffs leave to choose."""

from collections.abc import Iterable

from pydantic import Field

from harness.protocols.common import curvature
from harness.protocols.common.normalisation import epoch_problems
from harness.protocols.common.phases import chosen_problems, phase_problems, phases
from harness.protocols.common.setting import TrainingSetting
from harness.schema.base import MOST_ITEMS, Count, Fraction, Many, Model, Number, Positive, Time
from harness.schema.load import Problem
from harness.steps import Duration


class PlaneOptions(Model):
    """The plane through the mean of checkpoints before a cliff, the last before it, and one after.

    Attributes:
        points: of the grid, on a side.
        margin: how far the grid reaches beyond the states, in units of the axes (see ``measure.plane``).
    """

    points: int = Field(default=15, ge=3, le=1000)
    margin: Positive = 1.0


class GatingOptions(Model):
    """Full-batch gradient descent that may move in a subspace only, from just before the first of ``cliffs``.

    Attributes:
        dimensions: n, of the top eigenvectors, and of the random subspace it is compared with; the source's is open.
        steps: of descent; the source's is open.
        rate: in units of one over the largest eigenvalue, so that 2 is the edge of stability; the source's is open.
    """

    dimensions: Count = 10
    steps: Count = 50
    rate: Number = Field(default=1.0, gt=0, lt=2)


class TwinOptions(Model):
    """Training on from a drop in two ways, the optimiser's state carried.

    Attributes:
        factor: by which one twin's rate is divided and the other's batch multiplied [paper: 5].
        length: how long they train; the source's is open.
    """

    factor: int = Field(default=5, ge=2, le=10**6)
    length: Time = Duration(200, "it")


class CliffOptions(Model):
    """What is left to choose.

    Attributes:
        width: W: a drop's cliff is the W iterations after it; they are compared with the W before.
        every: between checkpoints around a drop, and of the twins.
        cliffs: numbers of the drops at which displacement, plane and twins are looked at; each needs an exact Hessian.
        objective: the loss that is differentiated and drawn in the plane; that of the cliffs is the same over all
            examples.
        low_below: directions are low whose eigenvalue's magnitude is below this share of the largest eigenvalue.
        top_directions: how many directions of the largest eigenvalues are the top.
        plane: the valley.
        gating: descent in a subspace.
        twins: larger batch against lower rate.
    """

    width: Time
    every: Time
    cliffs: Many[Count] = Field((1,), min_length=1)
    objective: curvature.ObjectiveOptions = curvature.ObjectiveOptions()
    low_below: Fraction = 0.01
    top_directions: Count = 10
    plane: PlaneOptions = PlaneOptions()
    gating: GatingOptions = GatingOptions()
    twins: TwinOptions = TwinOptions()


CliffSetting = TrainingSetting[CliffOptions]


def offsets(setting: CliffSetting) -> list[int]:
    """The checkpoints around a drop, from -W to W, in iterations after it."""
    options = setting.options
    width, every = setting.iterations(options.width), setting.iterations(options.every)
    after = {*range(0, width, every), width}
    return sorted(after | {-offset for offset in after})


def ages(setting: CliffSetting) -> list[int]:
    """The checkpoints of the twins, in iterations after the drop."""
    options = setting.options
    length, every = setting.iterations(options.twins.length), setting.iterations(options.every)
    return sorted({*range(every, length, every), length})


def cliff_problems(setting: CliffSetting) -> Iterable[Problem]:
    """What is wrong with the settings: cliffs that overlap, drops that are not there, sizes beyond the network's."""
    yield from phase_problems(setting.recipe)
    yield from curvature.exact_problems(setting.recipe)
    yield from curvature.objective_problems(setting.recipe, setting.options.objective, also_of_all=True)
    yield from _time_problems(setting)
    options = setting.options
    size, data = setting.recipe.training.parameters, setting.recipe.data
    yield from chosen_problems(setting.recipe, "cliffs", options.cliffs)
    sizes = {("gating", "dimensions"): options.gating.dimensions, ("top_directions",): options.top_directions}
    for field, count in sizes.items():
        if count > size:
            yield Problem(("settings", *field), f"found {count:,}, more than the network's {size:,} parameters")
    if options.twins.factor * setting.recipe.training.batch > data.n_train:
        yield Problem(
            ("settings", "twins", "factor"),
            f"found {options.twins.factor}: {options.twins.factor} batches of {setting.recipe.training.batch} are more "
            f"than the {data.n_train:,} examples of {data.name}",
        )
    else:
        batch = options.twins.factor * setting.recipe.training.batch
        yield from epoch_problems(setting.recipe, ("settings", "twins", "factor"), options.twins.factor, batch)


def _time_problems(setting: CliffSetting) -> Iterable[Problem]:
    options = setting.options
    width = setting.iterations(options.width)
    times: dict[tuple[str, ...], Duration] = {
        ("width",): options.width,
        ("every",): options.every,
        ("twins", "length"): options.twins.length,
    }
    for field, time in times.items():
        if setting.iterations(time) < 1:
            yield Problem(("settings", *field), f"found {time}: give one iteration at least")
            return
    if setting.iterations(options.every) >= width:
        yield Problem(
            ("settings", "every"), f"found {options.every}: a checkpoint between {options.width} and the drop is needed"
        )
    for name, long in (("width", options.width), ("twins.length", options.twins.length)):
        if (count := setting.iterations(long) // setting.iterations(options.every)) > MOST_ITEMS:
            message = f"found {options.every}, which makes {count:,} checkpoints of {name}: at most {MOST_ITEMS:,}"
            yield Problem(("settings", "every"), f"{message}, choose a longer time")
            return
    for phase in phases(setting.recipe):
        if width > phase.stop - phase.start:
            yield Problem(
                ("settings", "width"),
                f"found {options.width}, but the rate stays for {phase.stop - phase.start} iterations from "
                f"{phase.start} on: choose less",
            )
            return
