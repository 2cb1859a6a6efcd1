"""Networks and trainings by compiled layers against the same by PyTorch's operations."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

pytest.importorskip("numba")

from harness.engine.kernels.layers import CompiledLayers
from harness.engine.networks.build import Network, build
from harness.engine.networks.layers import BatchNormMode, Layers
from harness.engine.replicas import Replicas
from tests.engine.oracles import TINY_RESNET, TINY_RESNET9, TINY_VGG, TINY_WIDE, random_state
from tests.engine.test_train import CASES, assert_same, replicas_of, run

NETWORKS: dict[str, tuple[dict[str, Any], tuple[int, int, int]]] = {
    "toy": ({"name": "resnet", "widths": [8, 16], "blocks": 1}, (1, 8, 8)),
    "resnet": (TINY_RESNET, (2, 7, 6)),
    "resnet-gelu": ({**TINY_RESNET, "activation": "gelu"}, (1, 6, 6)),
    "resnet9": (TINY_RESNET9, (1, 8, 8)),
    "resnet9-relu": ({**TINY_RESNET9, "activation": "relu"}, (3, 19, 17)),
    "resnet9-layer": ({**TINY_RESNET9, "normalisation": "layer"}, (2, 16, 16)),
    "vgg": (TINY_VGG, (2, 9, 8)),
    "vgg-mean": ({**TINY_VGG, "last_pooling": "mean"}, (2, 9, 8)),
    "wide": (TINY_WIDE, (2, 7, 6)),
}


def results(
    network: Network, layers: type[Layers], replicas: int, examples: int, dtype: torch.dtype = torch.float64
) -> list[Tensor]:
    """Class scores of a second batch, gradients by all parameters, running statistics."""
    parameters, buffers = random_state(network, replicas)
    leaves = {name: value.to(dtype).requires_grad_() for name, value in parameters.items()}
    held = {name: value.to(dtype) for name, value in buffers.items()}
    generator = torch.Generator().manual_seed(1)
    for _ in range(2):
        x = torch.randn(examples, replicas, *network.shape, generator=generator, dtype=torch.float64).to(dtype)
        logits = network.logits(leaves, held, x, batch_norm="train", layers=layers)
    gradients = torch.autograd.grad(logits.logsumexp(-1).sum(), list(leaves.values()))
    return [logits.detach(), *gradients, *held.values()]


@pytest.mark.parametrize(("replicas", "examples"), [(1, 5), (2, 16), (7, 9)])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_is_the_same(name: str, replicas: int, examples: int) -> None:
    description, shape = NETWORKS[name]
    network = build(description, shape, 3)
    found = results(network, CompiledLayers, replicas, examples)
    for mine, theirs in zip(found, results(network, Layers, replicas, examples), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-10 * (1 + theirs.abs().max().item()))


@pytest.mark.parametrize("mode", ["eval", "batch"])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_measurement_is_the_same_and_moves_no_statistics(name: str, mode: Any) -> None:
    description, shape = NETWORKS[name]
    network = build(description, shape, 3)
    parameters, buffers = random_state(network, 2)
    before = {name: value.clone() for name, value in buffers.items()}
    x = torch.randn(9, 2, *shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    sides = (CompiledLayers, Layers)
    found, expected = (network.logits(parameters, buffers, x, batch_norm=mode, layers=side) for side in sides)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    assert all(torch.equal(buffers[name], value) for name, value in before.items())


@pytest.mark.parametrize("name", ["toy", "resnet-gelu", "vgg"])
def test_in_single_precision_a_network_is_nearly_the_same(name: str) -> None:
    description, shape = NETWORKS[name]
    network = build(description, shape, 3)
    expected = results(network, Layers, 3, 56)
    for mine, theirs in zip(results(network, CompiledLayers, 3, 56, torch.float32), expected, strict=True):
        torch.testing.assert_close(mine.double(), theirs, rtol=1e-4, atol=2e-5 * (1 + theirs.abs().max().item()))


def evaluated(
    network: Network, layers: type[Layers], replicas: int, examples: int, dtype: torch.dtype = torch.float64
) -> list[Tensor]:
    """Class scores by running statistics; then these measured afresh, over two batches, and scores by them."""
    parameters, buffers = random_state(network, replicas)
    held, old = ({name: value.to(dtype) for name, value in which.items()} for which in (parameters, buffers))
    fresh = {name: torch.full_like(old[name], value) for name, (_, value) in network.buffers.items()}
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for seen in range(2):
            x = torch.randn(examples, 1, *network.shape, generator=generator, dtype=torch.float64).to(dtype)
            x = x.expand(-1, replicas, -1, -1, -1)
            network.logits(held, fresh, x, batch_norm="recompute", batches_seen=seen, layers=layers)
        return [*(network.logits(held, which, x, layers=layers) for which in (old, fresh)), *fresh.values()]


@pytest.mark.parametrize(("replicas", "examples"), [(1, 5), (2, 16), (7, 9)])
@pytest.mark.parametrize("name", NETWORKS)
def test_an_evaluation_is_the_same(name: str, replicas: int, examples: int) -> None:
    """To a few roundings of doubles."""
    description, shape = NETWORKS[name]
    network = build(description, shape, 3)
    found = evaluated(network, CompiledLayers, replicas, examples)
    for mine, theirs in zip(found, evaluated(network, Layers, replicas, examples), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-12 * theirs.abs().max().item())


@pytest.mark.parametrize("name", NETWORKS)
def test_in_single_precision_an_evaluation_is_nearly_the_same(name: str) -> None:
    """Against doubles, as shares of the greatest number."""
    description, shape = NETWORKS[name]
    network = build(description, shape, 3)
    expected = evaluated(network, Layers, 3, 56)
    for mine, theirs in zip(evaluated(network, CompiledLayers, 3, 56, torch.float32), expected, strict=True):
        torch.testing.assert_close(mine.double(), theirs, rtol=0, atol=1e-5 * theirs.abs().max().item())


@pytest.mark.parametrize("name", ["toy", "resnet9", "vgg"])
def test_an_evaluation_has_the_same_bits_alone(name: str) -> None:
    description, shape = NETWORKS[name]
    network = build(description, shape, 3)
    parameters, buffers = random_state(network, 7)
    x = torch.randn(37, 1, *shape, generator=torch.Generator().manual_seed(3)).expand(-1, 7, -1, -1, -1)
    answers = {}
    for rows in ([0, 1, 2, 3, 4, 5, 6], [3], [6, 3]):
        held, old = ({k: v[rows].float() for k, v in which.items()} for which in (parameters, buffers))
        with torch.no_grad():
            first = network.logits(held, old, x[:, rows], layers=CompiledLayers)
            network.logits(held, old, x[:, rows], batch_norm="recompute", layers=CompiledLayers)
        at = rows.index(3)
        answers[len(rows)] = [first[at], *(value[at] for value in old.values())]
    for other in (1, 2):
        assert all(torch.equal(mine, whole) for mine, whole in zip(answers[other], answers[7], strict=True))


def test_gradients_at_running_statistics_are_those_of_pytorch() -> None:
    """Nothing in the harness asks for them; they are right all the same."""
    network = build(TINY_RESNET, (1, 6, 6), 3)
    x = torch.randn(5, 2, 1, 6, 6, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    answers = []
    for layers in (CompiledLayers, Layers):
        parameters, buffers = random_state(network, 2)
        leaves = [value.requires_grad_() for value in parameters.values()]
        scores = network.logits(parameters, buffers, x, layers=layers)
        answers.append([scores.detach(), *torch.autograd.grad(scores.logsumexp(-1).sum(), leaves)])
    for mine, theirs in zip(*answers, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("mode", ["batch", "eval"])
def test_running_statistics_are_left_alone_where_they_are_to_be(mode: BatchNormMode) -> None:
    network = build(TINY_RESNET, (1, 6, 6), 3)
    x = torch.randn(5, 2, 1, 6, 6, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    parameters, buffers = random_state(network, 2)
    before = {name: value.clone() for name, value in buffers.items()}
    with torch.no_grad():
        found = network.logits(parameters, buffers, x, batch_norm=mode, layers=CompiledLayers)
        expected = network.logits(parameters, buffers, x, batch_norm=mode)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    assert all(torch.equal(value, before[name]) for name, value in buffers.items())


def trained(
    name: str, layers: type[Layers], monkeypatch: pytest.MonkeyPatch, chosen: Sequence[int] = (0, 1, 2)
) -> Replicas:
    case = CASES[name]
    monkeypatch.setattr("harness.engine.step.layers_for", lambda *place: layers)
    return run(case, replicas_of(case, [0] * 3, [[11]] * 3).take(chosen))


@pytest.mark.parametrize("name", [name for name in CASES if "lenet" not in name])
def test_a_training_is_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over short batches too."""
    compiled, by_pytorch = (trained(name, layers, monkeypatch) for layers in (CompiledLayers, Layers))
    for replica in range(3):
        assert_same(compiled, replica, by_pytorch, replica, 1e-10)


def test_a_training_has_the_same_bits_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    together = trained("resnet-ragged", CompiledLayers, monkeypatch)
    for chosen in ([1], [2, 1]):
        some = trained("resnet-ragged", CompiledLayers, monkeypatch, chosen)
        assert torch.equal(some.weights[chosen.index(1)], together.weights[1])


def test_one_replica_does_not_see_another() -> None:
    network = build(TINY_RESNET, (1, 6, 6), 3)
    x = torch.randn(4, 3, 1, 6, 6, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    answers = []
    for disturbed in (False, True):
        parameters, buffers = random_state(network, 3)
        if disturbed:
            for value in parameters.values():
                value[1] = float("nan")
        answers.append(network.logits(parameters, buffers, x, batch_norm="train", layers=CompiledLayers))
    assert torch.equal(answers[0][[0, 2]], answers[1][[0, 2]])
    assert answers[1][1].isnan().all()


def test_batch_normalisation_by_itself_is_that_of_pytorch() -> None:
    """No network asks for it, and one that will gets it."""
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(5, 2, 3, 4, 4, generator=generator, dtype=torch.float64)
    found = []
    for kind in (Layers, CompiledLayers):
        parameters = {"n.scale": torch.full((2, 3), 2.0).double(), "n.shift": torch.ones(2, 3).double()}
        buffers = {"n.mean": torch.zeros(2, 3).double(), "n.variance": torch.ones(2, 3).double()}
        layers = kind(parameters, buffers, batch_norm="train")
        y = layers.batch_norm(layers.images(x), "n")
        found.append([layers.pool_all(y * y), layers.pool_max_all(y), *buffers.values()])
    for mine, theirs in zip(*found, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=1e-12)
