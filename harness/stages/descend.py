"""``descend``: full-batch gradient descent from a state within a subspace."""

from collections.abc import Sequence
from dataclasses import replace

from harness.engine.networks.initialise import unflatten
from harness.errors import BrokenError, HarnessError, RequestError
from harness.jobs.job import Job
from harness.jobs.store import Artifact
from harness.measure.descent import descend, random_subspace
from harness.stages.base import TABLE_BYTES, Context, Effort, Stage, Work, network_of
from harness.stages.objective import gradient_operations, objective_of

_UNITS_A_STEP = 5


class Descend(Stage):
    """Params: those of ``objective_of``; ``subspace``, ``dimensions``, ``seed``, ``steps``, ``rate``.

    ``subspace`` is of the ``top`` eigenvectors or of ``random`` directions drawn with ``seed``; ``rate`` is in units of
    one over the largest eigenvalue.

    Inputs: ``state``; ``hessian`` of the same objective there.
    """

    def cost(self, job: Job) -> int:
        """Gradients, each about as long as some steps of training."""
        return _UNITS_A_STEP * int(job.params["steps"])

    def effort(self, job: Job) -> Effort:
        """Gradients; the state is kept."""
        return Effort(
            (job.params["steps"] + 1) * gradient_operations(job.params),
            TABLE_BYTES + 4 * network_of(job.params).size,
            slowness=5.0,
        )

    def run(self, work: Sequence[Work], context: Context) -> list[Artifact | HarnessError]:
        """The state at the end, at the step of its start; columns ``before`` and ``after`` (losses), one row."""
        (item,) = work
        params = item.params
        objective, weights = objective_of(item, context)
        hessian, count = item.inputs["hessian"].tensors, params["dimensions"]
        if not 1 <= count <= objective.size:
            return [RequestError(f"{item.job!r}: found {count} dimensions of {objective.size:,}: ask for fewer")]
        most = float(hessian["eigenvalues"][0])
        if most <= 0:
            return [BrokenError(f"{item.job!r}: the largest eigenvalue is {most:g}: no step length follows from it")]
        top = params["subspace"] == "top"
        basis = hessian["eigenvectors"][:count] if top else random_subspace(params["seed"], count, objective.size)
        end, before, after = descend(
            objective,
            weights,
            basis.to(weights.device),
            rate=params["rate"] / most,
            steps=params["steps"],
            on_step=lambda: context.advance(_UNITS_A_STEP),
        )
        weights_there = {name: value[0].cpu() for name, value in unflatten(objective.network, end[None]).items()}
        state = replace(item.state(), weights=weights_there, optimiser={})
        return [Artifact(state.tensors(), {"before": [before], "after": [after]})]


STAGE = Descend()
