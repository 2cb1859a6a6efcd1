"""``newton``: the loss where the local quadratic has its minimum, in the eigenvectors above several thresholds."""

import math
from collections.abc import Sequence

import numpy as np

from harness.errors import BrokenError, HarnessError
from harness.jobs.job import Job
from harness.jobs.store import Artifact
from harness.measure.curvature import gradient
from harness.measure.landscape import losses_at
from harness.measure.newton import minima
from harness.stages.base import Context, Effort, Stage, Work
from harness.stages.objective import gradient_operations, objective_of


class NewtonStage(Stage):
    """Params: those of ``objective_of``; ``thresholds`` (how many), ``lowest`` (the last, over the largest eigenvalue).

    Inputs: ``state``, ``hessian``; ``mask`` where pruned.
    """

    def cost(self, job: Job) -> int:
        """About as long as some steps of training."""
        return 5 * int(job.params["thresholds"])

    def effort(self, job: Job) -> Effort:
        """A gradient, and a loss a threshold."""
        return Effort((1 + int(job.params["thresholds"]) / 3) * gradient_operations(job.params), slowness=4.0)

    def run(self, work: Sequence[Work], context: Context) -> list[Artifact | HarnessError]:
        """A row a threshold, from the largest eigenvalue down in equal ratios.

        ``share`` of the largest eigenvalue, ``threshold``, ``loss`` (nats) at the minimum of the quadratic (None
        where the step is so long that it is no finite number), ``predicted`` (the quadratic's own), ``length`` of the
        step; ``here``, the loss at the state, in every row.
        """
        (item,) = work
        objective, weights = objective_of(item, context)
        values, vectors = (item.inputs["hessian"].tensors[name] for name in ("eigenvalues", "eigenvectors"))
        if values[0] <= 0:
            return [BrokenError(f"the largest eigenvalue is {float(values[0]):g}: the local quadratic has no minimum")]
        shares = np.geomspace(1, item.params["lowest"], item.params["thresholds"]).tolist()
        thresholds = [share * float(values[0]) for share in shares]
        here, slope = gradient(objective, weights)
        steps, falls = minima(slope, values, vectors.to(weights.device), thresholds)
        losses = losses_at(objective, weights + objective.expand(steps).to(weights)).tolist()
        return [
            Artifact(
                table={
                    "share": shares,
                    "threshold": thresholds,
                    "loss": [loss if math.isfinite(loss) else None for loss in losses],
                    "predicted": [here - fall for fall in falls],
                    "length": steps.norm(dim=1).tolist(),
                    "here": [here] * len(shares),
                }
            )
        ]


STAGE = NewtonStage()
