"""Telemetry of the early phase of training (EP Fig. 2 and 3): what changes first, how fast, and in which phases."""

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

from harness.figure import Figure
from harness.jobs.job import Job
from harness.observation import Condition, Observation, Quantity
from harness.protocols.common.base import Claims, Measurement
from harness.protocols.common.pairs import GUESSED
from harness.protocols.common.recipe import Recipe
from harness.protocols.common.training import TrainingExperiment
from harness.protocols.early_phase_telemetry import figures as telemetry_figures
from harness.protocols.early_phase_telemetry import observations as telemetry
from harness.protocols.early_phase_telemetry.options import (
    CONSTANT,
    NO_MOMENTUM,
    TRAVELS,
    TelemetryOptions,
    TelemetrySetting,
    control_problems,
    iterations,
    recipes,
    telemetry_problems,
    window_of,
)
from harness.schema.load import Problem

_COURSE = ("recipe", "iteration")
_PHASE = ("recipe", "travel", "phase")
_RECORDED_AT = dict.fromkeys(("accuracy", "loss"), "evaluations") | dict.fromkeys(
    (*telemetry.OF_KEPT, "remaining_distance"), "kept"
)
"""Quantity -> the setting that says at how many iterations, where that is not ``probes``."""


class EarlyPhaseTelemetry(TrainingExperiment[TelemetryOptions]):
    """The network through its first iterations, by probes inside one training, and the phases of its travel."""

    name = "early_phase_telemetry"
    settings = TelemetryOptions
    further_recipes = frozenset({CONSTANT, NO_MOMENTUM})
    judged_only = frozenset({"phases", "rewinding_works_from", "rewinding_found_by"})
    time_axes = frozenset({"iteration"})
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "accuracy": Quantity("%", (*_COURSE, "split"), "accuracy at an iteration", seldom_below=GUESSED),
        "loss": Quantity("nats", (*_COURSE, "split"), "mean cross-entropy at an iteration"),
        "mean_magnitude": Quantity(
            "", _COURSE, "mean magnitude of the weights of convolutions and linear layers", least=0.0
        ),
        "signs_changed": Quantity(
            "%", _COURSE, "share of the weights of convolutions and linear layers whose sign is not the initial one"
        ),
        "weight": Quantity("", (*_COURSE, "weight"), "a single weight, chosen at random"),
        "gradient_norm": Quantity("", _COURSE, "norm of the gradient of the batch's loss", least=0.0),
        "distance_from_start": Quantity("", _COURSE, "L2 distance of all parameters from their initial values", 0.0),
        "distance_to_end": Quantity(
            "", _COURSE, "L2 distance of all parameters from their values at the end of training", least=0.0
        ),
        "remaining_distance": Quantity(
            "x",
            _COURSE,
            "distance_to_end over that of the initial values. A walk of independent steps, in proportion to the rate, "
            "leaves the square root of the share of the summed squared rates that is to come",
            least=0.0,
        ),
        "cosine_with_start": Quantity("", _COURSE, "cosine of all parameters with their initial values", -1.0, 1.0),
        "cosine_with_end": Quantity(
            "", _COURSE, "cosine of all parameters with their values at the end of training", -1.0, 1.0
        ),
        "step_length": Quantity("", _COURSE, "travel of one iteration: the L2 length of its step", least=0.0),
        "momentum_free_travel": Quantity(
            "",
            _COURSE,
            "step_length over (1 - m^(t + 1)) / (1 - m), the most that a momentum m makes of gradients of one length "
            "in t + 1 steps from a velocity of 0: what they come to where they agree",
            least=0.0,
        ),
        "phase_start": Quantity(
            "iterations",
            _PHASE,
            "first measured iteration of a phase. The phases are those of settings.phases that, each with one level, "
            "leave the least squares of the log of the travel, step_length (made) or momentum_free_travel, over "
            "iterations that are even in log(1 + t)",
        ),
        "travel_rate": Quantity(
            "", _PHASE, "travel per iteration in a phase: the geometric mean of its steps' travels", least=0.0
        ),
        "phase_gradient": Quantity("", _PHASE, "geometric mean of gradient_norm in a phase", least=0.0),
        "phases_over_smooth": Quantity(
            "x",
            ("recipe", "travel"),
            "sum of squares that K phases leave of the log of travel over what a polynomial that is as free, of 5K - 4 "
            "coefficients, leaves: below 1 phases say more than a smooth course",
        ),
    }

    def measurements(self, setting: TelemetrySetting) -> Iterable[Measurement]:
        """A training an initialisation and recipe, and three records of it: of steps, kept states, the test set.

        The control without momentum has no record of kept states, so that it ends with the window.
        """
        options, times = setting.options, iterations(setting)
        for seed in setting.replicates.seeds:
            for name, recipe in recipes(setting).items():
                at: dict[str, Condition] = {"recipe": name}
                training = _training(recipe, seed, window_of(setting) + 1 if name == NO_MOMENTUM else recipe.length)
                steps = _probed(training, times["probes"], telemetry.AT_ONCE, options.weights, options.weights_seed)
                yield Measurement(telemetry.course, steps, at, seed)
                looks = _probed(training, times["evaluations"], telemetry.EVALUATED)
                yield Measurement(telemetry.evaluated, looks, at, seed)
                if name != NO_MOMENTUM:
                    yield Measurement(telemetry.kept, _probed(training, times["kept"], telemetry.OF_KEPT), at, seed)

    def axes(self, setting: TelemetrySetting) -> Mapping[str, Sequence[Condition]]:
        """Recipes, measured iterations, the test set, single weights, travels and phases."""
        return {
            "recipe": list(recipes(setting)),
            "iteration": sorted({step for steps in iterations(setting).values() for step in steps}),
            "split": ("test",),
            "weight": range(setting.options.weights),
            "travel": TRAVELS,
            "phase": range(setting.options.phases),
        }

    def defaults(self, setting: TelemetrySetting) -> Mapping[str, Condition]:
        """The experiment's own recipe; the test set; travel as it is made."""
        return {"recipe": "own", "split": "test", "travel": "made"}

    def unmeasured(self, setting: TelemetrySetting, quantity: str, at: Mapping[str, Condition]) -> str | None:
        """More than a step shows is measured at fewer iterations, what the end tells, not without momentum."""
        option = _RECORDED_AT.get(quantity, "probes")
        if option == "kept" and at.get("recipe") == NO_MOMENTUM:
            return f"the control {NO_MOMENTUM!r} ends with the window, so that its end tells nothing"
        own = iterations(setting)[option]
        if "iteration" in at and at["iteration"] not in own:
            return (
                f"{quantity} is measured at the iterations {', '.join(map(str, own))}; settings.{option} says how many"
            )
        return None

    def check_setting(self, setting: TelemetrySetting) -> Iterable[Problem]:
        """A window within training, and controls that differ in what they control alone."""
        yield from super().check_setting(setting)
        yield from telemetry_problems(setting)
        yield from control_problems(setting)

    def figures(
        self, setting: TelemetrySetting, observations: Sequence[Observation], claims: Claims
    ) -> Sequence[Figure]:
        """The ten panels of Fig. 3, and the timeline of Fig. 2."""
        return telemetry_figures.figures(setting, observations)


def _training(recipe: Recipe, seed: int, stop: int) -> Job:
    """The full network, as ``imp`` trains its first copy where it rewinds to 0: together it is one run."""
    return recipe.train(recipe.initial(seed), 0, stop, order=recipe.copy_order(seed, 0))


def _probed(
    training: Job, steps: Iterable[int], measures: Iterable[str], weights: int = 0, weights_seed: int = 0
) -> Job:
    from harness.stages.probes import probed  # brings PyTorch, for which what only lists specs need not wait

    return probed(training, steps, measures, weights=weights, weights_seed=weights_seed)


PROTOCOL = EarlyPhaseTelemetry()
