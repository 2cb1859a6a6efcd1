"""Figures of perturbations: accuracy by arm, against n, and against the distance moved."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace

from harness.figure import Figure, Reference, Series
from harness.observation import Condition, Observation
from harness.protocols.common import series
from harness.protocols.early_phase_perturbations.jobs import NO_NOISE
from harness.protocols.early_phase_perturbations.options import PerturbationSetting
from harness.protocols.early_phase_perturbations.perturbations import (
    CONTROLS,
    IDENTITY,
    NOISE,
    PERTURBATIONS,
    WORDS,
    Family,
    PerturbationName,
)

_BY_ARM: Mapping[str, tuple[Sequence[Family], str, str]] = {
    "signs": (
        ("signs",),
        "signs and magnitudes",
        "the signs at iteration 0 or k and the magnitudes at iteration 0 or k (EP Fig. 4)",
    ),
    "permutations": (
        ("permutations", "draws"),
        "permutations and independent draws",
        "the weights at iteration k permuted within structural elements (EP Fig. 5), or drawn anew from a normal law "
        "with each layer's mean and deviation",
    ),
}
"""Id of a figure -> what it shows, in its title, in its caption."""

_ROLES: Mapping[str, str] = {"control": "imp", "reinit": "random_reinit"}
"""Controls that other experiments draw as well -> their role there."""


def figures(setting: PerturbationSetting, observations: Sequence[Observation]) -> list[Figure]:
    """For each k accuracy by arm, and against the distance moved; accuracy against n."""
    options = setting.options
    rewinds = [setting.iterations(rewind) for rewind in options.rewinds]
    chosen = [name for name in PERTURBATIONS if name in options.perturbations and name != IDENTITY]
    drawn = []
    for name in _BY_ARM:
        arms = [arm for arm in chosen if PERTURBATIONS[arm].family in _BY_ARM[name][0]]
        drawn += [_by_arm(observations, name, arms, k) for k in rewinds if arms]
    if options.noises:
        drawn.append(_against_n(observations, rewinds))
    return drawn + [_against_distance(observations, chosen, k) for k in rewinds]


def _by_arm(observations: Sequence[Observation], name: str, chosen: Sequence[PerturbationName], k: int) -> Figure:
    _, title, words = _BY_ARM[name]
    names = [*CONTROLS, *chosen]
    arms = {arm: _arm(observations, k, arm, place) for place, arm in enumerate(names)}
    return Figure(
        f"{name}_{k}",
        f"Accuracy by {title}, k = {k}",
        f"Test accuracy at the end of training of the IMP subnetwork initialised to {words}, with the controls.",
        "weights at the start of training",
        "test accuracy (%)",
        [arm for arm in arms.values() if arm.x],
        [Reference(WORDS["control"], y, "y", "threshold") for y in arms["control"].y],
        y_scale="up_to_100",
        x_names=[WORDS[arm] for arm in names],
    )


def _against_n(observations: Sequence[Observation], rewinds: Sequence[int]) -> Figure:
    lines = [_noise(observations, k, label=f"k = {k}", role=f"rewind{number}") for number, k in enumerate(rewinds)]
    ends = [x for line in lines for x in line.x]
    full = _full(observations, rewinds[0], (min(ends), max(ends))) if ends else []
    return Figure(
        "noise",
        "Accuracy against the size of the noise",
        "Test accuracy at the end of training of the IMP subnetwork whose weights at iteration k got Gaussian noise of "
        "n standard deviations of the initial weights; n = 0 is the control.",
        "n",
        "test accuracy (%)",
        [*lines, *full],
        y_scale="up_to_100",
    )


def _against_distance(observations: Sequence[Observation], names: Sequence[PerturbationName], k: int) -> Figure:
    """Our own: all perturbations on one axis."""
    moved = _mean_distances(observations, k)
    by_n = {n: distance for (name, n), distance in moved.items() if name == NOISE}
    places = {name: moved[name, NO_NOISE] for name in names if (name, NO_NOISE) in moved}
    drawn = [_arm(observations, k, name, place) for name, place in places.items()]
    drawn.append(_noise(observations, k, label="Gaussian noise", role=NOISE, places={NO_NOISE: 0.0, **by_n}))
    return Figure(
        f"distance_{k}",
        f"Accuracy against the distance moved, k = {k}",
        "Test accuracy at the end of training against the L2 distance by which a perturbation moves the surviving "
        "weights at iteration k, means over initialisations; noise begins at the control, at 0.",
        "L2 distance moved",
        "test accuracy (%)",
        [line for line in drawn if line.x] + _full(observations, k, (0.0, max(moved.values(), default=0.0))),
        y_scale="up_to_100",
    )


def _arm(observations: Sequence[Observation], k: int, name: str, place: float) -> Series:
    """The accuracy of one arm, without noise, at its place."""
    mine = [one for one in observations if one.at.get("perturbation") == name]
    at: dict[str, Condition] = {"n": NO_NOISE, "rewind": k, "split": "test"}
    places: dict[Condition, float] = {name: place}
    line = series.curve(
        mine, "accuracy", "perturbation", at, label=WORDS[name], role=_ROLES.get(name, name), places=places
    )
    return replace(line, style="points")


def _noise(
    observations: Sequence[Observation],
    k: int,
    *,
    label: str,
    role: str,
    places: Mapping[Condition, float] | None = None,
) -> Series:
    """Accuracy under noise, from the control on."""
    mine = [
        one
        for one in observations
        if one.at.get("perturbation") in ("control", NOISE) and (places is None or one.at["n"] in places)
    ]
    return series.curve(mine, "accuracy", "n", {"rewind": k, "split": "test"}, label=label, role=role, places=places)


def _full(observations: Sequence[Observation], k: int, ends: tuple[float, float]) -> list[Series]:
    """The full network's accuracy, drawn across the whole figure."""
    line = _arm(observations, k, "full", 0.0)
    if not line.x or ends[0] == ends[1]:
        return []
    low, high = (line.low[0],) * 2 if line.low else (), (line.high[0],) * 2 if line.high else ()
    return [replace(line, x=ends, y=(line.y[0],) * 2, low=low, high=high, dashed=True, style="line")]


def _mean_distances(observations: Sequence[Observation], k: int) -> dict[tuple[Condition, Condition], float]:
    """Perturbation and n -> mean distance over initialisations."""
    found: dict[tuple[Condition, Condition], list[float]] = {}
    for one in observations:
        if one.quantity == "moved_distance" and one.at["rewind"] == k:
            found.setdefault((one.at["perturbation"], one.at["n"]), []).append(one.value)
    return {arm: statistics.fmean(values) for arm, values in found.items()}
