"""What each stage of a job does: parameters and inputs to an artifact. One module a stage, found by its name."""

import importlib

from harness.job import VERSIONS, Job
from harness.stages.base import Stage
from harness.store import Artifact, Store


def find(name: str) -> Stage:
    """The stage called ``name``, from the module of that name."""
    if name not in VERSIONS:
        raise KeyError(f"stage {name!r} has no version in harness/job.py")
    stage: Stage = importlib.import_module(f"harness.stages.{name}").STAGE
    return stage


def read(store: Store, job: Job) -> Artifact:
    """A job's result, as its stage gives it.

    Raises:
        CorruptArtifact: it is damaged, or is not what the stage gives.
    """
    return store.read(job)
