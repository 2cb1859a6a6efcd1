"""``displacement``: how the way from one state to another is spread over the eigenvectors of a Hessian."""

from collections.abc import Sequence

import torch

from harness.errors import BrokenError, HarnessError
from harness.jobs.job import Job
from harness.jobs.store import Artifact
from harness.measure.displacement import shares, transverse
from harness.stages.base import TABLE_BYTES, Context, Effort, Stage, Work, network_of
from harness.stages.objective import flat_weights


class Displacement(Stage):
    """Params: ``network``, ``classes``, ``data``. Inputs: ``before`` and ``after``, states; ``hessian``."""

    def effort(self, job: Job) -> Effort:
        """A product with all eigenvectors; a row for each eigenvalue."""
        size = network_of(job.params).size
        return Effort(2.0 * size**2, TABLE_BYTES + 50 * size)

    def run(self, work: Sequence[Work], context: Context) -> list[Artifact | HarnessError]:
        """Columns ``eigenvalue``, the largest first, ``share`` (% of the squared displacement) and ``transverse``.

        ``transverse`` is the share of the displacement without its part along the weights; ``along_weights`` (%), the
        same in every row, is that part's share.
        """
        (item,) = work
        network = network_of(item.params)
        before, after = (flat_weights(network, item.state(role).weights, torch.float64) for role in ("before", "after"))
        if torch.equal(before, after):
            return [BrokenError(f"{item.job!r}: the state did not move, so its way has no direction")]
        hessian = item.inputs["hessian"].tensors
        moved = after - before
        beside = transverse(moved, before)
        along = 100 * (1 - float(beside.square().sum() / moved.square().sum()))
        return [
            Artifact(
                table={
                    "eigenvalue": hessian["eigenvalues"].tolist(),
                    "share": shares(hessian["eigenvectors"], moved).tolist(),
                    "transverse": shares(hessian["eigenvectors"], beside).tolist(),
                    "along_weights": [along] * len(hessian["eigenvalues"]),
                }
            )
        ]


STAGE = Displacement()
