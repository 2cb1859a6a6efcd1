"""``shuffle``: random pruning with another mask's density, of each layer or of all together."""

from collections.abc import Sequence

from harness.engine import prune
from harness.errors import HarnessError, InvariantBroken
from harness.jobs.job import Job
from harness.jobs.store import Artifact
from harness.stages.base import TABLE_BYTES, Context, Effort, Stage, Work, network_of


class Shuffle(Stage):
    """Params: ``seed``; ``scope`` (``global``, over all layers together; left out, within each). Inputs: ``mask``."""

    def effort(self, job: Job) -> Effort:
        """As the mask that is shuffled."""
        return Effort(disk_bytes=TABLE_BYTES + network_of(job.inputs["mask"].params).size)

    def run(self, work: Sequence[Work], context: Context) -> list[Artifact | HarnessError]:
        """The mask with its entries shuffled."""
        (item,) = work
        before, scope = item.mask(), item.params.get("scope", "layer")
        after = prune.shuffled(before, item.params["seed"], scope)
        if after.count() != before.count():
            raise InvariantBroken(f"{item.job!r} changed the number of weights kept")
        for name, kept in before.kept.items():
            if scope == "layer" and int(after.kept[name].sum()) != int(kept.sum()):
                raise InvariantBroken(f"{item.job!r} changed the number of weights kept in {name}")
        return [Artifact(after.tensors())]


STAGE = Shuffle()
