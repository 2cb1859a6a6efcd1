"""``shuffle``: random pruning with another mask's layer-wise densities."""

from collections.abc import Sequence

from harness.engine import prune
from harness.errors import HarnessError, InvariantBroken
from harness.jobs.job import Job
from harness.jobs.store import Artifact
from harness.stages.base import TABLE_BYTES, Context, Effort, Stage, Work, network_of


class Shuffle(Stage):
    """Params: ``seed``. Inputs: ``mask``."""

    def effort(self, job: Job) -> Effort:
        """As the mask that is shuffled."""
        return Effort(disk_bytes=TABLE_BYTES + network_of(job.inputs["mask"].params).size)

    def run(self, work: Sequence[Work], context: Context) -> list[Artifact | HarnessError]:
        """The mask with its entries shuffled within each layer."""
        (item,) = work
        before = item.mask()
        after = prune.shuffled(before, item.params["seed"])
        for name, kept in before.kept.items():
            if int(after.kept[name].sum()) != int(kept.sum()):
                raise InvariantBroken(f"{item.job!r} changed the number of weights kept in {name}")
        return [Artifact(after.tensors())]


STAGE = Shuffle()
