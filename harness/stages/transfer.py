"""``transfer``: what pretraining hands on to the network that is trained next."""

from collections.abc import Sequence

from harness.engine.state import State
from harness.errors import HarnessError
from harness.jobs.job import Job
from harness.jobs.store import Artifact
from harness.stages.base import TABLE_BYTES, Context, Effort, Stage, Work, network_of
from harness.stages.transfer_invariants import Transferred, check


class Transfer(Stage):
    """A fresh network that gets a pretrained one's weights, but for the optimiser's state, which belongs to its task.

    Params: ``network``, ``shape``, ``classes``, ``precision``; ``head`` (the last layer: ``kept`` from pretraining, or
    ``fresh``, as it must be where the classes are others); ``statistics`` (running ones, ``kept`` or ``initial``).

    Inputs: ``state``, the fresh network; ``pretrained``; ``mask`` under which it is trained next, unless that is to be
    pruned from what is handed on.
    """

    def effort(self, job: Job) -> Effort:
        """The weights."""
        return Effort(disk_bytes=TABLE_BYTES + 4 * network_of(job.params).size)

    def run(self, work: Sequence[Work], context: Context) -> list[Artifact | HarnessError]:
        """The state, at the step that pretraining reached."""
        (item,) = work
        fresh, pretrained = item.state(), item.state("pretrained")
        made = _handed_on(item, fresh, pretrained)
        check(Transferred(item, fresh, pretrained, made))
        return [Artifact(made.tensors())]


def _handed_on(item: Work, fresh: State, pretrained: State) -> State:
    params = item.params
    weights = dict(pretrained.weights)
    if params["head"] == "fresh":
        head = [name for name, parameter in network_of(params).parameters.items() if parameter.output_layer]
        like = next(iter(weights.values()))
        weights |= {name: fresh.weights[name].to(like) for name in head}
    statistics = pretrained.buffers
    if params["statistics"] == "initial":
        statistics = {name: fresh.buffers[name].to(value) for name, value in statistics.items()}
    return State(weights, statistics, pretrained.step)


STAGE = Transfer()
