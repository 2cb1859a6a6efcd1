"""A backend that the harness has not: the executor, room and plan ask it in the words of ``Backend``, and no others."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import pytest
import torch

from harness import stages
from harness.errors import BrokenError, RequestError
from harness.execution import backends
from harness.execution.backends.base import Backend, Slot, Workload
from harness.execution.backends.in_process import InProcess
from harness.execution.backends.processes import Processes
from harness.execution.group import Finished, Runner
from harness.execution.run import Progress, execute
from harness.jobs.job import Job
from harness.jobs.lease import Lease
from harness.jobs.plan import Plan
from harness.jobs.store import Store
from harness.pipeline.request import require_format
from harness.stages import products
from tests.jobs.test_plan import Fakes, chain
from tests.support import Place, edited, instability_text, request

SIX = Plan.of([chain(seed)[-1] for seed in range(6)])


class Queue:
    """A backend of three slots on a machine elsewhere, which ends the groups in another order than they began.

    Attributes:
        at_once: the most groups that were under way.
        opened: how often it was opened.
    """

    def __init__(self, free: float = 1e9) -> None:
        self.free, self.lost = free, ("node 3 was taken away",)
        self.slots = [Slot(f"node{place}", "cpu", frozenset({"fp32", "fp64"})) for place in range(3)]
        self.at_once = self.opened = 0
        self._groups: list[Sequence[Job]] = []

    def prepare(self, threads: int | None) -> None:
        raise AssertionError("nothing is to be prepared here")

    def kept(self) -> AbstractContextManager[None]:
        return nullcontext()

    @contextmanager
    def open(self, workload: Workload) -> Iterator["Queue"]:
        self.opened += 1
        self._workload = workload
        self._runner = Runner(workload.store, torch.device("cpu"), workload.load_dataset)
        yield self

    @property
    def idle(self) -> bool:
        return len(self._groups) < len(self.slots)

    def start(self, group: Sequence[Job], lease: Lease) -> None:
        assert self.idle
        assert all(job.key in self._workload.jobs for job in group)
        self._groups.append(group)
        self.at_once = max(self.at_once, len(self._groups))

    def wait(self, seconds: float | None = None) -> Sequence[tuple[Sequence[Job], Finished]]:
        group = self._groups.pop()
        return [(group, self._runner.run(group, lambda units: self._workload.on_advance(group, units)))]


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> Fakes:
    made = Fakes()
    monkeypatch.setattr(stages, "find", made.find)
    monkeypatch.setattr(products, "wrong_with", lambda job, artifact: "")
    return made


def test_a_plan_is_executed_in_all_slots_of_any_backend(fakes: Fakes, tmp_path: Path) -> None:
    backend: Backend = (queue := Queue())
    told: list[Progress] = []
    run = execute(SIX, Store(tmp_path), backend=backend, load_dataset=no_data, on_progress=told.append)
    assert (run.failed, run.executed) == ({}, set(SIX.jobs))
    assert queue.at_once == 3
    assert told[-1].done == told[-1].total
    assert run.workers_lost == ("node 3 was taken away",)
    assert not list((tmp_path / "progress").iterdir())
    assert execute(SIX, Store(tmp_path), backend=backend, load_dataset=no_data).executed == set()
    assert queue.opened == 1, "nothing was missing"


def test_groups_are_made_for_its_memory(fakes: Fakes, tmp_path: Path) -> None:
    fakes.memory = 100.0
    execute(SIX, Store(tmp_path), backend=Queue(free=130.0), load_dataset=no_data)
    assert {len(group) for group in fakes.groups} == {1}


def test_a_number_format_that_its_slots_lack_is_refused(tmp_path: Path) -> None:
    text = edited(instability_text(), "      batch: 50\n", "      batch: 50\n      precision: tf32\n")
    asked = request(Place(tmp_path).write(text))
    with pytest.raises(RequestError, match="found tf32, a format of CUDA's tensor cores, and node0 has none"):
        require_format(asked, Queue().slots)
    require_format(asked, [Slot("cuda:0", "cuda", frozenset({"tf32"}))])


def test_one_device_is_computed_on_here_and_several_have_a_process_each() -> None:
    alone, several = backends.chosen("cpu"), backends.chosen("cpu", 2)
    assert isinstance(alone, InProcess)
    assert isinstance(several, Processes)
    assert [slot.name for slot in alone.slots] == ["cpu"]
    assert [(slot.name, slot.kind) for slot in several.slots] == [("cpu", "cpu")] * 2
    assert "tf32" not in alone.slots[0].formats
    assert {"fp32", "bf16", "fp64"} <= alone.slots[0].formats
    with pytest.raises(RequestError, match="too many"):
        backends.chosen("cpu", 100_000)


def test_slots_of_one_device_share_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.engine.device.free_bytes", lambda device: 600.0)
    assert backends.chosen("cpu").free == 600.0
    assert backends.chosen("cpu", 3).free == 200.0


def no_data(name: str) -> None:
    raise BrokenError(name)
