"""``hessian``: all eigenvalues and eigenvectors of the exact Hessian at a state."""

from collections.abc import Sequence

import torch

from harness.errors import HarnessError, InvariantBroken
from harness.jobs.job import Job
from harness.jobs.store import Artifact
from harness.measure.affordable import require_affordable
from harness.measure.curvature import rows, symmetric
from harness.measure.spectrum import dense
from harness.stages.base import TABLE_BYTES, Context, Effort, Stage, Work, network_of
from harness.stages.objective import gradient_operations, objective_of

_ROWS = 64
"""Rows between two looks at the clock."""
_GRADIENTS_A_ROW = 1.0
"""A Hessian-vector product costs about four gradients' work, its symmetric half on the network's tail about one."""
_SYMMETRY_ERROR = {"fp32": 1e-3, "fp64": 1e-9}
"""Greatest difference of mirrored entries, over the largest entry, that is rounding; the toys have 4e-6 in fp32."""


class Hessian(Stage):
    """Params: those of ``objective_of``. Inputs: ``state``; ``mask`` where pruned.

    Memory: about 24 P² bytes at the peak (the eigenvectors in double precision), 17 GB for 26,490 parameters.
    """

    def cost(self, job: Job) -> int:
        """Rows, each about as long as some steps of training."""
        return 5 * network_of(job.params).size

    def effort(self, job: Job) -> Effort:
        """A row costs about a gradient; the eigenvectors are kept in single precision."""
        size = network_of(job.params).size
        return Effort(
            size * _GRADIENTS_A_ROW * gradient_operations(job.params) + 10.0 * size**3,
            TABLE_BYTES + 4 * size**2,
            24.0 * size**2,
        )

    def run(self, work: Sequence[Work], context: Context) -> list[Artifact | HarnessError]:
        """Tensors ``eigenvalues`` [P] float64, the largest first, and ``eigenvectors`` [P, P], a row for each.

        Columns ``rank`` (from 1) and ``eigenvalue``; ``symmetry_error``, the same in every row.

        Raises:
            InvariantBroken: the matrix is not symmetric beyond rounding.
        """
        (item,) = work
        objective, weights = objective_of(item, context)
        require_affordable(objective.size)
        saved = context.checkpoint.load()
        done = [saved[0]["rows"].to(weights)] if saved else []
        first = len(done[0]) if done else 0
        context.advance(5 * first)
        for start in range(first, objective.size, _ROWS):
            done.append(rows(objective, weights, start, min(start + _ROWS, objective.size)))
            context.advance(5 * len(done[-1]))
            if context.checkpoint.due():
                done = [torch.cat(done)]
                context.checkpoint.save({"rows": done[0]}, {})
        matrix, error = symmetric(torch.cat(done), objective.layers)
        allowed = _SYMMETRY_ERROR[item.params["precision"]]
        if error > allowed:
            raise InvariantBroken(
                f"{item.job!r}: mirrored entries of the Hessian differ by {error:.1e} of its largest, more than the "
                f"{allowed:g} that rounding in {item.params['precision']} explains: a derivative is wrong, or "
                "overflowed"
            )
        pairs = dense(matrix)
        values = pairs.values.tolist()
        return [
            Artifact(
                {"eigenvalues": pairs.values, "eigenvectors": pairs.vectors.float()},
                {
                    "rank": list(range(1, len(values) + 1)),
                    "eigenvalue": values,
                    "symmetry_error": [error] * len(values),
                },
            )
        ]


STAGE = Hessian()
