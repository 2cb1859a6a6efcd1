"""``differences``: which examples of the test set two states classify differently, one by one."""

from collections.abc import Sequence

from harness.errors import HarnessError
from harness.jobs.job import Job
from harness.jobs.store import Artifact
from harness.measure.evaluate import evaluate
from harness.measure.marked import packed
from harness.stages.answers import TEST
from harness.stages.base import Context, Effort, Stage, Work, examples_of_test_split, forward_pass, states_of


class Differences(Stage):
    """Params and inputs: those of ``compare``."""

    def cost(self, job: Job) -> int:
        """Two times ``answers``."""
        return 4

    def effort(self, job: Job) -> Effort:
        """Two forward passes of the test set."""
        return Effort(2 * examples_of_test_split(job.params) * forward_pass(job.params), slowness=1.7)

    def run(self, work: Sequence[Work], context: Context) -> list[Artifact | HarnessError]:
        """Columns ``marked``, those of different classes, and ``examples``; a row."""
        (item,) = work
        precision = item.params["precision"]
        images = context.images(item.params["data"], precision)
        network = context.network(item.params, images)
        a, b = (
            evaluate(network, states_of(item.state(role), context, precision), images, TEST, precision=precision)
            for role in ("a", "b")
        )
        return [Artifact(table={"marked": packed(a.predictions != b.predictions), "examples": [len(a.labels)]})]


STAGE = Differences()
