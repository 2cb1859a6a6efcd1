"""Figures of the noisy quadratic: levels against both formulas, the staircase, the narrowing valley."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

from harness.figure import Figure, Series
from harness.observation import Observation
from harness.protocols.common import series
from harness.protocols.noisy_quadratic import jobs as quadratic_jobs
from harness.protocols.noisy_quadratic import theory
from harness.protocols.noisy_quadratic.options import NoisyQuadraticOptions, named

_CURVE_POINTS = 60


def figures(options: NoisyQuadraticOptions, observations: Sequence[Observation]) -> list[Figure]:
    """All figures; levels are drawn for the first value of what the figure leaves out."""
    return [
        _against_momentum(options, observations),
        _against_curvature(options, observations),
        _staircase(options, observations),
        _valley_path(options, observations),
        _valley_edge(options, observations),
    ]


def _against_momentum(options: NoisyQuadraticOptions, observations: Sequence[Observation]) -> Figure:
    rate, curvature, sigma = options.rates[0], options.curvatures[0], options.noises[0]
    at = {"rate": named(rate), "curvature": named(curvature), "noise": named(sigma)}
    measured = _points(series.curve(observations, "level", "momentum", at, label="simulated", role="simulated"))
    # The printed formula has a pole, beyond which it is negative: it is drawn over the measured part below that.
    reach = [momentum for momentum in measured.x if 1 - momentum**2 > rate * curvature]
    exact = _curve("exact", "exact", measured.x, lambda momentum: theory.exact_level(rate, curvature, momentum, sigma))
    printed = _curve(
        "printed", "printed", reach, lambda momentum: theory.printed_level(rate, curvature, momentum, sigma)
    )
    return Figure(
        "momentum",
        "Level against momentum",
        f"E[λx²] at equilibrium for α = {rate:g}, λ = {curvature:g}, σ = {sigma:g}: simulated, by the exact formula "
        "and by the printed one.",
        "momentum γ",
        "level",
        [measured, exact, printed],
        y_scale="log",
    )


def _against_curvature(options: NoisyQuadraticOptions, observations: Sequence[Observation]) -> Figure:
    rate, sigma = options.rates[-1], options.noises[0]
    lines: list[Series] = []
    for momentum in (options.momenta[0], options.momenta[-1]):
        role, note = named(momentum), f"γ = {momentum:g}"
        at = {"rate": named(rate), "momentum": named(momentum), "noise": named(sigma)}
        measured = _points(
            series.curve(observations, "level", "curvature", at, label=f"simulated, {note}", role=f"simulated {role}")
        )

        def exact(curvature: float, momentum: float = momentum) -> float:
            return theory.exact_level(rate, curvature, momentum, sigma)

        def printed(curvature: float, momentum: float = momentum) -> float:
            return theory.printed_level(rate, curvature, momentum, sigma)

        dense = _between(measured.x)
        reach = [curvature for curvature in dense if 1 - momentum**2 > rate * curvature]
        lines += [
            measured,
            _line(f"exact, {note}", f"exact {role}", dense, exact),
            _line(f"printed, {note}", f"printed {role}", reach, printed, dashed=True),
        ]
    return Figure(
        "curvature",
        "Level against curvature",
        f"E[λx²] at equilibrium for α = {rate:g}, σ = {sigma:g}. The printed formula ends at its pole αλ = 1 − γ²; "
        "descent is stable up to αλ = 1 + γ.",
        "λ",
        "level",
        lines,
        y_scale="log",
    )


def _staircase(options: NoisyQuadraticOptions, observations: Sequence[Observation]) -> Figure:
    chosen = options.staircase
    measured = series.curve(observations, "stair_loss", "step", {}, label="simulated", role="simulated")
    ends = [0]
    for length in quadratic_jobs.stairs(chosen, 0).params["lengths"]:
        ends.append(ends[-1] + length)
    heights = [theory.exact_level(rate, chosen.curvature, chosen.momentum, chosen.sigma) for rate in chosen.rates]
    drawn = bool(measured.x)
    exact = Series(
        "exact level of each learning rate",
        "exact",
        [float(end) for part in pairwise(ends) for end in part] if drawn else [],
        [height for height in heights for _ in range(2)] if drawn else [],
        dashed=True,
    )
    return Figure(
        "staircase",
        "Loss while the learning rate drops",
        f"Mean of λx² over all chains, α = {', '.join(map(named, chosen.rates))}; each level is proportional to α for "
        "small αλ, and is reached after a time that grows as 1/α.",
        "step",
        "loss",
        [measured, exact],
        x_scale="symlog",
        y_scale="log",
    )


def _valley_path(options: NoisyQuadraticOptions, observations: Sequence[Observation]) -> Figure:
    chosen = options.valley
    path = series.curve(observations, "valley_path", "step", {}, label="mean x", role="simulated")
    return Figure(
        "valley_path",
        "Along the narrowing valley",
        f"Mean x, with α = {chosen.rate_before:g} and from step {chosen.steps_before} on {chosen.rate_after:g}; the "
        "minimum is at .8. Noise across the valley holds descent where it is wide; a lower learning rate lets it in.",
        "step",
        "x",
        [path],
    )


def _valley_edge(options: NoisyQuadraticOptions, observations: Sequence[Observation]) -> Figure:
    spots = []
    for phase in ("before", "after"):
        x, width = (
            list(series.pick(observations, f"valley_{name}", {"phase": phase}).values())
            for name in ("position", "width")
        )
        pairs = sorted((a, b) for (a,), (b,) in zip(x, width, strict=True))
        spots.append(Series(f"{phase} the drop", phase, [a for a, _ in pairs], [b for _, b in pairs]))
    begun = bool(spots[0].x)
    across = [-0.6 + 0.02 * number for number in range(71)] if begun else []
    edge = Series("negative curvature above", "edge", across, [theory.valley_edge(x) for x in across])
    return Figure(
        "valley_edge",
        "Negative curvature in the narrowing valley",
        "Distance from the valley's floor. Above the line the Hessian has a negative eigenvalue. Dots: mean x and root "
        "mean square y of each initialisation.",
        "x",
        "|y|",
        [edge, *spots],
        y_scale="log",
    )


def _points(series: Series) -> Series:
    return replace(series, style="points")


def _curve(label: str, role: str, x: Sequence[float], height: Callable[[float], float]) -> Series:
    return _line(label, role, _between(x), height, dashed=label == "printed")


def _line(
    label: str, role: str, x: Sequence[float], height: Callable[[float], float], *, dashed: bool = False
) -> Series:
    return Series(label, role, x, [height(place) for place in x], dashed=dashed)


def _between(x: Sequence[float]) -> list[float]:
    """Evenly from the first to the last of some positions; nothing where there is none."""
    if not x:
        return []
    step = (x[-1] - x[0]) / (_CURVE_POINTS - 1)
    return [x[0] + step * number for number in range(_CURVE_POINTS)]
