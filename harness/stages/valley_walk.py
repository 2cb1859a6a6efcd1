"""``valley_walk``: where SGD lives in the narrowing valley, before and after a drop of the learning rate."""

from collections.abc import Sequence

import torch

from harness.errors import HarnessError
from harness.jobs.job import Job
from harness.jobs.store import Artifact
from harness.measure import valley
from harness.stages.base import Context, Effort, Stage, Work


class ValleyWalk(Stage):
    """Looks at the chains so many times at each learning rate, evenly.

    Params: ``rates``, ``lengths`` (steps at each, a multiple of ``looks``), ``looks``, ``sigma``, ``start`` (x, y),
    ``replicas``, ``noise`` (a name). No inputs.
    """

    def effort(self, job: Job) -> Effort:
        """The noise; the rest is little beside it."""
        return Effort(operations=4000.0 * sum(job.params["lengths"]) * job.params["replicas"], slowness=7.0)

    def run(self, work: Sequence[Work], context: Context) -> list[Artifact | HarnessError]:
        """A row a look, all means over chains.

        Columns: ``phase`` (from 0), ``step``, ``position`` (x), ``square`` (y²), ``loss``, ``negative`` (share of
        chains where the Hessian has a negative eigenvalue), ``sharpness`` (its largest eigenvalue).
        """
        (item,) = work
        rates, lengths, looks = (item.params[name] for name in ("rates", "lengths", "looks"))
        phases = [phase for phase, length in enumerate(lengths) for _ in range(length)]
        walk = valley.walk(
            name=item.params["noise"],
            replicas=item.params["replicas"],
            rates=[rates[phase] for phase in phases],
            sigma=item.params["sigma"],
            start=tuple(item.params["start"]),
            device=context.device,
        )
        rows: list[list[float]] = []
        for step, (phase, points) in enumerate(zip(phases, walk, strict=True), start=1):
            if (step - sum(lengths[:phase])) % (lengths[phase] // looks) == 0:
                least, most = valley.curvatures(points).unbind(-1)
                x, y = points.unbind(-1)
                seen = (x, y.square(), valley.loss(points), (least < 0).double(), most)
                rows.append([phase, step, *torch.stack(seen).mean(dim=1).tolist()])
        names = ("phase", "step", "position", "square", "loss", "negative", "sharpness")
        return [
            Artifact(table={name: list(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)})
        ]


STAGE = ValleyWalk()
