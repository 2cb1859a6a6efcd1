"""``gradient_noise``: how the gradients of batches scatter along every eigenvector of a Hessian."""

from collections.abc import Sequence

from harness.errors import HarnessError
from harness.jobs.job import Job
from harness.jobs.store import Artifact
from harness.measure.gradient_noise import mean_and_sd
from harness.stages.base import Context, Effort, Stage, Work, forward_pass, network_of
from harness.stages.batches import batches_of

_BYTES_A_ROW = 90


class GradientNoiseStage(Stage):
    """Params: those of ``batches_of``. Inputs: ``state``, ``hessian``; ``mask`` where pruned."""

    def cost(self, job: Job) -> int:
        """Gradients."""
        return int(job.params["batches"])

    def effort(self, job: Job) -> Effort:
        """Gradients, and their products with all eigenvectors."""
        size = network_of(job.params).size
        a_batch = 3.0 * int(job.params["batch"]) * forward_pass(job.params) + 2.0 * size**2
        return Effort(int(job.params["batches"]) * a_batch, _BYTES_A_ROW * size, slowness=6.0)

    def run(self, work: Sequence[Work], context: Context) -> list[Artifact | HarnessError]:
        """A row an eigenvector: ``rank`` (from 1), ``eigenvalue``, ``mean`` and ``sd`` of the gradient along it."""
        (item,) = work
        batches, weights = batches_of(item, context)
        hessian = item.inputs["hessian"].tensors
        mean, sd = mean_and_sd(batches, weights, hessian["eigenvectors"].to(weights.device))
        return [
            Artifact(
                table={
                    "rank": list(range(1, len(mean) + 1)),
                    "eigenvalue": hessian["eigenvalues"].tolist(),
                    "mean": mean.tolist(),
                    "sd": sd.tolist(),
                }
            )
        ]


STAGE = GradientNoiseStage()
