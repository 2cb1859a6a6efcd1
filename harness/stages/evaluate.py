"""``evaluate``: error and loss of a state."""

from collections.abc import Sequence

from harness.errors import HarnessError, InvariantBroken
from harness.jobs.job import Job
from harness.jobs.store import Artifact
from harness.measure.evaluate import evaluate
from harness.measure.recount import recount
from harness.stages.base import Context, Effort, Stage, Work, examples_of_both_splits, forward_pass, states_of

SPLITS = ("test", "train")


class Evaluate(Stage):
    """Params: ``network``, ``classes``, ``data``, ``precision``. Inputs: ``state``."""

    def cost(self, job: Job) -> int:
        """About as long as some steps of training."""
        return 5

    def effort(self, job: Job) -> Effort:
        """Two forward passes of everything."""
        return Effort(2 * examples_of_both_splits(job.params) * forward_pass(job.params), slowness=3.5)

    def run(self, work: Sequence[Work], context: Context) -> list[Artifact | HarnessError]:
        """Columns ``split``, ``error`` (percent), ``loss`` (nats), ``examples`` and ``undecided``, see ``Recount``."""
        (item,) = work
        precision = item.params["precision"]
        images = context.images(item.params["data"], precision)
        network = context.network(item.params, images)
        states = states_of(item.state(), context, precision)
        scores = [evaluate(network, states, images, split, precision=precision) for split in SPLITS]
        counts = [recount(network, states, images, split, precision=precision) for split in SPLITS]
        for split, score, count in zip(SPLITS, scores, counts, strict=True):
            if not count.agrees(score.errors[0]):
                raise InvariantBroken(
                    f"{item.job!r}: the {split} error is {score.errors[0]:.6g} %, but counted image by image "
                    f"{count.wrong} of {count.examples} are wrong"
                )
        return [
            Artifact(
                table={
                    "split": list(SPLITS),
                    "error": [score.errors[0] for score in scores],
                    "loss": [score.mean_losses[0] for score in scores],
                    "examples": [score.predictions.shape[1] for score in scores],
                    "undecided": [count.undecided for count in counts],
                }
            )
        ]


STAGE = Evaluate()
