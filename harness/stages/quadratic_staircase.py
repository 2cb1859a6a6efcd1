"""``quadratic_staircase``: the loss of SGD on a noisy quadratic in D dimensions while the learning rate drops."""

from collections.abc import Sequence

import torch

from harness.errors import HarnessError
from harness.jobs.job import Job
from harness.jobs.store import Artifact
from harness.measure import quadratic
from harness.stages.base import Context, Effort, Stage, Work

_OPERATIONS_A_DRAW = 1000


class QuadraticStaircase(Stage):
    """Mean losses in bins of the steps at each learning rate.

    Params: ``curvatures``, ``rates``, ``lengths`` (steps at each rate, a multiple of ``bins``), ``bins``, ``momentum``,
    ``sigma``, ``replicas``, ``noise`` (a name). No inputs.
    """

    def effort(self, job: Job) -> Effort:
        """The noise; the rest is little beside it."""
        dimensions = len(job.params["curvatures"])
        draws = sum(job.params["lengths"]) * job.params["replicas"] * dimensions
        return Effort(operations=draws * (_OPERATIONS_A_DRAW + 4 * dimensions), slowness=4.0)

    def run(self, work: Sequence[Work], context: Context) -> list[Artifact | HarnessError]:
        """Columns ``stair`` (from 0), ``step`` (at the end of the bin) and ``loss``, a row a bin."""
        (item,) = work
        rates, lengths, bins = (item.params[name] for name in ("rates", "lengths", "bins"))
        losses = quadratic.losses(
            torch.tensor(item.params["curvatures"], dtype=torch.float64, device=context.device),
            name=item.params["noise"],
            replicas=item.params["replicas"],
            rates=[rate for rate, length in zip(rates, lengths, strict=True) for _ in range(length)],
            momentum=item.params["momentum"],
            sigma=item.params["sigma"],
        )
        table: dict[str, list[float]] = {"stair": [], "step": [], "loss": []}
        begun = 0
        for stair, (part, length) in enumerate(zip(losses.split(lengths), lengths, strict=True)):
            table["stair"] += [stair] * bins
            table["step"] += [begun + length // bins * (number + 1) for number in range(bins)]
            table["loss"] += part.reshape(bins, -1).mean(dim=1).tolist()
            begun += length
        return [Artifact(table=table)]


STAGE = QuadraticStaircase()
