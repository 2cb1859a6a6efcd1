"""What must hold of every plan, whatever its experiment: a breach is an error, never a verdict (docs/invariants.md).

One function an invariant; all are asked before anything runs.
"""

from collections.abc import Sequence
from typing import Any

from harness.errors import InvariantBroken
from harness.jobs.job import Job, ancestry, at_fork, canonical
from harness.jobs.plan import Plan
from harness.jobs.stages import row
from harness.protocols.common.base import Measurement


def check_plan(measurements: Sequence[Measurement], plan: Plan) -> None:
    """Raises InvariantBroken unless a plan's replicates are replicates.

    Args:
        measurements: of the experiment.
        plan: of their jobs.
    """
    initialisations_share_no_seed(measurements)
    measurements_are_of_different_jobs(measurements)
    redrawn_states_have_their_own_seed(plan)
    copies_are_different_jobs(plan)
    pretrained_states_have_their_masks(plan)


def initialisations_share_no_seed(measurements: Sequence[Measurement]) -> None:
    """Initial weights, orders, shuffles, noise: else replicates are counted that are none."""
    by_initialisation: dict[int, list[Job]] = {}
    for measurement in measurements:
        by_initialisation.setdefault(measurement.initialisation, []).append(measurement.job)
    owners: dict[tuple[str, str, Any], int] = {}
    measured: dict[str, int] = {}
    for number, jobs in by_initialisation.items():
        for job in ancestry(jobs).values():
            for name, seed in job.seeds.items():
                owner = number if seed == "" else owners.setdefault((job.stage, name, seed), number)
                if owner != number:
                    raise InvariantBroken(
                        f"initialisations {owner} and {number} share the {name} {seed!r} of {job.stage}: they are no "
                        "independent replicates. Let the protocol name the initialisation in every seed"
                    )
        for job in jobs:
            if measured.setdefault(job.key, number) != number:
                raise InvariantBroken(
                    f"{job!r} is measured for initialisations {measured[job.key]} and {number}: one result would "
                    "count as two replicates. Let the protocol name the initialisation in its seeds"
                )


def measurements_are_of_different_jobs(measurements: Sequence[Measurement]) -> None:
    """One job under two conditions compares a thing with itself, unless nothing was trained since the fork."""
    seen: dict[tuple[object, str, int, int], Measurement] = {}
    for measurement in measurements:
        states = [job for role, job in measurement.job.inputs.items() if role != "mask"]
        if not states or all(map(at_fork, states)):
            continue
        before = seen.setdefault(
            (measurement.reads, measurement.job.key, measurement.initialisation, measurement.repeat), measurement
        )
        if dict(before.at) != dict(measurement.at):
            raise InvariantBroken(
                f"{measurement.job!r} is measured at {dict(before.at)} and at {dict(measurement.at)}, initialisation "
                f"{measurement.initialisation}: what these conditions are to tell apart is one thing"
            )


def redrawn_states_have_their_own_seed(plan: Plan) -> None:
    """A state that takes the place of the one whose mask it gets is no second copy of it, put at another step."""
    drawn_from: dict[str, dict[str, Job]] = {}
    for key, job in plan.jobs.items():
        origins = {draw: init for given in job.inputs.values() for draw, init in drawn_from[given.key].items()}
        role = row(job.stage).role
        drawn_from[key] = {_draw(job): job} if role == "initialisation" else origins
        if role != "training" or "mask" not in job.inputs:
            continue
        masked = drawn_from[job.inputs["mask"].key]
        for draw, init in drawn_from[job.inputs["state"].key].items():
            if masked.get(draw, init) != init:
                raise InvariantBroken(
                    f"{init!r}, drawn again at step {init.params['step']} with the seed {init.params['seed']!r}, has "
                    f"the weights of its original {masked[draw]!r}: give what is drawn again a seed of its own"
                )


def copies_are_different_jobs(plan: Plan) -> None:
    """What is compared along a line or as a pair is two, unless the copies part at the end."""
    trained_on = {
        job.inputs["state"].key
        for job in plan.jobs.values()
        if row(job.stage).role == "training" and job.params["start"] < job.params["stop"]
    }
    for job in plan.jobs.values():
        if row(job.stage).role not in ("line", "comparison"):
            continue
        a, b = job.inputs["a"], job.inputs["b"]
        if a == b and (not at_fork(a) or a.key in trained_on):
            raise InvariantBroken(
                f"{job!r} compares {a!r} with itself, though copies were trained since the fork: give each copy its "
                "own data order"
            )


def pretrained_states_have_their_masks(plan: Plan) -> None:
    """What pretraining hands on is trained under the mask that it came with, or under one pruned from itself."""
    for job in plan.jobs.values():
        state, mask = job.inputs.get("state"), job.inputs.get("mask")
        if row(job.stage).role != "training" or state is None or mask is None or row(state.stage).role != "transfer":
            continue
        given = state.inputs.get("mask")
        if given is not None and given != mask:
            raise InvariantBroken(
                f"{job!r} trains {state!r} under {mask!r}, but that was handed on with {given!r}: give it this one"
            )
        if given is None and not _pruned_from(mask, state):
            raise InvariantBroken(
                f"{job!r} trains {state!r} under {mask!r}, the mask of another state: prune what was handed on, or "
                "hand it on with this mask"
            )


def _pruned_from(mask: Job, state: Job) -> bool:
    """Whether each level of a mask is pruned from trainings that start at a state."""
    level: Job | None = mask
    while level is not None:
        if row(level.stage).role != "pruning":
            return False
        trained = level.inputs["state"]
        if row(trained.stage).role != "training" or trained.inputs["state"] != state:
            return False
        level = level.inputs.get("mask")
    return True


def _draw(init: Job) -> str:
    """Equal for fresh networks of equal weights."""
    return canonical({name: value for name, value in init.params.items() if name != "step"})
