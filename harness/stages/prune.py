"""``prune``: the mask of the largest weights of a trained state."""

from collections.abc import Sequence

from harness.engine import prune
from harness.engine.networks.build import build
from harness.errors import HarnessError, InvariantBroken
from harness.jobs.job import Job
from harness.jobs.store import Artifact
from harness.stages.base import TABLE_BYTES, Context, Effort, Stage, Work, network_of


class Prune(Stage):
    """Global magnitude pruning (LMC section 4.2).

    Params: ``network``, ``shape``, ``classes``, ``output_layer`` (whether it is pruned too), and either
    ``fraction`` (of the remaining weights to prune) or ``density`` (of all weights to keep).

    Inputs: ``state``; ``mask`` so far.
    """

    def effort(self, job: Job) -> Effort:
        """A mask of bytes."""
        return Effort(disk_bytes=TABLE_BYTES + network_of(job.params).size)

    def run(self, work: Sequence[Work], context: Context) -> list[Artifact | HarnessError]:
        """The mask, name -> bool; columns ``kept`` and ``total``, one row."""
        (item,) = work
        params = item.params
        network = build(params["network"], params["shape"], params["classes"])
        state = item.state()
        weights = {name: state.weights[name] for name in network.prunable(output_layer=params["output_layer"])}
        before = item.mask().over(weights)
        total = sum(weight.numel() for weight in weights.values())
        if "fraction" in params:
            keep = prune.kept_after(before.count(), params["fraction"], 1)
        else:
            keep = round(params["density"] * total)
        mask = prune.magnitude(weights, before, keep)
        if mask.count() != keep:
            raise InvariantBroken(f"{item.job!r} kept {mask.count()} weights, not {keep}")
        return [Artifact(mask.tensors(), {"kept": [keep], "total": [total]})]


STAGE = Prune()
