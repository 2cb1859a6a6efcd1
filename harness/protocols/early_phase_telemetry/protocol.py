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
    TelemetryOptions,
    TelemetrySetting,
    control_problems,
    iterations,
    telemetry_problems,
)
from harness.schema.load import Problem

_COURSE = ("schedule", "iteration")
_PHASE = ("schedule", "phase")
_RECORDED_AT = dict.fromkeys(("accuracy", "loss"), "evaluations") | dict.fromkeys(telemetry.OF_KEPT, "kept")
"""Quantity -> the setting that says at how many iterations, where that is not ``probes``."""


class EarlyPhaseTelemetry(TrainingExperiment[TelemetryOptions]):
    """The network through its first iterations, by probes inside one training, and the phases of its travel."""

    name = "early_phase_telemetry"
    settings = TelemetryOptions
    further_recipes = frozenset({CONSTANT})
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
        "cosine_with_start": Quantity("", _COURSE, "cosine of all parameters with their initial values", -1.0, 1.0),
        "cosine_with_end": Quantity(
            "", _COURSE, "cosine of all parameters with their values at the end of training", -1.0, 1.0
        ),
        "step_length": Quantity("", _COURSE, "travel of one iteration: the L2 length of its step", least=0.0),
        "phase_start": Quantity(
            "iterations",
            _PHASE,
            "first measured iteration of a phase. The phases are those of settings.phases that, each with one level, "
            "leave the least squares of the log of step_length, over iterations that are even in log(1 + t)",
        ),
        "travel_rate": Quantity(
            "", _PHASE, "travel per iteration in a phase: geometric mean of step_length", least=0.0
        ),
        "phase_gradient": Quantity("", _PHASE, "geometric mean of gradient_norm in a phase", least=0.0),
        "phases_over_smooth": Quantity(
            "x",
            ("schedule",),
            "sum of squares that K phases leave of log step_length over what a polynomial of as many coefficients, "
            "2K - 1, leaves: below 1 phases say more than a smooth course",
        ),
    }

    def measurements(self, setting: TelemetrySetting) -> Iterable[Measurement]:
        """A training an initialisation and recipe, and three records of it: of steps, kept states, the test set."""
        options, times = setting.options, iterations(setting)
        for seed in setting.replicates.seeds:
            for schedule, recipe in _recipes(setting).items():
                at: dict[str, Condition] = {"schedule": schedule}
                training = _training(recipe, seed)
                steps = _probed(training, times["probes"], telemetry.AT_ONCE, options.weights, options.weights_seed)
                yield Measurement(telemetry.course, steps, at, seed)
                yield Measurement(telemetry.kept, _probed(training, times["kept"], telemetry.OF_KEPT), at, seed)
                looks = _probed(training, times["evaluations"], telemetry.EVALUATED)
                yield Measurement(telemetry.evaluated, looks, at, seed)

    def axes(self, setting: TelemetrySetting) -> Mapping[str, Sequence[Condition]]:
        """Schedules, measured iterations, the test set, single weights and phases."""
        return {
            "schedule": list(_recipes(setting)),
            "iteration": sorted({step for steps in iterations(setting).values() for step in steps}),
            "split": ("test",),
            "weight": range(setting.options.weights),
            "phase": range(setting.options.phases),
        }

    def defaults(self, setting: TelemetrySetting) -> Mapping[str, Condition]:
        """The recipe's own schedule; the test set."""
        return {"schedule": "own", "split": "test"}

    def unmeasured(self, setting: TelemetrySetting, quantity: str, at: Mapping[str, Condition]) -> str | None:
        """What takes more than a step shows is measured at fewer iterations."""
        option = _RECORDED_AT.get(quantity, "probes")
        own = iterations(setting)[option]
        if "iteration" in at and at["iteration"] not in own:
            return (
                f"{quantity} is measured at the iterations {', '.join(map(str, own))}; settings.{option} says how many"
            )
        return None

    def check_setting(self, setting: TelemetrySetting) -> Iterable[Problem]:
        """A window within training, and a control that differs in the schedule alone."""
        yield from super().check_setting(setting)
        yield from telemetry_problems(setting)
        yield from control_problems(setting)

    def figures(
        self, setting: TelemetrySetting, observations: Sequence[Observation], claims: Claims
    ) -> Sequence[Figure]:
        """The ten panels of Fig. 3, and the timeline of Fig. 2."""
        return telemetry_figures.figures(setting, observations)


def _recipes(setting: TelemetrySetting) -> Mapping[str, Recipe]:
    """Schedule -> recipe; the control is the same training at a constant rate."""
    return {"own": setting.recipe, CONSTANT: setting.others[CONSTANT]}


def _training(recipe: Recipe, seed: int) -> Job:
    """The full network, as ``imp`` trains its first copy where it rewinds to 0: together it is one run."""
    return recipe.train(recipe.initial(seed), 0, recipe.length, order=recipe.copy_order(seed, 0))


def _probed(
    training: Job, steps: Iterable[int], measures: Iterable[str], weights: int = 0, weights_seed: int = 0
) -> Job:
    from harness.stages.probes import probed  # brings PyTorch, for which what only lists specs need not wait

    return probed(training, steps, measures, weights=weights, weights_seed=weights_seed)


PROTOCOL = EarlyPhaseTelemetry()
