"""``answers``: which examples of the test set a state gets wrong, one by one."""

from collections.abc import Sequence

from harness.errors import HarnessError
from harness.jobs.job import Job
from harness.jobs.store import Artifact
from harness.measure.evaluate import evaluate
from harness.measure.marked import packed
from harness.stages.base import Context, Effort, Stage, Work, examples_of_test_split, forward_pass, states_of

TEST = "test"
"""The split that stands for other examples of its kind; those of training are the ones that were trained on."""


class Answers(Stage):
    """Params and inputs: those of ``evaluate``."""

    def cost(self, job: Job) -> int:
        """Less than ``evaluate``, which sees the training set too."""
        return 2

    def effort(self, job: Job) -> Effort:
        """A forward pass of the test set."""
        return Effort(examples_of_test_split(job.params) * forward_pass(job.params), slowness=3.5)

    def run(self, work: Sequence[Work], context: Context) -> list[Artifact | HarnessError]:
        """Columns ``marked``, those that are wrong, and ``examples``; a row."""
        (item,) = work
        precision = item.params["precision"]
        images = context.images(item.params["data"], precision)
        states = states_of(item.state(), context, precision)
        scores = evaluate(context.network(item.params, images), states, images, TEST, precision=precision)
        return [Artifact(table={"marked": packed(scores.wrong), "examples": [len(scores.labels)]})]


STAGE = Answers()
