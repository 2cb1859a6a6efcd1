"""Compiled pooling against PyTorch's: bits, also of ties and NaN."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

pytest.importorskip("numba")

from harness.engine.kernels.autograd import lanes_of
from harness.engine.kernels.pooling import pool_max


def by_pytorch(x: Tensor) -> Tensor:
    replicas, chunks, _, _, _, lanes = x.shape
    images = x.permute(0, 1, 5, 4, 2, 3).flatten(0, 2)
    pooled: Tensor = F.max_pool2d(images, 2).unflatten(0, (replicas, chunks, lanes))
    return pooled.permute(0, 1, 4, 5, 3, 2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("height", "wide"), [(2, 2), (4, 6), (5, 7), (8, 8)])
def test_it_is_pytorchs(height: int, wide: int, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(height)
    shape = 2, 3, height, wide, 5, lanes_of(dtype)
    ties = torch.randint(-2, 3, shape, generator=generator).to(dtype)
    ties[0, 0, :2, :2, 0, :4] = torch.tensor([[0.0, -0.0], [-0.0, 0.0]], dtype=dtype)[..., None]
    ties[torch.rand(shape, generator=generator) < 0.05] = float("nan")
    found = []
    for pool in (pool_max, by_pytorch):
        x = ties.clone().requires_grad_()
        y = pool(x)
        outer = torch.randn(y.shape, generator=torch.Generator().manual_seed(1), dtype=dtype)
        found.append(
            (y.detach(), *torch.autograd.grad((y * outer).nansum(), [x], grad_outputs=torch.ones((), dtype=dtype)))
        )
    for mine, theirs in zip(*found, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=0, equal_nan=True)
