"""``loss``: the training loss at a state, as curvature is measured of it."""

from collections.abc import Sequence

from harness.errors import HarnessError
from harness.jobs.job import Job
from harness.jobs.store import Artifact
from harness.measure.curvature import gradient
from harness.stages.base import Context, Effort, Stage, Work
from harness.stages.objective import gradient_operations, objective_of


class Loss(Stage):
    """Params: those of ``objective_of``. Inputs: ``state``; ``mask`` where pruned."""

    def cost(self, job: Job) -> int:
        """About as long as some steps of training."""
        return 5

    def effort(self, job: Job) -> Effort:
        """A gradient."""
        return Effort(gradient_operations(job.params), slowness=4.0)

    def run(self, work: Sequence[Work], context: Context) -> list[Artifact | HarnessError]:
        """Columns ``loss`` (nats) and ``gradient`` (its length), one row."""
        (item,) = work
        value, slope = gradient(*objective_of(item, context))
        return [Artifact(table={"loss": [value], "gradient": [float(slope.double().norm())]})]


STAGE = Loss()
