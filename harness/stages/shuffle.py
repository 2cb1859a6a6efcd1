"""``shuffle``: random pruning with another mask's layer-wise densities."""

from collections.abc import Sequence

from harness.engine import prune
from harness.errors import HarnessError, InvariantBroken
from harness.jobs.job import Job
from harness.jobs.store import Artifact
from harness.stages.base import MASK, TABLE_BYTES, Context, Effort, Stage, Work, named, network_of


class Shuffle(Stage):
    """Params: ``seed``. Inputs: ``mask``."""

    def effort(self, job: Job) -> Effort:
        """As the mask that is shuffled."""
        return Effort(disk_bytes=TABLE_BYTES + network_of(job.inputs["mask"].params).size)

    def run(self, work: Sequence[Work], context: Context) -> list[Artifact | HarnessError]:
        """The mask with its entries shuffled within each layer."""
        (one,) = work
        before = named(one.inputs["mask"], MASK)
        after = prune.shuffled(before, one.params["seed"])
        for name in before:
            if int(after[name].sum()) != int(before[name].sum()):
                raise InvariantBroken(f"{one.job!r} changed the number of weights kept in {name}")
        return [Artifact({MASK + name: mask for name, mask in after.items()})]


STAGE = Shuffle()
