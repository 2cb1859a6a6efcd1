"""``participation``: how many weights a state would have if all that matter were equal."""

from collections.abc import Sequence

from harness.errors import HarnessError
from harness.jobs.store import Artifact
from harness.stages.base import Context, Stage, Work


class ParticipationStage(Stage):
    """No params. Input: ``state``."""

    def run(self, work: Sequence[Work], context: Context) -> list[Artifact | HarnessError]:
        """Column ``ratio``, one row: (Σ w²)² / Σ w⁴ over all weights."""
        (participation,) = work
        squares = [value.double().square() for value in participation.state().weights.values()]
        second = sum(float(value.sum()) for value in squares)
        fourth = sum(float(value.square().sum()) for value in squares)
        return [Artifact(table={"ratio": [second**2 / fourth]})]


STAGE = ParticipationStage()
