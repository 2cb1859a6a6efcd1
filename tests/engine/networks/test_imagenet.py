"""Networks for ImageNet against torchvision's: counts, scores, gradients, running statistics; and small ones."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.engine.data.vision import torchvision_part
from harness.engine.networks.build import Network, build
from harness.engine.networks.initialise import flatten, unflatten
from harness.errors import HarnessError
from harness.schema.training import BottleneckResNet, InceptionV3
from tests.engine.oracles import random_state

RESNET_50 = BottleneckResNet(name="resnet_bottleneck").model_dump(mode="json")
INCEPTION_V3 = InceptionV3(name="inception_v3").model_dump(mode="json")
SMALL_RESNET = {**RESNET_50, "widths": [2, 3], "blocks": [1, 1], "stem": "small"}
SMALL_INCEPTION = {**INCEPTION_V3, "blocks": [1, 1, 1], "divisor": 32, "stem": "small"}
_NAMES = {"scale": "weight", "shift": "bias", "mean": "running_mean", "variance": "running_var"}


def theirs(name: str) -> str:
    """The name of a parameter or buffer in torchvision."""
    layer, _, last = name.rpartition(".")
    return f"{layer}.{_NAMES.get(last, last)}"


def as_theirs(name: str, value: Tensor) -> Tensor:
    """A tensor as torchvision has it: linear weights are [out, in] there."""
    return value.t() if name.endswith("fc.weight") else value


def filled(module: nn.Module, parameters: Mapping[str, Tensor], buffers: Mapping[str, Tensor]) -> nn.Module:
    """A module of torchvision with our numbers, R = 1; none of its own is left but counts of batches."""
    own = {theirs(name): as_theirs(name, value[0]) for name, value in {**parameters, **buffers}.items()}
    left, strange = module.double().load_state_dict(own, strict=False)
    assert not strange
    assert all(name.endswith("num_batches_tracked") for name in left)
    return module


def sound_state(network: Network) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """A state whose signals neither vanish nor explode."""
    parameters, buffers = random_state(network, 1)
    for name, declared in network.parameters.items():
        if declared.is_weight:
            parameters[name] = parameters[name] / parameters[name].std() * (2 / declared.fan_in) ** 0.5
    return parameters, buffers


@pytest.mark.parametrize(
    ("description", "shape", "count"),
    [(RESNET_50, (3, 224, 224), 25_557_032), (INCEPTION_V3, (3, 299, 299), 27_161_264)],
    ids=["resnet50", "inception_v3"],
)
def test_counts_are_the_papers(description: dict[str, Any], shape: tuple[int, int, int], count: int) -> None:
    network = build(description, shape, 1000)
    assert network.size == count
    assert network.unfused


@pytest.mark.parametrize(
    ("description", "side", "make"),
    [
        (RESNET_50, 64, lambda models: models.resnet50(num_classes=5)),
        (INCEPTION_V3, 299, lambda models: models.inception_v3(num_classes=5, init_weights=False)),
    ],
    ids=["resnet50", "inception_v3"],
)
def test_it_is_torchvisions(description: dict[str, Any], side: int, make: Any) -> None:
    """In float64: scores at running statistics; heads, gradients and new running statistics of a training step."""
    network = build(description, (3, side, side), 5)
    parameters, buffers = sound_state(network)
    module = filled(make(torchvision_part("models")), parameters, buffers)
    for layer in module.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0  # theirs draws by a state of its own; ours is told no draws here
    x = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    labels = torch.tensor([0, 3])
    near: dict[str, Any] = {"rtol": 1e-9, "atol": 1e-9}
    with torch.no_grad():
        torch.testing.assert_close(network.logits(parameters, buffers, x[:, None])[0], module.eval()(x), **near)
    module.train()
    answer = module(x)
    given = [answer] if isinstance(answer, Tensor) else list(answer)
    leaves = {name: value.requires_grad_() for name, value in parameters.items()}
    heads = network.heads(leaves, buffers, x[:, None], draws=None)
    assert [weight for weight, _ in heads] == [1.0, 0.4][: len(given)]
    for (_, ours), other in zip(heads, given, strict=True):
        torch.testing.assert_close(ours[0], other, **near)
    loss = sum(weight * F.cross_entropy(scores[0], labels) for weight, scores in heads)
    assert isinstance(loss, Tensor)
    gradients = dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True))
    sum(w * F.cross_entropy(scores, labels) for (w, _), scores in zip(heads, given, strict=True)).backward()  # type: ignore[union-attr]
    after = dict(module.named_parameters())
    assert {theirs(name) for name in gradients} == after.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(as_theirs(name, gradient[0]), after[theirs(name)].grad, rtol=1e-7, atol=1e-9)
    statistics = dict(module.named_buffers())
    for name, value in buffers.items():
        torch.testing.assert_close(value[0], statistics[theirs(name)], **near)


@pytest.mark.parametrize("description", [SMALL_RESNET, SMALL_INCEPTION], ids=["resnet", "inception"])
@pytest.mark.parametrize("mode", ["train", "eval", "recompute"])
def test_replicas_together_are_as_each_alone(description: dict[str, Any], mode: Any) -> None:
    network = build(description, (1, 8, 8), 4)
    parameters, buffers = random_state(network, 3)
    x = torch.randn(6, 3, 1, 8, 8, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    apart = [{name: value[row : row + 1].clone() for name, value in buffers.items()} for row in range(3)]
    whole = network.logits(parameters, buffers, x, batch_norm=mode)
    for row in range(3):
        mine = {name: value[row : row + 1] for name, value in parameters.items()}
        alone = network.logits(mine, apart[row], x[:, row : row + 1], batch_norm=mode)
        torch.testing.assert_close(whole[row], alone[0], rtol=1e-10, atol=1e-10)
        for name, value in apart[row].items():
            torch.testing.assert_close(buffers[name][row], value[0], rtol=1e-10, atol=1e-10)


def test_dropout_is_a_function_of_draws_and_keeps_the_mean() -> None:
    network = build({**SMALL_INCEPTION, "dropout": 0.25}, (1, 8, 8), 4)
    parameters, buffers = sound_state(network)
    x = torch.randn(300, 1, 1, 8, 8, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    draws = torch.randint(-(2**63), 2**63 - 1, (1, 300), generator=torch.Generator().manual_seed(5))

    def scores(chosen: Tensor | None) -> Tensor:
        return network.heads(parameters, {n: v.clone() for n, v in buffers.items()}, x, draws=chosen)[0][1][0]

    once, again, other, none = scores(draws), scores(draws), scores(draws + 1), scores(None)
    assert torch.equal(once, again)
    assert not torch.isclose(once, other).all(1).any()
    assert network.drops_out
    assert not build({**SMALL_INCEPTION, "dropout": 0.0}, (1, 8, 8), 4).drops_out
    # The mean over examples of what dropout adds to a score is 0, within four of its standard errors.
    added = once - none
    assert (added.mean(0).abs() < 4 * added.std(0) / 300**0.5).all()
    assert (added.std(0) > 0).all()


def test_dropout_drops_its_share() -> None:
    from harness.engine.networks.layers import Layers

    draws = torch.randint(-(2**63), 2**63 - 1, (2, 500), generator=torch.Generator().manual_seed(5))
    ones = torch.ones(2, 500, 40)
    dropped = Layers({}, {}, batch_norm="train", draws=draws).dropout(ones, 0.2)
    assert dropped.unique().tolist() == [0.0, 1.25]
    share = (dropped == 0).double().mean().item()
    assert abs(share - 0.2) < 4 * (0.16 / dropped.numel()) ** 0.5
    assert torch.equal(Layers({}, {}).dropout(ones, 0.2), ones)


def test_the_auxiliary_head_counts_in_training_only() -> None:
    network = build(SMALL_INCEPTION, (1, 8, 8), 4)
    bare = build({**SMALL_INCEPTION, "auxiliary": 0.0}, (1, 8, 8), 4)
    head = {name for name in network.parameters if name.startswith("AuxLogits.")}
    assert set(bare.parameters) == set(network.parameters) - head
    assert head
    assert network.has_auxiliaries
    assert not bare.has_auxiliaries
    parameters, buffers = random_state(network, 1)
    x = torch.randn(6, 1, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    kept = {name: parameters[name] for name in bare.parameters}
    torch.testing.assert_close(network.logits(parameters, buffers, x), bare.logits(kept, buffers, x), rtol=0, atol=0)


def test_pruning_takes_its_weights_and_neither_biases_nor_normalisation() -> None:
    network = build(SMALL_INCEPTION, (1, 8, 8), 4)
    whole, inner = (set(network.prunable(output_layer=last)) for last in (True, False))
    assert whole - inner == {"fc.weight", "AuxLogits.fc.weight"}
    assert all(name.endswith(("conv.weight", "fc.weight")) for name in whole)
    assert len([name for name in network.parameters if name.endswith(".conv.weight")]) == len(inner)


def test_a_flat_vector_holds_it_whole() -> None:
    network = build(SMALL_INCEPTION, (1, 8, 8), 4)
    parameters, _ = random_state(network, 2)
    again = unflatten(network, flatten(network, parameters))
    assert all(torch.equal(parameters[name], again[name]) for name in network.parameters)


def test_curvature_of_two_heads_is_refused() -> None:
    from harness.engine.networks.tails import tails

    network = build(SMALL_INCEPTION, (1, 8, 8), 4)
    parameters, buffers = random_state(network, 1)
    images = torch.zeros(2, 1, 8, 8, dtype=torch.float64)
    with pytest.raises(HarnessError, match="auxiliary head"):
        tails(
            network, flatten(network, parameters)[0], {n: v[0] for n, v in buffers.items()}, images, batch_norm="eval"
        )
