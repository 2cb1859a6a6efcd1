"""``compare``: how far apart two trained copies are, in weights and in what they do."""

from collections.abc import Sequence

from harness.errors import HarnessError
from harness.jobs.job import Job
from harness.jobs.store import Artifact
from harness.measure import distance
from harness.measure.evaluate import evaluate
from harness.stages.base import (
    Context,
    Effort,
    Stage,
    Work,
    examples_of_both_splits,
    forward_pass,
    states_of,
)
from harness.stages.evaluate import SPLITS


class Compare(Stage):
    """Params: ``network``, ``classes``, ``data``, ``precision``. Inputs: ``a`` and ``b``."""

    def cost(self, job: Job) -> int:
        """Two evaluations."""
        return 10

    def effort(self, job: Job) -> Effort:
        """Two evaluations."""
        return Effort(2 * examples_of_both_splits(job.params) * forward_pass(job.params), slowness=1.7)

    def run(self, work: Sequence[Work], context: Context) -> list[Artifact | HarnessError]:
        """Columns ``split``, ``l2``, ``cosine``, ``disagreements``, ``loss_l2``; the first two are the same for all.

        ``cosine`` is None where a state's weights are all zero.
        """
        (item,) = work
        precision = item.params["precision"]
        images = context.images(item.params["data"], precision)
        network = context.network(item.params, images)
        pair = [item.state(role) for role in ("a", "b")]
        states = [states_of(state, context, precision) for state in pair]
        weights = [state.weights for state in pair]
        scores = [
            [evaluate(network, state, images, split, precision=precision) for state in states] for split in SPLITS
        ]
        return [
            Artifact(
                table={
                    "split": list(SPLITS),
                    "l2": [distance.l2(*weights)] * len(SPLITS),
                    "cosine": [distance.cosine(*weights)] * len(SPLITS),
                    "disagreements": [distance.disagreements(*pair) for pair in scores],
                    "loss_l2": [distance.loss_distance(*pair) for pair in scores],
                }
            )
        ]


STAGE = Compare()
