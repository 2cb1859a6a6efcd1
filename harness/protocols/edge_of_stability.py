"""The edge of stability: the largest eigenvalue of the Hessian through training, against what the rate allows."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from harness.figure import Figure
from harness.observation import Condition, Observation, Quantity
from harness.protocols import curvature, edge_figures, lineage
from harness.protocols.base import Claims, Measurement, Read
from harness.protocols.phases import Phase, drops, largest_stable, phase_problems, phases
from harness.protocols.setting import TrainingSetting, time_problems
from harness.protocols.training import TrainingProtocol
from harness.spec.base import Many, Model, Time
from harness.spec.load import Problem
from harness.store import Table

Run = Mapping[str, Mapping[int, float]]
"""Quantity (``loss``, ``sharpness``) -> iteration -> value, of one initialisation with or without decay."""


class EdgeOptions(Model):
    """What is left to choose.

    Attributes:
        checkpoints: iterations at which loss and largest eigenvalue are taken, besides those just before each drop and
            the end, where they always are.
        objective: the loss that is differentiated; the loss that is drawn is the same, over all examples.
        extremes: how the largest eigenvalue is found.
    """

    checkpoints: Many[Time] = ()
    objective: curvature.ObjectiveOptions = curvature.ObjectiveOptions()
    extremes: curvature.ExtremesOptions = curvature.ExtremesOptions()


class EdgeOfStability(TrainingProtocol):
    """The sharpness (largest eigenvalue of the Hessian) through training, with and without weight decay."""

    name = "edge_of_stability"
    settings = EdgeOptions
    time_axes = frozenset({"iteration"})
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "loss": Quantity("nats", ("decay", "iteration"), "training loss, without the decay's own term"),
        "sharpness": Quantity("", ("decay", "iteration"), "largest eigenvalue of the Hessian of the training loss"),
        "final_sharpness": Quantity("", ("decay",), "sharpness at the end of training"),
        "sharpness_rise": Quantity(
            "times",
            ("decay", "drop"),
            "sharpness at the end of the phase after a drop over that just before the drop",
            least=-math.inf,
        ),
        "edge_ratio": Quantity(
            "times",
            ("decay", "phase", "edge"),
            "sharpness at the end of a phase over the greatest that its rate allows: 2(1+momentum)/rate for "
            "heavy_ball, 2/rate for plain",
            least=-math.inf,  # an eigenvalue has a sign
        ),
        "decay_orders": Quantity(
            "", (), "log10 of the sharpness at the end of training with weight decay over that without"
        ),
    }

    def measurements(self, setting: TrainingSetting) -> Iterable[Measurement]:
        """Loss and extreme eigenvalues at every checkpoint, with the recipe's decay and without."""
        options: EdgeOptions = setting.options
        whole = options.objective.model_copy(update={"examples": None})
        for seed in setting.replicates.seeds:
            for decay, arm in (("with", setting), ("without", without_decay(setting))):
                for iteration in _checkpoints(setting):
                    at: dict[str, Condition] = {"decay": decay, "iteration": iteration}
                    state = lineage.trunk(arm, seed, iteration)
                    yield Measurement("loss", curvature.loss(arm, state, whole), at, seed)
                    sharpest = curvature.extremes(arm, state, options.objective, options.extremes)
                    yield Measurement("sharpness", sharpest, at, seed)

    def observe(self, setting: TrainingSetting, read: Read) -> Sequence[Observation]:
        """The tables' numbers; rises, distances from the edge and the factor of the decay from them."""
        found: list[Observation] = []
        runs: dict[tuple[int, Condition], dict[str, dict[int, float]]] = {}
        for one in self.measurements(setting):
            table = read(one.job)
            value = None if table is None else _value(one.kind, table)
            if value is not None:
                found.append(Observation(one.kind, one.at, one.initialisation, 0, value))
                run = runs.setdefault((one.initialisation, one.at["decay"]), {"loss": {}, "sharpness": {}})
                run[one.kind][int(one.at["iteration"])] = value
        for (seed, decay), run in runs.items():
            found += _of_run(setting, run["sharpness"], seed, decay)
        for seed in setting.replicates.seeds:
            ends = [
                runs.get((seed, decay), {}).get("sharpness", {}).get(setting.length) for decay in ("with", "without")
            ]
            if ends[0] and ends[1] and ends[0] / ends[1] > 0:
                found.append(Observation("decay_orders", {}, seed, 0, math.log10(ends[0] / ends[1])))
        return found

    def axes(self, setting: TrainingSetting) -> Mapping[str, Sequence[Condition]]:
        """Checkpoints, drops, phases, the two arms and the two edges."""
        return {
            "decay": ("with", "without"),
            "iteration": _checkpoints(setting),
            "drop": list(drops(setting)),
            "phase": [phase.number for phase in phases(setting)],
            "edge": ("heavy_ball", "plain"),
        }

    def defaults(self, setting: TrainingSetting) -> Mapping[str, Condition]:
        """With the recipe's decay; the edge of heavy-ball momentum."""
        return {"decay": "with", "edge": "heavy_ball"}

    def check_setting(self, setting: TrainingSetting) -> Iterable[Problem]:
        """Drops in order, checkpoints within training, a decay that can be left out."""
        yield from super().check_setting(setting)
        yield from phase_problems(setting)
        yield from time_problems(setting, "checkpoints", setting.options.checkpoints)
        if setting.training.optimiser.weight_decay == 0:
            yield Problem(
                ("training", "optimiser", "weight_decay"), "found 0, but it is compared with training without: give one"
            )

    def figures(
        self, setting: TrainingSetting, observations: Sequence[Observation], claims: Claims
    ) -> Sequence[Figure]:
        """Loss and sharpness through training; the distance from the edge."""
        return edge_figures.figures(setting, observations, claims)


def without_decay(setting: TrainingSetting) -> TrainingSetting:
    """The same setting with no weight decay; all else is equal."""
    optimiser = setting.training.optimiser.model_copy(update={"weight_decay": 0.0})
    return replace(setting, training=setting.training.model_copy(update={"optimiser": optimiser}))


def _checkpoints(setting: TrainingSetting) -> list[int]:
    ends = {phase.stop for phase in phases(setting)}
    return sorted(ends | {setting.iterations(time) for time in setting.options.checkpoints})


def _value(kind: str, table: Table) -> float | None:
    """A loss; or the largest eigenvalue, None where Lanczos did not converge: such a number means nothing."""
    return float(table["loss"][0]) if kind == "loss" else curvature.largest(table)


def _of_run(
    setting: TrainingSetting, sharpness: Mapping[int, float], seed: int, decay: Condition
) -> Iterable[Observation]:
    momentum = getattr(setting.training.optimiser, "momentum", 0.0)
    for phase in phases(setting):
        end = sharpness.get(phase.stop)
        if end is None:
            continue
        for edge, carried in (("heavy_ball", momentum), ("plain", 0.0)):
            at: dict[str, Condition] = {"decay": decay, "phase": phase.number, "edge": edge}
            yield Observation("edge_ratio", at, seed, 0, end / largest_stable(phase.rate, carried))
        yield from _rise(phase, sharpness.get(phase.start), end, seed, decay)
    if setting.length in sharpness:
        yield Observation("final_sharpness", {"decay": decay}, seed, 0, sharpness[setting.length])


def _rise(phase: Phase, before: float | None, after: float, seed: int, decay: Condition) -> Iterable[Observation]:
    if phase.number > 0 and before is not None and before > 0:
        yield Observation("sharpness_rise", {"decay": decay, "drop": phase.number}, seed, 0, after / before)


PROTOCOL = EdgeOfStability()
