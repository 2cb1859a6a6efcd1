"""``parabolas``: the losses of many batches along some eigenvectors of a Hessian, with the parabolas through them."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from harness.errors import BrokenError, HarnessError
from harness.jobs.job import Job
from harness.jobs.store import Artifact
from harness.measure.landscape import losses_at
from harness.measure.parabola import fit
from harness.stages.base import Context, Effort, Stage, Work, forward_pass
from harness.stages.batches import batches_of

_BYTES_A_ROW = 250
_POINTS_A_STEP = 4
"""A forward pass of several points takes about as long as a step of training."""


class ParabolasStage(Stage):
    """Params: those of ``batches_of``; ``ranks`` (band -> ranks from 0), ``points``, ``rise``, ``flattest``.

    A line reaches as far to both sides as a quadratic of the direction's eigenvalue, by magnitude, needs to rise by
    ``rise``; one of less than ``flattest`` of the largest is taken as that one. Inputs: ``state``, ``hessian``;
    ``mask``.
    """

    def cost(self, job: Job) -> int:
        """Passes of points."""
        return _points(job) * int(job.params["batches"]) // _POINTS_A_STEP + 1

    def effort(self, job: Job) -> Effort:
        """A forward pass of every batch at every point."""
        passes = _points(job) * int(job.params["batches"])
        rows = sum(map(len, job.params["ranks"].values())) * int(job.params["batches"])
        return Effort(passes * int(job.params["batch"]) * forward_pass(job.params), _BYTES_A_ROW * rows, slowness=2.8)

    def run(self, work: Sequence[Work], context: Context) -> list[Artifact | HarnessError]:
        """A row a direction and batch: ``band``, ``rank`` (from 1), ``eigenvalue``, ``batch``.

        Of the parabola: ``curvature``, ``minimum`` (its place; None where it has none), ``lowest`` (the loss there),
        ``r2``. Of the line: ``reach`` and the losses (nats) ``loss_0``, ``loss_1``, ... at evenly spaced places
        from minus that to that.
        """
        (item,) = work
        batches, weights = batches_of(item, context)
        hessian = item.inputs["hessian"].tensors
        chosen = [(band, rank) for band, ranks in item.params["ranks"].items() for rank in ranks]
        places = torch.tensor([rank for _, rank in chosen])
        values = hessian["eigenvalues"][places]
        flattest = item.params["flattest"] * float(hessian["eigenvalues"].abs().max())
        if not flattest > 0:
            return [BrokenError("every eigenvalue of the Hessian is zero: there is no scale for lines to reach over")]
        reach = (2 * item.params["rise"] / values.abs().clamp_min(flattest)).sqrt()
        vectors = hessian["eigenvectors"][places].to(weights)
        sides = torch.linspace(-1, 1, item.params["points"], dtype=torch.float64)
        by_batch = []
        for batch in batches:
            lengths = (reach[:, None] * sides).to(weights)
            steps = lengths[..., None] * batch.expand(vectors)[:, None, :]
            by_batch.append(
                losses_at(batch, (weights + steps).flatten(0, 1)).unflatten(0, lengths.shape).double().cpu()
            )
            context.advance(_points(item.job) // _POINTS_A_STEP)
        losses = torch.stack(by_batch, 1)
        if not bool(losses.isfinite().all()):
            return [BrokenError("a batch's loss along an eigenvector is not a finite number: choose a smaller rise")]
        return [Artifact(table=_table(chosen, values.tolist(), reach.numpy(), losses.numpy()))]


def _points(job: Job) -> int:
    return sum(map(len, job.params["ranks"].values())) * int(job.params["points"])


def _table(
    chosen: Sequence[tuple[str, int]],
    values: Sequence[float],
    reach: "np.typing.NDArray[np.float64]",
    losses: "np.typing.NDArray[np.float64]",
) -> dict[str, list[Any]]:
    directions, batches, points = losses.shape
    parabolas = fit(reach[:, None], losses)
    minimum = parabolas.minimum.flatten()
    lowest = (parabolas.level + parabolas.slope * parabolas.minimum / 2).flatten()

    def each(of_direction: Sequence[Any]) -> list[Any]:
        return [value for value in of_direction for _ in range(batches)]

    return {
        "band": each([band for band, _ in chosen]),
        "rank": each([rank + 1 for _, rank in chosen]),
        "eigenvalue": each(values),
        "batch": list(range(batches)) * directions,
        "curvature": parabolas.curvature.flatten().tolist(),
        "minimum": _where_finite(minimum),
        "lowest": _where_finite(lowest),
        "r2": parabolas.r2.flatten().tolist(),
        "reach": each(reach.tolist()),
        **{f"loss_{point}": losses[..., point].flatten().tolist() for point in range(points)},
    }


def _where_finite(values: "np.typing.NDArray[np.float64]") -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values.tolist()]


STAGE = ParabolasStage()
