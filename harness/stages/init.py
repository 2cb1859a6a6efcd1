"""``init``: a fresh network."""

from collections.abc import Sequence

from harness.engine.networks.build import build
from harness.engine.networks.initialise import initial_buffers, initial_parameters
from harness.engine.state import State
from harness.errors import HarnessError, InvariantBroken
from harness.jobs.job import Job
from harness.jobs.store import Artifact
from harness.stages.base import TABLE_BYTES, Context, Effort, Stage, Work, network_of


class Init(Stage):
    """A draw of weights.

    Params: ``network``, ``shape``, ``classes``, ``parameters`` (their number), ``initialisation``, ``seed``, ``step``
    (at which the state stands). No inputs.
    """

    def effort(self, job: Job) -> Effort:
        """The weights."""
        return Effort(disk_bytes=TABLE_BYTES + 4 * network_of(job.params).size)

    def run(self, work: Sequence[Work], context: Context) -> list[Artifact | HarnessError]:
        """The state before any training, without an optimiser's state."""
        (item,) = work
        network = build(item.params["network"], item.params["shape"], item.params["classes"])
        if network.size != item.params["parameters"]:
            raise InvariantBroken(
                f"the network {item.params['network']} has {network.size:,} trainable parameters, the spec says "
                f"{item.params['parameters']:,}: correct training.network or training.parameters"
            )
        chosen = item.params["initialisation"]
        weights = initial_parameters(
            network,
            scheme=chosen["weights"],
            batch_norm_scale=chosen["batch_norm_scale"],
            seed=item.params["seed"],
        )
        return [Artifact(State(weights, initial_buffers(network), item.params["step"]).tensors())]


STAGE = Init()
