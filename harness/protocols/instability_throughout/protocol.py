"""Instability throughout training (LMC appendix D): the line between copies at every epoch, not at the end alone.

Its copies are those of ``instability`` and ``imp``, stopped on their way: snapshots of the same trainings.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

from harness.figure import Figure
from harness.observation import Condition, Observation, Quantity
from harness.protocols.common import pairs
from harness.protocols.common.base import Claims, Measurement, Read, unread
from harness.protocols.common.setting import time_problems
from harness.protocols.common.training import TrainingExperiment
from harness.protocols.instability_throughout.figures import figures
from harness.protocols.instability_throughout.observations import QUANTITIES, at_time, throughout
from harness.protocols.instability_throughout.options import (
    ThroughoutOptions,
    ThroughoutSetting,
    arms,
    forks,
    subnetworks,
    times,
)
from harness.schema.load import Problem


class InstabilityThroughout(TrainingExperiment[ThroughoutOptions]):
    """Instability of copies against the time in their training, for several k."""

    name = "instability_throughout"
    settings = ThroughoutOptions
    judged_only = frozenset({"stable_below"})
    compares_copies = True
    time_axes = frozenset({"fork", "time"})
    quantities: ClassVar[Mapping[str, Quantity]] = QUANTITIES

    def measurements(self, setting: ThroughoutSetting) -> Iterable[Measurement]:
        """Lines of all pairs at all times after k; where no line ends in the copies' own errors, these."""
        recipe, options, replicates = setting.recipe, setting.options, setting.replicates
        own = "interpolated" in recipe.batch_norm_modes(options.line)
        for seed in replicates.seeds:
            for fork in forks(setting):
                for arm, subnetwork in subnetworks(setting, seed, fork).items():
                    for time in _after(setting, fork):
                        at: dict[str, Condition] = {"arm": arm, "fork": fork, "time": time}
                        copies = pairs.copies(
                            recipe,
                            subnetwork,
                            fork,
                            time,
                            seed=seed,
                            orders=replicates.orders,
                            noise=options.sgd_noise,
                            optimiser_state=options.optimiser_at_fork,
                        )
                        for number, (a, b) in enumerate(replicates.pairs):
                            line = recipe.line(copies[a], copies[b], options.line, subnetwork.mask)
                            yield Measurement(at_time, line, at, seed, number)
                        for order, copy in enumerate(copies if not own else ()):
                            yield Measurement(unread, recipe.evaluate(copy), at, seed, order)

    def derived(
        self, setting: ThroughoutSetting, observations: Sequence[Observation], read: Read
    ) -> Iterable[Observation]:
        """What all times after k say together."""
        after = {fork: _after(setting, fork) for fork in forks(setting)}
        return throughout(observations, after, setting.options.stable_below)

    def rests_on(
        self, setting: ThroughoutSetting, quantity: str, at: Mapping[str, Condition], measurement: Measurement
    ) -> bool:
        """On the lines of its arm and k: at its time, or at all."""
        return measurement.agrees(at)

    def axes(self, setting: ThroughoutSetting) -> Mapping[str, Sequence[Condition]]:
        """Arms, forks, times, splits and modes of batch normalisation."""
        return {
            "arm": arms(setting),
            "fork": forks(setting),
            "time": times(setting),
            "split": ("test", "train"),
            "batch_norm": setting.recipe.batch_norm_modes(setting.options.line),
        }

    def defaults(self, setting: ThroughoutSetting) -> Mapping[str, Condition]:
        """The full network, the end of training, the test set, and the first mode of batch normalisation."""
        mode = setting.recipe.batch_norm_modes(setting.options.line)[0]
        return {"arm": "full", "time": setting.length, "split": "test", "batch_norm": mode}

    def unmeasured(self, setting: ThroughoutSetting, quantity: str, at: Mapping[str, Condition]) -> str | None:
        """Copies are one network until they part."""
        time, fork = at.get("time"), at["fork"]
        if isinstance(time, int) and isinstance(fork, int) and time <= fork:
            return f"at {time}it copies that part at {fork}it are one network: choose a later time"
        return None

    def check_setting(self, setting: ThroughoutSetting) -> Iterable[Problem]:
        """Forks lie before the end of training, in order; times are apart."""
        yield from super().check_setting(setting)
        yield from time_problems(setting.recipe, "forks", setting.options.forks)
        yield from pairs.noise_problems(setting.recipe, setting.options.sgd_noise)
        if setting.iterations(setting.options.every) < 1:
            yield Problem(("settings", "every"), f"found {setting.options.every}: give an iteration or more")
        for number, fork in enumerate(setting.options.forks):
            if setting.iterations(fork) == setting.length:
                yield Problem(("settings", "forks", number), f"found {fork}, the end of training: choose k < T")

    def figures(
        self, setting: ThroughoutSetting, observations: Sequence[Observation], claims: Claims
    ) -> Sequence[Figure]:
        """For each arm instability against the epoch from every k, on both splits, and as a map."""
        return figures(setting, observations)


def _after(setting: ThroughoutSetting, fork: int) -> list[int]:
    return [time for time in times(setting) if time > fork]


PROTOCOL = InstabilityThroughout()
