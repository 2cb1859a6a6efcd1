"""Plans and their execution: what is missing, what comes next, what a failure takes with it, what a rerun repeats."""

import random
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import torch

from harness import stages
from harness.errors import BrokenError, CorruptArtifact, HarnessError, TrainingDiverged
from harness.execution.backends.base import Slot
from harness.execution.backends.in_process import InProcess
from harness.execution.run import Progress, Run, execute
from harness.execution.schedule import Schedule
from harness.jobs.job import Job, canonical
from harness.jobs.plan import Plan
from harness.jobs.store import Artifact, Store
from harness.stages import products
from harness.stages.base import Context, Effort, Work
from tests.support import SPECS, Place, cli, edited, instability_text, request


def chain(seed: int, length: int = 3) -> list[Job]:
    """An ``init`` and the trainings that follow from it."""
    jobs = [Job("init", {"seed": seed})]
    for step in range(1, length):
        jobs.append(Job("train", {"seed": seed, "start": 0, "stop": step}, {"state": jobs[-1]}))
    return jobs


def fuse(job: Job) -> str | None:
    return f"stop {job.params['stop']}" if job.stage == "train" else None


def keys(jobs: Sequence[Job] | Mapping[str, Job]) -> list[str]:
    return list(jobs) if isinstance(jobs, Mapping) else [job.key for job in jobs]


def test_a_plan_holds_every_job_once_and_inputs_first() -> None:
    a, b = chain(0), chain(1)
    line = Job("line", {}, {"a": a[-1], "b": b[-1]})
    again = Job("line", {}, {"a": chain(0)[-1], "b": chain(1)[-1]})
    plan = Plan.of([line, again, a[1]])
    assert plan.targets == [line, a[1]]
    assert set(plan.jobs) == {job.key for job in (*a, *b, line)}
    places = {key: place for place, key in enumerate(plan.jobs)}
    for key, job in plan.jobs.items():
        assert all(places[given.key] < places[key] for given in job.inputs.values())


def test_heights_are_the_longest_waits() -> None:
    a = chain(0, 4)
    plan = Plan.of([a[-1], Job("evaluate", {}, {"state": a[1]})])
    assert [plan.heights[job.key] for job in a] == [3, 2, 1, 0]
    assert plan.heights[Job("evaluate", {}, {"state": a[1]}).key] == 0


def test_missing_is_what_targets_still_need() -> None:
    a = chain(0, 4)
    line = Job("evaluate", {}, {"state": a[3]})
    plan = Plan.of([line])
    everything = [*a, line]

    def missing(have: Sequence[Job]) -> list[str]:
        return keys(plan.missing(lambda job: job in have))

    assert missing([]) == keys(everything)
    assert missing(everything) == []
    assert missing([line]) == []  # a result that is there needs nothing beneath it
    assert missing(a[:2]) == keys([a[2], a[3], line])
    assert missing([a[3]]) == [line.key]
    assert missing([a[0], a[2]]) == keys([a[3], line])  # a[1] is gone, but nobody asks for it
    assert missing([a[0], a[1], line]) == []


def test_a_shared_ancestor_is_missing_when_one_of_its_users_is() -> None:
    a = chain(0, 2)
    users = [Job("evaluate", {"n": n}, {"state": a[1]}) for n in range(2)]
    plan = Plan.of(users)
    assert set(plan.missing(lambda job: job == users[0])) == {a[0].key, a[1].key, users[1].key}


def test_the_next_group_is_a_function_of_what_is_missing() -> None:
    chains = [chain(seed) for seed in range(5)]
    forwards = Plan.of([one[-1] for one in chains])
    backwards = Plan.of([one[-1] for one in reversed(chains)])
    missing = forwards.missing(lambda job: job.stage == "init")
    for _ in range(10):
        shuffled = list(missing.items())
        random.Random(_).shuffle(shuffled)
        assert keys(forwards.next_group(dict(shuffled), fuse)) == keys(forwards.next_group(missing, fuse))
    assert keys(backwards.next_group(missing, fuse)) == keys(forwards.next_group(missing, fuse))


def test_a_group_is_all_ready_jobs_that_fuse_and_no_other() -> None:
    chains = [chain(seed) for seed in range(4)]
    other = Job("train", {"seed": 0, "start": 0, "stop": 99}, {"state": chains[0][0]})
    plan = Plan.of([other, *(one[-1] for one in chains)])
    missing = plan.missing(lambda job: job.stage == "init")
    first = plan.next_group(missing, fuse)
    assert set(first) == {one[1] for one in chains}  # most waits for these
    assert keys(first) == sorted(keys(first))
    assert len(plan.next_group(missing, fuse, limit=3)) == 3
    del missing[chains[2][1].key]
    assert set(plan.next_group(missing, fuse)) == {chains[i][1] for i in (0, 1, 3)}


def test_snapshots_of_one_run_are_in_one_group_however_many() -> None:
    start = Job("init", {})
    jobs = [Job("train", {"seed": seed, "stop": stop}, {"s": start}) for stop in range(9) for seed in range(3)]
    plan = Plan.of(jobs)
    group = plan.next_group(plan.missing(lambda job: job == start), lambda job: "the same", limit=2)
    assert len(group) == 2 * 9
    assert len({job.trajectory for job in group}) == 2


def test_what_waits_for_an_input_is_not_ready_and_work_that_does_not_fuse_runs_alone() -> None:
    chains = [chain(seed) for seed in range(2)]
    plan = Plan.of([one[-1] for one in chains])
    missing = plan.missing(lambda job: False)
    seen = []
    while missing:
        group = plan.next_group(missing, fuse)
        assert not any(given.key in missing for job in group for given in job.inputs.values())
        seen.append([job.stage for job in group])
        for job in group:
            del missing[job.key]
    assert seen == [["init"], ["init"], ["train", "train"], ["train", "train"]]
    assert plan.next_group({}, fuse) == []


def test_stages_with_equal_answers_do_not_mix() -> None:
    start = Job("init", {})
    jobs = [Job("train", {}, {"s": start}), Job("evaluate", {}, {"s": start})]
    plan = Plan.of(jobs)
    missing = plan.missing(lambda job: job == start)
    assert len(plan.next_group(missing, lambda job: "the same")) == 1


def first_ready(plan: Plan, missing: Mapping[str, Job], limit: int) -> list[Job]:
    """The first group, by the rule as it is written down: everything is sorted anew for each."""
    ready = [job for job in missing.values() if not any(one.key in missing for one in job.inputs.values())]
    ready.sort(key=lambda job: (-plan.heights[job.key], job.key))
    single = [job for job in ready if fuse(job) is None]
    alike = [job for job in ready if fuse(job) == fuse(ready[0])]
    runs = list(dict.fromkeys(job.trajectory for job in alike))[:limit]
    return single[:1] or [job for job in alike if job.trajectory in runs]


@pytest.mark.parametrize("seed", range(20))
def test_groups_are_those_of_the_rule(seed: int) -> None:
    """Snapshots become ready before and after others of their run."""
    draw = random.Random(seed)
    jobs = [Job("init", {"seed": number}) for number in range(6)]
    for number in range(60):
        given = draw.sample(jobs, draw.choice([1, 1, 2]))
        params = {"seed": number % 7, "stop": draw.choice([1, 2, 3])}
        jobs.append(Job(draw.choice(["train", "train", "evaluate"]), params, dict(zip("ab", given, strict=False))))
    plan = Plan.of(jobs)
    missing = plan.missing(lambda job: job.key[0] in "0123")
    limit = draw.choice([1, 2, 5])
    for group in plan.groups(dict(missing), fuse, lambda job: limit):
        assert group == first_ready(plan, missing, limit)
        for job in group:
            del missing[job.key]
    assert missing == {}


def test_the_key_is_the_hash_of_the_description() -> None:
    for path in SPECS:
        for job in request(path, "paper").plan.jobs.values():
            assert job.key == sha256(canonical(job.description).encode()).hexdigest()


def test_a_long_schedule_is_not_looked_through_for_every_group(
    tmp_path: Path, fakes: "Fakes", monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []
    wanted = Schedule._wanted
    monkeypatch.setattr(Schedule, "_wanted", lambda self, group: looks.append(1) or wanted(self, group))
    schedule = Schedule(
        Plan.of([Job("init", {"seed": seed}) for seed in range(300)]),
        Store(tmp_path),
        [Slot.of(torch.device("cpu"))],
        1e9,
    )
    while (group := schedule.next()) is not None:
        schedule.finished(group)
        schedule.missing.pop(group[0].key)
    assert schedule.missing == {}
    assert len(looks) <= 3 * 300


def many(spec: str, replicates: str) -> str:
    text = edited(spec, "initialisations: 2", f"initialisations: {replicates}")
    return edited(text, "orders: 2", "orders: 100")


def naming(patch: pytest.MonkeyPatch) -> list[Job]:
    """The jobs that are made from now on."""
    named: list[Job] = []
    init = Job.__init__

    def spy(self: Job, *about: Any) -> None:
        named.append(self)
        init(self, *about)

    patch.setattr(Job, "__init__", spy)
    return named


@pytest.mark.parametrize("command", ["validate", "plan", "verify"])
@pytest.mark.parametrize(("number", "words"), [("1000", "1,000 initialisations of 101 jobs"), ("50", "50 init")])
def test_very_many_replicates_are_refused_before_their_jobs_are_named(
    command: str, number: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = naming(monkeypatch)
    place = Place(tmp_path)
    more = () if command == "validate" else ("--store", place.store, "--device", "cpu")
    said = cli(command, place.write(many(instability_text(), number)), *more)
    assert said.code == 2
    assert f"scales.toy.replicates: {words}" in said.err
    assert "a plan has 100,000 at most: ask for fewer replicates" in said.err
    assert len(named) < 20_000
    assert not place.store.exists()


def test_validating_names_the_jobs_of_one_initialisation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = []
    for number in (1, 900):
        named: list[Job] = []
        init = Job.__init__
        with monkeypatch.context() as patch:
            patch.setattr(
                Job, "__init__", lambda self, *about, named=named, init=init: named.append(1) or init(self, *about)
            )
            text = edited(instability_text(), "initialisations: 2", f"initialisations: {number}")
            assert cli("validate", Place(tmp_path).write(text)).code == 0
        counts.append(len(named))
    assert counts[0] == counts[1] > 0


class Fakes:
    """Stages that write down what they ran, and fail where they are told to."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.groups: list[list[str]] = []
        self.broken: set[str] = set()
        self.raising: dict[str, Exception] = {}
        self.memory = 0.0

    def find(self, name: str) -> "Fakes":
        return self

    def fuse(self, job: Job) -> str | None:
        return fuse(job)

    def cost(self, job: Job) -> int:
        return 10

    def effort(self, job: Job) -> Effort:
        return Effort(memory_bytes=self.memory)

    def run(self, work: Sequence[Work], context: Context) -> list[Artifact | HarnessError]:
        names = [name_of(one.job) for one in work]
        self.groups.append(names)
        for name in names:
            if name in self.raising:
                raise self.raising[name]
        self.ran += names
        context.advance(7)
        return [
            TrainingDiverged(f"{name} broke") if name in self.broken else Artifact(table={"name": [name]})
            for name in names
        ]


def name_of(job: Job) -> str:
    return f"{job.stage}{job.params['seed']}" + (f".{job.params['stop']}" if "stop" in job.params else "")


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> Fakes:
    made = Fakes()
    monkeypatch.setattr(stages, "find", made.find)
    monkeypatch.setattr(products, "wrong_with", lambda job, artifact: "")
    return made


def go(plan: Plan, root: Path, on_progress: Callable[[Progress], None] = lambda progress: None) -> Run:
    def no_data(name: str) -> None:
        raise AssertionError(name)

    return execute(
        plan,
        Store(root),
        backend=InProcess(torch.device("cpu")),
        load_dataset=no_data,
        on_progress=on_progress,
    )


THREE = Plan.of([chain(seed)[-1] for seed in range(3)])


def test_everything_runs_once_and_then_never_again(fakes: Fakes, tmp_path: Path) -> None:
    run = go(THREE, tmp_path)
    assert (run.executed, run.failed, run.lost) == (set(THREE.jobs), {}, set())
    assert sorted(fakes.ran) == sorted(name_of(job) for job in THREE.jobs.values())
    assert [len(group) for group in fakes.groups] == [1, 1, 1, 3, 3]
    fakes.ran.clear()
    run = go(THREE, tmp_path)
    assert run.executed == set()
    assert fakes.ran == []


def test_more_replicates_run_only_what_is_new(fakes: Fakes, tmp_path: Path) -> None:
    go(THREE, tmp_path)
    fakes.ran.clear()
    run = go(Plan.of([chain(seed)[-1] for seed in range(4)]), tmp_path)
    assert fakes.ran == ["init3", "train3.1", "train3.2"]
    assert len(run.executed) == 3


def test_snapshots_that_another_plan_wants_are_made_on_the_way(fakes: Fakes, tmp_path: Path) -> None:
    (init, early, late), (other, *_) = chain(0), chain(1)
    snapshot = Job(early.stage, {**early.params, "stop": 7}, early.inputs)
    one, another = Plan.of([early]), Plan.of([snapshot, late, other])
    run = go(one.with_snapshots_of(another), tmp_path)
    assert run.executed == {init.key, early.key, snapshot.key}
    assert one.with_snapshots_of(one).jobs == one.jobs


def test_fail_then_fix_then_rerun_repeats_only_what_failed(fakes: Fakes, tmp_path: Path) -> None:
    """A failed job takes with it what rests on it, and nothing else."""
    line = Job("line", {"seed": 9}, {"a": chain(0)[-1], "b": chain(1)[-1]})
    apart = Job("line", {"seed": 8}, {"a": chain(0)[-1], "b": chain(2)[-1]})
    plan = Plan.of([line, apart])
    fakes.broken = {"train1.1"}
    run = go(plan, tmp_path)
    assert {name_of(plan.jobs[key]) for key in run.failed} == {"train1.1"}
    assert str(next(iter(run.failed.values()))) == "train1.1 broke"
    assert {name_of(plan.jobs[key]) for key in run.lost} == {"train1.2", "line9"}
    assert len(run.executed) == len(plan.jobs) - 3
    assert sorted(fakes.ran) == sorted(
        ["init0", "init1", "init2", "train0.1", "train1.1", "train2.1", "train0.2", "train2.2", "line8"]
    )
    fakes.ran.clear()
    run = go(plan, tmp_path)  # not fixed: tried once more, and nothing besides
    assert fakes.ran == ["train1.1"]
    assert len(run.failed) == 1
    fakes.ran.clear()
    fakes.broken = set()
    run = go(plan, tmp_path)
    assert fakes.ran == ["train1.1", "train1.2", "line9"]
    assert (len(run.executed), run.failed, run.lost) == (3, {}, set())
    fakes.ran.clear()
    go(plan, tmp_path)
    assert fakes.ran == []


def test_an_error_of_a_whole_group_fails_the_group_and_not_its_neighbours(fakes: Fakes, tmp_path: Path) -> None:
    plan = Plan.of([*(chain(seed)[-1] for seed in range(2)), Job("evaluate", {"seed": 5}, {"s": chain(5, 1)[0]})])
    fakes.raising = {"train0.1": BrokenError("the mask leaks")}
    run = go(plan, tmp_path)
    assert {name_of(plan.jobs[key]) for key in run.failed} == {"train0.1", "train1.1"}
    assert {name_of(plan.jobs[key]) for key in run.lost} == {"train0.2", "train1.2"}
    assert set(fakes.ran) == {"init0", "init1", "init5", "evaluate5"}


def test_a_job_that_is_lost_twice_over_is_counted_once(fakes: Fakes, tmp_path: Path) -> None:
    line = Job("line", {"seed": 9}, {"a": chain(0)[-1], "b": chain(1)[-1]})
    fakes.broken = {"train0.1", "train1.1"}
    plan = Plan.of([line])
    run = go(plan, tmp_path)
    assert {name_of(plan.jobs[key]) for key in run.failed} == {"train0.1", "train1.1"}
    assert {name_of(plan.jobs[key]) for key in run.lost} == {"train0.2", "train1.2", "line9"}


def test_a_corrupt_input_stops_the_run_and_is_named(fakes: Fakes, tmp_path: Path) -> None:
    go(THREE, tmp_path)
    init, first, last = chain(1)
    for name in ("record.json", "table.json"):
        (Store(tmp_path).path(last.key) / name).unlink()
    Store(tmp_path).path(last.key).rmdir()
    path = Store(tmp_path).path(first.key) / "table.json"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CorruptArtifact, match=rf"artifact {first!r} is corrupt: {path} has sha256"):
        go(THREE, tmp_path)
    assert Store(tmp_path).has(init)


def test_losing_the_store_costs_time_only(fakes: Fakes, tmp_path: Path) -> None:
    go(THREE, tmp_path / "one")
    fakes.ran.clear()
    assert go(THREE, tmp_path / "two").executed == set(THREE.jobs)
    for job in THREE.jobs.values():
        assert Store(tmp_path / "one").read(job).table == Store(tmp_path / "two").read(job).table


def test_progress_goes_up_to_the_total(fakes: Fakes, tmp_path: Path) -> None:
    told: list[Progress] = []
    fakes.broken = {"train1.2"}
    go(THREE, tmp_path, told.append)
    done = [progress.done for progress in told]
    assert {progress.total for progress in told} == {90}
    assert done[0] == 0
    assert done[-1] == 90
    assert ("train x 3",) in {tuple(progress.now) for progress in told}
    assert ("init",) in {tuple(progress.now) for progress in told}


def test_provenance_is_kept_beside_each_result(fakes: Fakes, tmp_path: Path) -> None:
    go(THREE, tmp_path)
    record = Store(tmp_path).record(chain(0)[-1])
    assert record["provenance"]["device"] == "cpu"
    assert record["provenance"]["beside"] == 3
    assert record["provenance"]["seconds"] >= 0
