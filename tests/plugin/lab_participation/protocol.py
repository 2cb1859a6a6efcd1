"""The participation ratio of a network's weights through training."""

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

from pydantic import Field

from harness.figure import Figure
from harness.jobs.job import Job
from harness.observation import Condition, Observation, Quantity
from harness.protocols.common import series
from harness.protocols.common.base import Claims, Measured, Measurement
from harness.protocols.common.setting import TrainingSetting, time_problems
from harness.protocols.common.training import TrainingExperiment
from harness.schema.base import Many, Model, Time
from harness.schema.load import Problem


class ParticipationOptions(Model):
    """What is left to choose.

    Attributes:
        times: at which the weights are looked at, besides the end.
    """

    times: Many[Time] = Field(min_length=1)


ParticipationSetting = TrainingSetting[ParticipationOptions]


def _times(setting: ParticipationSetting) -> list[int]:
    return sorted({*map(setting.iterations, setting.options.times), setting.length})


def _ratio(measured: Measured) -> Iterable[Observation]:
    yield measured.seen("participation", measured.table["ratio"][0])


class Participation(TrainingExperiment[ParticipationOptions]):
    """How many weights carry a network, against the time of training."""

    name = "participation"
    settings = ParticipationOptions
    time_axes = frozenset({"time"})
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "participation": Quantity("", ("time",), "participation ratio of all weights", least=0.0)
    }

    def measurements(self, setting: ParticipationSetting) -> Iterable[Measurement]:
        """A job for each seed and time."""
        for seed in setting.replicates.seeds:
            for time in _times(setting):
                state = setting.recipe.trunk(seed, time)
                yield Measurement(_ratio, Job("participation", {}, {"state": state}), {"time": time}, seed)

    def figures(
        self, setting: ParticipationSetting, observations: Sequence[Observation], claims: Claims
    ) -> list[Figure]:
        """The ratio against time."""
        line = series.curve(observations, "participation", "time", {}, label="weights", role="participation")
        words = "How many weights carry the network", "Participation ratio of the weights.", "iteration", "weights"
        return [Figure("participation", *words, [line])]

    def axes(self, setting: ParticipationSetting) -> Mapping[str, Sequence[Condition]]:
        """The times."""
        return {"time": _times(setting)}

    def defaults(self, setting: ParticipationSetting) -> Mapping[str, Condition]:
        """None: a claim names its time."""
        return {}

    def check_setting(self, setting: ParticipationSetting) -> Iterable[Problem]:
        """Times within training, in order."""
        yield from super().check_setting(setting)
        yield from time_problems(setting, "times", setting.options.times)
