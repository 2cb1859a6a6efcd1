"""Loss cliffs: how far the loss falls where the learning rate drops, in which directions, and what else does it."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

from harness.figure import Figure
from harness.observation import Condition, Observation, Quantity
from harness.protocols.common.base import Claims, Measurement, Read, unread
from harness.protocols.common.phases import drops, phases
from harness.protocols.common.training import TrainingExperiment
from harness.protocols.loss_cliffs import figures as cliff_figures
from harness.protocols.loss_cliffs import jobs as cliff_jobs
from harness.protocols.loss_cliffs import observations as cliff_observations
from harness.protocols.loss_cliffs.jobs import SUBSPACES
from harness.protocols.loss_cliffs.options import CliffOptions, CliffSetting, ages, cliff_problems, offsets
from harness.schema.load import Problem

ARMS = ("batch", "rate")


class LossCliffs(TrainingExperiment[CliffOptions]):
    """Cliffs of the training loss at the drops of the learning rate."""

    name = "loss_cliffs"
    settings = CliffOptions
    judged_only = frozenset({"low_below", "top_directions"})
    time_axes = frozenset({"iteration", "after"})
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "loss": Quantity("nats", ("iteration",), "training loss, without the decay's own term"),
        "fall_before": Quantity("%", ("drop",), "fall of the loss in the W iterations before a drop", least=-math.inf),
        "fall_after": Quantity("%", ("drop",), "fall of the loss in the W iterations after a drop", least=-math.inf),
        "cliff": Quantity(
            "points",
            ("drop",),
            "fall of the loss (%) in the W iterations after a drop minus that before",
            -math.inf,
            math.inf,
        ),
        "low_share": Quantity(
            "%", ("drop",), "share of the squared displacement over a cliff in directions of low eigenvalue"
        ),
        "low_share_over_null": Quantity(
            "times", ("drop",), "that share over the one of a random displacement: the share of such directions"
        ),
        "transverse_low_share": Quantity(
            "%",
            ("drop",),
            "share of the squared displacement in directions of low eigenvalue, its part along the weights left out",
        ),
        "along_weights": Quantity(
            "%", ("drop",), "share of the squared displacement along the weights, which weight decay shrinks"
        ),
        "top_share": Quantity("%", ("drop",), "share of the squared displacement over a cliff in the top directions"),
        "top_share_over_null": Quantity(
            "times", ("drop",), "that share over the one of a random displacement: the share of the top directions"
        ),
        "binned_share": Quantity(
            "%", ("drop", "bin"), "share of the squared displacement in a bin of |eigenvalue| over the largest"
        ),
        "binned_null": Quantity("%", ("drop", "bin"), "the same of a random displacement"),
        "across_over_along": Quantity(
            "times",
            ("drop",),
            "curvature of the loss across the valley over the magnitude of that along it, of the best quadratic over "
            "the plane's grid",
            least=-math.inf,
        ),
        "across_over_random": Quantity(
            "times",
            ("drop",),
            "curvature across the valley over that of a random direction: the mean eigenvalue just before the drop",
            least=-math.inf,
        ),
        "along_over_random": Quantity(
            "times", ("drop",), "likewise of the curvature along the valley", least=-math.inf
        ),
        "valley_contrast": Quantity(
            "",
            ("drop",),
            "curvature across minus magnitude of that along over the sum of both magnitudes, from -1 to 1; 1/3 where "
            "it is twice as curved across as along",
            least=-1.0,
            most=1.0,
            computed_from=1.0,
        ),
        "loss_in_plane": Quantity("nats", ("drop", "row", "column"), "loss on the grid of the plane"),
        "path_along": Quantity("", ("drop", "iteration"), "place of a checkpoint along the valley; after the cliff: 1"),
        "path_across": Quantity("", ("drop", "iteration"), "place of a checkpoint across the valley; at the drop: 1"),
        "negative_after": Quantity(
            "times",
            ("subspace",),
            "sum of the magnitudes of negative eigenvalues after descent in a subspace over that before",
        ),
        "negative_over_positive_after": Quantity(
            "times",
            ("subspace",),
            "negative_after over the same of the positive eigenvalues: below 1, the negative part shrinks more",
        ),
        "descended": Quantity("%", ("subspace",), "fall of the loss by descent in a subspace", least=-math.inf),
        "twin_loss": Quantity(
            "nats", ("drop", "arm", "after"), "training loss with a larger batch or a lower rate, from a drop on"
        ),
        "batch_rate_ratio": Quantity(
            "times", ("drop", "after"), "training loss with the larger batch over that with the lower rate"
        ),
    }

    def measurements(self, setting: CliffSetting) -> Iterable[Measurement]:
        """Losses around all drops; displacement, plane and twins at the chosen ones; descent at the first of those."""
        options, places = setting.options, drops(setting.recipe)
        for seed in setting.replicates.seeds:
            for iteration in _checkpoints(setting):
                job = cliff_jobs.loss(setting, setting.recipe.trunk(seed, iteration))
                yield Measurement(cliff_observations.loss, job, {"iteration": iteration}, seed)
            for drop in options.cliffs:
                place = places[drop]
                moved, valley = cliff_jobs.displacement(setting, seed, place), cliff_jobs.plane(setting, seed, place)
                yield Measurement(cliff_observations.displaced, moved, {"drop": drop}, seed)
                yield Measurement(cliff_observations.in_plane, valley, {"drop": drop}, seed)
                yield from self._twins(setting, seed, drop)
            yield from self._gating(setting, seed, places[options.cliffs[0]])

    def _twins(self, setting: CliffSetting, seed: int, drop: int) -> Iterable[Measurement]:
        before = phases(setting.recipe)[drop - 1]
        for arm in ARMS:
            for age in ages(setting):
                at: dict[str, Condition] = {"drop": drop, "arm": arm, "after": age}
                job = cliff_jobs.loss(setting, cliff_jobs.twin(setting, seed, before, arm, age))
                yield Measurement(cliff_observations.twin_loss, job, at, seed)

    def _gating(self, setting: CliffSetting, seed: int, place: int) -> Iterable[Measurement]:
        yield Measurement(unread, cliff_jobs.gated_from(setting, seed), {}, seed)
        for subspace in SUBSPACES:
            descended = cliff_jobs.descent(setting, seed, place, subspace)
            yield Measurement(cliff_observations.descended, descended, {"subspace": subspace}, seed)
            yield Measurement(unread, cliff_jobs.gated(setting, seed, subspace), {"subspace": subspace}, seed)

    def derived(self, setting: CliffSetting, observations: Sequence[Observation], read: Read) -> Iterable[Observation]:
        """The cliffs, what descent in a subspace leaves of the spectrum, and the twins' ratio."""
        return cliff_observations.derived(setting, observations, read)

    def rests_on(
        self, setting: CliffSetting, quantity: str, at: Mapping[str, Condition], measurement: Measurement
    ) -> bool:
        """What is derived of a drop, or of a subspace, rests on no other."""
        return measurement.agrees(at)

    def axes(self, setting: CliffSetting) -> Mapping[str, Sequence[Condition]]:
        """Drops, checkpoints, arms of the twins and their age, subspaces."""
        return {
            "drop": list(drops(setting.recipe)),
            "iteration": _checkpoints(setting),
            "arm": ARMS,
            "after": ages(setting),
            "subspace": SUBSPACES,
        }

    def defaults(self, setting: CliffSetting) -> Mapping[str, Condition]:
        """The end of the twins' training; the subspace of the top eigenvectors."""
        return {"after": ages(setting)[-1], "subspace": "top"}

    def unmeasured(self, setting: CliffSetting, quantity: str, at: Mapping[str, Condition]) -> str | None:
        """Most is looked at for the chosen cliffs only."""
        chosen = setting.options.cliffs
        everywhere = ("cliff", "fall_before", "fall_after")
        if "drop" in at and quantity not in everywhere and at["drop"] not in chosen:
            return f"{quantity} is measured at the drops {', '.join(map(str, chosen))}: add it to settings.cliffs"
        if quantity in ("path_along", "path_across"):
            place = drops(setting.recipe)[int(at["drop"])]
            if int(at["iteration"]) - place not in [
                *(offset for offset in offsets(setting) if offset <= 0),
                offsets(setting)[-1],
            ]:
                return f"the plane of drop {at['drop']} holds its checkpoints up to {place} and the last after it"
        return None

    def check_setting(self, setting: CliffSetting) -> Iterable[Problem]:
        """The recipe, the cliffs, and what they need."""
        yield from super().check_setting(setting)
        yield from cliff_problems(setting)

    def figures(self, setting: CliffSetting, observations: Sequence[Observation], claims: Claims) -> Sequence[Figure]:
        """Cliffs, displacement, valleys and twins."""
        return cliff_figures.figures(setting, observations, claims)


def _checkpoints(setting: CliffSetting) -> list[int]:
    around = {place + offset for place in drops(setting.recipe).values() for offset in offsets(setting)}
    return sorted(around | {setting.length})


PROTOCOL = LossCliffs()
