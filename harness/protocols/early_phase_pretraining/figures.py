"""Figures of pretraining: accuracy against its length and the distance it moves, and accuracy on the pretexts."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace

from harness.figure import Figure, Series
from harness.observation import Condition, Observation
from harness.protocols.common import series
from harness.protocols.early_phase_pretraining.options import PretrainingSetting, lengths
from harness.protocols.early_phase_pretraining.pretexts import PRETEXTS, REFERENCES

_UNDER: Mapping[str, tuple[str, str]] = {
    "dense": ("dense", "as a whole, before it was pruned"),
    "sparse": ("under the mask", "with the mask present from the start"),
}
"""How a network is pretrained -> words of the title and of the caption."""


def figures(setting: PretrainingSetting, observations: Sequence[Observation]) -> list[Figure]:
    """All of them: accuracy by pretext, dense and sparse, with the references across; distances; pretexts."""
    under = setting.options.pretrained
    return [
        *(_against_length(setting, observations, one) for one in under),
        _against_distance(setting, observations),
        *(_on_pretext(setting, observations, one) for one in under),
    ]


def _labels(setting: PretrainingSetting) -> Mapping[str, str]:
    """Arm -> its words in legends."""
    return {name: PRETEXTS[name].words for name in lengths(setting)}


def _against_length(setting: PretrainingSetting, observations: Sequence[Observation], under: str) -> Figure:
    title, words = _UNDER[under]
    times = [time for of_arm in lengths(setting).values() for time in of_arm]
    lines = [_curve(observations, "accuracy", "length", arm, label, under) for arm, label in _labels(setting).items()]
    drawn = [line for line in lines if line.x]
    across = (float(min(times)), float(max(times)))
    references = [_across(observations, name, label, across) for name, label in REFERENCES.items()] if drawn else []
    return Figure(
        f"length_{under}",
        f"Accuracy against the length of pretraining, {title}",
        f"Test accuracy at the end of training of the IMP subnetwork that was pretrained {words}, against the "
        "iterations of pretraining; dashed the references that are not pretrained.",
        "iterations of pretraining",
        "test accuracy (%)",
        [*drawn, *(line for line in references if line.x)],
        x_scale="log",
    )


def _against_distance(setting: PretrainingSetting, observations: Sequence[Observation]) -> Figure:
    """Our own: all pretexts on one axis."""
    drawn = []
    for under in setting.options.pretrained:
        for arm, label in _labels(setting).items():
            places = _mean_distances(observations, arm, under)
            line = _curve(observations, "accuracy", "length", arm, label, under, places)
            drawn.append(replace(line, dashed=under == "sparse"))
    drawn = [line for line in drawn if line.x]
    ends = [x for line in drawn for x in line.x]
    full = [_across(observations, "full", REFERENCES["full"], (min(ends), max(ends)))] if ends else []
    return Figure(
        "distance",
        "Accuracy against the distance that pretraining moves",
        "Test accuracy at the end of training against the L2 distance from the initialisation that pretraining moves "
        "what the mask keeps, means over initialisations; a line joins the lengths of a pretext, dashed where the mask "
        "was present.",
        "L2 distance moved",
        "test accuracy (%)",
        [*drawn, *(line for line in full if line.x)],
    )


def _on_pretext(setting: PretrainingSetting, observations: Sequence[Observation], under: str) -> Figure:
    title, words = _UNDER[under]
    lines = [
        _curve(observations, "pretext_accuracy", "length", arm, label, under) for arm, label in _labels(setting).items()
    ]
    return Figure(
        f"pretext_{under}",
        f"Accuracy on the pretext, {title}",
        f"Test accuracy on the pretext itself of networks pretrained {words}: guessing is right in a quarter of the "
        "rotations, and in one of as many as there are classes elsewhere.",
        "iterations of pretraining",
        "test accuracy on the pretext (%)",
        [line for line in lines if line.x],
        x_scale="log",
    )


def _curve(
    observations: Sequence[Observation],
    quantity: str,
    axis: str,
    arm: str,
    label: str,
    under: str,
    places: Mapping[Condition, float] | None = None,
) -> Series:
    at: dict[str, Condition] = {"arm": arm, "pretrained": under, "split": "test"}
    mine = [one for one in observations if places is None or one.at.get("length") in places]
    return series.curve(mine, quantity, axis, at, label=label, role=arm, places=places)


def _across(observations: Sequence[Observation], name: str, label: str, ends: tuple[float, float]) -> Series:
    """A reference, drawn over the whole width."""
    line = _curve(observations, "accuracy", "length", name, label, "dense")
    if not line.x or ends[0] == ends[1]:
        return replace(line, x=(), y=(), low=(), high=())
    low, high = (line.low[0],) * 2 if line.low else (), (line.high[0],) * 2 if line.high else ()
    return replace(line, x=ends, y=(line.y[0],) * 2, low=low, high=high, dashed=True)


def _mean_distances(observations: Sequence[Observation], arm: str, under: str) -> Mapping[Condition, float]:
    """Length -> mean distance over initialisations."""
    found: dict[Condition, list[float]] = {}
    for one in observations:
        if one.quantity == "moved_distance" and (one.at["arm"], one.at["pretrained"]) == (arm, under):
            found.setdefault(one.at["length"], []).append(one.value)
    return {length: statistics.fmean(values) for length, values in found.items()}
