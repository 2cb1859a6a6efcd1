"""``plane``: the loss in the plane through states around a cliff, and where the states lie in it."""

from collections.abc import Sequence

import torch

from harness.errors import HarnessError
from harness.jobs.job import Job
from harness.jobs.store import Artifact
from harness.measure.landscape import losses_at
from harness.measure.plane import grid, through
from harness.stages.base import TABLE_BYTES, Context, Effort, Stage, Work, forward_pass
from harness.stages.objective import flat_weights, objective_of

_STEPS_A_POINT = 1
"""A point takes about as long as a step of training."""


class PlaneStage(Stage):
    """Params: those of ``objective_of``; ``points`` (on a side), ``margin``.

    Inputs: ``state``, the last before the cliff; ``after``; ``earlier0``, ``earlier1``, ...
    """

    def cost(self, job: Job) -> int:
        """Points."""
        return _STEPS_A_POINT * int(job.params["points"]) ** 2

    def effort(self, job: Job) -> Effort:
        """A forward pass a point."""
        points = int(job.params["points"]) ** 2
        return Effort(
            points * int(job.params["examples"]) * forward_pass(job.params), TABLE_BYTES + 80 * points, slowness=2.4
        )

    def run(self, work: Sequence[Work], context: Context) -> list[Artifact | HarnessError]:
        """Columns ``kind`` (grid, or the role of a state), ``x``, ``y``, ``loss`` (nats), and the lengths of the axes.

        ``length_along`` and ``length_across`` are of the axes' units in weight space, the same in every row. The grid
        comes first, row after row. The loss of a state is that at its own place, not at its projection.
        """
        (item,) = work
        objective, before = objective_of(item, context)
        roles = [*(f"earlier{number}" for number in range(len(item.inputs) - 2)), "state", "after"]
        states = torch.stack(
            [flat_weights(objective.network, item.state(role).weights, before.dtype) for role in roles]
        ).to(before.device)
        plane = through(states[:-2], states[-2], states[-1])
        places = grid(item.params["points"], item.params["margin"]).to(before.device)
        points = torch.cat([plane.at(places), states])
        losses = losses_at(objective, points)
        all_places = torch.cat([places.double(), plane.coordinates(states)]).cpu()
        return [
            Artifact(
                table={
                    "kind": ["grid"] * len(places) + roles,
                    "x": all_places[:, 0].tolist(),
                    "y": all_places[:, 1].tolist(),
                    "loss": losses.tolist(),
                    "length_along": [float(plane.along.norm())] * len(points),
                    "length_across": [float(plane.across.norm())] * len(points),
                }
            )
        ]


STAGE = PlaneStage()
