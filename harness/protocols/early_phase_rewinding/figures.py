"""Figures of accuracy by level and rewinding iteration."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from harness.digits import plain
from harness.figure import Figure, Reference, Series
from harness.observation import Condition, Observation
from harness.protocols.common import series
from harness.protocols.early_phase_rewinding.options import Pruned, RewindingSetting, networks, rewinds


def figures(setting: RewindingSetting, observations: Sequence[Observation]) -> list[Figure]:
    """All of them; where there are several networks, each has its own map and curves."""
    every = networks(setting)
    drawn = []
    for network in every.values():
        mine = [observation for observation in observations if observation.at["network"] == network.name]
        of_it = f", {network.name}" if len(every) > 1 else ""
        drawn += [_map(setting, network, mine, of_it), _curves(setting, network, mine, of_it)]
    return [*drawn, _against_rewind(setting, observations)]


def _densities(network: Pruned, observations: Sequence[Observation]) -> Mapping[Condition, float]:
    """Level -> the share of weights that remains, as far as it was observed; pruning decides it alone."""
    found: dict[Condition, float] = {0: 100.0}
    for observation in observations:
        if observation.quantity == "density" and observation.at["network"] == network.name:
            found[observation.at["level"]] = observation.value
    return found


def _map(setting: RewindingSetting, network: Pruned, observations: Sequence[Observation], of_it: str) -> Figure:
    densities = _densities(network, observations)
    levels = [level for level in network.judged if level in densities]
    return Figure(
        f"map_{network.name}",
        f"Loss of accuracy by sparsity and rewinding iteration{of_it}",
        "Mean test accuracy of the full network minus that of the subnetwork, for every judged level of pruning and "
        "every iteration that it was rewound to (EP Fig. 1 as a map); the row of 100 % is the full network, trained on "
        "from each of these iterations.",
        "rewinding iteration k",
        "weights remaining",
        [],
        surface=series.heat_map(
            observations,
            "accuracy_drop",
            {"network": network.name, "split": "test"},
            across=series.Side("rewind", rewinds(setting)),
            up=series.Side("level", levels, [f"{plain(float(f'{densities[level]:.3g}'))} %" for level in levels]),
            label="loss of test accuracy (points)",
        ),
    )


def _curves(setting: RewindingSetting, network: Pruned, observations: Sequence[Observation], of_it: str) -> Figure:
    densities = _densities(network, observations)
    drawn = [observation for observation in observations if observation.at.get("level") in densities]
    times = rewinds(setting)
    lines = [
        series.curve(
            drawn,
            "accuracy",
            "level",
            {"network": network.name, "rewind": rewind, "split": "test"},
            label=f"k = {plain(rewind)}",
            role="rewound",
            places=densities,
        )
        for rewind in times
    ]
    shaded = [replace(line, order=number / max(len(times) - 1, 1)) for number, line in enumerate(lines) if line.x]
    return Figure(
        f"accuracy_{network.name}",
        f"Accuracy against sparsity, by rewinding iteration{of_it}",
        "Test accuracy against the share of weights that remains, a line for each iteration that subnetworks were "
        "rewound to, from light (early) to dark (late) (EP Fig. 1).",
        "weights remaining (%)",
        "test accuracy (%)",
        shaded,
        x_scale="reversed_log",
    )


def _against_rewind(setting: RewindingSetting, observations: Sequence[Observation]) -> Figure:
    within = setting.options.matching_within
    return Figure(
        "drop_rewind",
        "Loss of accuracy at the sparsest level against the rewinding iteration",
        "Loss of test accuracy beyond one standard deviation of the full network's, at each network's sparsest judged "
        "level; "
        "subnetworks at or below the line are matching.",
        "rewinding iteration k",
        "loss beyond one sd (points)",
        [_line(network, observations) for network in networks(setting).values()],
        (Reference(f"matching: within {within:g}", within, "y", "threshold"),),
        "symlog",
    )


def _line(network: Pruned, observations: Sequence[Observation]) -> Series:
    level = network.judged[-1]
    return series.curve(
        observations,
        "drop_beyond_sd",
        "rewind",
        {"network": network.name, "level": level, "split": "test"},
        label=f"{network.name}, level {level}",
        role=f"network_{network.name}",
    )
