"""``extremes``: the largest and smallest eigenvalues of the Hessian at a state, by Lanczos."""

from collections.abc import Sequence
from typing import Any, Literal

from torch import Tensor

from harness.errors import BrokenError, HarnessError
from harness.jobs.job import Job
from harness.jobs.store import Artifact
from harness.measure.curvature import products
from harness.measure.extreme import MOST_PRODUCTS, extreme
from harness.stages.base import Context, Effort, Stage, Work
from harness.stages.objective import gradient_operations, objective_of

_PRODUCTS = 40
"""Hessian-vector products that a run takes, as seen on trained networks."""
_GRADIENTS_A_PRODUCT = 4.0


class Extremes(Stage):
    """Params: those of ``objective_of``; ``top``, ``bottom`` (how many), ``tolerance``. Inputs: ``state``; ``mask``."""

    def cost(self, job: Job) -> int:
        """Products, each about as long as some steps of training."""
        return 20 * _PRODUCTS

    def effort(self, job: Job) -> Effort:
        """Products."""
        return Effort(_PRODUCTS * _GRADIENTS_A_PRODUCT * gradient_operations(job.params), slowness=1.5)

    def run(self, work: Sequence[Work], context: Context) -> list[Artifact | HarnessError]:
        """Columns ``eigenvalue`` (the largest first), ``end`` (top or bottom), ``residual``, ``converged``.

        A search that did not converge may give fewer rows than were asked for.
        """
        (item,) = work
        objective, weights = objective_of(item, context)

        def product(directions: Tensor) -> Tensor:
            return products(objective, weights, directions.to(weights))

        table: dict[str, list[Any]] = {"end": [], "eigenvalue": [], "residual": [], "converged": []}
        ends: tuple[Literal["top", "bottom"], ...] = ("top", "bottom")
        for end in ends:
            if item.params[end]:
                pairs = extreme(product, objective.size, item.params[end], end=end, tolerance=item.params["tolerance"])
                if not len(pairs.values):
                    return [BrokenError(f"no eigenvalue at the {end} was found in {MOST_PRODUCTS:,} products")]
                table["end"] += [end] * len(pairs.values)
                table["eigenvalue"] += pairs.values.tolist()
                table["residual"] += pairs.residuals.tolist()
                table["converged"] += [pairs.converged] * len(pairs.values)
        return [Artifact(table=table)]


STAGE = Extremes()
