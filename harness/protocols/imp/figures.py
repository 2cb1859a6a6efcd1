"""Figures of pruning experiments, in the papers' form."""

from collections.abc import Sequence

from harness.figure import Figure, Reference, Series
from harness.observation import Condition, NoValue, Observation
from harness.protocols.common import series
from harness.protocols.common.arms import ARMS
from harness.protocols.common.base import Claims
from harness.protocols.common.matching import deviation, full_accuracies
from harness.protocols.imp.options import ImpSetting
from harness.schema.claims import Check


def _arm(check: Check) -> str:
    """The arm that a check is about; level 0 of any arm is the full network."""
    return "full network" if check.at.get("level") == 0 else ARMS[str(check.at.get("arm", "imp"))].words


def figures(setting: ImpSetting, observations: Sequence[Observation], claims: Claims) -> list[Figure]:
    """All figures; those against the rewinding iteration are for the sparsest compared level."""
    rewinds = [setting.iterations(rewind) for rewind in setting.options.rewinds]
    level = max(setting.options.compared_levels)
    figures = [
        _accuracy(
            setting,
            observations,
            rewind,
            series.paper_references(claims, "accuracy", "level", {"rewind": rewind, "split": "test"}, _arm),
        )
        for rewind in rewinds
    ]
    figures += [
        _against_rewind(setting, observations, claims, level, quantity) for quantity in ("instability", "error")
    ]
    mode = setting.recipe.batch_norm_modes(setting.options.line)[0]
    figures.append(series.line_figure(observations, "rewind", rewinds, mode, {"arm": "imp", "level": level}))
    figures.append(_differences(setting, observations, level))
    return figures


def _accuracy(
    setting: ImpSetting, observations: Sequence[Observation], rewind: int, marks: Sequence[Reference]
) -> Figure:
    """LMC Fig. 9: accuracy against the share of weights that remain, for every arm."""
    densities: dict[Condition, float] = {0: 100.0}
    for level in range(1, setting.options.levels + 1):
        values = series.pick(observations, "density", {"rewind": rewind, "level": level})
        if values:
            densities[level] = next(iter(values.values()))[0]
    drawn = [observation for observation in observations if observation.at.get("level") in densities]
    lines = [
        series.curve(
            drawn,
            "accuracy",
            "level",
            {"arm": arm, "rewind": rewind, "split": "test"},
            label=ARMS[arm].words,
            role=arm,
            places=densities,
        )
        for arm in setting.options.arms
    ]
    return Figure(
        f"accuracy_{rewind}",
        f"Accuracy against sparsity, rewound to {rewind}",
        "Test accuracy of subnetworks against the share of weights that remains; the full one at 100 % (LMC Fig. 9).",
        "weights remaining (%)",
        "test accuracy (%)",
        [line for line in lines if line.x] + _full(lines),
        (*_matching(setting, observations, lines), *marks),
        "reversed_log",
    )


def _matching(setting: ImpSetting, observations: Sequence[Observation], lines: Sequence[Series]) -> list[Reference]:
    """The accuracy from which a subnetwork is matching: the full network's less one sd of it and the margin."""
    full, within = _full(lines), setting.options.matching_within
    if not full:
        return []
    sd = deviation(list(full_accuracies(observations).get("test", {}).values()))
    below, words = (within, f"within {within:g}") if isinstance(sd, NoValue) else (sd + within, f"sd + {within:g}")
    return [Reference(f"matching: {words}", round(full[0].y[0] - below, 2), "y", "threshold")]


def _full(lines: Sequence[Series]) -> list[Series]:
    """The full network's accuracy, drawn across the whole figure."""
    imp = lines[0]
    if not imp.x or imp.x[-1] != 100.0:
        return []
    ends = (min(imp.x), 100.0)
    low, high = ((imp.low[-1],) * 2, (imp.high[-1],) * 2) if imp.low else ((), ())
    return [Series("full network", "full", ends, (imp.y[-1],) * 2, low, high, dashed=True)]


def _against_rewind(
    setting: ImpSetting,
    observations: Sequence[Observation],
    claims: Claims,
    level: int,
    quantity: str,
) -> Figure:
    """LMC Fig. 6 and 7: instability and error against the rewinding iteration."""
    mode = setting.recipe.batch_norm_modes(setting.options.line)[0]
    extra = {"batch_norm": mode} if quantity == "instability" else {}
    arms = [
        series.curve(
            observations,
            quantity,
            "rewind",
            {"arm": arm, "level": level, "split": "test", **extra},
            label=ARMS[arm].words,
            role=arm,
        )
        for arm in setting.options.arms
    ]
    full = series.curve(
        observations,
        quantity,
        "rewind",
        {"arm": "imp", "level": 0, "split": "test", **extra},
        label="full network",
        role="full",
        dashed=True,
    )
    marks = series.paper_references(claims, quantity, "rewind", {"level": level, "arm": "imp", "split": "test"})
    if quantity == "instability":
        threshold = setting.options.stable_below
        marks.insert(0, Reference(f"stable below {threshold:g}", threshold, "y", "threshold"))
    place = "Fig. 6" if quantity == "instability" else "Fig. 7"
    return Figure(
        f"{quantity}_rewind",
        f"{quantity.capitalize()} against the rewinding iteration, level {level}",
        f"{quantity.capitalize()} at the sparsest compared level against the iteration that subnetworks were rewound "
        f"to (LMC {place}).",
        "rewinding iteration k",
        "instability (points)" if quantity == "instability" else "test error (%)",
        [line for line in (*arms, full) if line.x],
        marks,
        "symlog",
    )


def _differences(setting: ImpSetting, observations: Sequence[Observation], level: int) -> Figure:
    """LMC Fig. 28: examples that two copies classify differently."""
    return Figure(
        "differences",
        f"Examples classified differently, level {level}",
        "How many test examples two copies of a subnetwork classify differently (LMC Fig. 28).",
        "rewinding iteration k",
        "test examples",
        [
            series.curve(
                observations,
                "disagreements",
                "rewind",
                {"arm": arm, "level": level, "split": "test"},
                label=ARMS[arm].words,
                role=arm,
            )
            for arm in setting.options.arms
        ],
        (),
        "symlog",
    )
