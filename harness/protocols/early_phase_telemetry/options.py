"""What telemetry of the early phase leaves to choose, and the iterations that follow from it."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Self

from pydantic import Field, model_validator

from harness.protocols.common.recipe import Recipe
from harness.protocols.common.setting import TrainingSetting
from harness.schema.base import Hundreds, Model, Seed, Text, Time
from harness.schema.load import Problem
from harness.schema.model import place_of_recipe
from harness.schema.training import Sgd, Training
from harness.steps import Duration

CONSTANT = "constant"
"""A further recipe: the same training without the schedule's drops and warm-up."""

NO_MOMENTUM = "no_momentum"
"""A further recipe: the same training without momentum, at the same rate."""

TRAVELS = ("made", "momentum_free")
"""Travel as the steps make it, and divided by what momentum builds up (``heavy_ball.built_up``)."""

Several = Annotated[int, Field(ge=2, le=10_000)]
"""Iterations, the first and the last among them."""


class TelemetryOptions(Model):
    """What telemetry leaves to choose.

    Attributes:
        window: the early phase, from 0 to here [paper: 4000 iterations, 10 epochs, Fig. 3].
        probes: how many iterations are measured, spread evenly in the logarithm; the source's spacing is open.
        kept: at how many of them the state is kept until the end, and its distance to the end measured; likewise.
        evaluations: at how many the test set is evaluated; likewise.
        weights: how many single weights are recorded [paper: 10].
        weights_seed: which; they are the same in all initialisations.
        phases: how many phases the timeline has: three, of large gradients, of fast motion, of slow motion [lore].
        rewinding_works_from: the earliest rewinding iteration that was found to work, by another experiment: a mark of
            the timeline (Fig. 2), which nothing is computed from; left out: it has none.
        rewinding_found_by: by whom, and on which grid of iterations.
    """

    window: Time = Duration(10, "ep")
    probes: Several = 100
    kept: Several = 30
    evaluations: Several = 12
    weights: Hundreds = 10
    weights_seed: Seed = 0
    phases: int = Field(default=3, ge=2, le=20)
    rewinding_works_from: Time | None = None
    rewinding_found_by: Text | None = None

    @model_validator(mode="after")
    def _mark_has_a_source(self) -> Self:
        if (self.rewinding_works_from is None) != (self.rewinding_found_by is None):
            raise ValueError("rewinding_works_from and rewinding_found_by go together: give both, or neither")
        return self


TelemetrySetting = TrainingSetting[TelemetryOptions]

LEAST_OF_A_PHASE = 2
"""Measured iterations of a phase."""


def spread(window: int, count: int) -> list[int]:
    """At most ``count`` different iterations from 0 to ``window``, both among them, even in log(1 + t).

    Early, where fewer whole numbers lie than asked for, every iteration is one.

    Examples:
        >>> from harness.protocols.early_phase_telemetry.options import spread
        >>> spread(220, 8)
        [0, 1, 4, 9, 21, 46, 101, 220]
    """
    return sorted({round((1 + window) ** (place / (count - 1))) - 1 for place in range(count)})


def recipes(setting: TelemetrySetting) -> Mapping[str, Recipe]:
    """Name on the axis ``recipe`` -> recipe, the experiment's own first, then the controls."""
    return {"own": setting.recipe, **{name: setting.others[name] for name in (CONSTANT, NO_MOMENTUM)}}


def momentum_of(recipe: Recipe) -> float:
    """Of its heavy ball; 0 where it has another optimiser, which ``telemetry_problems`` refuses."""
    optimiser = recipe.training.optimiser
    return optimiser.momentum if isinstance(optimiser, Sgd) else 0.0


def window_of(setting: TelemetrySetting) -> int:
    """The end of the early phase, in iterations."""
    return setting.iterations(setting.options.window)


def iterations(setting: TelemetrySetting) -> dict[str, list[int]]:
    """Option -> the iterations that it asks for."""
    options, window = setting.options, window_of(setting)
    counts = {"probes": options.probes, "kept": options.kept, "evaluations": options.evaluations}
    return {name: spread(window, count) for name, count in counts.items()}


def telemetry_problems(setting: TelemetrySetting) -> Iterable[Problem]:
    """Another optimiser, a window that is no part of training, too few iterations, more weights than there are."""
    options, length = setting.options, setting.length
    optimiser = setting.recipe.training.optimiser
    if not isinstance(optimiser, Sgd):
        words = f"found {optimiser.name!r}, but travel is told with and without the momentum of sgd: choose it"
        yield Problem(("training", "optimiser", "name"), words)
    window = window_of(setting)
    if not 2 <= window < length:
        words = f"found {options.window}, iteration {window} of {length}: let it end at 2 or later, and before training"
        yield Problem(("settings", "window"), words)
    elif (there := len(spread(window, options.probes))) < options.phases * LEAST_OF_A_PHASE:
        words = (
            f"found {options.probes}, {there} iterations, of which {options.phases} phases cannot be made: give more"
        )
        yield Problem(("settings", "probes"), words)
    parameters = setting.recipe.training.parameters
    if options.weights > parameters:
        words = f"found {options.weights:,}, more than the network's {parameters:,} parameters: lower settings.weights"
        yield Problem(("settings", "weights"), words)
    mark = options.rewinding_works_from
    if mark is not None and setting.iterations(mark) > window:
        words = f"found {mark}, after the window, which ends at {options.window}: choose a longer window"
        yield Problem(("settings", "rewinding_works_from"), words)


def control_problems(setting: TelemetrySetting) -> Iterable[Problem]:
    """A control that is another training than the one that it is due to be."""
    for name, due in _controls(setting.recipe.training).items():
        control = setting.others[name].training
        for field in type(due).model_fields:
            if getattr(control, field) != getattr(due, field):
                words = (
                    f"found {getattr(control, field)!s}, but the control {name!r} has {getattr(due, field)!s}, as "
                    "follows from training: make it so"
                )
                yield Problem((*place_of_recipe(name), field), words)


def _controls(own: Training) -> Mapping[str, Training]:
    """Name -> the training that a control is due to be."""
    constant = own.schedule.model_copy(update={"drops": (), "warmup": Duration(0, "it")})
    controls = {CONSTANT: own.model_copy(update={"schedule": constant})}
    if isinstance(own.optimiser, Sgd):
        controls[NO_MOMENTUM] = own.model_copy(update={"optimiser": own.optimiser.model_copy(update={"momentum": 0.0})})
    return controls
