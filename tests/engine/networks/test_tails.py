"""The rest of a network from each of its layers on, against the whole network."""

import inspect
from typing import Any

import pytest
import torch
from torch import Tensor

from harness.engine.networks.build import Network, build
from harness.engine.networks.initialise import flatten
from harness.engine.networks.layers import Layers
from harness.engine.networks.tails import OPERATIONS, tails
from tests.engine.oracles import TINY_LENET, TINY_RESNET, TINY_RESNET9, TINY_VGG, TINY_WIDE, random_state

LAYER_NORMALISED = {**TINY_RESNET9, "normalisation": "layer"}
NETWORKS = {
    "lenet": TINY_LENET,
    "resnet": TINY_RESNET,
    "resnet9": TINY_RESNET9,
    "vgg": TINY_VGG,
    "wide": TINY_WIDE,
    "layer_norm": LAYER_NORMALISED,
}


def state_of(description: dict[str, Any]) -> tuple[Network, Tensor, dict[str, Tensor], Tensor]:
    network = build(description, (1, 8, 8), 3)
    parameters, buffers = random_state(network, 1)
    x = torch.randn(5, 1, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return network, flatten(network, parameters)[0], {name: value[0] for name, value in buffers.items()}, x


def test_every_operation_of_layers_is_named() -> None:
    """One that is not named would be computed again from a result that it did not make."""
    own = {name for name, _ in inspect.getmembers(Layers, inspect.isfunction) if not name.startswith("_")}
    composed_of_others = {"block", "activate"}
    assert own - {"parameter", "buffer", "channels", "auxiliary"} - composed_of_others == set(OPERATIONS)


@pytest.mark.parametrize("mode", ["batch", "eval"])
@pytest.mark.parametrize("description", NETWORKS.values(), ids=NETWORKS)
def test_every_tail_computes_what_the_network_does(description: dict[str, Any], mode: Any) -> None:
    network, weights, buffers, x = state_of(description)
    kept = {name: value.clone() for name, value in buffers.items()}
    parameters = {name: value[:1] for name, value in random_state(network, 1)[0].items()}
    whole = network.logits(parameters, {n: v[None] for n, v in buffers.items()}, x[:, None], batch_norm=mode)[0]
    noise = torch.randn(network.size, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    found = tails(network, weights, buffers, x, batch_norm=mode)
    for tail in found:
        torch.testing.assert_close(tail.logits(weights[tail.start :]), whole, rtol=1e-14, atol=1e-14)
        changed = weights.clone()
        changed[tail.start : tail.stop] += noise[tail.start : tail.stop]  # what a tail is given counts
        assert not torch.allclose(tail.logits(changed[tail.start :]), whole)
    assert all(torch.equal(buffers[name], value) for name, value in kept.items())


@pytest.mark.parametrize("description", NETWORKS.values(), ids=NETWORKS)
def test_layers_share_the_flat_vector_out(description: dict[str, Any]) -> None:
    network, weights, buffers, x = state_of(description)
    found = tails(network, weights, buffers, x, batch_norm="batch")
    assert [tail.start for tail in found] == [0, *(tail.stop for tail in found[:-1])]
    assert found[-1].stop == network.size
    names = [name.rsplit(".", 1)[0] for name in network.parameters]
    assert len(found) == len(set(names))
