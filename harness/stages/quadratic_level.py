"""``quadratic_level``: levels at equilibrium of SGD on the noisy quadratic, at many settings."""

from collections.abc import Sequence

import torch

from harness.errors import HarnessError
from harness.jobs.job import Job
from harness.jobs.store import Artifact
from harness.measure import quadratic
from harness.stages.base import Context, Effort, Stage, Work

_OPERATIONS_A_STEP, _OPERATIONS_A_DRAW = 10, 1000
"""Of a chain and of a normal number; the latter in multiply-adds that take as long."""


class QuadraticLevel(Stage):
    """Params: ``points`` ([α, λ, γ, σ] each), ``replicas``, ``burn_in``, ``steps``, ``noise`` (a name). No inputs."""

    def effort(self, job: Job) -> Effort:
        """Steps of all chains, and their noise."""
        chain_steps = (job.params["burn_in"] + job.params["steps"]) * job.params["replicas"]
        operations = chain_steps * (_OPERATIONS_A_STEP * len(job.params["points"]) + _OPERATIONS_A_DRAW)
        return Effort(operations=operations, slowness=4.0)

    def run(self, work: Sequence[Work], context: Context) -> list[Artifact | HarnessError]:
        """Column ``level``, a row a point, in their order."""
        (item,) = work
        levels = quadratic.levels(
            torch.tensor(item.params["points"], dtype=torch.float64, device=context.device),
            name=item.params["noise"],
            replicas=item.params["replicas"],
            burn_in=item.params["burn_in"],
            steps=item.params["steps"],
        )
        return [Artifact(table={"level": levels.tolist()})]


STAGE = QuadraticLevel()
