"""``perturb``: a state of step k whose weights under a mask are changed, to be trained on (EP Fig. 4 and 5)."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from harness.engine import perturb
from harness.engine.networks.build import build
from harness.engine.state import State
from harness.errors import HarnessError
from harness.jobs.job import Job
from harness.jobs.store import Artifact
from harness.measure.displaced import hidden_share, moved
from harness.stages.base import TABLE_BYTES, Context, Effort, Stage, Work, network_of
from harness.stages.perturb_invariants import Perturbed, check

Weights = Mapping[str, Tensor]


class Perturb(Stage):
    """What is done to the weights, where; and what else of the state is put back.

    Params: ``network``, ``shape``, ``classes``; ``kind``, a name of ``KINDS``, with its own: ``signs`` and
    ``magnitudes`` (roles of inputs) of ``swap``; ``like`` (likewise) of ``scale``; ``within``, ``keep_signs`` and
    ``seed`` of ``permute``; ``keep_signs`` and ``seed`` of ``draw``; ``n``, ``sigma`` (``layer``, ``global``) and
    ``seed`` of ``noise``; ``tensors`` that it is done to (``prunable``: those that the mask names; ``all``, others
    whole); ``masked``, whether weights that the mask prunes take part (``excluded``, ``included``); ``batch_norm``
    (scale and shift) and ``statistics`` (``kept``, ``initial``); ``optimiser_state`` (``reset``, ``carried``).

    Inputs: ``state``, ``mask``, ``initial``, the state before training; ``fresh``, another draw, where it is named.
    """

    def effort(self, job: Job) -> Effort:
        """The weights, with as much of the optimiser's."""
        return Effort(disk_bytes=TABLE_BYTES + 8 * network_of(job.params).size)

    def run(self, work: Sequence[Work], context: Context) -> list[Artifact | HarnessError]:
        """The state, at its step, with what takes no part as it was; one row of columns as follows.

        ``moved``, the L2 distance that the kept weights of the ``tensors`` move; ``hidden``, the share (%) of the
        squared distance that the mask hides, where the whole network is perturbed likewise: None where that moves none.
        """
        (item,) = work
        state, params = item.state(), item.params
        mask = item.mask().over(state.weights).kept
        chosen = list(item.mask().kept) if params["tensors"] == "prunable" else list(mask)
        weights = {name: state.weights[name] for name in chosen}
        kept = {name: mask[name] for name in chosen}
        everything = {name: torch.ones_like(flags) for name, flags in kept.items()}
        part = kept if params["masked"] == "excluded" else everything
        do = KINDS[params["kind"]]
        after, whole = do(item, weights, part), do(item, weights, everything)
        made = _rest(item, state, after)
        check(Perturbed(item, state, made, weights, part))
        table: dict[str, list[Any]] = {
            "moved": [moved(weights, after, kept)],
            "hidden": [hidden_share(weights, whole, kept)],
        }
        return [Artifact(made.tensors(), table)]


def _rest(item: Work, state: State, perturbed: Weights) -> State:
    """The perturbed state, with what is not perturbed kept or as it was before training."""
    params, initial = item.params, item.state("initial")
    network = build(params["network"], params["shape"], params["classes"])
    weights = {**state.weights, **perturbed}
    if params["batch_norm"] == "initial":
        of_it = [name for name, parameter in network.parameters.items() if parameter.kind in ("bn_scale", "bn_shift")]
        weights |= {name: initial.weights[name].to(weights[name]) for name in of_it}
    buffers = state.buffers
    if params["statistics"] == "initial":
        buffers = {name: initial.buffers[name].to(value) for name, value in buffers.items()}
    optimiser = state.optimiser if params["optimiser_state"] == "carried" else {}
    return State(weights, buffers, state.step, optimiser)


def _identity(item: Work, weights: Weights, kept: Weights) -> Weights:
    return dict(weights)


def _swap(item: Work, weights: Weights, kept: Weights) -> Weights:
    signs, magnitudes = (item.state(item.params[role]).weights for role in ("signs", "magnitudes"))
    return perturb.swapped(weights, kept, signs=signs, magnitudes=magnitudes)


def _scale(item: Work, weights: Weights, kept: Weights) -> Weights:
    return perturb.scaled(weights, kept, like=item.state(item.params["like"]).weights)


def _permute(item: Work, weights: Weights, kept: Weights) -> Weights:
    params = item.params
    return perturb.permuted(
        weights, kept, within=params["within"], keep_signs=params["keep_signs"], seed=params["seed"]
    )


def _draw(item: Work, weights: Weights, kept: Weights) -> Weights:
    return perturb.drawn(weights, kept, keep_signs=item.params["keep_signs"], seed=item.params["seed"])


def _noise(item: Work, weights: Weights, kept: Weights) -> Weights:
    params, initial = item.params, item.state("initial").weights
    deviations = perturb.deviations({name: initial[name] for name in weights}, params["sigma"])
    return perturb.noisy(weights, kept, n=params["n"], deviations=deviations, seed=params["seed"])


KINDS: Mapping[str, Callable[[Work, Weights, Weights], Weights]] = MappingProxyType(
    {"identity": _identity, "swap": _swap, "scale": _scale, "permute": _permute, "draw": _draw, "noise": _noise}
)
"""Kind -> the weights that it makes of some, changed where they are kept."""


STAGE = Perturb()
