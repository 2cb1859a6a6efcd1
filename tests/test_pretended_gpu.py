"""What a GPU would refuse of every experiment's work, found without one; see ``pretended.py``."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.testing import assert_close

from harness.conformance.tiny import tiny
from harness.engine.data import datasets
from harness.engine.probes import Probes
from harness.execution.backends.in_process import InProcess
from harness.execution.run import execute
from harness.jobs.job import Job, canonical
from harness.jobs.plan import Plan
from harness.jobs.store import Store
from harness.measure import curvature
from harness.measure.training import MEASURES
from harness.protocols import protocols
from tests.engine.test_graphs import ALL, course, fresh
from tests.pretended import CARD, HOST, OnCard, pretended
from tests.support import ROOT, Place, edited, instability_text
from tests.test_gpu import trained


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Iterator[torch.device]:
    with pretended(monkeypatch) as device:
        yield device


def one_of_each(plan: Plan) -> Plan:
    """The first job of each stage and form (other inputs, other switches), with what it rests on."""
    first: dict[object, Job] = {}
    for job in plan.jobs.values():
        switches = {name: value for name, value in job.params.items() if isinstance(value, bool | str | list)}
        words = {name: value for name, value in switches.items() if name not in job.seeds}
        first.setdefault((job.stage, *sorted(job.inputs), canonical(words)), job)
    return Plan.of(first.values())


@pytest.mark.slow
@pytest.mark.parametrize("family", sorted(protocols()))
def test_a_gpu_refuses_nothing_of_a_family(family: str, card: torch.device, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    load = partial(datasets.load, root=ROOT / "data")
    plan = one_of_each(tiny(family, tmp_path).plan)
    run = execute(plan, Store(tmp_path / "store"), backend=InProcess(card), load_dataset=load)
    assert run.failed == {}
    assert run.executed == set(plan.jobs)


COMMAND = """
import sys
import pytest
from harness.cli import main
from tests.pretended import pretended

with pytest.MonkeyPatch.context() as patch, pretended(patch):
    sys.argv = ["harness", *sys.argv[1:]]
    main()
"""


@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16"])
def test_a_user_verifies_on_it(precision: str, tmp_path: Path) -> None:
    """From the command line, which prepares the device; in a process of its own, as that sets much."""
    place = Place(tmp_path)
    spec = place.write(edited(instability_text(), "      length:", f"      precision: {precision}\n      length:"))
    options = ("--device", "cuda", "--store", place.store, "--report", tmp_path / "reports", "--exit-zero", "--json")
    command = [sys.executable, "-c", COMMAND, "verify", spec, *options]
    said = subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    assert "a pretended GPU (cuda" in said.stdout


@pytest.mark.parametrize("name", ALL)
def test_training_there_agrees_with_the_cpu_in_float64(name: str, card: torch.device) -> None:
    # One example is normalised by itself in "resnet-in-parts": dividing by so few numbers' deviation enlarges rounding.
    looser = 100 if name == "resnet-in-parts" else 1
    for mine, theirs in zip(course(ALL[name], card), course(ALL[name]), strict=True):
        for one, other in zip(mine, theirs, strict=True):
            assert isinstance(one, OnCard)
            torch.testing.assert_close(one.cpu(), other, rtol=1e-8 * looser, atol=1e-10 * looser)


@pytest.mark.parametrize("name", ["lenet", "toy", "odd"])
def test_a_small_network_has_the_same_bits_there_whatever_runs_beside_it(
    name: str, card: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In single precision, where the CPU's grouped convolutions do depend on how many they are."""
    monkeypatch.setattr("harness.engine.train.MAX_FUSED", 8)
    together = trained(name, "fp32", card, steps=6)
    for place in (0, len(together) - 1):
        assert torch.equal(trained(name, "fp32", card, [place], steps=6)[0], together[place])


@pytest.mark.parametrize("name", ["lenet", "resnet-ragged"])
def test_probes_there_change_no_bit_and_measure_the_same(name: str, card: torch.device) -> None:
    """Where a small network has more slots than replicas."""
    case = ALL[name]
    steps = [[start, start + 2, start + 20] for start in fresh(case).steps]
    starts = [fresh(case, card).weights, fresh(case).weights]
    there, here = (Probes(steps, MEASURES, weights, weights > 0, keep=steps) for weights in starts)
    for mine, theirs in zip(course(case, card, there), course(case, card), strict=True):
        assert all(torch.equal(one.cpu(), other.cpu()) for one, other in zip(mine, theirs, strict=True))
    course(case, probes=here)
    assert not any(isinstance(value, OnCard) for value in there.new().values())
    for place, own in enumerate(steps):
        assert_close(there.of(place, own, list(MEASURES)), here.of(place, own, list(MEASURES)), rtol=1e-8, atol=1e-10)


def test_results_stay_on_the_card(card: torch.device) -> None:
    x = torch.ones(3, 4, device=card)
    leaf = x.detach().requires_grad_()
    (slope,) = torch.autograd.grad((leaf * 2).sum(), leaf)
    first, _ = x.unbind(1)[0], x.add_(1)
    doubled = curvature.vmap(lambda row: 2 * row)(x)
    for one in (
        x,
        x + 1,
        x[0],
        x.t(),
        x[:, [1, 2]],
        x.sort().values,
        slope,
        first,
        doubled,
        x.new_zeros(2),
        x.to(HOST).to(CARD),
    ):
        assert isinstance(one, OnCard)
        assert one.device == CARD
    for other in (x.cpu(), x.to("cpu"), torch.ones(2), torch.tensor(x.tolist()), torch.tensor(1.0)):
        assert not isinstance(other, OnCard)
        assert other.device == HOST


def test_a_copy_leaves_the_original_alone(card: torch.device) -> None:
    here = torch.zeros(2)
    there = here.to(card)
    there.add_(1)
    back = there.cpu()
    back.add_(1)
    assert (here.tolist(), there.tolist(), back.tolist()) == ([0, 0], [1, 1], [2, 2])


REFUSED: dict[str, Callable[[Tensor], object]] = {
    "two devices": lambda x: x + torch.ones(2),
    "a product": lambda x: torch.mm(x[None], torch.ones(2, 1)),
    "indices on the card": lambda x: torch.ones(2)[x.long()],
    "values at indices": lambda x: x.__setitem__(torch.tensor([0]), torch.ones(1)),
    "a list": lambda x: torch.stack([x, torch.ones(2)]),
    "a loss": lambda x: F.cross_entropy(x[None], torch.zeros(1, dtype=torch.int64)),
    "out": lambda x: torch.add(torch.ones(2), 1, out=x),
    "a number in a list": lambda x: torch.stack([x[0], torch.tensor(1.0)]),
    "a sum along the way": lambda x: x.cumsum(0),
    "an array": lambda x: x.numpy(),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cuda_refuses_is_refused(what: str, card: torch.device) -> None:
    x = torch.ones(2, device=card)
    with pytest.raises((RuntimeError, TypeError), match=r"same device|deterministic|numpy"):
        REFUSED[what](x)


def test_what_cuda_takes_is_taken(card: torch.device) -> None:
    x = torch.ones(3, device=card)
    x[1:] = torch.zeros(2)
    x.copy_(torch.arange(3))
    taken = (x * torch.tensor(2.0) + x[torch.tensor([0, 1, 2])]).tolist()
    assert taken == [0, 3, 6]
    assert x.long().cumsum(0).tolist() == [0, 1, 3]
