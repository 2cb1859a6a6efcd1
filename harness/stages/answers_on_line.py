"""``answers_on_line``: which examples of the test set the states on a line get wrong, one by one."""

from collections.abc import Sequence

from harness.datainfo import nominal
from harness.errors import HarnessError
from harness.jobs.job import Job
from harness.jobs.store import Artifact
from harness.measure.evaluate import evaluate
from harness.measure.line import alphas, states_on_line
from harness.measure.marked import packed
from harness.stages.answers import TEST
from harness.stages.base import Context, Effort, Stage, Work, examples_of_test_split, forward_pass, states_of


class AnswersOnLine(Stage):
    """Params and inputs: those of ``line``."""

    def cost(self, job: Job) -> int:
        """Less than ``line``, which sees the training set too."""
        return 2 * int(job.params["alphas"]) * len(job.params["batch_norm"])

    def effort(self, job: Job) -> Effort:
        """A forward pass of the test set at every place, by mode; the training set for recomputed statistics."""
        params = job.params
        again = nominal(params["data"]["name"]).n_train if "recomputed" in params["batch_norm"] else 0
        examples = len(params["batch_norm"]) * examples_of_test_split(params) + again
        return Effort((params["alphas"] + 2) * examples * forward_pass(params), slowness=1.2)

    def run(self, work: Sequence[Work], context: Context) -> list[Artifact | HarnessError]:
        """Columns ``marked``, those that are wrong, and ``examples``; a row for each mode and place, as in ``line``."""
        (item,) = work
        params, precision = item.params, item.params["precision"]
        images = context.images(params["data"], precision)
        network = context.network(params, images)
        a, b = (states_of(item.state(role), context, precision) for role in ("a", "b"))
        marked: list[str] = []
        for mode in params["batch_norm"]:
            on_line = states_on_line(
                network,
                a,
                b,
                images,
                places=alphas(params["alphas"], params["ends"]),
                batch_norm=mode,
                batch=params["batch"],
                precision=precision,
            )
            for _, states in on_line:
                marked += packed(evaluate(network, states, images, TEST, precision=precision).wrong)
        examples = len(images.split[TEST][1])
        return [Artifact(table={"marked": marked, "examples": [examples] * len(marked)})]


STAGE = AnswersOnLine()
