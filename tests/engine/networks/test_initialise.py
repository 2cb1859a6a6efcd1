"""Initial states: variances of the schemes, a function of the seed alone, flattening and back."""

import math

import pytest
import torch

from harness.engine.networks.build import Network, build
from harness.engine.networks.initialise import flatten, initial_buffers, initial_parameters, unflatten
from tests.engine.oracles import TINY_RESNET, TINY_RESNET9, random_state

RESNET_20 = build({"name": "resnet", "widths": [16, 32, 64], "blocks": 3}, (3, 32, 32), 10)
LENET = build({"name": "lenet", "hidden": [300, 100]}, (1, 28, 28), 10)


@pytest.mark.parametrize("scheme", ["kaiming_normal", "glorot_normal"])
@pytest.mark.parametrize("network", [LENET, RESNET_20], ids=["lenet", "resnet-20"])
def test_weights_have_the_schemes_deviation(scheme: str, network: Network) -> None:
    drawn = initial_parameters(network, scheme=scheme, batch_norm_scale="uniform", seed=0)
    for name in network.prunable(output_layer=True):
        shape = network.parameters[name].shape
        if len(shape) == 4:
            fan_in, fan_out = shape[1] * shape[2] * shape[3], shape[0] * shape[2] * shape[3]
        else:
            fan_in, fan_out = shape
        variance = 2 / fan_in if scheme == "kaiming_normal" else 2 / (fan_in + fan_out)
        weight = drawn[name]
        assert weight.dtype == torch.float32
        assert float(weight.std()) == pytest.approx(math.sqrt(variance), rel=4 / math.sqrt(2 * weight.numel()))
        assert abs(float(weight.mean())) < 4 * math.sqrt(variance / weight.numel())


def test_the_rest_starts_as_the_papers_code_has_it() -> None:
    drawn = initial_parameters(RESNET_20, scheme="kaiming_normal", batch_norm_scale="uniform", seed=0)
    ones = initial_parameters(RESNET_20, scheme="kaiming_normal", batch_norm_scale="one", seed=0)
    scales = torch.cat([value for name, value in drawn.items() if name.endswith(".scale")])
    assert 0 < scales.min() < 0.02 < 0.98 < scales.max() < 1
    assert float(scales.mean()) == pytest.approx(0.5, abs=4 / math.sqrt(12 * len(scales)))
    for name, declared in RESNET_20.parameters.items():
        if declared.kind == "bn_scale":
            assert (ones[name] == 1).all()
        elif not declared.is_weight:
            assert (drawn[name] == 0).all()
        else:
            assert torch.equal(ones[name], drawn[name])  # one choice does not move the other's draws
    assert {float(v.unique()) for n, v in initial_buffers(RESNET_20).items() if n.endswith("mean")} == {0.0}
    assert {float(v.unique()) for n, v in initial_buffers(RESNET_20).items() if n.endswith("variance")} == {1.0}


def test_layer_normalisation_starts_as_pytorch_has_it() -> None:
    network = build({**TINY_RESNET9, "normalisation": "layer"}, (1, 8, 8), 3)
    drawn = initial_parameters(network, scheme="kaiming_normal", batch_norm_scale="uniform", seed=0)
    assert all((value == 1).all() for name, value in drawn.items() if name.endswith(".scale"))
    assert all((value == 0).all() for name, value in drawn.items() if name.endswith((".shift", ".bias")))
    assert not network.buffers


def test_a_draw_is_a_function_of_its_seed() -> None:
    draws = [initial_parameters(LENET, scheme="kaiming_normal", batch_norm_scale="one", seed=s) for s in (0, 0, 1)]
    assert all(torch.equal(draws[0][name], draws[1][name]) for name in draws[0])
    assert not torch.equal(draws[0]["output.weight"], draws[2]["output.weight"])


def test_layers_of_one_shape_differ() -> None:
    drawn = initial_parameters(RESNET_20, scheme="kaiming_normal", batch_norm_scale="one", seed=0)
    assert not torch.equal(drawn["stage1.block1.a.weight"], drawn["stage1.block2.a.weight"])


def test_flattening_and_back_is_the_identity() -> None:
    network = build(TINY_RESNET, (1, 6, 6), 3)
    parameters, _ = random_state(network, 3)
    flat = flatten(network, parameters)
    assert flat.shape == (3, network.size)
    back = unflatten(network, flat)
    assert list(back) == list(parameters)
    for name, value in back.items():
        assert torch.equal(value, parameters[name])
        assert value.untyped_storage().data_ptr() == flat.untyped_storage().data_ptr()
