"""``init``: a fresh network."""

from collections.abc import Sequence

import torch

from harness.engine.networks.build import build
from harness.engine.networks.initialise import initial_buffers, initial_parameters
from harness.errors import HarnessError, InvariantBroken
from harness.jobs.job import Job
from harness.jobs.store import Artifact
from harness.stages.base import BUFFER, STEP, TABLE_BYTES, WEIGHT, Context, Effort, Stage, Work, network_of


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
        (one,) = work
        network = build(one.params["network"], one.params["shape"], one.params["classes"])
        if network.size != one.params["parameters"]:
            raise InvariantBroken(
                f"the network {one.params['network']} has {network.size:,} trainable parameters, the spec says "
                f"{one.params['parameters']:,}: correct training.network or training.parameters"
            )
        chosen = one.params["initialisation"]
        weights = initial_parameters(
            network,
            scheme=chosen["weights"],
            batch_norm_scale=chosen["batch_norm_scale"],
            seed=one.params["seed"],
        )
        tensors = {WEIGHT + name: value for name, value in weights.items()}
        tensors |= {BUFFER + name: value for name, value in initial_buffers(network).items()}
        return [Artifact({**tensors, STEP: torch.tensor(one.params["step"])})]


STAGE = Init()
