"""What must hold of every state that pretraining hands on, by other code than makes it: a breach is an error."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from harness.engine.networks.build import build
from harness.engine.state import State
from harness.errors import InvariantBroken
from harness.stages.base import Work

_ZEROS = 0.01
"""Share of a dense network's weights of convolutions and linear layers that may be exactly zero."""


@dataclass(frozen=True)
class Transferred:
    """A pretrained state, and what of it goes on.

    Attributes:
        item: the work, for its parameters, its mask, and the training that gave the pretrained state.
        fresh: the network before any training, with the head that its own initialisation has.
        pretrained: the state that pretraining reached.
        made: the state that is trained next.
    """

    item: Work
    fresh: State
    pretrained: State
    made: State


def check(transferred: Transferred) -> None:
    """Raises InvariantBroken unless a pretrained state was handed on as it is to be, and nothing else was."""
    for breach in (*_of_weights(transferred), *_of_the_rest(transferred), *_of_the_mask(transferred)):
        raise InvariantBroken(f"{transferred.item.job!r}: {breach}")


def _of_weights(transferred: Transferred) -> Iterator[str]:
    """The head is that of the stream or of pretraining, all else of pretraining, bit by bit."""
    params, made = transferred.item.params, transferred.made.weights
    network = build(params["network"], params["shape"], params["classes"])
    if made.keys() != network.parameters.keys():
        yield "it has other weights than the network"
        return
    for name, value in made.items():
        of_head = name.startswith("output.")
        fresh = of_head and params["head"] == "fresh"
        source = (transferred.fresh if fresh else transferred.pretrained).weights[name]
        if not _same(value, source):
            whose = "the initial one of the network's stream" if fresh else "that of pretraining"
            yield f"{name}, {'of the head' if of_head else 'of the body'}, is not {whose}"


def _of_the_rest(transferred: Transferred) -> Iterator[str]:
    """Running statistics and the step are those asked for; no velocity goes over to another task."""
    made = transferred.made
    kept = transferred.item.params["statistics"] == "kept"
    due = (transferred.pretrained if kept else transferred.fresh).buffers
    if made.buffers.keys() != due.keys() or not all(_same(value, due[name]) for name, value in made.buffers.items()):
        yield f"running statistics are not those {'of pretraining' if kept else 'before it'}"
    if made.step != transferred.pretrained.step:
        yield f"it stands at step {made.step}, where pretraining reached {transferred.pretrained.step}"
    if made.optimiser:
        yield "the optimiser's state, which belongs to the task of pretraining, is carried over"


def _of_the_mask(transferred: Transferred) -> Iterator[str]:
    """A network that was pretrained dense has weights where the mask prunes; one under the mask has none.

    A head with other classes than the mask's has no mask. Where the mask is to be pruned from what is handed on, there
    is none yet, and all weights are there.
    """
    weights = transferred.pretrained.weights
    if "mask" not in transferred.item.job.inputs:
        tensors = [value for value in weights.values() if value.ndim > 1]
        zeros = sum(int((value == 0).sum()) for value in tensors)
        if zeros > _ZEROS * sum(value.numel() for value in tensors):
            yield f"it was to be pretrained dense, but {zeros:,} of its weights are zero: a mask was applied before"
        return
    pruned = [
        weights[name][~kept]
        for name, kept in transferred.item.mask().kept.items()
        if weights[name].shape == kept.shape and not bool(kept.all())
    ]
    under_mask = "mask" in transferred.item.job.inputs["pretrained"].inputs
    there = any(bool(values.any()) for values in pruned)
    if under_mask and there:
        yield "it was to be pretrained under the mask, but has weights where that prunes"
    if not under_mask and pruned and not there:
        yield "it was to be pretrained dense, but all that the mask prunes is zero: the mask was applied before"


def _same(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.equal(one, other.to(one))
