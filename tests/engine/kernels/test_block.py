"""The compiled block against PyTorch's operations: what comes out, both gradients, the moments; and its bits."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

pytest.importorskip("numba")

from harness.engine.kernels.autograd import Block, apply, apply_known, lanes_of

EPSILON = 1e-5
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"none": Tensor.clone, "relu": F.relu, "gelu": F.gelu}
SHAPES: dict[str, dict[str, int]] = {
    "3x3": {"inputs": 8, "outputs": 8},
    "one-input": {"inputs": 1, "outputs": 8},
    "stride": {"inputs": 8, "outputs": 16, "stride": 2},
    "odd-stride": {"inputs": 3, "outputs": 5, "stride": 2, "height": 7, "wide": 5},
    "stride-3": {"inputs": 2, "outputs": 3, "stride": 3, "height": 8, "wide": 7},
    "projection": {"inputs": 8, "outputs": 16, "size": 1, "stride": 2},
    "1x1": {"inputs": 5, "outputs": 6, "size": 1},
    "5x5": {"inputs": 2, "outputs": 9, "size": 5},
    "one-of-each": {"inputs": 1, "outputs": 1, "height": 3, "wide": 4},
    "smaller-than-window": {"inputs": 2, "outputs": 7, "height": 1, "wide": 2},
}


class Case:
    """Random numbers of R blocks, and what PyTorch makes of them."""

    def __init__(
        self,
        *,
        replicas: int,
        examples: int,
        inputs: int,
        outputs: int,
        size: int = 3,
        stride: int = 1,
        height: int = 6,
        wide: int = 6,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        generator = torch.Generator().manual_seed(1)

        def draw(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()

        self.replicas, self.examples, self.stride, self.size = replicas, examples, stride, size
        self.x = draw(examples, replicas * inputs, height, wide)
        self.weight = draw(replicas, outputs, inputs, size, size)
        self.bias, self.scale, self.shift = (draw(replicas, outputs) for _ in range(3))
        self.statistics = draw(replicas, outputs).detach(), draw(replicas, outputs).detach().square() + 0.1
        self.added = draw(*self.convolved(None).shape)
        self.outer = draw(*self.added.shape).detach()

    def convolved(self, bias: Tensor | None) -> Tensor:
        flat = None if bias is None else bias.flatten()
        return F.conv2d(self.x, self.weight.flatten(0, 1), flat, self.stride, self.size // 2, groups=self.replicas)

    def expected(self, *, biased: bool, normalises: bool, adds: bool, activation: str) -> list[Tensor]:
        y = self.convolved(self.bias if biased else None)
        if normalises:
            y = F.batch_norm(y, None, None, self.scale.flatten(), self.shift.flatten(), True, 0.1, EPSILON)
        y = y + self.added if adds else y
        return self.with_gradients(ACTIVATIONS[activation](y))

    def found(self, *, biased: bool, normalises: bool, adds: bool, activation: str) -> list[Tensor]:
        block = Block(self.examples, self.stride, normalises, activation, EPSILON)
        out, _, _ = apply(
            self.vectors(self.x),
            self.weight,
            block,
            bias=self.bias if biased else None,
            norms=(self.scale, self.shift) if normalises else (None, None),
            added=self.vectors(self.added) if adds else None,
        )
        return self.with_gradients(self.folded(out))

    def expected_of_known(self, *, biased: bool, adds: bool, activation: str) -> Tensor:
        """Where mean and variance are known."""
        y = self.convolved(self.bias if biased else None)
        numbers = (value.flatten() for value in (*self.statistics, self.scale, self.shift))
        y = F.batch_norm(y, *numbers, False, 0.1, EPSILON)
        y = y + self.added if adds else y
        return ACTIVATIONS[activation](y)

    def found_of_known(self, *, biased: bool, adds: bool, activation: str) -> Tensor:
        out = apply_known(
            self.vectors(self.x),
            self.weight,
            Block(self.examples, self.stride, activation=activation, epsilon=EPSILON),
            bias=self.bias if biased else None,
            norms=(self.scale, self.shift),
            statistics=self.statistics,
            added=self.vectors(self.added) if adds else None,
        )
        return self.folded(out)

    def with_gradients(self, y: Tensor) -> list[Tensor]:
        leaves = [self.x, self.weight, self.bias, self.scale, self.shift, self.added]
        gradients = torch.autograd.grad((y * self.outer).sum(), leaves, allow_unused=True)
        return [y.detach(), *(zeros(leaf) if one is None else one for leaf, one in zip(leaves, gradients, strict=True))]

    def vectors(self, images: Tensor) -> Tensor:
        """[B, R*C, H, W] to [R, N, H, W, C, L], filled with what must not matter."""
        lanes = lanes_of(images.dtype)
        filling = torch.full((-len(images) % lanes, *images.shape[1:]), 7.0, dtype=images.dtype)
        filled = torch.cat([images, filling]).unflatten(1, (self.replicas, -1)).unflatten(0, (-1, lanes))
        return filled.permute(2, 0, 4, 5, 3, 1)

    def folded(self, vectors: Tensor) -> Tensor:
        return vectors.permute(1, 5, 0, 4, 2, 3).flatten(0, 1).flatten(1, 2)[: self.examples]


def zeros(leaf: Tensor) -> Tensor:
    return torch.zeros_like(leaf)


def assert_close(found: list[Tensor], expected: list[Tensor], tolerance: float) -> None:
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=tolerance, atol=tolerance * (1 + theirs.abs().max().item()))


WAYS: dict[str, dict[str, Any]] = {
    "convolution": {"biased": False, "normalises": False, "adds": False, "activation": "none"},
    "biased": {"biased": True, "normalises": False, "adds": False, "activation": "none"},
    "normalised": {"biased": False, "normalises": True, "adds": False, "activation": "none"},
    "relu": {"biased": True, "normalises": True, "adds": False, "activation": "relu"},
    "shortcut": {"biased": False, "normalises": True, "adds": True, "activation": "relu"},
    "gelu": {"biased": True, "normalises": True, "adds": False, "activation": "gelu"},
    "gelu-shortcut": {"biased": False, "normalises": True, "adds": True, "activation": "gelu"},
    "added": {"biased": False, "normalises": True, "adds": True, "activation": "none"},
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_it_is_what_pytorch_computes(shape: dict[str, int], way: dict[str, Any]) -> None:
    """To the rounding of doubles: the output and the gradients by all that goes in."""
    case = Case(replicas=2, examples=11, **shape)
    assert_close(case.found(**way), case.expected(**way), 1e-12)


@pytest.mark.parametrize("examples", [2, 7, 8, 9, 16, 40])
@pytest.mark.parametrize("replicas", [1, 2, 7])
def test_batches_need_not_fill_vectors(replicas: int, examples: int) -> None:
    case = Case(replicas=replicas, examples=examples, inputs=3, outputs=6, stride=2)
    assert_close(case.found(**WAYS["shortcut"]), case.expected(**WAYS["shortcut"]), 1e-12)


@pytest.mark.parametrize("way", ["biased", "shortcut", "gelu-shortcut"])
@pytest.mark.parametrize("shape", ["3x3", "one-input", "stride", "projection", "odd-stride"])
@pytest.mark.parametrize("examples", [64, 56, 33])
def test_in_single_precision_it_is_as_right_as_pytorch(shape: str, way: str, examples: int) -> None:
    """Against doubles, and no further away than a few units in the last place of sums of thousands."""
    single = Case(replicas=2, examples=examples, dtype=torch.float32, **SHAPES[shape])
    double = Case(replicas=2, examples=examples, **SHAPES[shape])
    for name in ("x", "weight", "bias", "scale", "shift", "added"):
        setattr(double, name, getattr(single, name).detach().double().requires_grad_())
    double.outer = single.outer.double()
    found = [value.double() for value in single.found(**WAYS[way])]
    assert_close(found, double.expected(**WAYS[way]), 3e-6)


KNOWN = [
    {"biased": biased, "adds": adds, "activation": activation}
    for biased in (False, True)
    for adds in (False, True)
    for activation in ("none", "gelu", "relu")
]


@pytest.mark.parametrize("way", KNOWN, ids=lambda way: "-".join(str(value) for value in way.values()))
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_known_statistics_are_part_of_the_convolution(shape: dict[str, int], way: dict[str, bool]) -> None:
    case = Case(replicas=2, examples=11, **shape)
    with torch.no_grad():
        assert_close([case.found_of_known(**way)], [case.expected_of_known(**way)], 1e-12)


@pytest.mark.parametrize("examples", [1, 7, 8, 9, 40])
@pytest.mark.parametrize("replicas", [1, 7])
def test_known_statistics_are_for_any_batch(replicas: int, examples: int) -> None:
    case = Case(replicas=replicas, examples=examples, inputs=3, outputs=6, stride=2)
    with torch.no_grad():
        assert_close([case.found_of_known(**KNOWN[-1])], [case.expected_of_known(**KNOWN[-1])], 1e-12)


@pytest.mark.parametrize("shape", ["3x3", "one-input", "stride", "projection", "odd-stride"])
def test_known_statistics_in_single_precision(shape: str) -> None:
    """Against doubles."""
    single = Case(replicas=2, examples=56, dtype=torch.float32, **SHAPES[shape])
    double = Case(replicas=2, examples=56, **SHAPES[shape])
    for name in ("x", "weight", "bias", "scale", "shift", "added"):
        setattr(double, name, getattr(single, name).double())
    double.statistics = single.statistics[0].double(), single.statistics[1].double()
    with torch.no_grad():
        found = single.found_of_known(**KNOWN[-1]).double()
        assert_close([found], [double.expected_of_known(**KNOWN[-1])], 3e-6)


def test_known_statistics_have_no_gradient() -> None:
    """Which is said, not left out silently."""
    with pytest.raises(RuntimeError, match="no gradient"):
        Case(replicas=1, examples=3, inputs=2, outputs=2).found_of_known(**KNOWN[0])


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_without_gradients_it_has_the_same_bits(way: dict[str, bool]) -> None:
    case = Case(replicas=3, examples=21, inputs=5, outputs=6, dtype=torch.float32)
    block = Block(21, 1, way["normalises"], way["activation"], EPSILON)
    more = {
        "bias": case.bias if way["biased"] else None,
        "norms": (case.scale, case.shift) if way["normalises"] else (None, None),
        "added": case.vectors(case.added) if way["adds"] else None,
    }
    expected = apply(case.vectors(case.x), case.weight, block, **more)
    with torch.no_grad():
        found = apply(case.vectors(case.x), case.weight, block, **more)
    assert not any(value.requires_grad for value in found)
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(found, expected, strict=True))


@pytest.mark.parametrize("known", [False, True])
def test_images_that_all_replicas_share_are_one_in_memory(known: bool) -> None:
    case = Case(replicas=3, examples=21, inputs=5, outputs=6)
    block = Block(21, activation="relu", epsilon=EPSILON)
    shared = case.vectors(case.x)[:1].contiguous().expand(3, *[-1] * 5)
    norms = case.scale, case.shift

    def of(x: Tensor) -> Tensor:
        if known:
            return apply_known(x, case.weight, block, norms=norms, statistics=case.statistics)
        return apply(x, case.weight, block, norms=norms)[0]

    with torch.no_grad():
        assert torch.equal(of(shared), of(shared.contiguous()))


def test_moments_are_those_of_the_batch() -> None:
    case = Case(replicas=3, examples=11, inputs=2, outputs=5)
    y = case.convolved(None).unflatten(1, (3, 5))
    _, mean, variance = apply(case.vectors(case.x), case.weight, Block(11), norms=(case.scale, case.shift))
    expected = torch.var_mean(y, (0, 3, 4), correction=0)
    torch.testing.assert_close((variance, mean), expected, rtol=1e-13, atol=1e-13)
    assert not mean.requires_grad


def test_what_fills_vectors_is_zero_in_gradients() -> None:
    case = Case(replicas=2, examples=5, inputs=3, outputs=4)
    x = case.vectors(case.x).detach().requires_grad_()
    out, _, _ = apply(x, case.weight, Block(5, activation="relu"), norms=(case.scale, case.shift))
    (gradient,) = torch.autograd.grad(out.sum(), [x])
    assert gradient[..., :5].abs().sum() > 0
    assert not gradient[..., 5:].any()


@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_bits_of_a_replica_are_its_own(dtype: torch.dtype, activation: str) -> None:
    """Whatever runs beside it, and wherever it is among them."""
    case = Case(replicas=7, examples=21, inputs=5, outputs=6, stride=2, dtype=dtype)
    together = bits_of(case, range(7), activation)
    for chosen in ([3], [6, 3], [0, 1, 2, 3]):
        for all_of_them, some in zip(together, bits_of(case, chosen, activation), strict=True):
            assert torch.equal(all_of_them[3], some[chosen.index(3)])


def bits_of(case: Case, chosen: Any, activation: str) -> list[Tensor]:
    rows = list(chosen)
    x = case.vectors(case.x)[rows].detach().requires_grad_()
    weight, scale, shift = (value[rows].detach().requires_grad_() for value in (case.weight, case.scale, case.shift))
    block = Block(case.examples, case.stride, activation=activation, epsilon=EPSILON)
    out, mean, variance = apply(x, weight, block, norms=(scale, shift))
    with torch.no_grad():
        statistics = case.statistics[0][rows], case.statistics[1][rows]
        known = apply_known(x, weight, block, norms=(scale, shift), statistics=statistics)
    return [out.detach(), known, mean, variance, *torch.autograd.grad(out.square().sum(), [x, weight, scale, shift])]


@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_nan_is_not_hidden(activation: str) -> None:
    """A training that diverged is known by its numbers."""
    case = Case(replicas=2, examples=4, inputs=2, outputs=3)
    with torch.no_grad():
        case.weight[1, 0, 0, 0, 0] = float("nan")
    block = Block(4, activation=activation)
    out, _, _ = apply(case.vectors(case.x), case.weight, block, norms=(case.scale, case.shift))
    assert out[0].isfinite().all()
    assert out[1, ..., 0, :4].isnan().all()
    assert out[1, ..., 1:, :].isfinite().all()


_BITS = """
import hashlib, torch
from tests.engine.kernels.test_block import Case, bits_of
cases = [Case(replicas=2, examples=21, inputs=5, outputs=6, stride=2, dtype=d) for d in (torch.float32, torch.float64)]
found = [bits_of(case, range(2), activation) for case in cases for activation in ("relu", "gelu")]
numbers = [value.numpy().tobytes() for values in found for value in values]
print(hashlib.sha256(b"".join(numbers)).hexdigest())
"""


def test_bits_do_not_depend_on_how_wide_registers_are(tmp_path: Path) -> None:
    """Of processors that multiply and add in one rounding, as all have that know AVX2."""
    processor = Path("/proc/cpuinfo")
    if not processor.exists() or " avx2 " not in processor.read_text():
        pytest.skip("no AVX2 here")
    answers = {run_bits(tmp_path, limits) for limits in ({}, {"NUMBA_CPU_FEATURES": "+avx,+avx2,+fma,+sse4.2"})}
    assert len(answers) == 1


def run_bits(cache: Path, limits: dict[str, str]) -> str:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache), **limits}
    path = [*environment.get("PYTHONPATH", "").split(os.pathsep), str(Path.cwd())]
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, path))
    done = subprocess.run([sys.executable, "-c", _BITS], env=environment, capture_output=True, text=True, check=True)
    return done.stdout
