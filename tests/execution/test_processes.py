"""Several devices, a process each: here two that share the CPU. The same results, and what goes wrong is told once."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from multiprocessing import active_children
from pathlib import Path

import pytest
import torch

from harness.engine.data import datasets
from harness.engine.data.dataset import Dataset
from harness.errors import BrokenError, CorruptArtifact, DataMissing
from harness.execution.backends import on_devices, processes
from harness.execution.run import Progress, Run, execute
from harness.jobs import provenance
from harness.jobs.plan import Plan
from harness.jobs.store import Store
from tests.stages.test_train import contents
from tests.support import ROOT, Place, edited, imp_text, instability_text, request

CPU = torch.device("cpu")
DIGITS = partial(datasets.load, root=Path("data"))
SPEC = edited(imp_text(), "rewinds: [0it]", "rewinds: [0it, 10it]")


@pytest.fixture(autouse=True)
def one_thread_each() -> None:
    torch.set_num_threads(1)


def go(
    plan: Plan,
    root: Path,
    *,
    workers: int = 2,
    load: Callable[[str], Dataset] = DIGITS,
    tell: Callable[[Progress], None] = lambda progress: None,
) -> Run:
    return execute(plan, Store(root), backend=on_devices([CPU] * workers), load_dataset=load, on_progress=tell)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Where one process did it all; only to be compared with."""
    place = Place(tmp_path_factory.mktemp("whole"))
    assert place.verify(place.write(SPEC), more=("--threads", "1")).code == 0
    return place


def planned(place: Path) -> Plan:
    return request(Place(place).write(SPEC)).plan


def no_data(name: str) -> Dataset:
    raise DataMissing(f"{name} is not here")


def killing(name: str) -> Dataset:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def killing_twice(folder: Path, name: str) -> Dataset:
    for marker in (folder / "first", folder / "second"):
        with contextlib.suppress(FileExistsError):
            marker.touch(exist_ok=False)
            os.kill(os.getpid(), signal.SIGKILL)
    return datasets.load(name, Path("data"))


def test_two_workers_give_the_bits_of_one_process(tmp_path: Path, whole: Place) -> None:
    """LeNet's bits are the same in groups of any size, as linear layers are multiplied replica by replica."""
    plan = planned(tmp_path)
    told: list[Progress] = []
    both = go(plan, tmp_path / "two", tell=told.append)
    assert both.failed == {}
    assert both.executed == set(plan.jobs)
    assert contents(tmp_path / "two") == contents(whole.store)
    assert told[-1].done == told[-1].total == told[0].total
    assert {len(progress.now) for progress in told} == {1, 2}, "both were never at work together"
    assert not list((tmp_path / "two" / "progress").iterdir())
    assert not list((tmp_path / "two" / "tmp").iterdir())
    widest = max(Store(tmp_path / "two").record(job)["provenance"]["beside"] for job in plan.jobs.values())
    assert widest < max(
        Store(whole.store, make=False).record(job)["provenance"]["beside"] for job in plan.jobs.values()
    )


def test_a_result_tells_of_the_process_that_computed_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here the parent has other threads and, as it believes, other libraries."""
    whole = planned(tmp_path)
    plan = Plan.of([job for job in whole.jobs.values() if job.stage == "init"])
    monkeypatch.setattr(provenance, "_version", lambda package: "as the parent believes")
    torch.set_num_threads(5)
    go(plan, tmp_path / "two")
    go(plan, tmp_path / "one", workers=1)
    two, one = ([Store(tmp_path / name).made(job) for job in plan.jobs.values()] for name in ("two", "one"))
    assert {made.threads for made in two} == {2}
    assert {made.packages["torch"] for made in two} == {torch.__version__}
    assert {made.threads for made in one} == {5}
    assert {made.packages["torch"] for made in one} == {"as the parent believes"}
    assert {made.device for made in (*one, *two)} == {"cpu"}


def test_a_finished_plan_starts_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = planned(tmp_path)
    go(plan, tmp_path / "store", workers=1)
    monkeypatch.setattr("harness.execution.backends.processes._Worker", None)
    assert go(plan, tmp_path / "store").executed == set()


class TestKept:
    """Processes that serve one plan after another."""

    @pytest.fixture
    def started(self, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        """Process ids of all that are started."""
        pids: list[int] = []
        real = processes._Worker

        def counted(device: torch.device) -> processes._Worker:
            worker = real(device)
            assert worker.process.pid is not None
            pids.append(worker.process.pid)
            return worker

        monkeypatch.setattr(processes, "_Worker", counted)
        return pids

    def test_they_serve_other_plans_in_other_stores(self, tmp_path: Path, whole: Place, started: list[int]) -> None:
        plan, backend = planned(tmp_path), on_devices([CPU] * 2)
        part = Plan.of([job for job in plan.jobs.values() if job.stage == "init"])
        with backend.kept():
            first = execute(part, Store(tmp_path / "one"), backend=backend, load_dataset=no_data)
            second = execute(plan, Store(tmp_path / "two"), backend=backend, load_dataset=DIGITS)
            assert len(started) == 2
            assert {child.pid for child in active_children()} >= set(started)
        assert {child.pid for child in active_children()}.isdisjoint(started), "they end with the block"
        assert (first.failed, first.executed) == ({}, set(part.jobs))
        assert (second.failed, second.executed) == ({}, set(plan.jobs))
        assert contents(tmp_path / "two") == contents(whole.store)
        go(part, tmp_path / "three")
        assert len(started) == 4
        assert {child.pid for child in active_children()}.isdisjoint(started), "without it they end with their plan"

    def test_a_command_starts_them_once_for_all_its_specs(self, tmp_path: Path, started: list[int]) -> None:
        place = Place(tmp_path)
        specs = place.write(instability_text()), place.write(SPEC)
        plans = [request(spec).plan for spec in specs]
        assert plans[1].jobs.keys() - plans[0].jobs.keys(), "the second has jobs of its own"
        assert place.verify(*specs, more=("--workers", "2", "--exit-zero", "--quiet")).code == 0
        assert len(started) == 2
        assert {child.pid for child in active_children()}.isdisjoint(started)

    def test_one_that_died_meanwhile_is_replaced(self, tmp_path: Path, started: list[int]) -> None:
        plan, backend = planned(tmp_path), on_devices([CPU] * 2)
        part = Plan.of([job for job in plan.jobs.values() if job.stage == "init"])
        with backend.kept():
            execute(part, Store(tmp_path / "one"), backend=backend, load_dataset=no_data)
            (killed,) = (child for child in active_children() if child.pid == started[0])
            killed.kill()
            killed.join()
            run = execute(part, Store(tmp_path / "two"), backend=backend, load_dataset=no_data)
        assert len(started) == 3
        assert (run.failed, run.executed, run.workers_lost) == ({}, set(part.jobs), ())

    def test_none_is_kept_of_a_run_that_ended_in_an_error(self, tmp_path: Path, started: list[int]) -> None:
        plan, backend = planned(tmp_path), on_devices([CPU] * 2)
        with backend.kept():
            with pytest.raises(RuntimeError, match="invalid literal"):
                execute(plan, Store(tmp_path / "store"), backend=backend, load_dataset=int)  # type: ignore[arg-type]
            assert {child.pid for child in active_children()}.isdisjoint(started)
            assert execute(plan, Store(tmp_path / "store"), backend=backend, load_dataset=DIGITS).failed == {}
        assert len(started) == 4


def test_a_job_that_breaks_is_told_once(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    run = go(plan, tmp_path / "store", load=no_data)
    assert {job.stage for job in plan.jobs.values() if job.key in run.executed} == {"init", "distance"}
    assert {str(error) for error in run.failed.values()} == {"digits is not here"}
    assert {type(error) for error in run.failed.values()} == {DataMissing}
    assert run.failed.keys().isdisjoint(run.lost)
    assert run.failed.keys() | run.lost | run.executed == set(plan.jobs)


def test_the_work_of_workers_that_die_is_taken_up_by_fresh_ones(tmp_path: Path, whole: Place) -> None:
    """Both die at once, over their first images."""
    plan = planned(tmp_path)
    told: list[Progress] = []
    run = go(plan, tmp_path / "store", load=partial(killing_twice, tmp_path), tell=told.append)
    assert (run.failed, run.lost, run.executed) == ({}, set(), set(plan.jobs))
    assert len(run.workers_lost) == 2
    assert all(one.startswith("the worker process on cpu died while it ran ") for one in run.workers_lost)
    assert all("it was killed by SIGKILL" in one for one in run.workers_lost)
    assert told[-1].done == told[-1].total
    assert contents(tmp_path / "store") == contents(whole.store)
    assert not list((tmp_path / "store" / "progress").iterdir())


def test_a_worker_killed_in_the_middle_costs_no_result(tmp_path: Path, whole: Place) -> None:
    plan = planned(tmp_path)
    killed: list[int] = []

    def tell(progress: Progress) -> None:
        children = active_children()
        if progress.done > 20 and "train" in " ".join(progress.now) and not killed and children:
            killed.extend(child.pid for child in children[:1] if child.pid is not None)
            os.kill(killed[0], signal.SIGKILL)

    run = go(plan, tmp_path / "store", tell=tell)
    assert killed
    assert (run.failed, run.lost, run.executed) == ({}, set(), set(plan.jobs))
    (told,) = run.workers_lost
    assert "it was killed by SIGKILL" in told
    assert contents(tmp_path / "store") == contents(whole.store)


def test_a_group_that_kills_three_workers_is_an_error_of_its_jobs(tmp_path: Path) -> None:
    whole = planned(tmp_path)
    training = next(job for job in whole.jobs.values() if job.stage == "train")
    other = next(job for job in whole.jobs.values() if job.stage == "init" and job not in training.inputs.values())
    run = go(Plan.of([training, other]), tmp_path / "store", load=killing)
    assert list(run.failed) == [training.key]
    assert Store(tmp_path / "store").has(other)
    error = run.failed[training.key]
    assert "3 worker processes on cpu died while they ran the same 1 train jobs: " in str(error)
    assert str(error).count("killed by SIGKILL") == 3
    assert len(run.workers_lost) == 3


def test_when_workers_die_one_after_the_other_the_run_ends(tmp_path: Path) -> None:
    words = r"every worker process died, 6 one after the other: .* killed by SIGKILL .* run the same command"
    with pytest.raises(BrokenError, match=words):
        go(planned(tmp_path), tmp_path / "store", load=killing)
    assert list((tmp_path / "store" / "jobs").iterdir())


def test_a_broken_store_stops_all(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    go(plan, tmp_path / "store", workers=1)
    child, store = plan.targets[0], Store(tmp_path / "store")
    for given in child.inputs.values():
        (store.path(given.key) / "record.json").write_text("{}")
    store.remove(store.path(child.key))
    with pytest.raises(CorruptArtifact, match="is corrupt"):
        go(plan, tmp_path / "store")


def test_a_fault_in_a_worker_is_raised_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"(?s)the worker process on cpu met an error:.*invalid literal for int\(\)"):
        go(planned(tmp_path), tmp_path / "store", load=int)


FROM_STANDARD_INPUT = """
import sys
from pathlib import Path
from tests.execution.test_processes import go, planned

if __name__ == "__main__":
    go(planned(Path(sys.argv[1])), Path(sys.argv[1]) / "store")
"""


def test_processes_that_cannot_start_are_an_error(tmp_path: Path) -> None:
    """A fresh process imports the main program again, which is no file where it came from standard input."""
    said = subprocess.run(
        [sys.executable, "-", str(tmp_path)],
        input=FROM_STANDARD_INPUT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert said.returncode == 1
    assert "BrokenError: the worker process for cpu did not start: it exited with 1" in said.stderr


def test_a_process_that_dies_after_it_was_told_what_it_needs_is_an_error(tmp_path: Path) -> None:
    """Its end of the pipe is closed with what it never read."""
    script = """
import os, sys, time
from pathlib import Path

if __name__ == "__mp_main__":  # a fresh process, that imports this
    time.sleep(1.0)
    os._exit(7)

from tests.execution.test_processes import go, planned

if __name__ == "__main__":
    go(planned(Path(sys.argv[1])), Path(sys.argv[1]) / "store")
"""
    (tmp_path / "main.py").write_text(script)
    said = subprocess.run(
        [sys.executable, str(tmp_path / "main.py"), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert said.returncode == 1
    assert "BrokenError: the worker process for cpu did not start: it exited with 7" in said.stderr


def command(place: Place, *more: str) -> list[str]:
    spec = place.write(SPEC)
    words = ["verify", str(spec), *place.options(), "--workers", "2", *more]
    return [sys.executable, "-c", "from harness.cli import main; main()", *words]


def started(place: Place) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(place),
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def living(group: int) -> list[str]:
    """Processes of a group, but for those that wait to be forgotten."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # gone meanwhile
            state, _, of = path.read_text().rpartition(")")[2].split()[:3]
            if of == str(group) and state != "Z":
                found.append(path.with_name("cmdline").read_text())
    return found


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_parent_leaves_no_process_and_goes_on(number: signal.Signals, tmp_path: Path, whole: Place) -> None:
    place = Place(tmp_path)
    process = started(place)
    until = time.monotonic() + 100
    while len(place.keys()) < 5 and process.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    group = os.getpgid(process.pid)
    if number == signal.SIGKILL:
        process.kill()  # the workers have to see for themselves
    else:
        os.killpg(group, number)  # as Ctrl-C does on a terminal
    _, said = process.communicate(timeout=60)  # until the last that holds its pipes is gone
    if len(place.keys()) == len(whole.keys()):
        pytest.skip("it was faster than the signal")
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert "What was finished is kept" in said
        assert "Traceback" not in said
        assert not list((place.store / "tmp").iterdir())
    while living(group) and time.monotonic() < until:
        time.sleep(0.05)
    assert living(group) == []
    kept = place.artifacts()
    assert kept
    assert place.verify(place.root / "tiny_imp.yaml", more=("--workers", "2")).code == 0
    assert place.artifacts() == whole.artifacts()
    assert not list((place.store / "progress").iterdir())
