"""Pretraining on a pretext in place of rewinding: then IMP, and training on the true labels (EP).

fresh network ─▶ n iterations on a pretext ─▶ IMP from there ─▶ train to the end under its mask ─▶ accuracy
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

from harness.figure import Figure
from harness.observation import Condition, Observation, Quantity
from harness.protocols.common import pairs
from harness.protocols.common.base import Claims, Measured, Measurement, Read
from harness.protocols.common.training import TrainingExperiment
from harness.protocols.early_phase_pretraining import derived
from harness.protocols.early_phase_pretraining import figures as pretraining_figures
from harness.protocols.early_phase_pretraining.jobs import Origin
from harness.protocols.early_phase_pretraining.options import (
    PretrainingOptions,
    PretrainingSetting,
    half_way_length,
    lengths,
    pretraining_problems,
)
from harness.protocols.early_phase_pretraining.pretexts import REFERENCES, SUPERVISED
from harness.schema.load import Problem

_AT_END = (*derived.AXES, "split")


class EarlyPhasePretraining(TrainingExperiment[PretrainingOptions]):
    """Accuracy of the sparse subnetwork against what it was pretrained on, and how long."""

    name = "early_phase_pretraining"
    settings = PretrainingOptions
    further_recipes = None
    time_axes = frozenset({"length"})
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "accuracy": Quantity("%", _AT_END, "accuracy at the end of training", seldom_below=pairs.GUESSED),
        "accuracy_drop": Quantity(
            "points",
            _AT_END,
            "accuracy of the full network minus that of the pretrained subnetwork, same initialisation",
        ),
        "gain": Quantity(
            "points",
            _AT_END,
            "accuracy of the subnetwork minus that of the one rewound to 0, same initialisation and data order",
        ),
        "beyond_half_way": Quantity(
            "points",
            _AT_END,
            "accuracy of the subnetwork minus the mean of the one rewound to 0 and that of supervised pretraining of "
            "its first length, same initialisation and data order: above 0 it has half or more of what that gains",
        ),
        "pretext_accuracy": Quantity("%", _AT_END, "accuracy on the pretext itself, after pretraining"),
        "moved_distance": Quantity(
            "",
            derived.AXES,
            "L2 distance that pretraining moves what the mask keeps, away from the initialisation",
            least=0.0,
        ),
    }

    def measurements(self, setting: PretrainingSetting) -> Iterable[Measurement]:
        """Errors at the end of training, errors on pretexts, and how far pretraining moves."""
        recipe = setting.recipe
        for seed in setting.replicates.seeds:
            origin = Origin.of(setting, seed)
            for name, length, end in origin.references():
                at: dict[str, Condition] = {"arm": name, "pretrained": "dense", "length": length}
                yield Measurement(_accuracy, recipe.evaluate(end), at, seed)
            for pretrained in origin.pretrained():
                at = {"arm": pretrained.arm, "pretrained": pretrained.under, "length": pretrained.length}
                arm = origin.handed_on(pretrained)
                yield Measurement(_on_pretext, pretrained.recipe.evaluate(pretrained.state), at, seed)
                yield Measurement(_moved, recipe.distance(recipe.initial(seed), arm.state, arm.mask), at, seed)
                yield Measurement(_accuracy, recipe.evaluate(origin.trained(arm, pretrained.length)), at, seed)

    def derived(
        self, setting: PretrainingSetting, observations: Sequence[Observation], read: Read
    ) -> Iterable[Observation]:
        """Accuracies against those of the references."""
        return derived.comparisons(observations, half_way_length(setting))

    def rests_on(
        self, setting: PretrainingSetting, quantity: str, at: Mapping[str, Condition], measurement: Measurement
    ) -> bool:
        """Comparisons are with references of their own."""
        arm = tuple(measurement.at[axis] for axis in derived.AXES)
        return measurement.agrees(at) or arm in derived.compared_with(half_way_length(setting)).get(quantity, ())

    def axes(self, setting: PretrainingSetting) -> Mapping[str, Sequence[Condition]]:
        """Arms, dense or sparse, lengths with those of the references, splits."""
        times = lengths(setting)
        return {
            "arm": [*REFERENCES, *times],
            "pretrained": list(dict.fromkeys(("dense", *setting.options.pretrained))),
            "length": sorted({0, _k(setting)}.union(*times.values())),
            "split": ("test", "train"),
        }

    def defaults(self, setting: PretrainingSetting) -> Mapping[str, Condition]:
        """Pretrained dense, the test set."""
        return {"pretrained": "dense", "split": "test"}

    def unmeasured(self, setting: PretrainingSetting, quantity: str, at: Mapping[str, Condition]) -> str | None:
        """Arms have lengths of their own, references no mask before training, and nothing to be compared with."""
        arm, length, times = str(at["arm"]), at["length"], _lengths_of(setting, str(at["arm"]))
        if length not in times:
            return f"{arm} has no length {length}it: it has {', '.join(f'{known}it' for known in times)}"
        if arm in REFERENCES and quantity in ("pretext_accuracy", "moved_distance"):
            return f"{arm} is not pretrained on a pretext: name another arm"
        under = ("dense",) if arm in REFERENCES else setting.options.pretrained
        if at["pretrained"] not in under:
            return f"{arm} is not pretrained {at['pretrained']} here: name {' or '.join(under)}"
        return _incomparable(setting, quantity, (arm, at["pretrained"], length))

    def check_setting(self, setting: PretrainingSetting) -> Iterable[Problem]:
        """Times lie within training, pretexts fit the images, and change the task, the rate and the length alone."""
        yield from super().check_setting(setting)
        yield from pretraining_problems(setting)

    def figures(
        self, setting: PretrainingSetting, observations: Sequence[Observation], claims: Claims
    ) -> Sequence[Figure]:
        """Accuracy against the length of pretraining, dense and sparse, and against the distance moved; pretexts."""
        return pretraining_figures.figures(setting, observations)


def _k(setting: PretrainingSetting) -> int:
    return setting.iterations(setting.options.rewind)


def _lengths_of(setting: PretrainingSetting, arm: str) -> Sequence[int]:
    """Of an arm; what counts as a reference's pretraining has one length."""
    if arm in REFERENCES:
        return [_k(setting) if arm == "rewound_k" else 0]
    return next(times for name, times in lengths(setting).items() if name == arm)


def _incomparable(setting: PretrainingSetting, quantity: str, arm: derived.Arm) -> str | None:
    if half_way_length(setting) is None and quantity == "beyond_half_way":
        return f"{quantity} is measured by {SUPERVISED} pretraining, dense: add it to settings.pretexts"
    if arm in derived.compared_with(half_way_length(setting)).get(quantity, ()):
        return f"{arm[0]} is what others are compared with: name another arm"
    return None


def _accuracy(measured: Measured) -> Iterable[Observation]:
    return (seen for seen in pairs.at_end(measured) if seen.quantity == "accuracy")


def _on_pretext(measured: Measured) -> Iterable[Observation]:
    for split, error in zip(measured.table["split"], measured.table["error"], strict=True):
        yield measured.seen("pretext_accuracy", 100 - error, split=split)


def _moved(measured: Measured) -> Iterable[Observation]:
    yield measured.seen("moved_distance", measured.table["l2"][0])


PROTOCOL = EarlyPhasePretraining()
