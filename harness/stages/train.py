"""``train``: a state trained from one step to another, fused with others like it."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from harness.datainfo import nominal
from harness.engine import optimise
from harness.engine.device import dtype_of
from harness.engine.feed import Images
from harness.engine.networks.build import Network
from harness.engine.networks.initialise import flatten, unflatten
from harness.engine.pace import LAUNCHES_A_PARAMETER, PASSES_A_STEP
from harness.engine.replicas import FINITE, Replicas
from harness.engine.state import BUFFER, OPTIMISER, State, prefixed
from harness.engine.step import Hyperparameters
from harness.engine.train import slots, train
from harness.engine.witness import Witness
from harness.errors import HarnessError, InvariantBroken
from harness.jobs.job import Job, canonical
from harness.jobs.stages import row
from harness.jobs.store import Artifact
from harness.stages import divergence
from harness.stages.base import (
    TABLE_BYTES,
    Context,
    Effort,
    Stage,
    Work,
    at_a_time,
    forward_pass,
    network_of,
    numbers_for_gradient,
)
from harness.stages.probes import evaluations, probes_of, require_sound, states_kept, table_bytes
from harness.stages.recorded import RECORDED, Recorded

_OWN = ("start", "order", "augmentation", "schedule_start", "optimiser_state")
"""Parameters that replicas of a group need not share, beside those of a snapshot."""
_SLOWNESS = 1.4
"""Beside the sample's step are batches, augmentation, updates and the search for numbers that are not finite."""
_COPIES_OF_WEIGHTS = 8
_COPIES_OF_ACTIVATIONS = 2.0
"""Both measured on the CPU, as the process's peak: LeNet 9 MB a replica (8.4 times its weights), ResNet-20 at batch
128 330 MB (1.6 times what its forward pass keeps), however many they are, as each is computed by itself."""

_COPIES_OF_PROBES = 3
"""Of the weights where a training with probes began, of its gradient, and which of them are weights of layers; further
ones of the states that are kept."""


class Train(Stage):
    """Optimiser steps from ``start`` to ``stop``.

    Params: ``network``, ``classes``, ``data``, ``augment``, ``batch``, ``sampling``, ``optimiser``, ``schedule``,
    ``precision``, ``steps_per_epoch``, ``ragged`` (whether the last batch of an epoch is short), and each replica's
    own ``start``, ``stop``, ``order`` (seed), ``schedule_start`` (the step that counts as the schedule's first),
    ``optimiser_state`` (``carried`` or ``reset``), ``keep_optimiser``; ``augmentation`` (seed) where that is not drawn
    with the order's, else absent; ``microbatch`` where fewer examples than a batch go through the network at a time,
    else absent; ``probes`` where it records measures while it trains (``harness.stages.probes``),
    else absent.

    Inputs: ``state`` at ``start``; ``mask`` where pruned. Jobs that differ only in ``stop``, ``keep_optimiser`` and
    ``probes`` are one training with several snapshots.
    """

    def fuse(self, job: Job) -> str | None:
        """Same recipe, and short last batches of an epoch at the same time."""
        own = (*_OWN, *row(job.stage).snapshot)
        shared = {name: value for name, value in job.params.items() if name not in own}
        phase = job.params["start"] % job.params["steps_per_epoch"] if job.params["ragged"] else 0
        return canonical([shared, phase])

    def cost(self, job: Job) -> int:
        """Optimiser steps."""
        return int(job.params["stop"] - job.params["start"])

    def effort(self, job: Job) -> Effort:
        """A step costs about three forward passes; the state is kept, with the optimiser's where that is asked for."""
        params, network = job.params, network_of(job.params)
        of_no_replicas = optimise.fresh_state(params["optimiser"], torch.empty(0, network.size))
        state = sum(math.prod(value.shape[1:]) for value in of_no_replicas.values())
        kept = state if params["keep_optimiser"] else 0
        copies = _COPIES_OF_WEIGHTS * network.size + state
        passing = _COPIES_OF_ACTIVATIONS * at_a_time(params) * numbers_for_gradient(params)
        copies += (_COPIES_OF_PROBES + states_kept(params)) * network.size if "probes" in params else 0
        evaluated = evaluations(params) * nominal(params["data"]["name"]).n_test
        size = dtype_of(params["precision"]).itemsize
        return Effort(
            operations=(self.cost(job) * params["batch"] * PASSES_A_STEP + evaluated) * forward_pass(params),
            disk_bytes=TABLE_BYTES + table_bytes(params) + 4 * (network.size + kept),
            slowness=_SLOWNESS,
            memory_bytes=size * copies,
            passing_bytes=size * passing,
            launches=self.cost(job) * LAUNCHES_A_PARAMETER * len(network.parameters),
            unfused=network.unfused,
            gpu_slots=slots(network, 1, "cuda"),
        )

    def run(self, work: Sequence[Work], context: Context) -> list[Artifact | HarnessError]:
        """The states at the stops, with what was recorded on the way."""
        group = _group(work)
        params = work[0].params
        images = context.images(params["data"] | {"augment": params["augment"]}, params["precision"])
        network = context.network(params, images)
        replicas = _start(network, group, context)
        probes = probes_of(network, [replica.jobs for replica in group], replicas.weights, replicas.mask)
        saved = context.checkpoint.load()
        augmented = any(params["augment"].values())
        witness = _recalled(Witness(len(group), images, augmented=augmented), saved)
        recorded = Recorded(context.checkpoint, probes)
        if saved is not None:
            replicas = _unpack(replicas, saved, context.device)
            recorded.recall(saved[0])
            context.advance(sum(now - replica.start for now, replica in zip(replicas.steps, group, strict=True)))

        def save(now: Replicas) -> None:
            recorded.keep()
            context.checkpoint.save(*_pack(now, witness))

        def on_step(moved: int, everyone: Callable[[], Replicas]) -> None:
            context.advance(moved)
            if context.checkpoint.due():
                save(everyone())

        replicas = train(
            network,
            _recipe(params),
            images,
            replicas,
            on_step=on_step,
            on_snapshot=recorded.snap,
            witness=witness,
            probes=probes,
        )
        save(replicas)
        return [_result(network, item, images, group, recorded, witness) for item in work]


def _recipe(params: Mapping[str, Any]) -> Hyperparameters:
    return Hyperparameters(
        batch=params["batch"],
        sampling=params["sampling"],
        optimiser=params["optimiser"],
        schedule=params["schedule"],
        decay_reach=params["optimiser"]["decay_reach"],
        precision=params["precision"],
        microbatch=params.get("microbatch"),
    )


@dataclass(frozen=True)
class _Replica:
    """One replica of the group: the first job that names it, all of them, and the steps at which it is wanted."""

    work: Work
    jobs: tuple[Job, ...]
    stops: frozenset[int]

    @property
    def start(self) -> int:
        return int(self.work.params["start"])


def _group(work: Sequence[Work]) -> list[_Replica]:
    by_trajectory: dict[str, _Replica] = {}
    for item in work:
        require_sound(item.job)
        replica = by_trajectory.get(item.job.trajectory, _Replica(item, (), frozenset()))
        stops = replica.stops | {int(item.params["stop"])}
        by_trajectory[item.job.trajectory] = replace(replica, jobs=(*replica.jobs, item.job), stops=stops)
    return list(by_trajectory.values())


def _start(network: Network, group: Sequence[_Replica], context: Context) -> Replicas:
    params = group[0].work.params
    dtype = dtype_of(params["precision"])
    weights, buffers, masks, optimisers = [], [], [], []
    for replica in group:
        state, mask = replica.work.state(), replica.work.mask()
        if state.step != replica.start:
            raise InvariantBroken(
                f"{replica.work.job!r} starts at step {replica.start}, but its state is of step {state.step}: "
                "the fork lost its place"
            )
        subnetwork, kept = mask.applied(state.weights), mask.over(state.weights).kept
        masks.append(flatten(network, {name: value[None].to(dtype) for name, value in kept.items()}))
        weights.append(flatten(network, {name: value[None].to(dtype) for name, value in subnetwork.items()}))
        buffers.append(state.buffers)
        optimisers.append(_optimiser_state(replica.work, state, weights[-1], masks[-1]))
    pruned = any("mask" in replica.work.inputs for replica in group)
    return Replicas(
        weights=torch.cat(weights).to(context.device),
        buffers={
            name: torch.stack([b[name].to(dtype) for b in buffers]).to(context.device) for name in network.buffers
        },
        optimiser={
            name: torch.cat([optimiser[name] for optimiser in optimisers]).to(context.device) for name in optimisers[0]
        },
        mask=torch.cat(masks).to(context.device) if pruned else None,
        steps=[replica.start for replica in group],
        snapshot_steps=[sorted(replica.stops) for replica in group],
        order_seeds=[replica.work.params["order"] for replica in group],
        augmentation_seeds=[replica.work.params.get("augmentation") for replica in group],
        schedule_starts=[replica.work.params["schedule_start"] for replica in group],
        diverged_at=torch.full((len(group),), FINITE, device=context.device),
    )


def _optimiser_state(item: Work, state: State, weights: Tensor, mask: Tensor) -> dict[str, Tensor]:
    fresh = optimise.fresh_state(item.params["optimiser"], weights)
    held = state.optimiser
    if item.params["optimiser_state"] == "reset":
        return fresh
    given = item.job.inputs["state"]
    if not held and row(given.stage).role == "initialisation":
        return fresh
    if not held:
        raise InvariantBroken(
            f"{item.job!r} carries on an optimiser state that its input {given!r} does not hold: let that one keep it "
            "(keep_optimiser), or begin afresh (optimiser_state: reset)"
        )
    form, due_form = _form(held), _form({name: value[0] for name, value in fresh.items()})
    if form != due_form:
        raise InvariantBroken(
            f"{item.job!r} carries on an optimiser state of its input {given!r} that is none of its own optimiser, "
            f"{item.params['optimiser']['name']}: it is {form}, where {due_form} is due. Begin afresh "
            "(optimiser_state: reset), or train both with the same optimiser"
        )
    carried = {name: held[name][None].to(value) for name, value in fresh.items()}
    return {name: value * mask if value.shape == weights.shape else value for name, value in carried.items()}


def _form(state: Mapping[str, Tensor]) -> str:
    """The names of tensors with their shapes, in words."""
    return ", ".join(f"{name} of shape {tuple(value.shape)}" for name, value in sorted(state.items()))


def _pack(now: Replicas, witness: Witness | None) -> tuple[dict[str, Tensor], dict[str, Any]]:
    tensors = {"weights": now.weights, "diverged": now.diverged_at}
    tensors |= prefixed(BUFFER, now.buffers) | prefixed(OPTIMISER, now.optimiser)
    notes: dict[str, Any] = {"steps": list(now.steps)}
    if witness is not None:
        notes["witness"] = witness.notes
    return tensors, notes


def _recalled(witness: Witness, saved: tuple[Mapping[str, Tensor], Mapping[str, Any]] | None) -> Witness | None:
    """The witness with what a checkpoint has of it; None where code without one wrote that, past the beginning."""
    if saved is not None and "witness" not in saved[1]:
        return None
    if saved is not None:
        witness.recall(saved[1]["witness"])
    return witness


def _unpack(
    replicas: Replicas, saved: tuple[Mapping[str, Tensor], Mapping[str, Any]], device: torch.device
) -> Replicas:
    tensors = {name: value.to(device) for name, value in saved[0].items() if not name.startswith(RECORDED)}
    return replace(
        replicas,
        weights=tensors["weights"],
        buffers={name: tensors[BUFFER + name] for name in replicas.buffers},
        optimiser={name: tensors[OPTIMISER + name] for name in replicas.optimiser},
        steps=[int(step) for step in saved[1]["steps"]],
        diverged_at=tensors["diverged"],
    )


def _result(
    network: Network,
    item: Work,
    images: Images,
    group: Sequence[_Replica],
    recorded: Recorded,
    witness: Witness | None,
) -> Artifact | HarnessError:
    place = next(i for i, replica in enumerate(group) if replica.work.job.trajectory == item.job.trajectory)
    stop = int(item.params["stop"])
    end = recorded.snapshot(place, stop)
    broken = divergence.told(network, item, images, end)
    if broken is not None:
        return broken
    weights = {name: value[0] for name, value in unflatten(network, end.weights[None]).items()}
    state = State(weights, end.buffers, stop, optimiser=end.optimiser if item.params["keep_optimiser"] else {})
    seen = {} if witness is None else witness.of(place, stop - int(item.params["start"]))
    return Artifact(state.tensors(), recorded.table(place, item.params, network, images), witness=seen)


STAGE = Train()
