"""Pretraining on a pretext in place of rewinding: then IMP's mask, and training on the true labels (EP).

fresh network ─▶ n iterations on a pretext ─▶ IMP's mask of k ─▶ train to the end ─▶ accuracy
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

from harness.figure import Figure
from harness.observation import Condition, Observation, Quantity
from harness.protocols.common import pairs
from harness.protocols.common.base import Claims, Measured, Measurement, Read
from harness.protocols.common.setting import time_problems, training_problems
from harness.protocols.common.training import TrainingExperiment
from harness.protocols.early_phase_pretraining import derived
from harness.protocols.early_phase_pretraining import figures as pretraining_figures
from harness.protocols.early_phase_pretraining.jobs import Origin
from harness.protocols.early_phase_pretraining.options import PretrainingOptions, PretrainingSetting, lengths
from harness.protocols.early_phase_pretraining.pretexts import FROZEN, PRETEXTS, REFERENCES
from harness.schema.document import Location
from harness.schema.load import Problem
from harness.schema.task import Task
from harness.steps import Duration

_ARM = ("arm", "pretrained", "length")
_AT_END = (*_ARM, "split")


class EarlyPhasePretraining(TrainingExperiment[PretrainingOptions]):
    """Accuracy of the sparse subnetwork against what it was pretrained on, and how long."""

    name = "early_phase_pretraining"
    settings = PretrainingOptions
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
            "accuracy of the subnetwork minus that of the one rewound to 0, same initialisation, mask and data order",
        ),
        "beyond_half_way": Quantity(
            "points",
            _AT_END,
            "accuracy of the subnetwork minus the mean of those rewound to 0 and to k, same initialisation, mask and "
            "data order: above 0 it is nearer to rewinding to k than rewinding to 0 is, or better",
        ),
        "pretext_accuracy": Quantity("%", _AT_END, "accuracy on the pretext itself, after pretraining"),
        "moved_distance": Quantity(
            "", _ARM, "L2 distance that pretraining moves what the mask keeps, away from the initialisation", least=0.0
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
                state = origin.handed_on(pretrained)
                yield Measurement(_on_pretext, pretrained.recipe.evaluate(pretrained.state), at, seed)
                yield Measurement(_moved, recipe.distance(recipe.initial(seed), state, origin.mask), at, seed)
                yield Measurement(_accuracy, recipe.evaluate(origin.trained(state, pretrained.length)), at, seed)

    def derived(
        self, setting: PretrainingSetting, observations: Sequence[Observation], read: Read
    ) -> Iterable[Observation]:
        """Accuracies against those of the references."""
        return derived.comparisons(observations)

    def rests_on(
        self, setting: PretrainingSetting, quantity: str, at: Mapping[str, Condition], measurement: Measurement
    ) -> bool:
        """Comparisons are with references of their own."""
        return measurement.agrees(at) or measurement.at["arm"] in derived.COMPARED_WITH.get(quantity, ())

    def axes(self, setting: PretrainingSetting) -> Mapping[str, Sequence[Condition]]:
        """Arms, dense or sparse, lengths with those of the references, splits."""
        options = setting.options
        return {
            "arm": [*REFERENCES, FROZEN, *(name for name in PRETEXTS if name in options.pretexts)],
            "pretrained": list(dict.fromkeys(("dense", *options.pretrained))),
            "length": sorted({0, setting.iterations(options.rewind), *lengths(setting)}),
            "split": ("test", "train"),
        }

    def defaults(self, setting: PretrainingSetting) -> Mapping[str, Condition]:
        """Pretrained dense, the test set."""
        return {"pretrained": "dense", "split": "test"}

    def unmeasured(self, setting: PretrainingSetting, quantity: str, at: Mapping[str, Condition]) -> str | None:
        """References have a length of their own, no mask before training, and nothing to be compared with."""
        options, arm, length = setting.options, str(at["arm"]), at["length"]
        of_reference = [setting.iterations(options.rewind) if arm == "rewound_k" else 0]
        of_it = of_reference if arm in REFERENCES else lengths(setting)
        if length not in of_it:
            return f"{arm} has no length {length}it: it has {', '.join(f'{known}it' for known in of_it)}"
        if arm in REFERENCES and quantity in ("pretext_accuracy", "moved_distance"):
            return f"{arm} is not pretrained on a pretext: name another arm"
        if arm in derived.COMPARED_WITH.get(quantity, ()):
            return f"{arm} is what others are compared with: name another arm"
        under = options.pretrained if arm in PRETEXTS else ("dense",)
        if at["pretrained"] not in under:
            return f"{arm} is not pretrained {at['pretrained']} here: name {' or '.join(under)}"
        return None

    def check_setting(self, setting: PretrainingSetting) -> Iterable[Problem]:
        """Times lie within training, pretexts fit the images, and each is the only change of the task."""
        yield from super().check_setting(setting)
        yield from _time_problems(setting)
        options = setting.options
        if setting.recipe.training.data.task != Task():
            message = "what comes after pretexts is the dataset's own task: leave this field out"
            yield Problem(("training", "data", "task"), message)
        for number, name in enumerate(options.pretexts):
            recipe = setting.recipe.posed(PRETEXTS[name].task(options.blur, options.task_seed))
            for problem in training_problems(recipe, ()):
                if problem.location[:2] == ("data", "task"):
                    yield Problem(("settings", "pretexts", number), f"{name}: {problem.message}")

    def figures(
        self, setting: PretrainingSetting, observations: Sequence[Observation], claims: Claims
    ) -> Sequence[Figure]:
        """Accuracy against the length of pretraining, dense and sparse, and against the distance moved; pretexts."""
        return pretraining_figures.figures(setting, observations)


def _time_problems(setting: PretrainingSetting) -> Iterable[Problem]:
    options, recipe = setting.options, setting.recipe
    yield from time_problems(recipe, "lengths", options.lengths)
    named: list[tuple[Location, Duration]] = [(("settings", "rewind"), options.rewind)]
    named += [(("settings", "lengths", number), time) for number, time in enumerate(options.lengths)]
    for place, time in named:
        if not 0 < recipe.iterations(time) < recipe.length:
            message = f"found {time}: choose a time after 0 and before the end, {recipe.training.length}"
            yield Problem(place, message)


def _accuracy(measured: Measured) -> Iterable[Observation]:
    return (seen for seen in pairs.at_end(measured) if seen.quantity == "accuracy")


def _on_pretext(measured: Measured) -> Iterable[Observation]:
    for split, error in zip(measured.table["split"], measured.table["error"], strict=True):
        yield measured.seen("pretext_accuracy", 100 - error, split=split)


def _moved(measured: Measured) -> Iterable[Observation]:
    yield measured.seen("moved_distance", measured.table["l2"][0])


PROTOCOL = EarlyPhasePretraining()
