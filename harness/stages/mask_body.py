"""``mask_body``: a mask that leaves the last layer whole, for a network whose head is another."""

from collections.abc import Sequence

from harness.engine.networks.build import build
from harness.engine.state import Mask
from harness.errors import HarnessError
from harness.jobs.job import Job
from harness.jobs.store import Artifact
from harness.stages.base import TABLE_BYTES, Context, Effort, Stage, Work, network_of


class MaskBody(Stage):
    """Params: ``network``, ``shape``, ``classes`` of what the mask is of; ``output_layer``: False. Inputs: ``mask``."""

    def effort(self, job: Job) -> Effort:
        """As the mask."""
        return Effort(disk_bytes=TABLE_BYTES + network_of(job.params).size)

    def run(self, work: Sequence[Work], context: Context) -> list[Artifact | HarnessError]:
        """The mask, name -> bool, without the last layer's weights: what it has no name for is kept."""
        (item,) = work
        params = item.params
        network = build(params["network"], params["shape"], params["classes"])
        body = set(network.prunable(output_layer=params["output_layer"]))
        return [Artifact(Mask({name: kept for name, kept in item.mask().kept.items() if name in body}).tensors())]


STAGE = MaskBody()
