"""Figures by level of pruning (LMC Fig. 8 and 9, Fig. 14 to 17), where copies are compared at several of them."""

from collections.abc import Iterator, Mapping, Sequence

from harness.digits import plain
from harness.figure import Figure, Reference, Series
from harness.judging.estimands import Located
from harness.observation import Condition, Observation
from harness.protocols.common import series
from harness.protocols.common.arms import ARMS
from harness.protocols.imp.options import ImpSetting

_BECOMES: Mapping[str, str] = {"stable_from": "stable", "matching_from": "matching"}


def level_figures(setting: ImpSetting, observations: Sequence[Observation]) -> list[Figure]:
    """When subnetworks become stable and matching, by sparsity; the best accuracy; maps of instability and error."""
    levels = sorted(level for level in setting.options.compared_levels if level > 0)
    if len(levels) < 2:
        return []
    densities = _densities(observations)
    return [_times(setting, observations, densities), _best(setting, observations, densities)] + [
        _map(setting, observations, densities, levels, quantity, arm)
        for quantity in ("instability", "error")
        for arm in setting.options.arms
    ]


def _densities(observations: Sequence[Observation]) -> Mapping[Condition, float]:
    """Level -> the share of weights that remains, as far as it was observed; pruning decides it alone."""
    found: dict[Condition, float] = {0: 100.0}
    for observation in observations:
        if observation.quantity == "density":
            found[observation.at["level"]] = observation.value
    return found


def _times(setting: ImpSetting, observations: Sequence[Observation], densities: Mapping[Condition, float]) -> Figure:
    last = setting.iterations(setting.options.rewinds[-1])
    return Figure(
        "becomes_stable_matching",
        "When subnetworks become stable and matching, by sparsity",
        "Median rewinding iteration from which on subnetworks are stable, and from which on they are matching, against "
        "the share of weights that remains (LMC Fig. 8), with intervals for the median as far as iterations were "
        "searched. Where a median is at none of them, there is no point.",
        "weights remaining (%)",
        "rewinding iteration k",
        [
            _medians(setting, observations, densities, quantity, arm)
            for arm in setting.options.arms
            for quantity in _BECOMES
        ],
        (Reference("last searched", last, "y", "event"),),
        "reversed_log",
    )


def _medians(
    setting: ImpSetting,
    observations: Sequence[Observation],
    densities: Mapping[Condition, float],
    quantity: str,
    arm: str,
) -> Series:
    at = {"arm": arm, "split": "test"}
    if quantity == "stable_from":
        at["batch_norm"] = setting.recipe.batch_norm_modes(setting.options.line)[0]
    first, last = (float(setting.iterations(setting.options.rewinds[end])) for end in (0, -1))
    points = []
    for level in setting.options.compared_levels:
        values = series.pick(observations, quantity, {**at, "level": level})
        if not values or level not in densities:
            continue
        median = Located(values, "median").estimate
        if median.value is not None and median.value <= last:
            low, high = (first, last) if median.low is None or median.high is None else (median.low, median.high)
            points.append((densities[level], float(median.value), float(low), min(float(high), last)))
    points.sort()
    return Series(
        f"{ARMS[arm].words}, {_BECOMES[quantity]}",
        arm,
        x=[x for x, _, _, _ in points],
        y=[y for _, y, _, _ in points],
        low=[low for _, _, low, _ in points],
        high=[high for _, _, _, high in points],
        dashed=quantity == "matching_from",
    )


def _best(setting: ImpSetting, observations: Sequence[Observation], densities: Mapping[Condition, float]) -> Figure:
    first = setting.iterations(setting.options.rewinds[0])
    there = [observation for observation in observations if observation.at.get("level") in densities]
    best = series.curve(
        there, "best_drop", "level", {"arm": "imp", "split": "test"}, label="IMP, best k", role="best", places=densities
    )
    others = [
        series.curve(
            there,
            "accuracy_drop",
            "level",
            {"arm": arm, "rewind": first, "split": "test"},
            label=f"{ARMS[arm].words}, k = {first}",
            role=arm,
            places=densities,
        )
        for arm in setting.options.arms
    ]
    within = setting.options.matching_within
    return Figure(
        "best_drop",
        "Loss of accuracy against sparsity, at the best rewinding iteration",
        "Loss of test accuracy of the subnetworks against the share of weights that remains: of IMP at the rewinding "
        "iteration that is best for the other initialisations, and of all arms at the first one (LMC Fig. 9).",
        "weights remaining (%)",
        "loss of test accuracy (points)",
        [line for line in (best, *others) if line.x],
        (Reference(f"margin of matching beside one sd: {plain(within)}", within, "y", "threshold"),),
        "reversed_log",
    )


def _map(
    setting: ImpSetting,
    observations: Sequence[Observation],
    densities: Mapping[Condition, float],
    levels: Sequence[int],
    quantity: str,
    arm: str,
) -> Figure:
    at = {"arm": arm, "split": "test"}
    if quantity == "instability":
        at["batch_norm"] = setting.recipe.batch_norm_modes(setting.options.line)[0]
    words = "instability (points)" if quantity == "instability" else "test error (%)"
    return Figure(
        f"{quantity}_map_{arm}",
        f"{quantity.capitalize()} by sparsity and rewinding iteration, {ARMS[arm].words}",
        f"Mean {words} of subnetworks for every compared level of pruning and every iteration that they were rewound "
        "to (LMC Fig. 14 to 17, as a map).",
        "rewinding iteration k",
        "weights remaining",
        [],
        surface=series.heat_map(
            observations,
            quantity,
            at,
            across=series.Side("rewind", [setting.iterations(rewind) for rewind in setting.options.rewinds]),
            up=series.Side("level", levels, list(_names(levels, densities))),
            label=words,
        ),
    )


def _names(levels: Sequence[int], densities: Mapping[Condition, float]) -> Iterator[str]:
    for level in levels:
        share = densities.get(level)
        yield f"level {level}" if share is None else f"{plain(float(f'{share:.3g}'))} %"
