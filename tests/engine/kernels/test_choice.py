"""Where compiled loops are used."""

from collections.abc import Iterator

import pytest
import torch

from harness.engine.kernels import choice
from harness.engine.networks.build import build
from harness.engine.networks.layers import Layers
from tests.engine.oracles import TINY_LENET, TINY_RESNET

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
SMALL = build(TINY_RESNET, (1, 6, 6), 3)
LARGE = build({"name": "resnet", "widths": [16, 32, 64], "blocks": 3}, (3, 32, 32), 10)


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "installed", lambda: True)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("precision", ["fp32", "fp64"])
def test_small_networks_are_compiled(precision: str) -> None:
    pytest.importorskip("numba")
    assert choice.layers_for(SMALL, CPU, precision).__name__ == "CompiledLayers"
    assert choice.told(CPU) == "compiled loops, in training and evaluation"


def test_others_are_not() -> None:
    assert choice.layers_for(LARGE, CPU, "fp32") is Layers
    assert choice.layers_for(build(TINY_LENET, (1, 6, 6), 3), CPU, "fp32") is Layers
    for precision in ("bf16", "tf32"):
        assert choice.layers_for(SMALL, CPU, precision) is Layers
    assert choice.layers_for(SMALL, CUDA, "fp32") is Layers
    assert choice.told(CUDA) == "PyTorch's operations (compiled loops are not for cuda)"


def test_several_threads_share_pytorchs_operations() -> None:
    torch.set_num_threads(2)
    assert choice.layers_for(SMALL, CPU, "fp32") is Layers
    assert choice.told(CPU) == "PyTorch's operations (compiled loops are for one thread, not 2)"


def test_without_numba_there_are_pytorchs_operations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "installed", lambda: False)
    assert choice.layers_for(SMALL, CPU, "fp32") is Layers
    assert choice.told(CPU) == "PyTorch's operations (Numba is not installed)"
