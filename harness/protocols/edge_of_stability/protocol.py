"""The edge of stability: the largest eigenvalue of the Hessian through training, against what the rate allows."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import ClassVar

from harness.digits import plain
from harness.figure import Figure
from harness.jobs.job import Job
from harness.observation import Condition, NoValue, Observation, Quantity, observed, ratio
from harness.protocols.common import curvature, pairs
from harness.protocols.common.base import Claims, Measured, Measurement, Read
from harness.protocols.common.heavy_ball import largest_stable
from harness.protocols.common.phases import drops, phases
from harness.protocols.common.recipe import Recipe
from harness.protocols.common.training import TrainingExperiment
from harness.protocols.edge_of_stability import figures as edge_figures
from harness.protocols.edge_of_stability.options import EdgeOptions, EdgeSetting, edge_problems
from harness.schema.load import Problem
from harness.schema.training import Schedule

DECAYS = ("with", "without")

Run = Mapping[int, curvature.Eigenvalue | NoValue]
"""Iteration -> the largest eigenvalue, of one initialisation with or without decay."""


class EdgeOfStability(TrainingExperiment[EdgeOptions]):
    """The sharpness (largest eigenvalue of the Hessian) through training, with and without weight decay."""

    name = "edge_of_stability"
    settings = EdgeOptions
    time_axes = frozenset({"iteration"})
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "loss": Quantity("nats", ("decay", "iteration"), "training loss, without the decay's own term"),
        "sharpness": Quantity("", ("decay", "iteration"), "largest eigenvalue of the Hessian of the training loss"),
        "smallest_eigenvalue": Quantity(
            "",
            ("decay", "iteration"),
            "smallest eigenvalue of the Hessian of the training loss; needs settings.extremes.bottom",
        ),
        "final_sharpness": Quantity("", ("decay",), "sharpness at the end of training"),
        "sharpness_rise": Quantity(
            "times",
            ("decay", "drop"),
            "sharpness at the end of the phase after a drop over that just before the drop",
            least=-math.inf,
        ),
        "undropped_sharpness": Quantity(
            "",
            ("drop",),
            "sharpness where the phase after a drop ends, of a training that went on at the rate before the drop",
        ),
        "rise_by_drop": Quantity(
            "times",
            ("drop",),
            "sharpness at the end of the phase after a drop over that of a training that went on at the rate before it",
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
        "error": Quantity("%", ("decay", "split"), "error at the end of training"),
        "accuracy": Quantity("%", ("decay", "split"), "accuracy at the end of training", seldom_below=pairs.GUESSED),
    }

    def measurements(self, setting: EdgeSetting) -> Iterable[Measurement]:
        """Loss and extreme eigenvalues at every checkpoint, with decay and without; the end; arms without a drop."""
        whole = setting.options.objective.model_copy(update={"examples": None})
        for seed in setting.replicates.seeds:
            for decay in DECAYS:
                recipe = _recipe(setting, decay)
                for iteration in _checkpoints(setting):
                    at: dict[str, Condition] = {"decay": decay, "iteration": iteration}
                    state = recipe.trunk(seed, iteration)
                    yield Measurement(_loss, curvature.loss(recipe, state, whole), at, seed)
                    yield Measurement(_sharpness, _extremes(setting, decay, seed, iteration), at, seed)
                if setting.options.accuracy:
                    ended = recipe.evaluate(recipe.trunk(seed, setting.length))
                    yield Measurement(pairs.at_end, ended, {"decay": decay}, seed)
            for drop in setting.options.undropped:
                yield Measurement(_undropped_sharpness, _undropped(setting, drop, seed), {"drop": drop}, seed)

    def derived(self, setting: EdgeSetting, observations: Sequence[Observation], read: Read) -> Iterable[Observation]:
        """Rises, distances from the edge, and the factor of the decay."""
        runs = {
            (seed, decay): _run(setting, decay, seed, read) for seed in setting.replicates.seeds for decay in DECAYS
        }
        for (seed, decay), run in runs.items():
            yield from _of_run(setting, run, seed, decay)
        for seed in setting.replicates.seeds:
            yield from _by_drop(setting, runs[seed, "with"], seed, read)
            ends = [runs[seed, decay].get(setting.length) for decay in DECAYS]
            if ends[0] is not None and ends[1] is not None:
                yield observed("decay_orders", {}, seed, 0, _orders(ends[0], ends[1]))

    def rests_on(
        self, setting: EdgeSetting, quantity: str, at: Mapping[str, Condition], measurement: Measurement
    ) -> bool:
        """What is derived rests on checkpoints with or without decay, and on a drop, as its conditions say."""
        own = _OF_THEIR_OWN.get(measurement.reads)
        return measurement.agrees(at) and (quantity in own if own is not None else quantity not in _EVALUATED)

    def axes(self, setting: EdgeSetting) -> Mapping[str, Sequence[Condition]]:
        """Checkpoints, drops, phases, the two arms, the two edges and the splits."""
        return {
            "decay": DECAYS,
            "iteration": _checkpoints(setting),
            "drop": list(drops(setting.recipe)),
            "phase": [phase.number for phase in phases(setting.recipe)],
            "edge": ("heavy_ball", "plain"),
            "split": ("test", "train"),
        }

    def defaults(self, setting: EdgeSetting) -> Mapping[str, Condition]:
        """With the recipe's decay; the edge of heavy-ball momentum; the test set."""
        return {"decay": "with", "edge": "heavy_ball", "split": "test"}

    def unmeasured(self, setting: EdgeSetting, quantity: str, at: Mapping[str, Condition]) -> str | None:
        """The smallest eigenvalue takes a search of its own, a training without a drop and an evaluation a job each."""
        options = setting.options
        if quantity == "smallest_eigenvalue" and not options.extremes.bottom:
            return "smallest_eigenvalue is not looked for with settings.extremes.bottom at 0: give 1 or more"
        if quantity in _EVALUATED and not options.accuracy:
            return f"{quantity} is not measured with settings.accuracy off: set it to true"
        if quantity in _BY_DROP and at["drop"] not in options.undropped:
            return f"nothing goes on without the drop {at['drop']}: add it to settings.undropped"
        return None

    def check_setting(self, setting: EdgeSetting) -> Iterable[Problem]:
        """Drops in order, checkpoints within training, a decay that can be left out."""
        yield from super().check_setting(setting)
        yield from edge_problems(setting)

    def figures(self, setting: EdgeSetting, observations: Sequence[Observation], claims: Claims) -> Sequence[Figure]:
        """Loss and sharpness through training; the distance from the edge."""
        return edge_figures.figures(setting, observations, claims)


def without_decay(recipe: Recipe) -> Recipe:
    """The same recipe with no weight decay; all else is equal."""
    optimiser = recipe.training.optimiser.model_copy(update={"weight_decay": 0.0})
    return Recipe(recipe.training.model_copy(update={"optimiser": optimiser}), recipe.data)


def _recipe(setting: EdgeSetting, decay: str) -> Recipe:
    return without_decay(setting.recipe) if decay == "without" else setting.recipe


def _extremes(setting: EdgeSetting, decay: str, seed: int, iteration: int) -> Job:
    recipe, options = _recipe(setting, decay), setting.options
    return curvature.extremes(recipe, recipe.trunk(seed, iteration), options.objective, options.extremes)


def _undropped(setting: EdgeSetting, drop: int, seed: int) -> Job:
    """The extremes where the phase after a drop ends, of the same training without it: same state, same batches."""
    recipe, options = setting.recipe, setting.options
    before, after = phases(recipe)[drop - 1 : drop + 1]
    constant = Recipe(recipe.training.model_copy(update={"schedule": Schedule(rate=before.rate)}), recipe.data)
    trained = constant.train(recipe.trunk(seed, after.start), after.start, after.stop, order=f"trunk/{seed}")
    return curvature.extremes(recipe, trained, options.objective, options.extremes)


def _checkpoints(setting: EdgeSetting) -> list[int]:
    ends = {phase.stop for phase in phases(setting.recipe)}
    return sorted(ends | {setting.iterations(time) for time in setting.options.checkpoints})


def _loss(measured: Measured) -> Iterable[Observation]:
    yield measured.seen("loss", float(measured.table["loss"][0]))


def _sharpness(measured: Measured[EdgeSetting]) -> Iterable[Observation]:
    yield measured.seen("sharpness", _number(curvature.extreme_of(measured.table, "top")))
    if measured.setting.options.extremes.bottom:
        yield measured.seen("smallest_eigenvalue", _number(curvature.extreme_of(measured.table, "bottom")))


def _undropped_sharpness(measured: Measured[EdgeSetting]) -> Iterable[Observation]:
    yield measured.seen("undropped_sharpness", _number(curvature.extreme_of(measured.table, "top")))


_EVALUATED = ("error", "accuracy")
_BY_DROP = ("undropped_sharpness", "rise_by_drop")
_OF_THEIR_OWN: Mapping[Callable[..., Iterable[Observation]], Sequence[str]] = {
    pairs.at_end: _EVALUATED,
    _undropped_sharpness: _BY_DROP,
}
"""What reads a table -> the quantities that rest on it, of tables on which no other does."""


def _number(eigenvalue: curvature.Eigenvalue | NoValue) -> float | NoValue:
    """An eigenvalue; exactly 0 where it may be rounding, so that its sign is nobody's verdict."""
    if isinstance(eigenvalue, NoValue):
        return eigenvalue
    return eigenvalue.value if abs(eigenvalue.value) > eigenvalue.error else 0.0


def _run(setting: EdgeSetting, decay: str, seed: int, read: Read) -> Run:
    tables = {time: read(_extremes(setting, decay, seed, time)) for time in _checkpoints(setting)}
    return {time: curvature.extreme_of(table, "top") for time, table in tables.items() if table is not None}


def _of_run(setting: EdgeSetting, sharpness: Run, seed: int, decay: Condition) -> Iterable[Observation]:
    momentum = getattr(setting.recipe.training.optimiser, "momentum", 0.0)
    for phase in phases(setting.recipe):
        end = sharpness.get(phase.stop)
        if end is None:
            continue
        for edge, carried in (("heavy_ball", momentum), ("plain", 0.0)):
            at: dict[str, Condition] = {"decay": decay, "phase": phase.number, "edge": edge}
            sharp = _number(end)
            over = sharp if isinstance(sharp, NoValue) else sharp / largest_stable(phase.rate, carried)
            yield observed("edge_ratio", at, seed, 0, over)
        before = sharpness.get(phase.start)
        if phase.number > 0 and before is not None:
            yield observed("sharpness_rise", {"decay": decay, "drop": phase.number}, seed, 0, _rise(before, end))
    if setting.length in sharpness:
        yield observed("final_sharpness", {"decay": decay}, seed, 0, _number(sharpness[setting.length]))


def _by_drop(setting: EdgeSetting, sharpness: Run, seed: int, read: Read) -> Iterable[Observation]:
    for drop in setting.options.undropped:
        table, after = read(_undropped(setting, drop, seed)), sharpness.get(phases(setting.recipe)[drop].stop)
        if table is not None and after is not None:
            rise = _rise(curvature.extreme_of(table, "top"), after, where="without the drop")
            yield observed("rise_by_drop", {"drop": drop}, seed, 0, rise)


def _rise(
    before: curvature.Eigenvalue | NoValue, after: curvature.Eigenvalue | NoValue, where: str = "just before the drop"
) -> float | NoValue:
    if isinstance(before, NoValue) or isinstance(after, NoValue):
        return before if isinstance(before, NoValue) else _number(after)
    if before.value < -before.error:
        return NoValue(f"the largest eigenvalue {where} is negative, {plain(before.value)}")
    return ratio(after.value, before.value, error=before.error, of=f"the largest eigenvalue {where}")


def _orders(with_decay: curvature.Eigenvalue | NoValue, without: curvature.Eigenvalue | NoValue) -> float | NoValue:
    ends = {"with": with_decay, "without": without}
    for name, end in ends.items():
        if isinstance(end, NoValue):
            return NoValue(f"{name} weight decay {end.why}")
        if end.value <= end.error:
            error = f"(known to {plain(end.error, 3)})"
            return NoValue(f"the sharpness {name} weight decay is {plain(end.value)} {error}: it has no logarithm")
    assert isinstance(with_decay, curvature.Eigenvalue)
    assert isinstance(without, curvature.Eigenvalue)
    return math.log10(with_decay.value / without.value)


PROTOCOL = EdgeOfStability()
