"""``distance``: how far apart two states are in weights."""

from collections.abc import Sequence

from harness.errors import HarnessError, InvariantBroken
from harness.jobs.store import Artifact
from harness.measure import distance
from harness.stages.base import Context, Stage, Work


class Distance(Stage):
    """No params. Inputs: ``a`` and ``b``; ``mask`` where the pruned weights of both count as zero (LMC appendix C)."""

    def run(self, work: Sequence[Work], context: Context) -> list[Artifact | HarnessError]:
        """Columns ``l2`` and ``cosine``, one row; ``cosine`` is None where a state's weights are all zero."""
        (item,) = work
        a, b = (item.mask().applied(item.state(role).weights) for role in ("a", "b"))
        apart = distance.l2(a, b)
        if item.job.inputs["a"] == item.job.inputs["b"] and apart != 0:
            raise InvariantBroken(f"{item.job!r}: a state is {apart:g} away from itself")
        return [Artifact(table={"l2": [apart], "cosine": [distance.cosine(a, b)]})]


STAGE = Distance()
