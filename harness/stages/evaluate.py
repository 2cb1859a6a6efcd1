"""``evaluate``: error and loss of a state."""

from collections.abc import Sequence

from harness.errors import HarnessError
from harness.job import Job
from harness.measure.evaluate import evaluate
from harness.stages.base import Context, Effort, Stage, Work, examples_of_both_splits, forward_pass, states_of
from harness.store import Artifact

SPLITS = ("test", "train")


class Evaluate(Stage):
    """Params: ``network``, ``classes``, ``data``, ``precision``. Inputs: ``state``."""

    def cost(self, job: Job) -> int:
        """About as long as some steps of training."""
        return 5

    def effort(self, job: Job) -> Effort:
        """A forward pass of everything."""
        return Effort(examples_of_both_splits(job.params) * forward_pass(job.params))

    def run(self, work: Sequence[Work], context: Context) -> list[Artifact | HarnessError]:
        """Columns ``split``, ``error`` (percent), ``loss`` (nats)."""
        (one,) = work
        precision = one.params["precision"]
        images = context.images(one.params["data"], precision)
        network = context.network(one.params, images)
        states = states_of(one.inputs["state"], context, precision)
        scores = [evaluate(network, states, images, split, precision=precision) for split in SPLITS]
        return [
            Artifact(
                table={
                    "split": list(SPLITS),
                    "error": [score.errors[0] for score in scores],
                    "loss": [score.mean_losses[0] for score in scores],
                }
            )
        ]


STAGE = Evaluate()
