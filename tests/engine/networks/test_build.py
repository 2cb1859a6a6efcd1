"""Networks: the counts of the papers, and every layer against torch.nn, replica by replica."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch

from harness.engine.networks.build import Network, build
from harness.engine.networks.layers import Layers, Tracer
from harness.engine.networks.tails import OPERATIONS
from tests.engine.oracles import (
    TINY_LENET,
    TINY_RESNET,
    TINY_RESNET9,
    TINY_VGG,
    TINY_WIDE,
    fill,
    plain,
    plain_tensor,
    random_state,
)

RESNET_20 = {"name": "resnet", "widths": [16, 32, 64], "blocks": 3}
LENET = {"name": "lenet", "hidden": [300, 100]}
RESNET_9 = {"name": "resnet9", "widths": [4, 8, 16, 32], "activation": "gelu", "normalisation": "batch"}
VGG_16 = {
    "name": "vgg",
    "widths": [64, 128, 256, 512, 512],
    "convolutions": [2, 2, 3, 3, 3],
    "last_pooling": "max",
}

RESNET_56 = {**RESNET_20, "blocks": 9}
RESNET_18 = {"name": "resnet", "widths": [64, 128, 256, 512], "blocks": 2}
WRN_16_8 = {"name": "wide_resnet", "stem": 16, "widths": [128, 256, 512], "blocks": 2, "activated": "before"}
VGG_13 = {**VGG_16, "convolutions": [2, 2, 2, 2, 2]}


def weights_of(network: Network, *, output_layer: bool = True) -> int:
    return sum(
        torch.Size(network.parameters[name].shape).numel() for name in network.prunable(output_layer=output_layer)
    )


def test_lenet_has_the_papers_counts() -> None:
    network = build(LENET, (1, 28, 28), 10)
    assert network.size == 266_610
    assert weights_of(network) == 266_200 == 784 * 300 + 300 * 100 + 100 * 10
    assert weights_of(network, output_layer=False) == 266_200 - 1000
    assert not network.buffers
    assert network.multiplications == 266_200


def test_resnet_20_has_the_papers_counts() -> None:
    network = build(RESNET_20, (3, 32, 32), 10)
    statistics = sum(size for size, _ in network.buffers.values())
    assert (network.size, statistics, network.size + statistics) == (272_474, 1_568, 274_042)
    trained_beside_weights = statistics + 10  # a scale and a shift a channel, and ten biases
    assert weights_of(network) == 272_474 - trained_beside_weights == 270_896
    assert weights_of(network, output_layer=False) == 270_896 - 640
    convolutions = [name for name, declared in network.parameters.items() if declared.kind == "conv"]
    assert len(convolutions) == 21  # 19 of the main path, 2 shortcuts
    assert {value for name, (_, value) in network.buffers.items() if name.endswith(".mean")} == {0.0}
    assert {value for name, (_, value) in network.buffers.items() if name.endswith(".variance")} == {1.0}


@pytest.mark.parametrize("normalisation", ["batch", "layer"])
def test_resnet_9_has_the_sources_count(normalisation: str) -> None:
    network = build({**RESNET_9, "normalisation": normalisation}, (3, 32, 32), 10)
    assert network.size == 26_490 == 25_740 + 140 + 2 * 140 + 330  # convolutions, biases, normalisation, output
    assert weights_of(network, output_layer=False) == 25_740
    assert weights_of(network) == 25_740 + 320
    statistics = sum(size for size, _ in network.buffers.values())
    assert statistics == (2 * 140 if normalisation == "batch" else 0)


def test_vgg_16_has_the_papers_counts() -> None:
    network = build(VGG_16, (3, 32, 32), 10)
    widths = [3, 64, 64, 128, 128, *[256] * 3, *[512] * 6]
    weights = sum(9 * wide * width for wide, width in pairwise(widths))
    assert sum(declared.kind == "conv" for declared in network.parameters.values()) == 13
    assert weights_of(network, output_layer=False) == weights == 14_710_464
    assert weights_of(network) == weights + 5_120
    assert network.size == weights + 3 * sum(widths[1:]) + 5_130 == 14_728_266  # the paper's 14.7M
    assert sum(size for size, _ in network.buffers.values()) == 2 * 4_224


def test_resnet_56_has_its_count() -> None:
    """Nine times two convolutions a stage, and 1x1 shortcuts with normalisation into the second and third."""
    network = build(RESNET_56, (3, 32, 32), 10)
    stem = 27 * 16 + 32
    first = 18 * (9 * 16**2 + 32)
    second = 9 * 16 * 32 + 64 + 17 * (9 * 32**2 + 64) + (16 * 32 + 64)
    third = 9 * 32 * 64 + 128 + 17 * (9 * 64**2 + 128) + (32 * 64 + 128)
    assert network.size == stem + first + second + third + 650 == 855_770
    # Parameter-free shortcuts, the original's option A, would leave out (512 + 64) + (2,048 + 128).
    assert network.size - 2_752 == 853_018


def test_resnet_18_has_its_count() -> None:
    """Four stages of two blocks, 64 to 512 channels, a 3x3 stem and no pooling, as is usual for CIFAR."""
    network = build(RESNET_18, (3, 32, 32), 10)
    stem = 27 * 64 + 128
    first = 4 * (9 * 64**2 + 128)
    later = sum(9 * (w // 2) * w + 3 * 9 * w**2 + 4 * 2 * w + (w // 2) * w + 2 * w for w in (128, 256, 512))
    assert network.size == stem + first + later + 5_130 == 11_173_962


def test_wrn_16_8_has_its_count() -> None:
    """Depth 6 * 2 + 4 with the three shortcuts' convolutions; these, the stem and the last ones are not normalised."""
    network = build(WRN_16_8, (3, 32, 32), 10)

    def stage(wide: int, width: int) -> int:
        convolutions = 9 * wide * width + 3 * 9 * width**2 + wide * width
        return convolutions + 2 * wide + 3 * 2 * width  # a scale and a shift before each of four convolutions

    assert network.size == 27 * 16 + stage(16, 128) + stage(128, 256) + stage(256, 512) + 1_024 + 5_130 == 10_961_370
    convolutions = [name for name, declared in network.parameters.items() if declared.kind == "conv"]
    assert len(convolutions) == 16
    after = build({**WRN_16_8, "activated": "after"}, (3, 32, 32), 10)
    # After: the stem is normalised by its own 32, each of 12 convolutions and 3 shortcuts by twice its width.
    normalised = 32 + sum(2 * width * 5 for width in (128, 256, 512))
    before = sum(2 * wide + 3 * 2 * width for wide, width in ((16, 128), (128, 256), (256, 512))) + 1_024
    assert after.size == network.size - before + normalised == 10_963_162


def test_vgg_13_has_its_count() -> None:
    network = build(VGG_13, (3, 32, 32), 10)
    widths = [3, 64, 64, 128, 128, 256, 256, 512, 512, 512, 512]
    weights = sum(9 * wide * width for wide, width in pairwise(widths))
    assert network.size == weights + 3 * sum(widths[1:]) + 5_130 == 9_402_048 + 8_832 + 5_130 == 9_416_010


def test_a_widened_resnet_is_a_resnet() -> None:
    """Activated after its convolutions, and with a stem as wide as the first stage, it is the same network."""
    wide = build({**TINY_WIDE, "activated": "after", "stem": 3}, (2, 6, 6), 3)
    assert wide.parameters == build(TINY_RESNET, (2, 6, 6), 3).parameters
    parameters, buffers = random_state(wide, 2)
    x = torch.randn(4, 2, 2, 6, 6, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    logits = [
        build(kind, (2, 6, 6), 3).logits(parameters, buffers, x)
        for kind in (TINY_RESNET, dict(wide.settings, name="wide_resnet"))
    ]
    assert torch.equal(*logits)


def test_large_networks_are_computed_replica_by_replica() -> None:
    """Whatever R: else a replica's numbers would depend on it."""
    assert build(RESNET_20, (3, 32, 32), 10).branches(3) == [slice(0, 1), slice(1, 2), slice(2, 3)]
    assert build(LENET, (1, 28, 28), 10).branches(3) == [slice(0, 3)]
    assert build({"name": "resnet", "widths": [8, 16], "blocks": 1}, (1, 8, 8), 10).branches(3) == [slice(0, 3)]


def test_toy_resnet_has_its_count() -> None:
    assert build({"name": "resnet", "widths": [8, 16], "blocks": 1}, (1, 8, 8), 10).size == 5_122


@pytest.mark.parametrize(
    "description", [RESNET_20, RESNET_9, VGG_16, WRN_16_8], ids=["resnet-20", "resnet-9", "vgg-16", "wrn-16-8"]
)
def test_networks_multiply_as_often_as_torch(description: dict[str, Any]) -> None:
    network = build(description, (3, 32, 32), 10)
    counted = 0

    def count(module: torch.nn.Module, given: Any, out: torch.Tensor) -> None:
        nonlocal counted
        each = module.weight[0].numel()
        counted += out[0].numel() * each

    module = plain(network)
    for part in module.modules():
        if isinstance(part, torch.nn.Conv2d | torch.nn.Linear):
            part.register_forward_hook(count)
    module(torch.zeros(2, 3, 32, 32, dtype=torch.float64))
    assert network.multiplications == counted


def test_only_weights_are_prunable() -> None:
    network = build(TINY_RESNET, (1, 6, 6), 3)
    prunable = network.prunable(output_layer=True)
    assert "stem.weight" in prunable
    assert "stage2.block1.shortcut.weight" in prunable
    assert prunable[-1] == "output.weight"
    assert all(name.endswith(".weight") for name in prunable)
    assert network.prunable(output_layer=False) == prunable[:-1]


@pytest.mark.parametrize(
    ("description", "shape"),
    [
        (TINY_LENET, (2, 5, 5)),
        (TINY_RESNET, (2, 6, 6)),
        ({"name": "resnet", "widths": [3, 4, 5], "blocks": 2}, (3, 8, 8)),
        (TINY_RESNET9, (1, 8, 8)),
        ({**TINY_RESNET9, "activation": "relu"}, (3, 19, 17)),  # pools leave a row out, and more than a pixel is left
        ({**TINY_RESNET9, "normalisation": "layer"}, (2, 16, 16)),
        (TINY_VGG, (2, 9, 8)),
        ({**TINY_VGG, "last_pooling": "mean"}, (2, 9, 8)),
        ({**TINY_WIDE, "blocks": 2}, (2, 7, 6)),
        ({**TINY_WIDE, "activated": "after"}, (2, 6, 6)),
    ],
    ids=[
        "lenet",
        "resnet",
        "deeper-resnet",
        "resnet9",
        "resnet9-relu",
        "resnet9-layer",
        "vgg",
        "vgg-mean",
        "wide",
        "wide-after",
    ],
)
@pytest.mark.parametrize("mode", ["train", "eval"])
def test_fused_logits_are_those_of_plain_modules(
    description: dict[str, Any], shape: tuple[int, int, int], mode: str
) -> None:
    replicas, batch = 3, 4
    network = build(description, shape, 3)
    parameters, buffers = random_state(network, replicas)
    modules = [fill(plain(network), parameters, buffers, replica) for replica in range(replicas)]
    assert sum(p.numel() for p in modules[0].parameters()) == network.size
    generator = torch.Generator().manual_seed(1)
    for _ in range(2):  # a second batch meets the statistics that the first left
        x = torch.randn(batch, replicas, *shape, generator=generator, dtype=torch.float64)
        logits = network.logits(parameters, buffers, x, batch_norm=mode)
        assert logits.shape == (replicas, batch, 3)
        for replica, module in enumerate(modules):
            expected = module.train(mode == "train")(x[:, replica])
            torch.testing.assert_close(logits[replica], expected, rtol=1e-12, atol=1e-12)
            for name, value in buffers.items():
                torch.testing.assert_close(value[replica], plain_tensor(module, name), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize(
    "description",
    [TINY_RESNET, TINY_RESNET9, {**TINY_RESNET9, "normalisation": "layer"}, TINY_VGG, TINY_WIDE],
    ids=["resnet", "resnet9", "resnet9-layer", "vgg", "wide"],
)
def test_gradients_of_fused_replicas_are_those_of_plain_modules(description: dict[str, Any]) -> None:
    network = build(description, (1, 8, 8), 3)
    parameters, buffers = random_state(network, 2)
    leaves = {name: value.clone().requires_grad_() for name, value in parameters.items()}
    x = torch.randn(5, 2, 1, 8, 8, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    network.logits(leaves, buffers, x, batch_norm="train").square().sum().backward()
    for replica in range(2):
        module = fill(plain(network), *random_state(network, 2), replica).train()
        module(x[:, replica]).square().sum().backward()
        for name, leaf in leaves.items():
            tensor = plain_tensor(module, name)
            grad = tensor.grad if tensor._base is None else tensor._base.grad.t()  # a linear weight is seen turned
            torch.testing.assert_close(leaf.grad[replica], grad, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("mode", ["batch", "eval"])
@pytest.mark.parametrize("normalisation", ["batch", "layer"])
@pytest.mark.parametrize("activation", ["gelu", "relu"])
def test_forward_over_reverse_products_under_vmap_are_those_of_double_backward(
    activation: str, normalisation: str, mode: str
) -> None:
    """Hessian-vector products of several tangents at once, as curvature needs them, of every replica."""
    network = build({**TINY_RESNET9, "activation": activation, "normalisation": normalisation}, (1, 8, 8), 3)
    parameters, buffers = random_state(network, 2)
    tangents, _ = random_state(network, 3 * 2, seed=1)
    tangents = {name: value.unflatten(0, (3, 2)) for name, value in tangents.items()}
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(6, 2, 1, 8, 8, generator=generator, dtype=torch.float64)

    def loss(at: dict[str, torch.Tensor]) -> torch.Tensor:
        return network.logits(at, buffers, x, batch_norm=mode).logsumexp(-1).sum()

    def product(tangent: dict[str, torch.Tensor]) -> Any:
        return torch.func.jvp(torch.func.grad(loss), (parameters,), (tangent,))[1]

    products = torch.func.vmap(product)(tangents)
    leaves = {name: value.clone().requires_grad_() for name, value in parameters.items()}
    gradients = torch.autograd.grad(loss(leaves), list(leaves.values()), create_graph=True)
    for number in range(3):
        along = sum((part * tangents[name][number]).sum() for name, part in zip(leaves, gradients, strict=True))
        expected = torch.autograd.grad(along, list(leaves.values()), retain_graph=True)
        for name, value in zip(leaves, expected, strict=True):
            torch.testing.assert_close(products[name][number], value, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("description", [TINY_RESNET, TINY_RESNET9], ids=["resnet", "resnet9"])
def test_normalising_by_the_batch_can_leave_running_statistics_alone(description: dict[str, Any]) -> None:
    network = build(description, (1, 8, 8), 3)
    parameters, buffers = random_state(network, 2)
    before = {name: value.clone() for name, value in buffers.items()}
    x = torch.randn(5, 2, 1, 8, 8, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    logits = network.logits(parameters, buffers, x, batch_norm="batch")
    assert all(torch.equal(before[name], value) for name, value in buffers.items())
    assert torch.equal(logits, network.logits(parameters, buffers, x, batch_norm="train"))
    assert not any(torch.equal(before[name], value) for name, value in buffers.items())


def test_evaluation_leaves_running_statistics_alone() -> None:
    network = build(TINY_RESNET, (1, 6, 6), 3)
    parameters, buffers = random_state(network, 2)
    before = {name: value.clone() for name, value in buffers.items()}
    network.logits(parameters, buffers, torch.ones(3, 2, 1, 6, 6, dtype=torch.float64))
    assert all(torch.equal(before[name], value) for name, value in buffers.items())


def test_one_replica_does_not_see_another() -> None:
    network = build(TINY_RESNET, (1, 6, 6), 3)
    x = torch.randn(4, 3, 1, 6, 6, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    answers = []
    for disturbed in (False, True):
        parameters, buffers = random_state(network, 3)
        if disturbed:
            for value in parameters.values():
                value[1] = float("nan")
        answers.append(network.logits(parameters, buffers, x, batch_norm="train"))
    assert torch.equal(answers[0][[0, 2]], answers[1][[0, 2]])
    assert answers[1][1].isnan().all()


def test_a_name_declared_twice_is_refused() -> None:
    network = build({"name": "lenet", "hidden": [3]}, (1, 2, 2), 3)
    tracer = network._traced
    with pytest.raises(ValueError, match=r"declares output\.weight twice"):
        tracer.linear(torch.empty(1, 0, 3), "output", 3)


def shapes_by(kind: type[Layers], network: Network, run: Callable[[type[Layers]], object]) -> list[tuple[str, ...]]:
    """What every operation of some layers gives, by its name; examples are B."""
    shapes = []

    def recording(name: str) -> Callable[..., torch.Tensor]:
        def operation(self: Layers, x: torch.Tensor, *args: Any, **options: Any) -> torch.Tensor:
            y: torch.Tensor = getattr(super(Recording, self), name)(x, *args, **options)
            shapes.append((name, *("B" if size in (0, BATCH) else str(size) for size in y.shape)))
            return y

        return operation

    Recording = type("Recording", (kind,), {name: recording(name) for name in OPERATIONS})
    run(Recording)
    return shapes


BATCH = 37
"""No other size is so many."""


@pytest.mark.parametrize(
    ("description", "shape"),
    [
        (TINY_LENET, (2, 5, 5)),
        ({"name": "resnet", "widths": [3, 4, 5], "blocks": 2}, (3, 7, 9)),  # a stride leaves half a pixel over
        ({**TINY_RESNET9, "activation": "relu"}, (3, 19, 17)),
        ({**TINY_RESNET9, "normalisation": "layer"}, (2, 16, 16)),
        ({**TINY_VGG, "last_pooling": "mean"}, (2, 9, 8)),
        (TINY_WIDE, (2, 7, 9)),
    ],
)
def test_tracing_gives_the_shapes_that_computing_does(description: dict[str, Any], shape: tuple[int, int, int]) -> None:
    network = build(description, shape, 3)
    parameters = {name: torch.zeros(1, *declared.shape) for name, declared in network.parameters.items()}
    buffers = {name: torch.zeros(1, size) for name, (size, _) in network.buffers.items()}
    x = torch.zeros(BATCH, 1, *shape)
    traced = shapes_by(Tracer, network, lambda kind: kind().trace(network.run, shape))  # type: ignore[attr-defined,call-arg]
    assert traced == shapes_by(Layers, network, lambda kind: network.logits(parameters, buffers, x, layers=kind))


@pytest.mark.parametrize("normalisation", ["batch", "layer"])
def test_a_network_that_no_machine_can_hold_is_counted(normalisation: str) -> None:
    wide = 100_000
    network = build({**RESNET_9, "widths": [wide] * 4, "normalisation": normalisation}, (3, 32, 32), 10)
    within = 7 * (9 * wide**2 + 3 * wide)
    assert network.size == (9 * 3 * wide + 3 * wide) + within + 10 * wide + 10
    lenet = build({"name": "lenet", "hidden": [wide] * 3}, (1, 28, 28), 10)
    assert lenet.multiplications == 784 * wide + 2 * wide**2 + 10 * wide
