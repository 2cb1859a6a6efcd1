"""The experiment in small: two initialisations, a few iterations, double precision, fixed seeds.

Statistics see a change only when it is large beside the spread between initialisations. A smoke run has no spread: with
the same seeds it gives the same states on every machine, up to rounding, so that whatever changes the meaning of a
training step, a mask or an order changes its numbers. It says that something changed, never whether it matters.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from pydantic import BaseModel

from harness.jobs.plan import Plan
from harness.jobs.stages import row
from harness.protocols.common.base import Experiment
from harness.protocols.common.recipe import LineOptions, Recipe
from harness.protocols.common.setting import Setting, TrainingSetting
from harness.schema.model import Replicates
from harness.steps import Duration

LENGTH = 40
"""Iterations of a full training: every schedule, fork and rewind is passed, and rounding has no time to grow."""

TOLERANCE = 1e-6
"""Relative difference of a number that is rounding; measured: see docs/regression.md."""

_INITIALISATIONS = 2
"""So that one initialisation, or one order, for all of them shows."""

_ALPHAS = 5
"""Places on a line at most; a line's ends are always among them."""


def smoke_plan(protocol: Experiment[Any], setting: Setting) -> Plan:
    """The plan of the experiment in small; empty for one that trains no network, which is no chaos to begin with.

    Args:
        protocol: the experiment.
        setting: of the experiment itself.
    """
    if not isinstance(setting, TrainingSetting):
        return Plan.of([])
    small = shrunk(setting)
    jobs = [measurement.job for measurement in protocol.measurements(small)]
    every = Plan.of(jobs).jobs
    return Plan.of(job for job in every.values() if not row(job.stage).unguarded)


def left_out(plan: Plan, small: Plan) -> dict[str, str]:
    """Stage -> why the smoke run has no job of it, of those that the experiment has.

    Args:
        plan: of the experiment.
        small: of its smoke run.
    """
    there = {job.stage for job in small.jobs.values()}
    absent = {job.stage for job in plan.jobs.values()} - there
    without = "no job of it is left in the experiment in small" if there else "the experiment trains no network"
    return {stage: row(stage).unguarded or without for stage in sorted(absent)}


def shrunk(setting: TrainingSetting) -> TrainingSetting:
    """The setting with every duration scaled to a training of ``LENGTH``, two initialisations, double precision."""
    orders = setting.replicates.orders
    few = Replicates(initialisations=_INITIALISATIONS, orders=orders, pairing=setting.replicates.pairing, first_seed=0)
    return replace(
        setting,
        recipe=_short(setting.recipe),
        others={name: _short(recipe) for name, recipe in setting.others.items()},
        options=_mapped(setting.options, partial(_scaled, setting.recipe)),
        replicates=few,
    )


def _scaled(recipe: Recipe, time: Duration) -> Duration:
    return Duration(math.ceil(recipe.iterations(time) * min(1.0, LENGTH / recipe.length)), "it")


def _short(recipe: Recipe) -> Recipe:
    training = _mapped(recipe.training, partial(_scaled, recipe))
    return Recipe(training.model_copy(update={"precision": "fp64"}), recipe.data)


def _mapped(value: Any, scaled: Callable[[Duration], Duration]) -> Any:
    """Nested models with each duration scaled and few places on lines; durations of a list that become equal once."""
    if isinstance(value, Duration):
        return scaled(value)
    if isinstance(value, BaseModel):
        changed = {name: _mapped(getattr(value, name), scaled) for name in type(value).model_fields}
        if isinstance(value, LineOptions):
            changed["alphas"] = min(value.alphas, _ALPHAS)
        return value.model_copy(update=changed)
    if isinstance(value, tuple) and value and isinstance(value[0], Duration):
        return tuple(dict.fromkeys(scaled(duration) for duration in value))
    if isinstance(value, Mapping):
        return {name: _mapped(member, scaled) for name, member in value.items()}
    return value
