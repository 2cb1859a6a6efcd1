"""What each stage of a job does: parameters and inputs to an artifact. One module a stage, found by its name."""

import importlib

from harness.job import VERSIONS
from harness.stages.base import Stage


def find(name: str) -> Stage:
    """The stage called ``name``, from the module of that name."""
    if name not in VERSIONS:
        raise KeyError(f"stage {name!r} has no version in harness/job.py")
    stage: Stage = importlib.import_module(f"harness.stages.{name}").STAGE
    return stage
