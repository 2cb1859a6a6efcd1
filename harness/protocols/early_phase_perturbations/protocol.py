"""Perturbed states of the early phase under IMP's mask, trained to the end (EP Fig. 4 and 5; docs/early-phase.md)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

from harness.figure import Figure
from harness.observation import Condition, NoValue, Observation, Quantity
from harness.protocols.common import pairs
from harness.protocols.common.base import Claims, Measured, Measurement, Read
from harness.protocols.common.setting import time_problems
from harness.protocols.common.training import TrainingExperiment
from harness.protocols.early_phase_perturbations import derived
from harness.protocols.early_phase_perturbations import figures as perturbation_figures
from harness.protocols.early_phase_perturbations.jobs import NO_NOISE, Origin
from harness.protocols.early_phase_perturbations.options import PerturbationOptions, PerturbationSetting
from harness.protocols.early_phase_perturbations.perturbations import CONTROLS, IDENTITY, NOISE
from harness.schema.load import Problem

_ARM = ("perturbation", "n", "rewind")


class EarlyPhasePerturbations(TrainingExperiment[PerturbationOptions]):
    """Accuracy of the sparse subnetwork against what was done to its weights at step k."""

    name = "early_phase_perturbations"
    settings = PerturbationOptions
    time_axes = frozenset({"rewind"})
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "accuracy": Quantity("%", (*_ARM, "split"), "accuracy at the end of training", seldom_below=pairs.GUESSED),
        "accuracy_drop": Quantity(
            "points",
            (*_ARM, "split"),
            "accuracy of the full network minus that of the perturbed subnetwork, same initialisation and k",
        ),
        "excess_drop": Quantity(
            "points",
            (*_ARM, "split"),
            "accuracy of the sparse network that is not perturbed minus that of the perturbed one, same "
            "initialisation, mask, k and data order",
        ),
        "moved_distance": Quantity(
            "", _ARM, "L2 distance by which a perturbation moves the surviving weights at step k", least=0.0
        ),
        "hidden_share": Quantity(
            "%",
            _ARM,
            "share of the squared distance that the mask hides, where the same is done to all weights of the network",
        ),
        "rank_correlation": Quantity(
            "",
            ("rewind", "split"),
            "Spearman's correlation of accuracy and distance moved, within the perturbations of an initialisation that "
            "keep the signs of k and within those that do not, and the mean of both; without noise",
            least=-1.0,
            most=1.0,
        ),
    }

    def measurements(self, setting: PerturbationSetting) -> Iterable[Measurement]:
        """How far each perturbation moves; errors at the end of training, of the controls too."""
        recipe = setting.recipe
        for seed in setting.replicates.seeds:
            for k in map(setting.iterations, setting.options.rewinds):
                origin = Origin.of(setting, seed, k)
                for name, end in origin.controls():
                    at: dict[str, Condition] = {"perturbation": name, "n": NO_NOISE, "rewind": k}
                    yield Measurement(_accuracy, recipe.evaluate(end), at, seed)
                for name, n, state in origin.perturbations():
                    at = {"perturbation": name, "n": n, "rewind": k}
                    yield Measurement(_moved, state, at, seed)
                    if name != IDENTITY:
                        yield Measurement(_accuracy, recipe.evaluate(origin.trained(state)), at, seed)

    def derived(
        self, setting: PerturbationSetting, observations: Sequence[Observation], read: Read
    ) -> Iterable[Observation]:
        """Losses of accuracy, and what they have to do with the distance moved."""
        yield from derived.drops(observations)
        yield from derived.rank_correlations(observations)

    def rests_on(
        self, setting: PerturbationSetting, quantity: str, at: Mapping[str, Condition], measurement: Measurement
    ) -> bool:
        """Drops are from the references of the same k; a correlation is over the perturbations there."""
        name = measurement.at["perturbation"]
        if measurement.at["rewind"] != at.get("rewind", measurement.at["rewind"]):
            return False
        if quantity == "rank_correlation":
            return name not in derived.UNRANKED
        return measurement.agrees(at) or name == derived.REFERENCES.get(quantity)

    def axes(self, setting: PerturbationSetting) -> Mapping[str, Sequence[Condition]]:
        """Controls and perturbations, n of the noise, k, splits."""
        options = setting.options
        chosen = [name for name in options.perturbations if name != IDENTITY]
        noise = [NOISE] if options.noises else []
        return {
            "perturbation": [*CONTROLS, IDENTITY, *chosen, *noise],
            "n": [NO_NOISE, *options.sizes],
            "rewind": [setting.iterations(rewind) for rewind in options.rewinds],
            "split": ("test", "train"),
        }

    def defaults(self, setting: PerturbationSetting) -> Mapping[str, Condition]:
        """No noise, the test set."""
        return {"n": NO_NOISE, "split": "test"}

    def unmeasured(self, setting: PerturbationSetting, quantity: str, at: Mapping[str, Condition]) -> str | None:
        """Noise has an n, all else has none; references lose nothing against themselves, and move nothing."""
        if quantity == "rank_correlation":
            return None
        name = at["perturbation"]
        if (name == NOISE) != (at["n"] != NO_NOISE):
            return f"{name} has no n = {at['n']}: noise has {', '.join(setting.options.sizes)}, all else {NO_NOISE}"
        if quantity in ("moved_distance", "hidden_share"):
            return f"{name} is no perturbation: how far it moves is not measured" if name in CONTROLS else None
        if name == IDENTITY:
            return f"{name} is the control, bit by bit: name control"
        if (
            quantity.endswith("_drop")
            and name in ("full", "control")
            and (name, quantity) != ("control", "accuracy_drop")
        ):
            return f"{name} is what others are compared with: name another perturbation"
        return None

    def check_setting(self, setting: PerturbationSetting) -> Iterable[Problem]:
        """Times lie in training, after 0, in order."""
        yield from super().check_setting(setting)
        yield from time_problems(setting.recipe, "rewinds", setting.options.rewinds)
        for number, time in enumerate(setting.options.rewinds):
            if setting.iterations(time) == 0:
                message = f"found {time}: at 0 the states 0 and k are one; choose a later k"
                yield Problem(("settings", "rewinds", number), message)

    def figures(
        self, setting: PerturbationSetting, observations: Sequence[Observation], claims: Claims
    ) -> Sequence[Figure]:
        """Accuracy by arm, against n, and against the distance moved."""
        return perturbation_figures.figures(setting, observations)


def _accuracy(measured: Measured) -> Iterable[Observation]:
    return (seen for seen in pairs.at_end(measured) if seen.quantity == "accuracy")


def _moved(measured: Measured) -> Iterable[Observation]:
    (moved,), (hidden,) = measured.table["moved"], measured.table["hidden"]
    yield measured.seen("moved_distance", moved)
    share = NoValue("the same done to the whole network moves nothing") if hidden is None else hidden
    yield measured.seen("hidden_share", share)


PROTOCOL = EarlyPhasePerturbations()
