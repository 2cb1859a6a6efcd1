"""The resolved setting that an experiment works on, and what can be wrong with it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic

from typing_extensions import TypeVar

from harness.datainfo import DatasetInfo
from harness.schema.base import Model
from harness.schema.load import Problem
from harness.schema.model import Replicates
from harness.schema.training import Training
from harness.steps import MOST_ITERATIONS, Duration

Options = TypeVar("Options", bound=Model, default=Any)
"""An experiment's own settings."""


@dataclass(frozen=True)
class Setting(Generic[Options]):
    """A scale of a spec with everything resolved that jobs depend on.

    Attributes:
        replicates: how often.
        options: the protocol's own settings.
    """

    replicates: Replicates
    options: Options

    @property
    def dataset(self) -> DatasetInfo | None:
        """The dataset that is needed, if one is; its digest is "" where it is absent."""
        return None

    @property
    def departures(self) -> list[str]:
        """How this setting departs from a paper's, as far as it can tell by itself."""
        return []

    @property
    def facts(self) -> dict[str, str | int]:
        """What must be the same in every run of it, whatever the seeds."""
        return {}

    @property
    def description(self) -> dict[str, Any]:
        """Every choice as plain values, with the defaults written out."""
        return {
            "settings": self.options.model_dump(mode="json"),
            "replicates": self.replicates.model_dump(mode="json"),
        }


@dataclass(frozen=True)
class TrainingSetting(Setting[Options]):
    """The setting of an experiment that trains networks.

    Attributes:
        training: the recipe.
        data: the dataset's facts.
    """

    training: Training
    data: DatasetInfo

    @property
    def dataset(self) -> DatasetInfo:
        """The dataset of the recipe."""
        return self.data

    @property
    def departures(self) -> list[str]:
        """Another dataset than the original, another number format than fp32."""
        found = []
        if not self.data.original:
            caveat = self.data.caveat or "not verified to be the original"
            found.append(f"dataset {self.data.name}, digest {self.data.digest[:12]}: {caveat}")
        if self.training.precision != "fp32":
            found.append(f"number format {self.training.precision} in place of fp32")
        return found

    @property
    def facts(self) -> dict[str, str | int]:
        """Parameters of the network, digest and size of the dataset."""
        return {
            "trainable parameters": self.training.parameters,
            "dataset digest": self.data.digest,
            "training images": self.data.n_train,
            "test images": self.data.n_test,
        }

    @property
    def description(self) -> dict[str, Any]:
        """The recipe, and what every setting has."""
        return {"training": self.training.model_dump(mode="json"), **super().description}

    @property
    def per_epoch(self) -> int:
        """Iterations of an epoch; the last may be short."""
        return -(-self.data.n_train // self.training.batch)

    @property
    def length(self) -> int:
        """T, in iterations."""
        return self.iterations(self.training.length)

    def iterations(self, time: Duration) -> int:
        """A duration in iterations."""
        return time.iterations(self.per_epoch)


def training_problems(setting: TrainingSetting) -> Iterable[Problem]:
    """Problems of the recipe that no single field shows."""
    training, data = setting.training, setting.data
    normalise = training.data.normalise
    channels = data.shape[0]
    for field in ("mean", "std"):
        values = getattr(normalise, field, None)
        if values is not None and len(values) != channels:
            yield Problem(
                ("training", "data", "normalise", field),
                f"found {len(values)} numbers, but {data.name} has {channels} channels",
            )
    if training.data.augment.crop_padding > min(data.shape[1:]):
        yield Problem(
            ("training", "data", "augment", "crop_padding"),
            f"found {training.data.augment.crop_padding}, more than the side of an image of {data.name}",
        )
    if training.batch > data.n_train:
        yield Problem(("training", "batch"), f"found {training.batch}, but {data.name} has {data.n_train} examples")
    if setting.length < 1:
        yield Problem(("training", "length"), f"found {training.length}: a training needs at least one iteration")
    if setting.length > MOST_ITERATIONS:
        found = f"found {training.length}, {setting.length:,} iterations: at most {MOST_ITERATIONS:,}"
        yield Problem(("training", "length"), found)
    for number, drop in enumerate(training.schedule.drops):
        if setting.iterations(drop) >= setting.length:
            yield Problem(
                ("training", "schedule", "drops", number),
                f"found {drop}, but training ends at {training.length}: drop earlier or train longer",
            )
    if setting.iterations(training.schedule.warmup) > setting.length:
        yield Problem(
            ("training", "schedule", "warmup"),
            f"found {training.schedule.warmup}, longer than the training ({training.length})",
        )


def time_problems(setting: TrainingSetting, field: str, times: Sequence[Duration]) -> Iterable[Problem]:
    """Problems of a list of times in training: beyond the end, twice, or not in order."""
    before = -1
    for number, time in enumerate(times):
        here = setting.iterations(time)
        place = ("settings", field, number)
        if here > setting.length:
            yield Problem(place, f"found {time}, but training ends at {setting.training.length}: choose k <= T")
        elif here <= before:
            yield Problem(place, f"found {time} after {times[number - 1]}: list each time once, in order")
        before = here
