"""The loss that curvature is measured of, from a job's parameters and its state."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from harness.engine.device import dtype_of
from harness.engine.networks.build import Network
from harness.engine.networks.initialise import flatten
from harness.measure.curvature import Objective
from harness.stages.base import Context, Work, forward_pass


def objective_of(item: Work, context: Context) -> tuple[Objective, Tensor]:
    """A job's loss, and the weights [P] of its input ``state``, pruned by ``mask`` where there is one.

    Its params: ``network``, ``classes``, ``data``, ``precision``, ``batch_norm``, ``examples``, ``chunk``.
    """
    params, dtype = item.params, dtype_of(item.params["precision"])
    images = context.images(params["data"], params["precision"])
    network = context.network(params, images)
    state = item.state()
    weights = {name: value[None].to(context.device, dtype) for name, value in state.weights.items()}
    buffers = {name: value.to(context.device, dtype) for name, value in state.buffers.items()}
    chunks = []
    for start in range(0, params["examples"], params["chunk"]):
        x, labels = images.plain("train", start, min(start + params["chunk"], params["examples"]))
        chunks.append((x[:, 0], labels))
    kept = None
    if "mask" in item.inputs:
        whole = item.mask().over(state.weights).kept
        kept = flatten(network, {name: value[None].to(context.device) for name, value in whole.items()})[0].nonzero()[
            :, 0
        ]
    return Objective(network, buffers, chunks, params["batch_norm"], kept), flatten(network, weights)[0]


def flat_weights(network: Network, weights: Mapping[str, Tensor], dtype: torch.dtype) -> Tensor:
    """One state's weights, name -> shape, as a flat vector [P]."""
    return flatten(network, {name: value[None].to(dtype) for name, value in weights.items()})[0]


def gradient_operations(params: Mapping[str, Any]) -> float:
    """Operations of a gradient of the loss: three forward passes."""
    return 3.0 * int(params["examples"]) * forward_pass(params)
