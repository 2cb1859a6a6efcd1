"""The training step as a graph: what could not be recorded is an error on any device; a replay is the eager step."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from harness.engine import graphs, optimise
from harness.engine.device import is_out_of_memory
from harness.engine.feed import Images
from harness.engine.networks.layers import Layers
from harness.engine.probes import Probes
from harness.engine.replicas import FINITE, Replicas
from harness.engine.train import train
from tests.engine import frozen
from tests.engine.oracles import ADAM, SCALE
from tests.engine.test_train import CASES, RESNET, Case, masks_of, nothing, replicas_of, run

CPU = torch.device("cpu")
ALL = {
    **CASES,
    "resnet-independent": replace(RESNET, examples=23, sampling="independent"),
    "lenet-wide": replace(CASES["lenet-ragged"], optimiser={**ADAM, "weight_decay": 0.1, "decay_reach": "weights"}),
}


def starts_of(case: Case) -> list[int]:
    return [5, 5, 10, 5] if case.ragged else [0, 3, 7, 2]


def fresh(case: Case, device: torch.device = CPU) -> Replicas:
    """Four replicas of other orders, starts, masks and ends, over some epochs; one has nothing pruned."""
    starts = starts_of(case)
    snapshot_steps = [[start, start + 4, start + 31 + 6 * place] for place, start in enumerate(starts)]
    masks = masks_of(case.network, 4)
    for value in masks.values():
        value[1] = 1
    return moved(replicas_of(case, starts, snapshot_steps, masks=masks, schedule_starts=[0, starts[1], 0, 1]), device)


def moved(replicas: Replicas, device: torch.device) -> Replicas:
    assert replicas.mask is not None
    return replace(
        replicas,
        weights=replicas.weights.to(device),
        buffers={name: value.to(device) for name, value in replicas.buffers.items()},
        optimiser={name: value.to(device) for name, value in replicas.optimiser.items()},
        mask=replicas.mask.to(device),
        diverged_at=replicas.diverged_at.to(device),
    )


def images_of(case: Case, device: torch.device) -> Images:
    settings = {"normalise": SCALE, "augment": case.augment}
    return Images(case.data, settings, device=device, dtype=torch.float64)


def tensors(now: Replicas) -> list[Tensor]:
    return [now.weights, now.diverged_at, *now.buffers.values(), *now.optimiser.values()]


def course(case: Case, device: torch.device = CPU, probes: Probes | None = None) -> list[list[Tensor]]:
    """All tensors after every step, and at every mark."""
    seen: list[list[Tensor]] = []

    def keep(now: Replicas) -> None:
        seen.append([value.clone() for value in tensors(now)])

    def on_step(moved: int, everyone: Callable[[], Replicas]) -> None:
        keep(everyone())

    def on_snapshot(place: int, now: Replicas) -> None:
        keep(now)

    replicas = fresh(case, device)
    images = images_of(case, device)
    train(case.network, case.recipe, images, replicas, on_step=on_step, on_snapshot=on_snapshot, probes=probes)
    return seen


def assert_equal(one: list[list[Tensor]], other: list[list[Tensor]]) -> None:
    assert len(one) == len(other)
    for number, (mine, theirs) in enumerate(zip(one, other, strict=True)):
        assert all(torch.equal(a, b) for a, b in zip(mine, theirs, strict=True)), number


@pytest.fixture(autouse=True)
def by_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A graph holds PyTorch's operations, which CUDA has; compiled loops are the CPU's."""
    monkeypatch.setattr("harness.engine.step.layers_for", lambda *place: Layers)


@pytest.fixture
def as_on_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every choice by device falls as it does on CUDA."""
    adam = optimise.OPTIMISERS["adam"]
    monkeypatch.setitem(
        optimise.OPTIMISERS, "adam", replace(adam, rule=lambda settings, device: adam.rule(settings, "cuda"))
    )


@pytest.fixture
def replaying(by_pytorch: None, monkeypatch: pytest.MonkeyPatch) -> list[graphs.Graphed]:
    """Steps run as on CUDA, by graphs that are lists of operations; the list of what was made."""
    made: list[graphs.Graphed] = []

    def prepared(work: graphs.Work, device: torch.device) -> graphs.Work:
        made.append(graphs.Graphed(work, device))
        return made[-1]

    monkeypatch.setattr(graphs, "prepared", prepared)
    monkeypatch.setattr(graphs, "recorded", frozen.recorded)
    monkeypatch.setattr(graphs, "beside", frozen.beside)
    monkeypatch.setattr(graphs, "new_pool", lambda: (0, 1))
    monkeypatch.setattr(graphs, "WARM_UP", 1)
    monkeypatch.setattr("harness.engine.feed._STEPS_AHEAD", 7)
    return made


@pytest.mark.usefixtures("as_on_cuda")
@pytest.mark.parametrize("name", ALL)
def test_a_step_does_only_what_a_graph_can_hold(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the same operations on the same shapes at every call with the same size."""
    case = ALL[name]
    sizes: set[int] = set()

    def prepared(work: graphs.Work, device: torch.device) -> graphs.Work:
        listed: dict[int, Any] = {}

        def watched(size: int) -> None:
            with frozen.graph_safe() as operations:
                work(size)
            assert listed.setdefault(size, operations) == operations
            sizes.add(size)

        return watched

    monkeypatch.setattr(graphs, "prepared", prepared)
    run(case, fresh(case))
    assert sizes == ({5, case.examples % 5} if case.ragged else {5})


@pytest.mark.parametrize(
    "work",
    [
        lambda x: x.sum().item(),
        lambda x: x.tolist(),
        lambda x: bool((x > 0).any()),
        lambda x: x.nonzero(),
        lambda x: x[x > 0],
        lambda x: x.masked_select(x > 0),
        lambda x: x.unique(),
        lambda x: x + torch.tensor([1.0, 2.0, 3.0]),
        lambda x: torch.equal(x, x + 1),
        lambda x: x.to("meta"),
        lambda x: x.cpu(),
    ],
    ids=["item", "list", "bool", "nonzero", "mask", "select", "unique", "numbers", "equal", "device", "cpu"],
)
def test_what_a_graph_cannot_hold_is_noticed(work: Callable[[Tensor], object]) -> None:
    with pytest.raises(frozen.HostWaitError), frozen.graph_safe():
        work(torch.arange(3.0))


@pytest.mark.parametrize("name", ALL)
def test_replayed_steps_are_the_eager_ones(
    name: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit by bit, after every step and at every mark: nothing but tensors that stay in place tells one step from the
    next."""
    case = ALL[name]
    eager = course(case)
    made: list[graphs.Graphed] = request.getfixturevalue("replaying")
    assert_equal(course(case), eager)
    ends = [
        max(snapshot_steps) - start
        for snapshot_steps, start in zip(fresh(case).snapshot_steps, starts_of(case), strict=True)
    ]
    assert len(made) == len(set(ends)), "one for each group of replicas that move together"
    assert all(graph._replays for graph in made)
    assert set(made[0]._replays) == ({5, case.examples % 5} if case.ragged else {5})


@pytest.mark.usefixtures("as_on_cuda", "replaying")
@pytest.mark.parametrize("name", ["lenet", "lenet-ragged", "lenet-wide"])
def test_adam_together_is_adam_by_rows(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """To rounding: a move at rate 1 is multiplied by the rate afterwards."""
    case = ALL[name]
    together = course(case)
    monkeypatch.undo()
    for mine, theirs in zip(together, course(case), strict=True):
        for one, other in zip(mine, theirs, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-11)


def test_a_replay_repeats_what_python_decided() -> None:
    """So the test above would notice a step that counts in Python."""
    calls, total = [0], torch.zeros(())

    def work(size: int) -> None:
        calls[0] += 1
        total.add_(calls[0])

    step = frozen.recorded(lambda: work(1), CPU)
    for _ in range(4):
        step()
    assert (calls, total.item()) == ([1], 4)


@pytest.mark.usefixtures("replaying")
def test_each_size_warms_up_and_is_recorded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs, "WARM_UP", 2)
    done: list[int] = []
    recordings: list[int] = []
    total = torch.zeros(2, dtype=torch.int64)

    def work(size: int) -> None:
        done.append(size)
        total.add_(size)

    def recorded(work: Callable[[], None], device: torch.device, pool: graphs.Pool) -> Callable[[], None]:
        recordings.append(len(done))
        return frozen.recorded(work, device)

    monkeypatch.setattr(graphs, "recorded", recorded)
    step = graphs.Graphed(work, CPU)
    for size in (5, 5, 5, 3, 5, 3, 5, 3, 3):
        step(size)
    assert done == [5, 5, 5, 3, 3, 3]
    assert recordings == [2, 5]
    assert total.tolist() == [5 * 5 + 4 * 3] * 2


@pytest.mark.usefixtures("replaying")
def test_training_goes_on_where_nothing_can_be_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    case = ALL["resnet-ragged"]

    def refused(work: Callable[[], None], device: torch.device, pool: graphs.Pool) -> Callable[[], None]:
        raise RuntimeError("operation not permitted when stream is capturing\nmore words")

    monkeypatch.setattr(graphs, "recorded", refused)
    replicas = replicas_of(case, [0, 0], [[12], [12]])
    with pytest.warns(RuntimeWarning, match=r"no CUDA graph could be recorded \(operation .* capturing\); ") as told:
        ends = run(case, replicas)
    assert len(told) == 1
    monkeypatch.setattr(graphs, "prepared", lambda work, device: work)
    expected = run(case, replicas_of(case, [0, 0], [[12], [12]]))
    assert all(torch.equal(one, other) for one, other in zip(tensors(ends), tensors(expected), strict=True))


@pytest.mark.usefixtures("replaying")
def test_too_little_memory_to_record_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever sized the group halves it. Ending a recording that failed fails as well, and hides why."""

    def refused(work: Callable[[], None], device: torch.device, pool: graphs.Pool) -> Callable[[], None]:
        try:
            raise torch.OutOfMemoryError("40 GiB are missing")
        finally:
            raise RuntimeError("the capture was invalidated")

    monkeypatch.setattr(graphs, "recorded", refused)
    step = graphs.Graphed(lambda size: None, CPU)
    step(5)
    with pytest.raises(RuntimeError, match="capture was invalidated") as told:
        step(5)
    assert is_out_of_memory(told.value)


@pytest.mark.parametrize(
    ("error", "lacks"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("Tried to allocate 2 GiB"), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 28800000000 bytes"), True),
        (RuntimeError("GET was unable to find an engine to execute this computation"), True),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False),
        (ValueError("out of memory"), False),
    ],
    ids=str,
)
def test_a_lack_of_memory_is_told_from_other_errors(error: Exception, lacks: bool) -> None:
    assert is_out_of_memory(error) == lacks


def test_other_errors_of_a_step_are_not_hidden(replaying: list[graphs.Graphed]) -> None:
    def work(size: int) -> None:
        raise ValueError("wrong")

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match="wrong"):
            graphs.Graphed(work, CPU)(5)


@pytest.mark.usefixtures("replaying")
def test_a_replica_that_diverges_in_a_replay_is_flagged_with_its_step() -> None:
    case = ALL["lenet"]

    def on_step(moved: int, everyone: Callable[[], Replicas]) -> None:
        if everyone().steps[1] == 9:
            everyone().weights[1] = float("inf")

    replicas = replicas_of(case, [0, 2, 1], [[12], [14], [13]])
    ends = train(case.network, case.recipe, case.images, replicas, on_step=on_step, on_snapshot=nothing)
    assert ends.diverged_at.tolist() == [FINITE, 9, FINITE]


def test_the_cpu_gets_the_work_as_it_is() -> None:
    def work(size: int) -> None:
        pass

    assert graphs.prepared(work, CPU) is work
    assert isinstance(graphs.prepared(work, torch.device("cuda")), graphs.Graphed)


@pytest.mark.parametrize("count", [2, 11])
def test_branches_fork_from_the_current_stream_and_join_it(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With streams that only write down what they are told, as a graph records it."""
    told: list[tuple[str, ...]] = []
    inside = ["main"]

    class Stream:
        def __init__(self, name: str) -> None:
            self.name = name

        def wait_stream(self, other: "Stream") -> None:
            told.append((self.name, "waits for", other.name))

    @contextmanager
    def stream(one: Stream) -> Iterator[None]:
        inside.append(one.name)
        yield
        inside.pop()

    monkeypatch.setattr(graphs, "_stream", lambda device, number: Stream(str(number)))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: Stream("main"))
    monkeypatch.setattr(torch.cuda, "stream", stream)
    works = [partial(lambda number: told.append((inside[-1], "works", str(number))), number) for number in range(count)]
    graphs.side_by_side(works, torch.device("cuda"))
    streams = [str(number) for number in range(min(count, graphs.BRANCHES))]
    assert told == [
        *((name, "waits for", "main") for name in streams),
        *((streams[number % len(streams)], "works", str(number)) for number in range(count)),
        *(("main", "waits for", name) for name in streams),
    ]
