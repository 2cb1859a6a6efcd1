"""``prune``: the mask of the largest weights of a trained state."""

from collections.abc import Sequence

from harness.engine import prune
from harness.engine.networks.build import build
from harness.errors import HarnessError, InvariantBroken
from harness.jobs.job import Job
from harness.jobs.store import Artifact
from harness.stages.base import MASK, TABLE_BYTES, WEIGHT, Context, Effort, Stage, Work, named, network_of


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
        (one,) = work
        params = one.params
        network = build(params["network"], params["shape"], params["classes"])
        state = named(one.inputs["state"], WEIGHT)
        weights = {name: state[name] for name in network.prunable(output_layer=params["output_layer"])}
        before = named(one.inputs["mask"], MASK) if "mask" in one.inputs else None
        total = sum(weight.numel() for weight in weights.values())
        left = total if before is None else prune.count(before)
        keep = (
            prune.kept_after(left, params["fraction"], 1) if "fraction" in params else round(params["density"] * total)
        )
        masks = prune.magnitude(weights, before, keep)
        if prune.count(masks) != keep:
            raise InvariantBroken(f"{one.job!r} kept {prune.count(masks)} weights, not {keep}")
        tensors = {MASK + name: mask for name, mask in masks.items()}
        return [Artifact(tensors, {"kept": [keep], "total": [total]})]


STAGE = Prune()
