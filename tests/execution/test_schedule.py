"""Groups and memory: how large they are made, how they are halved, and what a killed run keeps of them."""

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from harness import stages
from harness.engine import device
from harness.engine.graphs import BRANCHES
from harness.errors import HarnessError, RequestError
from harness.execution import checkpoint
from harness.execution.backends.base import Slot
from harness.execution.schedule import MOST_MEMORY, Schedule, fitting
from harness.jobs.job import MAX_FUSED, Job
from harness.jobs.plan import Plan
from harness.jobs.store import Artifact, Store
from harness.pipeline.calibration import UNMEASURED
from harness.pipeline.forecast import Machine, forecast
from harness.stages import products
from harness.stages.base import Context, Effort, Work
from tests.jobs.test_plan import Fakes, chain, fuse, go, name_of
from tests.schema.test_shipped import ROOT
from tests.stages.bench import setting
from tests.stages.test_train import Killed, copy_job, state_job
from tests.support import Place, cli, edited, instability_text

CPU = Slot.of(torch.device("cpu"))
CARDS = [Slot(f"cuda:{place}", "cuda", frozenset({"fp32"})) for place in range(2)]
CARD = CARDS[:1]
SIX = Plan.of([chain(seed, 2)[-1] for seed in range(6)])


class Small(Fakes):
    """Stages on a device with room for so many replicas."""

    def __init__(self) -> None:
        super().__init__()
        self.room = 100

    def run(self, work: Sequence[Work], context: Context) -> list[Artifact | HarnessError]:
        if len(work) > self.room:
            self.groups.append([name_of(one.job) for one in work])
            context.advance(3)
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().run(work, context)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Small:
    made = Small()
    monkeypatch.setattr(stages, "find", made.find)
    monkeypatch.setattr(products, "wrong_with", lambda job, artifact: "")
    return made


def sizes(fakes: Fakes) -> list[int]:
    return [len(group) for group in fakes.groups if group[0].startswith("train")]


def test_a_group_that_does_not_fit_is_halved_until_it_does(small: Small, tmp_path: Path) -> None:
    small.room = 2
    run = go(SIX, tmp_path)
    assert sizes(small) == [6, 3, 2, 1, 2, 1]
    assert (run.failed, run.lost, run.executed) == ({}, set(), set(SIX.jobs))
    assert {Store(tmp_path).record(job)["provenance"]["beside"] for job in SIX.targets} == {1, 2}
    assert not list((tmp_path / "progress").iterdir())


def test_memory_error_of_the_cpu_is_met_alike(small: Small, tmp_path: Path) -> None:
    def run(work: Sequence[Work], context: Context) -> list[Artifact | HarnessError]:
        if len(work) > 3:
            raise MemoryError
        return Fakes.run(small, work, context)

    small.run = run
    assert go(SIX, tmp_path).failed == {}
    assert sizes(small) == [3, 3]


def test_one_replica_that_does_not_fit_is_an_error(small: Small, tmp_path: Path) -> None:
    small.room = 0
    run = go(Plan.of([chain(0)[1]]), tmp_path)
    assert run.lost == {chain(0)[1].key}
    assert {str(error) for error in run.failed.values()} == {
        "init of 1 jobs side by side needs more memory than there is (CUDA out of memory): "
        "free some, or run on a larger device"
    }


def test_progress_ends_at_its_total_when_groups_are_halved(small: Small, tmp_path: Path) -> None:
    told = []
    small.room = 2
    go(SIX, tmp_path, told.append)
    assert told[-1].done == told[-1].total == 120


def test_other_groups_of_the_kind_are_halved_before_they_fail(small: Small, tmp_path: Path) -> None:
    plan = Plan.of([chain(seed, 2)[-1] for seed in range(MAX_FUSED + 40)])
    small.room = 32
    go(plan, tmp_path)
    assert sizes(small) == [64, 32, 32, 32, 8]


def test_groups_fit_into_the_memory_that_is_free(small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small.memory = 100.0
    monkeypatch.setattr(device, "free_bytes", lambda device: 300 / MOST_MEMORY)
    go(SIX, tmp_path)
    assert sizes(small) == [3, 3]


@pytest.mark.parametrize(
    ("memory", "free", "runs"),
    [(0.0, 0.0, MAX_FUSED), (1.0, math.inf, MAX_FUSED), (10.0, 5.0, 1), (10.0, 100.0, 8), (10.0, 1e6, MAX_FUSED)],
)
def test_at_least_one_replica_and_at_most_the_limit(memory: float, free: float, runs: int, small: Small) -> None:
    small.memory = memory
    assert fitting(chain(0)[1], free, "cpu") == runs


def killed_after(groups: int, small: Small, root: Path) -> None:
    """A run that is killed while it runs a group of trainings, which leaves no checkpoint."""

    def tell(progress: object) -> None:
        if len(sizes(small)) > groups:
            raise Killed

    with pytest.raises(Killed):
        go(SIX, root, tell)


def test_a_killed_run_goes_on_with_the_halves_it_had_made(small: Small, tmp_path: Path) -> None:
    small.room = 2
    killed_after(3, small, tmp_path)
    assert sizes(small) == [6, 3, 2, 1]
    before = [group for group in small.groups if group[0].startswith("train")]
    small.groups.clear()
    small.room = 100  # what is free now does not matter
    go(SIX, tmp_path)
    assert small.groups[0] == before[3]
    assert sizes(small) == [1, 2, 1]
    assert not list((tmp_path / "progress").iterdir())


def test_groups_sized_to_memory_are_kept_over_a_kill(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small.memory = 100.0
    monkeypatch.setattr(device, "free_bytes", lambda device: 200 / MOST_MEMORY)
    killed_after(1, small, tmp_path)
    small.groups.clear()
    monkeypatch.setattr(device, "free_bytes", lambda device: 1e9)
    go(SIX, tmp_path)
    assert sizes(small)[-2:] == [2, 2]


def test_groups_are_kept_on_more_or_fewer_devices_and_made_anew_on_another_kind(small: Small, tmp_path: Path) -> None:
    store = Store(tmp_path)
    Schedule(SIX, store, CARD, math.inf)
    (path,) = (tmp_path / "progress").iterdir()
    whole = json.loads(path.read_text())
    path.write_text(json.dumps([[key] for group in whole for key in group]))
    again, more, other = (Schedule(SIX, store, slots, math.inf) for slots in (CARD, CARDS, [CPU]))
    assert max(map(len, taken(again))) == 1
    assert max(map(len, taken(more))) == 1
    assert max(map(len, taken(other))) == 6
    path.write_text("no schedule")
    assert max(map(len, taken(Schedule(SIX, store, CARD, math.inf)))) == 6


@pytest.mark.parametrize("damage", ["null", "[1]", "[[]]", '[["../../x"]]', '{"a": 1}', "[" * 10**5, "pipe", "folder"])
def test_a_damaged_schedule_is_removed_and_told_and_its_groups_are_made_anew(
    damage: str, small: Small, tmp_path: Path
) -> None:
    store = Store(tmp_path)
    Schedule(SIX, store, [CPU], math.inf)
    (path,) = (tmp_path / "progress").iterdir()
    path.unlink()
    if damage == "pipe":
        os.mkfifo(path)
    elif damage == "folder":
        path.mkdir()
    else:
        path.write_text(damage)
    ((seen, wrong),) = checkpoint.check(store)
    assert seen == path
    assert wrong
    notes: list[str] = []
    assert max(map(len, taken(Schedule(SIX, store, [CPU], math.inf, notes.append)))) == 6
    (note,) = notes
    assert note == f"the schedule {path} {wrong}: it is removed, and the groups are made anew"


def taken(schedule: Schedule) -> list[list[Job]]:
    """All groups, each done as soon as it is given."""
    groups = []
    while (group := schedule.next()) is not None:
        groups.append(group)
        schedule.finished(group)
        for job in group:
            del schedule.missing[job.key]
    assert schedule.missing == {}
    return groups


def test_a_group_is_given_once_and_only_when_its_inputs_are_there(small: Small, tmp_path: Path) -> None:
    plan = Plan.of([chain(seed)[-1] for seed in range(2)])
    schedule = Schedule(plan, Store(tmp_path), [CPU, CPU], math.inf)
    first, second = schedule.next(), schedule.next()
    assert first is not None
    assert second is not None
    assert first != second
    assert schedule.next() is None
    schedule.finished(first)
    del schedule.missing[first[0].key]
    third = schedule.next()
    assert third is not None
    assert third[0].inputs == {"state": first[0]}
    assert schedule.next() is None


@pytest.mark.parametrize(("devices", "expected"), [(1, [7]), (2, [4, 3]), (3, [3, 3, 1]), (9, [1] * 7)])
def test_devices_share_what_is_ready(devices: int, expected: list[int]) -> None:
    plan = Plan.of([chain(seed, 2)[-1] for seed in range(7)])
    missing = plan.missing(lambda job: job.stage == "init")
    assert [len(group) for group in plan.groups(missing, fuse, lambda job: 64, devices)] == expected


def test_the_groups_of_one_device_are_those_of_one_step_after_the_other() -> None:
    plan = Plan.of([chain(seed, 2 + seed % 3)[-1] for seed in range(9)])
    missing = plan.missing(lambda job: False)
    for group in plan.groups(dict(missing), fuse, lambda job: 4):
        assert group == plan.next_group(missing, fuse, limit=4)
        for job in group:
            del missing[job.key]
    assert missing == {}


def test_a_training_says_about_how_much_memory_it_takes() -> None:
    here = setting()
    job = copy_job(here, state_job(here), 6, 14)
    larger = copy_job(setting(batch=10), state_job(setting(batch=10)), 6, 14)
    a, b = (stages.find("train").effort(one) for one in (job, larger))
    assert 0 < a.memory(1, "cpu") < b.memory(1, "cpu") < 2 * a.memory(1, "cpu")
    assert a.memory(3, "cpu") == pytest.approx(3 * a.memory(1, "cpu"))


def test_replicas_that_are_computed_by_themselves_share_memory() -> None:
    held = Effort(memory_bytes=10.0, passing_bytes=100.0, unfused=True)
    assert held.memory(1, "cuda") == 110
    assert held.memory(BRANCHES + 1, "cuda") == 10 * (BRANCHES + 1) + 100 * BRANCHES
    assert [held.memory(count, "cpu") for count in (1, 8, 9)] == [110, 180, 190]


def test_on_a_gpu_a_small_network_has_all_its_slots() -> None:
    here = setting()
    effort = stages.find("train").effort(copy_job(here, state_job(here), 6, 14))
    assert effort.memory(1, "cuda") == effort.memory(MAX_FUSED, "cuda") == effort.memory(MAX_FUSED, "cpu")
    assert effort.memory(1, "cpu") < effort.memory(1, "cuda")


def test_the_forecast_of_memory_is_that_of_the_largest_group(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    def effort(job: Job) -> Effort:
        return Effort(memory_bytes={"init": 150.0, "train": 100.0}[job.stage])

    small.effort = effort
    monkeypatch.setattr("harness.pipeline.forecast.training_steps", lambda jobs: {})
    plan = Plan.of([chain(seed)[-1] for seed in range(6)])
    assert forecast(plan, lambda job: False, Machine()).memory_bytes == 600
    assert forecast(plan, lambda job: False, Machine(devices=["cuda", "cuda"])).memory_bytes == 300
    assert forecast(plan, lambda job: False, Machine(free=250 / MOST_MEMORY)).memory_bytes == 200
    assert forecast(plan, lambda job: job.stage == "train", Machine()).memory_bytes == 0


def test_the_forecast_of_time_shares_launches_between_runs_that_go_together(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    def effort(job: Job) -> Effort:
        return Effort(launches=1e6 if job.stage == "train" else 0.0, memory_bytes=100.0)

    small.effort = effort
    monkeypatch.setattr("harness.pipeline.forecast.training_steps", lambda jobs: {})
    plan = Plan.of([chain(seed)[-1] for seed in range(6)])
    together = forecast(plan, lambda job: False, Machine()).computing
    assert together > 0
    in_pairs = forecast(plan, lambda job: False, Machine(free=250 / MOST_MEMORY)).computing
    assert in_pairs == pytest.approx(3 * together)

    def on_cards(count: int, free: float = math.inf) -> float:
        return forecast(plan, lambda job: False, Machine(devices=["cuda"] * count, free=free)).computing

    assert on_cards(2) == on_cards(1), "each launches for its own"
    assert on_cards(1, 250 / MOST_MEMORY) == pytest.approx(3 * on_cards(1))
    assert on_cards(2, 250 / MOST_MEMORY) == pytest.approx(2 * on_cards(1)), "pairs on two cards: four, then two"


def test_jobs_that_run_one_by_one_are_forecast_on_all_devices(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a kind: each by itself, the largest's memory, launches of its own, and a share of the time that is its own."""
    small.effort = lambda job: Effort(
        operations=1e9 * (1 + job.params["seed"]), launches=1e5, memory_bytes=100.0 * (1 + job.params["seed"])
    )
    monkeypatch.setattr("harness.pipeline.forecast.training_steps", lambda jobs: {})
    monkeypatch.setattr("harness.pipeline.forecast.fuse", lambda job: None)
    plan = Plan.of([Job("init", {"seed": seed}) for seed in range(4)])
    one, two, eight = (
        forecast(plan, lambda job: False, Machine(threads=count, devices=["cpu"] * count)) for count in (1, 2, 8)
    )
    each = [UNMEASURED.launch * 1e5 + 1e9 * (1 + seed) / UNMEASURED.small for seed in range(4)]
    assert one.computing == pytest.approx(sum(each))
    assert two.computing == pytest.approx(sum(each) / 2)
    assert eight.computing == pytest.approx(sum(each) / 4), "no more devices work than there are jobs"
    assert [one.expected[job.key] for job in plan.targets] == pytest.approx(each)
    assert one.memory_bytes == two.memory_bytes == 400
    single = Plan.of([plan.targets[0]])
    assert forecast(single, lambda job: False, Machine(threads=2, devices=["cpu"] * 2)).computing == pytest.approx(
        each[0]
    )


def test_the_forecast_counts_snapshots_of_a_training_once_and_waits_for_the_longest(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    small.effort = lambda job: Effort(launches=float(job.params.get("stop", 0)))
    monkeypatch.setattr("harness.pipeline.forecast.training_steps", lambda jobs: {})
    monkeypatch.setattr("harness.pipeline.forecast.fuse", lambda job: job.stage)
    starts = [Job("init", {"seed": seed}) for seed in range(2)]
    stops = [Job("train", {"stop": stop}, {"state": starts[seed]}) for seed, stop in ((0, 9), (0, 4), (1, 4))]
    assert stops[0].trajectory == stops[1].trajectory != stops[2].trajectory
    seconds = [forecast(Plan.of(stops[:count]), lambda job: False, Machine()).computing for count in (1, 2, 3)]
    assert seconds[0] > 0
    assert seconds[1] == seconds[2] == pytest.approx(seconds[0])


def test_a_step_of_a_large_network_shares_no_launches(tmp_path: Path) -> None:
    def seconds(spec: str, scale: str, replicates: str) -> float:
        asked = ("plan", ROOT / f"specs/{spec}.yaml", "--scale", scale, "--replicates", replicates, "--store", tmp_path)
        row = cli(*asked, "--device", "cpu", "--threads", "1", "--json").json[0]
        return float(row["seconds"] - row["start"])

    assert seconds("resnet20_stability", "paper", "6") == pytest.approx(2 * seconds("resnet20_stability", "paper", "3"))
    assert seconds("lenet_stability", "toy", "2") < 1.95 * seconds("lenet_stability", "toy", "1")


def test_plan_shows_the_memory(tmp_path: Path) -> None:
    place = Place(tmp_path)
    spec = place.write(instability_text())
    said = cli("plan", spec, "--store", place.store, "--device", "cpu")
    assert " of memory a device at the peak" in " ".join(said.out.split())
    (row,) = cli("plan", spec, "--store", place.store, "--device", "cpu", "--json").json
    assert 1e5 < row["memory_bytes"] < 1e8


def test_plan_says_when_memory_does_not_suffice(tmp_path: Path) -> None:
    text = edited(instability_text(), "hidden: [16]", "hidden: [60000, 60000]")
    spec = Place(tmp_path).write(edited(text, "parameters: 1210", "parameters: 3604560010"))
    (row,) = cli("plan", spec, "--device", "cpu", "--store", tmp_path / "none", "--json").json
    assert row["note"].startswith("More memory than the ")
    assert row["memory_bytes"] > 1e11


def test_a_paper_sized_group_on_the_cpu_is_about_a_gigabyte() -> None:
    """ResNet-20 at batch 128, measured at .33 GB each while it is computed."""
    (row,) = cli("plan", ROOT / "specs/resnet20_imp.yaml", "--scale", "paper", "--device", "cpu", "--json").json
    assert 0.33e9 < row["memory_bytes"] < 1.2e9


def test_workers_share_the_cpu_and_its_memory() -> None:
    assert device.chosen("cpu", 3) == [torch.device("cpu")] * 3
    assert device.chosen("cpu") == [torch.device("cpu")]
    assert 1e6 < device.free_bytes(torch.device("cpu")) < 1e15
    with pytest.raises(RequestError, match=r"--workers 100000 is too many for \d+ cores: use \d+ at most"):
        device.chosen("cpu", 100_000)


def test_the_cpu_has_no_number() -> None:
    with pytest.raises(RequestError, match="'cpu:1' is not supported: use auto, cpu, cuda or cuda:N"):
        device.choose("cpu:1")


def test_every_gpu_or_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    three = [torch.device("cuda", place) for place in range(3)]
    assert device.chosen("auto") == device.chosen("cuda") == three
    assert device.chosen("cuda:1") == three[1:2]
    with pytest.raises(RequestError, match="--workers 2 is for the CPU"):
        device.chosen("auto", 2)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert device.chosen("auto") == [torch.device("cuda")]
