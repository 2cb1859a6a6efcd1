"""The noisy quadratic (Ciuca, "A Quadratic Stochastic Model"): simulated levels against the formulas."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from typing import ClassVar

from harness.datainfo import DatasetInfo
from harness.digits import ROUNDING, plain
from harness.figure import Figure
from harness.observation import Condition, NoValue, Observation, Quantity, ratio
from harness.protocols.common.base import Claims, Experiment, Measured, Measurement
from harness.protocols.common.setting import Setting
from harness.protocols.noisy_quadratic import figures as quadratic_figures
from harness.protocols.noisy_quadratic import jobs as quadratic_jobs
from harness.protocols.noisy_quadratic import theory
from harness.protocols.noisy_quadratic.options import NoisyQuadraticOptions, QuadraticSetting, named, problems
from harness.schema.load import Problem
from harness.schema.model import Replicates, Scale

_POINT = ("rate", "curvature", "momentum", "noise")
_PHASES = ("before", "after")
_NUMBERS = frozenset(_POINT)


class NoisyQuadratic(Experiment[QuadraticSetting]):
    """Levels at equilibrium, their drops, sums and relaxation, and the narrowing valley."""

    name = "noisy_quadratic"
    settings = NoisyQuadraticOptions
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "level": Quantity("", _POINT, "E[λx²] at equilibrium", least=0.0),
        "level_over_printed": Quantity("", _POINT, "level over the printed one, αλ²σ²/(1 − γ² − αλ)"),
        "level_over_exact": Quantity(
            "", _POINT, "level over the exact one, αλ²σ²(1 + γ)/((1 − γ)(1 + γ − αλ))", least=0.0
        ),
        "worst_printed": Quantity(
            "%", ("momentum",), "greatest difference from the printed level over the grid", most=math.inf
        ),
        "worst_exact": Quantity(
            "%", ("momentum",), "greatest difference from the exact level over the grid", most=math.inf
        ),
        "batch_over_rate": Quantity(
            "", ("rate", "momentum"), "level with the larger batch over that with the smaller learning rate", 0.0
        ),
        "drop_over_rates": Quantity(
            "", ("drop",), "level before over after a drop, over the same of the rates", least=0.0
        ),
        "stair_loss": Quantity("", ("step",), "mean of λx² while the learning rate drops", least=0.0),
        "sum_over_exact": Quantity("", (), "loss in many dimensions over the sum of the exact levels", least=0.0),
        "relaxation_over_exact": Quantity(
            "", ("rate", "momentum"), "steps in which E[x] falls e-fold, over −1/ln of the greater root", 0.0
        ),
        "valley_position": Quantity("", ("phase",), "mean x in the narrowing valley; its minimum is at .8"),
        "valley_width": Quantity("", ("phase",), "root mean square of y", least=0.0),
        "valley_loss": Quantity("", ("phase",), "mean loss in the narrowing valley, without the noise", least=0.0),
        "valley_negative": Quantity("%", ("phase",), "share of time where the Hessian has a negative eigenvalue"),
        "valley_sharpness": Quantity("", ("phase",), "mean largest eigenvalue of the Hessian"),
        "valley_path": Quantity("", ("step",), "mean x through the walk"),
    }

    def setting(
        self,
        scale: Scale,
        options: NoisyQuadraticOptions,
        replicates: Replicates,
        dataset: Callable[[str], DatasetInfo],
    ) -> QuadraticSetting:
        """Nothing but the options and the replicates."""
        return Setting(replicates, options)

    def measurements(self, setting: QuadraticSetting) -> Iterable[Measurement]:
        """Six simulations of each seed, one relaxation for each rate and momentum."""
        options = setting.options
        for seed in setting.replicates.seeds:
            yield Measurement(_grid, quadratic_jobs.grid(options, seed), {}, seed)
            yield Measurement(_batch, quadratic_jobs.batch(options, seed), {}, seed)
            yield Measurement(_stairs, quadratic_jobs.stairs(options.staircase, seed), {}, seed)
            yield Measurement(_sum, quadratic_jobs.spectrum(options.spectrum, seed), {}, seed)
            yield Measurement(_valley, quadratic_jobs.valley(options.valley, seed), {}, seed)
            for rate, momentum in product(options.relaxation.rates, options.relaxation.momenta):
                at = {"rate": named(rate), "momentum": named(momentum)}
                yield Measurement(_relaxation, quadratic_jobs.relaxation(options, rate, momentum, seed), at, seed)

    def rests_on(
        self, setting: QuadraticSetting, quantity: str, at: Mapping[str, Condition], measurement: Measurement
    ) -> bool:
        """Each simulation has quantities of its own."""
        return measurement.reads is _READ_BY[quantity] and measurement.agrees(at)

    def axes(self, setting: QuadraticSetting) -> Mapping[str, Sequence[Condition]]:
        """The grid and the other values that are measured; drops are counted from 1."""
        options = setting.options
        rates = {*options.rates, *options.batch.rates, *options.relaxation.rates}
        return {
            "rate": [named(rate) for rate in sorted(rates)],
            "curvature": [named(curvature) for curvature in options.curvatures],
            "momentum": [named(momentum) for momentum in sorted({*options.momenta, *options.relaxation.momenta})],
            "noise": [named(noise) for noise in options.noises],
            "drop": range(1, len(options.staircase.rates)),
            "phase": _PHASES,
        }

    def defaults(self, setting: QuadraticSetting) -> Mapping[str, Condition]:
        """The first curvature and noise."""
        options = setting.options
        return {"curvature": named(options.curvatures[0]), "noise": named(options.noises[0])}

    def unmeasured(self, setting: QuadraticSetting, quantity: str, at: Mapping[str, Condition]) -> str | None:
        """Each part of the settings has rates and momenta of its own."""
        options = setting.options
        part = {"batch_over_rate": "batch", "relaxation_over_exact": "relaxation"}.get(quantity)
        field = f"settings.{part}" if part else "settings"
        rates = getattr(options, part).rates if part else options.rates
        momenta = options.relaxation.momenta if part == "relaxation" else options.momenta
        if "rate" in at and at["rate"] not in [named(rate) for rate in rates]:
            return f"{quantity} is not measured at the rate {at['rate']}: add it to {field}.rates"
        if "momentum" in at and at["momentum"] not in [named(momentum) for momentum in momenta]:
            where = field if part == "relaxation" else "settings"
            return f"{quantity} is not measured at the momentum {at['momentum']}: add it to {where}.momenta"
        return None

    def check_setting(self, setting: QuadraticSetting) -> Iterable[Problem]:
        """Everything converges, and nothing is named twice."""
        return problems(setting)

    def figures(
        self, setting: QuadraticSetting, observations: Sequence[Observation], claims: Claims
    ) -> Sequence[Figure]:
        """Levels against momentum and curvature, the staircase, the valley."""
        return quadratic_figures.figures(setting.options, observations)

    def _condition(self, setting: QuadraticSetting, axis: str, value: Condition) -> Condition:
        if axis not in _NUMBERS:
            return value
        try:
            return named(float(value))
        except ValueError:
            raise ValueError(f'found {value!r}: write a number in quotes, {axis}: "0.01"') from None


def _grid(measured: Measured[QuadraticSetting]) -> Iterable[Observation]:
    apart: dict[tuple[str, str], list[float | NoValue]] = {}
    for point, level in zip(measured.measurement.job.params["points"], measured.table["level"], strict=True):
        at: dict[str, Condition] = dict(zip(_POINT, map(named, point), strict=True))
        yield measured.seen("level", level, **at)
        for name, formula in (("printed", theory.printed_level), ("exact", theory.exact_level)):
            over = ratio(level, formula(*point), error=0.0, of=f"the {name} level")
            yield measured.seen(f"level_over_{name}", over, **at)
            apart.setdefault((name, named(point[2])), []).append(over)
    for (name, momentum), values in apart.items():
        without = [value for value in values if isinstance(value, NoValue)]
        numbers = [100 * abs(value - 1) for value in values if not isinstance(value, NoValue)]
        yield measured.seen(f"worst_{name}", without[0] if without else max(numbers), momentum=momentum)


def _batch(measured: Measured[QuadraticSetting]) -> Iterable[Observation]:
    points, levels = measured.measurement.job.params["points"], measured.table["level"]
    for point, larger, slower in zip(points[::2], levels[::2], levels[1::2], strict=True):
        over = ratio(larger, slower, error=0.0, of="the level with the smaller learning rate")
        yield measured.seen("batch_over_rate", over, rate=named(point[0]), momentum=named(point[2]))


def _stairs(measured: Measured[QuadraticSetting]) -> Iterable[Observation]:
    table, rates = measured.table, measured.setting.options.staircase.rates
    settled = [_settled(table["loss"], table["stair"], stair) for stair in range(len(rates))]
    for drop in range(1, len(rates)):
        fall = ratio(settled[drop - 1], settled[drop], error=0.0, of="the level after the drop")
        over = fall if isinstance(fall, NoValue) else fall * rates[drop] / rates[drop - 1]
        yield measured.seen("drop_over_rates", over, drop=drop)
    for step, loss in zip(table["step"], table["loss"], strict=True):
        yield measured.seen("stair_loss", loss, step=step)


def _sum(measured: Measured[QuadraticSetting]) -> Iterable[Observation]:
    chosen = measured.setting.options.spectrum
    exact = theory.total_level(chosen.rate, chosen.curvatures, chosen.momentum, chosen.sigma)
    level = _settled(measured.table["loss"], measured.table["stair"], 0)
    yield measured.seen("sum_over_exact", ratio(level, exact, error=0.0, of="the sum of the exact levels"))


def _relaxation(measured: Measured[QuadraticSetting]) -> Iterable[Observation]:
    """From two to four relaxation times, when the faster root is forgotten and the noise is still small."""
    exact = theory.relaxation_time(*measured.measurement.job.params["point"][:3])
    means = measured.table["mean"]
    late = len(means)
    early = late // 2
    first, last = means[early - 1], means[late - 1]
    time: float | NoValue = NoValue(f"E[x] goes from {plain(first, 3)} to {plain(last, 3)}: that is no decay")
    if first > last > 0 and math.log(first / last) > ROUNDING:
        steps = (late - early) / math.log(first / last)
        time = ratio(steps, exact, error=0.0, of="the exact relaxation time")
    yield measured.seen("relaxation_over_exact", time)


def _valley(measured: Measured[QuadraticSetting]) -> Iterable[Observation]:
    table = measured.table
    for number, phase in enumerate(_PHASES):
        means = {name: _settled(column, table["phase"], number) for name, column in table.items()}
        yield measured.seen("valley_width", math.sqrt(means["square"]), phase=phase)
        yield measured.seen("valley_negative", 100 * means["negative"], phase=phase)
        for name in ("position", "loss", "sharpness"):
            yield measured.seen(f"valley_{name}", means[name], phase=phase)
    for step, position in zip(table["step"], table["position"], strict=True):
        yield measured.seen("valley_path", position, step=step)


def _settled(values: Sequence[float], parts: Sequence[int], part: int) -> float:
    """Mean over the second half of a part."""
    own = [value for value, where in zip(values, parts, strict=True) if where == part]
    half = own[len(own) // 2 :]
    return sum(half) / len(half)


_READ_BY: Mapping[str, Callable[[Measured[QuadraticSetting]], Iterable[Observation]]] = {
    **dict.fromkeys(("level", "level_over_printed", "level_over_exact", "worst_printed", "worst_exact"), _grid),
    "batch_over_rate": _batch,
    **dict.fromkeys(("drop_over_rates", "stair_loss"), _stairs),
    "sum_over_exact": _sum,
    "relaxation_over_exact": _relaxation,
    **{name: _valley for name in NoisyQuadratic.quantities if name.startswith("valley_")},
}
"""Quantity -> what gives it."""

PROTOCOL = NoisyQuadratic()
