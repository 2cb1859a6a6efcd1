"""What each stage of a job does: parameters and inputs to an artifact. One module a stage, found by its row."""

import importlib

from harness.jobs.stages import row
from harness.stages.base import Stage


def find(name: str) -> Stage:
    """The stage called ``name``, from the module that its row names."""
    try:
        place = row(name).place
    except KeyError:
        raise KeyError(
            f"stage {name!r} has no row in harness/jobs/stages.py, and no package outside brings it"
        ) from None
    stage: Stage = importlib.import_module(place).STAGE
    return stage
