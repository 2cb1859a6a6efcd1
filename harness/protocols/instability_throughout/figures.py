"""Figures of instability throughout training, in the paper's form (LMC Fig. 13)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from harness.digits import plain
from harness.figure import Figure, Panel, Reference, Series
from harness.observation import Condition, Observation
from harness.protocols.common import series
from harness.protocols.instability_throughout.options import ThroughoutSetting, arms, forks, times

_OF_ARM = {"full": "the full network", "imp": "IMP's subnetwork"}


def figures(setting: ThroughoutSetting, observations: Sequence[Observation]) -> list[Figure]:
    """Curves and a map for each arm."""
    mode = setting.recipe.batch_norm_modes(setting.options.line)[0]
    return [draw(setting, observations, arm, mode) for arm in arms(setting) for draw in (_curves, _map)]


def _curves(setting: ThroughoutSetting, observations: Sequence[Observation], arm: str, mode: str) -> Figure:
    threshold, epoch = setting.options.stable_below, setting.recipe.per_epoch
    drops = [round(setting.iterations(drop) / epoch, 1) for drop in setting.recipe.training.schedule.drops]
    return Figure(
        f"throughout_{arm}",
        f"Instability throughout training, {_OF_ARM[arm]}",
        "Instability of copies in the course of their training, a line for each step k at which they parted, from "
        "light (early) to dark (late), on the test set and on the training set; below, the mean test error of the "
        "copies (LMC Fig. 13). At k itself they are one network.",
        "epoch",
        "test (points)",
        [
            line
            for number, fork in enumerate(forks(setting))
            for line in _of_fork(setting, observations, arm, mode, fork, number / max(len(forks(setting)) - 1, 1))
        ],
        (
            *(
                Reference(f"{split}: stable below {threshold:g}", threshold, "y", "threshold", panel)
                for panel, split in enumerate(("test", "train"))
            ),
            *(Reference("drop of the learning rate", drop, "x", "event") for drop in drops),
        ),
        below=(Panel("train (points)"), Panel("test error (%)")),
    )


def _of_fork(
    setting: ThroughoutSetting, observations: Sequence[Observation], arm: str, mode: str, fork: int, order: float
) -> list[Series]:
    """Instability on both splits, from 0 at k on, and the copies' error."""
    epoch = setting.recipe.per_epoch
    places: Mapping[Condition, float] = {time: time / epoch for time in times(setting)}
    lines = [
        series.curve(
            observations,
            quantity,
            "time",
            {"arm": arm, "fork": fork, "split": split, **({"batch_norm": mode} if quantity == "instability" else {})},
            label=f"k = {plain(fork)}",
            role="throughout",
            places=places,
            panel=panel,
        )
        for panel, (quantity, split) in enumerate(
            (("instability", "test"), ("instability", "train"), ("error", "test"))
        )
    ]
    return [
        replace(_from_fork(line, fork / epoch) if line.panel < 2 else line, order=order) for line in lines if line.x
    ]


def _from_fork(line: Series, place: float) -> Series:
    """With the point at k, where copies have no instability."""
    low, high = ((0.0, *ends) if ends else () for ends in (line.low, line.high))
    return replace(line, x=(place, *line.x), y=(0.0, *line.y), low=low, high=high)


def _map(setting: ThroughoutSetting, observations: Sequence[Observation], arm: str, mode: str) -> Figure:
    epoch = setting.recipe.per_epoch
    every = times(setting)
    return Figure(
        f"map_{arm}",
        f"Instability by time and k, {_OF_ARM[arm]}",
        "Mean instability on the test set at every time of training (LMC Fig. 13 as a map), a row for each step k at "
        "which copies parted; before it there is one network, and nothing to measure.",
        "epoch",
        "k (iterations)",
        [],
        surface=series.heat_map(
            observations,
            "instability",
            {"arm": arm, "split": "test", "batch_norm": mode},
            across=series.Side("time", every, [plain(round(time / epoch, 1)) for time in every]),
            up=series.Side("fork", forks(setting)),
            label="instability (points)",
        ),
    )
