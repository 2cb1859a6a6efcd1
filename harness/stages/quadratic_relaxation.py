"""``quadratic_relaxation``: how the mean of SGD on the noisy quadratic decays."""

from collections.abc import Sequence

import torch

from harness.errors import HarnessError
from harness.jobs.store import Artifact
from harness.measure import quadratic
from harness.stages.base import Context, Stage, Work


class QuadraticRelaxation(Stage):
    """Params: ``point`` ([α, λ, γ, σ]), ``start``, ``replicas``, ``steps``, ``noise`` (a name). No inputs."""

    def run(self, work: Sequence[Work], context: Context) -> list[Artifact | HarnessError]:
        """Columns ``step`` (from 1) and ``mean``, of x over all chains."""
        (item,) = work
        means = quadratic.means(
            torch.tensor(item.params["point"], dtype=torch.float64, device=context.device),
            name=item.params["noise"],
            replicas=item.params["replicas"],
            steps=item.params["steps"],
            start=item.params["start"],
        )
        return [Artifact(table={"step": list(range(1, len(means) + 1)), "mean": means.tolist()})]


STAGE = QuadraticRelaxation()
