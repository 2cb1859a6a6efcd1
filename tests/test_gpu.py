"""What must hold on a GPU; skipped where there is none."""

import pytest
import torch

from harness import seeds
from harness.engine import device
from harness.store import Artifact
from tests.stages.bench import Bench, setting
from tests.stages.test_train import copy_job, state_job

pytestmark = pytest.mark.gpu


def test_random_bits_and_orders_are_those_of_the_cpu() -> None:
    index = torch.arange(10_000)
    assert torch.equal(seeds.bits(7, index), seeds.bits(7, index.cuda()).cpu())
    assert torch.equal(seeds.permutation(7, 10_000), seeds.permutation(7, 10_000, device="cuda").cpu())


def test_training_agrees_with_the_cpu_in_float64() -> None:
    here = setting()
    job = copy_job(here, state_job(here), 6, 9)
    card = device.choose("cuda")
    device.prepare(card)
    on_gpu, on_cpu = Bench(device=card)[job], Bench()[job]
    for name, value in on_cpu.tensors.items():
        torch.testing.assert_close(on_gpu.tensors[name].cpu(), value, rtol=1e-9, atol=1e-11)


def test_a_replica_alone_is_that_of_a_group() -> None:
    here = setting()
    card = device.choose("cuda")
    jobs = [copy_job(here, state_job(here), 6, 9, order=f"copy/0/{order}") for order in range(4)]
    alone, together = Bench(device=card), Bench(device=card)
    for job, result in zip(jobs, together.together(*jobs), strict=True):
        assert isinstance(result, Artifact)
        for name, value in alone[job].tensors.items():
            torch.testing.assert_close(result.tensors[name], value, rtol=1e-9, atol=1e-11)
