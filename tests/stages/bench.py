"""A small setting, and jobs run in memory, one stage at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from harness import stages
from harness.engine.data.datasets import Dataset
from harness.engine.networks.build import build
from harness.errors import HarnessError
from harness.jobs.job import Job, ancestry
from harness.jobs.store import Artifact
from harness.protocols.common.setting import TrainingSetting
from harness.schema.model import Replicates
from harness.schema.training import Training
from harness.stages.base import Checkpoint, Context, Work
from tests.engine.oracles import ADAM, SGD, TINY_LENET, TINY_RESNET, dataset

__all__ = ["ADAM", "SGD", "TINY_LENET", "TINY_RESNET", "Bench", "setting"]


def setting(
    network: Mapping[str, Any] = TINY_RESNET,
    *,
    optimiser: Mapping[str, Any] = SGD,
    batch: int = 5,
    length: int = 14,
    rate: float = 0.1,
    augment: Mapping[str, Any] | None = None,
    precision: str = "fp64",
    n_train: int = 23,
    shape: tuple[int, int, int] = (1, 6, 6),
    sampling: str = "epochs",
    label_noise: float = 0.0,
    noise_seed: int = 0,
) -> TrainingSetting:
    """A recipe on a made-up dataset of 23 images, so that the last batch of an epoch is short."""
    data = dataset(n_train, shape=shape)
    training = Training.model_validate(
        {
            "network": network,
            "parameters": build(network, data.info.shape, 3).size,
            "data": {
                "name": "digits",
                "normalise": {"kind": "scale", "scale": 255.0},
                "augment": augment or {"flip": True, "crop_padding": 1},
                "label_noise": label_noise,
                "noise_seed": noise_seed,
            },
            "length": f"{length}it",
            "batch": batch,
            "sampling": sampling,
            "optimiser": optimiser,
            "schedule": {"rate": rate, "drops": ["10it"], "warmup": "2it"},
            "precision": precision,
        }
    )
    return TrainingSetting(Replicates(initialisations=1, orders=2), None, training, replace(data.info, name="digits"))


class NoCheckpoint:
    """Never due, never there."""

    elapsed_before = 0.0

    def due(self) -> bool:
        return False

    def keep(self, tensors: Mapping[str, Tensor]) -> None:
        return None

    def save(self, tensors: Mapping[str, Tensor], notes: Mapping[str, Any]) -> None:
        return None

    def load(self) -> None:
        return None


@dataclass
class Bench:
    """Runs jobs and keeps their artifacts, which a test may replace by planted ones."""

    data: Dataset = field(default_factory=dataset)
    made: dict[str, Artifact] = field(default_factory=dict)
    advanced: int = 0
    checkpoint: Checkpoint = field(default_factory=NoCheckpoint)
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def context(self) -> Context:
        def advance(units: int) -> None:
            self.advanced += units

        return Context(self.device, lambda name: self.data, advance, self.checkpoint)

    def together(self, *jobs: Job) -> list[Artifact | HarnessError]:
        """The results of jobs of one stage in one call."""
        work = [Work(job, {role: self[given] for role, given in job.inputs.items()}) for job in jobs]
        return stages.find(jobs[0].stage).run(work, self.context())

    def __getitem__(self, job: Job) -> Artifact:
        """The job's artifact; it and what it needs are run alone where they were not before."""
        for key, one in ancestry([job]).items():
            if key not in self.made:
                work = Work(one, {role: self.made[given.key] for role, given in one.inputs.items()})
                (result,) = stages.find(one.stage).run([work], self.context())
                if isinstance(result, HarnessError):
                    raise result
                self.made[key] = result
        return self.made[job.key]

    def plant(self, job: Job, changed: Mapping[str, Tensor]) -> None:
        """Replaces tensors of a job's artifact."""
        artifact = self[job]
        assert set(changed) <= set(artifact.tensors)
        self.made[job.key] = Artifact({**artifact.tensors, **changed}, artifact.table)


def same(a: Artifact, b: Artifact, leave_out: Sequence[str] = ()) -> bool:
    """Whether two artifacts hold the same bits."""
    names = {name for name in a.tensors if not name.startswith(tuple(leave_out) or "\0")}
    others = {name for name in b.tensors if not name.startswith(tuple(leave_out) or "\0")}
    return names == others and all(torch.equal(a.tensors[name], b.tensors[name]) for name in names)
