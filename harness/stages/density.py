"""``density``: the spectral density of the Hessian at a state, for networks too large for all its eigenvalues."""

from collections.abc import Sequence

from torch import Tensor

from harness.errors import HarnessError
from harness.jobs.job import Job
from harness.jobs.store import Artifact
from harness.measure.curvature import products
from harness.measure.spectrum import density
from harness.stages.base import TABLE_BYTES, Context, Effort, Stage, Work
from harness.stages.objective import gradient_operations, objective_of

_GRADIENTS_A_PRODUCT = 4.0


class DensityStage(Stage):
    """Params: those of ``objective_of``; ``probes``, ``steps``, ``seed`` (of the probes). Inputs: ``state``; ``mask``.

    Memory: ``8 probes (steps + 3) P`` bytes.
    """

    def cost(self, job: Job) -> int:
        """Products, each about as long as some steps of training."""
        return 20 * int(job.params["probes"] * job.params["steps"])

    def effort(self, job: Job) -> Effort:
        """Products."""
        count = int(job.params["probes"] * job.params["steps"])
        return Effort(count * _GRADIENTS_A_PRODUCT * gradient_operations(job.params), TABLE_BYTES + 60 * count)

    def run(self, work: Sequence[Work], context: Context) -> list[Artifact | HarnessError]:
        """Columns ``probe``, ``node`` and ``weight`` (see ``measure.spectrum.Density``)."""
        (item,) = work
        objective, weights = objective_of(item, context)

        def product(directions: Tensor) -> Tensor:
            context.advance(20 * len(directions))
            return products(objective, weights, directions.to(weights))

        estimate = density(
            product,
            objective.size,
            probes=item.params["probes"],
            steps=min(item.params["steps"], objective.size),
            seed=item.params["seed"],
        )
        probes, steps = estimate.nodes.shape
        table = {
            "probe": [probe for probe in range(probes) for _ in range(steps)],
            "node": estimate.nodes.flatten().tolist(),
            "weight": estimate.weights.flatten().tolist(),
        }
        return [Artifact(table=table)]


STAGE = DensityStage()
