"""What a forward pass keeps for the gradient, which forecasts rest on."""

from typing import Any

import pytest
import torch

from harness.engine.device import one_thread
from harness.stages import base
from harness.stages.base import numbers_for_gradient

RESNET_20 = {"name": "resnet", "widths": [16, 32, 64], "blocks": 3}
RESNET_9 = {"name": "resnet9", "widths": [4, 8, 16, 32], "activation": "gelu", "normalisation": "layer"}
VGG_16 = {"name": "vgg", "widths": [64, 128, 256, 512, 512], "convolutions": [2, 2, 3, 3, 3], "last_pooling": "max"}
LENET = {"name": "lenet", "hidden": [300, 100]}


def kept(network: dict[str, Any], shape: tuple[int, int, int] = (3, 32, 32)) -> int:
    base._kept_numbers.cache_clear()
    return numbers_for_gradient({"network": network, "shape": shape, "classes": 10})


def test_a_linear_network_keeps_its_inputs() -> None:
    """Of each layer its input; of each ReLU its output, which is the next layer's input."""
    assert kept(LENET, (1, 28, 28)) == 784 + 300 + 100


@pytest.mark.parametrize("network", [LENET, RESNET_20, RESNET_9, VGG_16], ids=["lenet", "resnet", "resnet9", "vgg"])
def test_what_is_kept_is_the_same_whether_it_is_computed_or_not(
    network: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    computed = kept(network)
    monkeypatch.setattr(base, "_SOON_COMPUTED", -1)
    assert kept(network) == computed > 0


def test_a_network_that_no_machine_can_hold_is_forecast() -> None:
    wide = 100_000
    assert kept({**VGG_16, "widths": [wide] * 5}) > 13 * wide


def test_one_thread_is_of_the_block_alone() -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        with one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
