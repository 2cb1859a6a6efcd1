"""Figures of the early phase: ten panels of telemetry (EP Fig. 3), and the timeline (EP Fig. 2)."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

from harness.digits import plain
from harness.figure import Figure, Panel, Reference, Series, Span
from harness.observation import Condition, Observation
from harness.protocols.common import series
from harness.protocols.early_phase_telemetry.options import CONSTANT, NO_MOMENTUM, TelemetrySetting, window_of

RECIPES: Mapping[str, str] = {
    "own": "the recipe",
    CONSTANT: "at a constant rate",
    NO_MOMENTUM: "without momentum",
}
"""Name on the axis ``recipe`` -> words."""

COURSES = (
    ("own", "made", "step_length"),
    ("own", "momentum_free", "momentum_free_travel"),
    (CONSTANT, "made", "step_length"),
    (NO_MOMENTUM, "made", "step_length"),
)
"""Recipe, travel and its quantity of each course of the timeline."""

PANELS = (
    ("accuracy", "test accuracy (%)", "linear"),
    ("loss", "test loss (nats)", "linear"),
    ("mean_magnitude", "mean |weight|", "linear"),
    ("signs_changed", "signs changed (%)", "linear"),
    ("weight", "single weights", "linear"),
    ("gradient_norm", "gradient norm", "log"),
    ("distance_from_start", "L2 from start", "linear"),
    ("distance_to_end", "L2 to end", "linear"),
    ("cosine_with_start", "cosine with start", "linear"),
    ("cosine_with_end", "cosine with end", "linear"),
)
"""Quantity, words and scale of each panel, in the order of the source's figure."""


def figures(setting: TelemetrySetting, observations: Sequence[Observation]) -> Sequence[Figure]:
    """Telemetry, and the timeline."""
    return [_telemetry(setting, observations), _timeline(setting, observations)]


def _telemetry(setting: TelemetrySetting, observations: Sequence[Observation]) -> Figure:
    lines: list[Series] = []
    for panel, (quantity, _, _) in enumerate(PANELS):
        if quantity == "weight":
            lines += _weights(setting, observations, panel)
            continue
        lines += [
            series.curve(
                observations,
                quantity,
                "iteration",
                {"recipe": recipe},
                label=words,
                role=f"{recipe}_recipe",
                dashed=recipe != "own",
                panel=panel,
            )
            for recipe, words in RECIPES.items()
        ]
    first, *others = (Panel(words, "log" if scale == "log" else "linear") for _, words, scale in PANELS)
    return Figure(
        "telemetry",
        "Telemetry of the early phase",
        f"The network through its first {window_of(setting):,} iterations (EP Fig. 3). Above: accuracy and loss on the "
        "test set, mean magnitude of weights, share of weights whose sign is not the initial one, single weights of "
        "the first initialisation. Below: norm of the gradient; L2 distance from the initial and to the final "
        "parameters; cosine with the initial and with the final ones.",
        "iteration",
        first.y_label,
        lines,
        below=others,
        columns=len(PANELS) // 2,
    )


def _weights(setting: TelemetrySetting, observations: Sequence[Observation], panel: int) -> list[Series]:
    """Single weights of one initialisation: a mean over initialisations would be of different weights."""
    count, seed = setting.options.weights, setting.replicates.first_seed
    mine = [
        seen
        for seen in observations
        if seen.quantity == "weight" and seen.at["recipe"] == "own" and seen.initialisation == seed
    ]
    lines = []
    for number in range(count):
        points = sorted((int(seen.at["iteration"]), seen.value) for seen in mine if seen.at["weight"] == number)
        x, y = [float(step) for step, _ in points], [value for _, value in points]
        lines.append(Series("single weights", "weights", x, y, style="thin", panel=panel))
    return lines


def _timeline(setting: TelemetrySetting, observations: Sequence[Observation]) -> Figure:
    lines = [
        series.curve(
            observations,
            quantity,
            "iteration",
            {"recipe": recipe},
            label=_words(recipe, travel),
            role=f"{recipe}_recipe" if travel == "made" else travel,
            dashed=recipe != "own",
        )
        for recipe, travel, quantity in COURSES
    ]
    return Figure(
        "timeline",
        "Timeline of the early phase",
        "Travel of an iteration (above), and its phases (below, EP Fig. 2): those that, each with one level, leave the "
        "least squares of its logarithm; means over the initialisations' own phases. A block tells travel an iteration "
        "and, under it, the norm of the gradient in its phase, as geometric means. Over momentum: divided by the most "
        "that momentum, which begins with a velocity of 0, makes of gradients by then. Without momentum: at the same "
        f"rate.{_found_by(setting)}",
        "iteration",
        "travel of an iteration",
        lines,
        _mark(setting),
        x_scale="symlog",
        y_scale="log",
        below=(Panel("phases: travel, gradient"),),
        spans=[
            span
            for recipe, travel, _ in COURSES
            for span in _phases(setting, observations, {"recipe": recipe, "travel": travel}, _words(recipe, travel))
        ],
    )


def _words(recipe: str, travel: str) -> str:
    return RECIPES[recipe] if travel == "made" else "over momentum"


def _phases(
    setting: TelemetrySetting, observations: Sequence[Observation], course: Mapping[str, Condition], words: str
) -> Sequence[Span]:
    """A strip of a course; none where an initialisation lacks its phases."""
    count = setting.options.phases
    means: dict[str, list[float]] = {}
    for name in ("phase_start", "travel_rate", "phase_gradient"):
        picked = [series.pick(observations, name, {**course, "phase": phase}) for phase in range(count)]
        values = [[value for own in each.values() for value in own] for each in picked]
        if not all(values) or (name != "phase_start" and min(map(min, values)) <= 0):
            return []
        log, back = (math.log1p, math.expm1) if name == "phase_start" else (math.log, math.exp)
        means[name] = [back(sum(map(log, each)) / len(each)) for each in values]
    edges = [*means["phase_start"], float(window_of(setting))]
    return [
        Span(
            start,
            stop,
            f"{plain(means['travel_rate'][phase], 2)}\n{plain(means['phase_gradient'][phase], 2)}",
            words,
            phase / (count - 1),
            panel=1,
        )
        for phase, (start, stop) in enumerate(pairwise(edges))
    ]


def _mark(setting: TelemetrySetting) -> Sequence[Reference]:
    mark = setting.options.rewinding_works_from
    return () if mark is None else (Reference("rewinding works from", float(setting.iterations(mark)), "x", "event"),)


def _found_by(setting: TelemetrySetting) -> str:
    found_by = setting.options.rewinding_found_by
    return "" if found_by is None else f" Where rewinding begins to work: {found_by}"
