"""What must hold on a GPU; skipped where there is none."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from harness import seeds
from harness.engine import device, graphs, optimise
from harness.engine.data import datasets
from harness.engine.data.tasks import posed
from harness.engine.feed import Images
from harness.engine.networks.build import Network, build
from harness.engine.networks.initialise import flatten, initial_buffers, initial_parameters
from harness.engine.replicas import FINITE, Replicas
from harness.engine.step import Hyperparameters
from harness.engine.train import train
from harness.execution.backends import on_devices
from harness.execution.run import execute
from harness.jobs.plan import Plan
from harness.jobs.store import Artifact, Store
from harness.measure.curvature import Objective, rows
from harness.schema.task import Task
from harness.stages import train as training
from tests.engine.oracles import SCALE, dataset
from tests.engine.test_graphs import ALL, assert_equal, course, fresh, images_of
from tests.engine.test_train import nothing
from tests.stages.bench import Bench, setting
from tests.stages.test_train import copy_job, state_job
from tests.support import Place, imp_text, request

pytestmark = pytest.mark.gpu


@pytest.fixture
def card() -> torch.device:
    chosen = device.choose("cuda")
    device.prepare(chosen)
    return chosen


def test_random_bits_and_orders_are_those_of_the_cpu() -> None:
    index = torch.arange(10_000)
    assert torch.equal(seeds.bits(7, index), seeds.bits(7, index.cuda()).cpu())
    assert torch.equal(seeds.permutation(7, 10_000), seeds.permutation(7, 10_000, device="cuda").cpu())


@pytest.mark.parametrize("factor", [1, 2])
def test_labels_turns_and_blurred_images_are_those_of_the_cpu(factor: int, card: torch.device) -> None:
    """Bit by bit, as fed to a training and as evaluated."""
    task = Task(labels="rotation", blur=factor).model_dump(mode="json")  # type: ignore[arg-type]
    settings = {"normalise": SCALE, "augment": {"flip": True, "crop_padding": 1}, "task": task}
    shown = posed(dataset(shape=(3, 6, 6)), task)
    ours, theirs = (Images(shown, settings, device=place) for place in (torch.device("cpu"), card))
    index, keys = torch.tensor([[0, 22, 5, 5], [9, 1, 0, 3]]), torch.tensor([17, -4])
    on_gpu = theirs.augmented(index.to(card), keys.to(card))
    for one, other in zip(ours.augmented(index, keys), on_gpu, strict=True):
        assert torch.equal(one, other.cpu())
    assert torch.equal(ours.split["train"][0][:], theirs.split["train"][0][:].cpu())
    for one, other in zip(ours.plain("test", 0, 11), theirs.plain("test", 0, 11), strict=True):
        assert torch.equal(one, other.cpu())


def test_training_on_rotations_agrees_with_the_cpu_in_float64(card: torch.device) -> None:
    job = setting().recipe.posed(Task(labels="rotation", blur=2)).trunk(0, 9)
    on_gpu, on_cpu = Bench(device=card)[job], Bench()[job]
    for name, value in on_cpu.tensors.items():
        torch.testing.assert_close(on_gpu.tensors[name].cpu(), value, rtol=1e-9, atol=1e-11)


def test_training_agrees_with_the_cpu_in_float64(card: torch.device) -> None:
    here = setting()
    job = copy_job(here, state_job(here), 6, 9)
    on_gpu, on_cpu = Bench(device=card)[job], Bench()[job]
    for name, value in on_cpu.tensors.items():
        torch.testing.assert_close(on_gpu.tensors[name].cpu(), value, rtol=1e-9, atol=1e-11)


def test_a_replica_alone_is_that_of_a_group(card: torch.device) -> None:
    here = setting()
    jobs = [copy_job(here, state_job(here), 6, 9, order=f"copy/0/{order}") for order in range(4)]
    alone, together = Bench(device=card), Bench(device=card)
    for job, result in zip(jobs, together.together(*jobs), strict=True):
        assert isinstance(result, Artifact)
        for name, value in alone[job].tensors.items():
            torch.testing.assert_close(result.tensors[name], value, rtol=1e-9, atol=1e-11)


@pytest.fixture
def recordings(monkeypatch: pytest.MonkeyPatch) -> list[torch.device]:
    """A graph that cannot be recorded is a warning, so an error."""
    made: list[torch.device] = []
    real = graphs.recorded

    def recorded(work: Callable[[], None], place: torch.device, pool: graphs.Pool) -> Callable[[], None]:
        made.append(place)
        return real(work, place, pool)

    monkeypatch.setattr(graphs, "recorded", recorded)
    return made


@pytest.mark.parametrize("name", ALL)
def test_replayed_steps_are_the_eager_ones(
    name: str, card: torch.device, recordings: list[torch.device], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit by bit, after every step and at every mark, with short batches and groups that shrink."""
    replayed = course(ALL[name], card)
    assert recordings
    monkeypatch.setattr(graphs, "prepared", lambda work, place: work)
    assert_equal(replayed, course(ALL[name], card))


@pytest.mark.usefixtures("recordings")
@pytest.mark.parametrize("name", ALL)
def test_training_by_graphs_agrees_with_the_cpu_in_float64(name: str, card: torch.device) -> None:
    for mine, theirs in zip(course(ALL[name], card), course(ALL[name]), strict=True):
        for one, other in zip(mine, theirs, strict=True):
            torch.testing.assert_close(one.cpu(), other, rtol=1e-8, atol=1e-10)


@pytest.mark.usefixtures("recordings")
@pytest.mark.parametrize("name", ALL)
def test_a_replica_does_not_depend_on_how_many_run_beside_it(name: str, card: torch.device) -> None:
    """Bit by bit: a small network has as many slots as ever run as one."""
    case = ALL[name]

    def ends(replicas: Replicas) -> Replicas:
        images = images_of(case, card)
        return train(case.network, case.recipe, images, replicas, on_step=nothing, on_snapshot=nothing)

    together = ends(fresh(case, card))
    for replica in range(len(together)):
        alone = ends(fresh(case, card).take([replica]))
        assert alone.steps == [together.steps[replica]]
        assert torch.equal(alone.weights[0], together.weights[replica])


FORMATS = ["fp32", "tf32", "bf16"]
TRAINED = {
    "lenet": (replace(ALL["lenet-ragged"], network=build({"name": "lenet", "hidden": [300, 100]}, (1, 28, 28), 10)), 5),
    "resnet20": (
        replace(
            ALL["resnet-ragged"],
            network=build({"name": "resnet", "widths": [16, 32, 64], "blocks": 3}, (3, 32, 32), 10),
        ),
        graphs.BRANCHES + 3,
    ),
    "toy": (
        replace(ALL["resnet-ragged"], network=build({"name": "resnet", "widths": [8, 16], "blocks": 1}, (1, 8, 8), 10)),
        5,
    ),
    "odd": (
        replace(ALL["resnet-ragged"], network=build({"name": "resnet", "widths": [3, 5], "blocks": 1}, (3, 8, 8), 10)),
        3,
    ),
    "pooled": (
        replace(
            ALL["resnet-ragged"],
            network=build(
                {"name": "vgg", "widths": [8, 16], "convolutions": [1, 1], "last_pooling": "max"}, (3, 16, 16), 10
            ),
        ),
        3,
    ),
}
"""Networks as papers have them, and R: of the large one more than there are streams; and small ones, whose convolutions
are grouped, of few channels, of odd ones, with pooling."""


def single(name: str, card: torch.device, count: int, steps: int = 14) -> tuple[Images, Replicas]:
    """Images of a network's shape, and that many replicas in single precision."""
    case, _ = TRAINED[name]
    network = case.network
    data = dataset(case.examples, 4, network.shape)
    drawn = [
        initial_parameters(network, scheme="kaiming_normal", batch_norm_scale="uniform", seed=seed)
        for seed in range(count)
    ]
    weights = flatten(network, {name: torch.stack([one[name] for one in drawn]) for name in network.parameters})
    replicas = Replicas(
        weights=weights.to(card),
        buffers={name: value.to(card).repeat(count, 1) for name, value in initial_buffers(network).items()},
        optimiser=optimise.fresh_state(case.optimiser, weights.to(card)),
        mask=None,
        steps=[0] * count,
        snapshot_steps=[[steps]] * count,
        order_seeds=list(range(count)),
        augmentation_seeds=[None] * count,
        schedule_starts=[0] * count,
        diverged_at=torch.full((count,), FINITE, device=card),
    )
    return Images(data, {"normalise": SCALE, "augment": case.augment}, device=card), replicas


def trained(name: str, precision: str, card: torch.device, chosen: list[int] | None = None, steps: int = 14) -> Tensor:
    """Weights after some steps, with short batches among 14; of all replicas, or of the chosen ones by themselves."""
    case, count = TRAINED[name]
    images, replicas = single(name, card, count, steps)
    recipe = replace(case.recipe, precision=precision)
    start = replicas if chosen is None else replicas.take(chosen)
    ends = train(case.network, recipe, images, start, on_step=nothing, on_snapshot=nothing)
    assert ends.diverged_at.tolist() == [FINITE] * len(start)
    return ends.weights


@pytest.mark.parametrize("precision", FORMATS)
@pytest.mark.parametrize("name", TRAINED)
def test_replayed_steps_are_the_eager_ones_in_every_format(
    name: str, precision: str, card: torch.device, recordings: list[torch.device], monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = 5 * (graphs.WARM_UP + 2)  # the last of five batches is short
    replayed = trained(name, precision, card, steps=steps)
    assert len(recordings) == 2, "one for each size of batch"
    monkeypatch.setattr(graphs, "prepared", lambda work, place: work)
    assert torch.equal(replayed, trained(name, precision, card, steps=steps))


@pytest.mark.usefixtures("recordings")
@pytest.mark.parametrize("precision", FORMATS)
@pytest.mark.parametrize("name", TRAINED)
def test_a_replica_has_the_same_bits_whatever_runs_beside_it(name: str, precision: str, card: torch.device) -> None:
    """Wherever its row lies: an odd one begins at another alignment."""
    together = trained(name, precision, card)
    for place in (0, len(together) - 1):
        assert torch.equal(trained(name, precision, card, [place])[0], together[place])


def test_formats_differ_and_stay_near_single_precision(card: torch.device) -> None:
    """After one step that moves (the first has rate 0): what agrees in all bits is one format."""
    exact = trained("resnet20", "fp32", card, steps=2)
    for precision, tolerance in (("tf32", 0.2), ("bf16", 0.5)):
        other = trained("resnet20", precision, card, steps=2)
        apart = float((other - exact).norm() / (exact - single("resnet20", card, len(exact))[1].weights).norm())
        assert 1e-6 < apart < tolerance, precision


def by_itself(work: Callable[[], None]) -> None:
    """In a process of its own: until torch 2.12 a failed recording spoils the one that it happens in."""
    process = get_context("spawn").Process(target=work)
    process.start()
    process.join(300)
    assert process.exitcode == 0


def test_work_goes_on_after_a_recording_that_failed() -> None:
    """By graphs or without, as PyTorch's version can; its memory may stay with the process (docs/graphs.md)."""
    by_itself(_goes_on)


def _goes_on() -> None:
    card = device.choose("cuda")
    device.prepare(card)
    held = torch.zeros(1, device=card)

    def work(size: int) -> None:
        held.copy_(torch.ones(size, device=card).sum())
        if size > 1 << 20:
            held.item()

    step = graphs.prepared(work, card)
    for _ in range(graphs.WARM_UP):
        step(1 << 21)
    with pytest.warns(RuntimeWarning, match="no CUDA graph could be recorded"):
        step(1 << 21)
    other = graphs.prepared(work, card)
    for _ in range(graphs.WARM_UP + 2):
        other(8)
    assert held.item() == 8


def test_a_hessian_agrees_with_the_cpu(card: torch.device) -> None:
    """Of a network with batch normalisation, by forward over reverse derivatives under ``vmap``, in float64."""
    network = build(
        {"name": "resnet9", "widths": [2, 2, 2, 2], "activation": "gelu", "normalisation": "batch"}, (1, 8, 8), 3
    )
    drawn = initial_parameters(network, scheme="kaiming_normal", batch_norm_scale="one", seed=0)
    weights = flatten(network, {name: value[None].double() for name, value in drawn.items()})[0]
    buffers = {name: value.double() for name, value in initial_buffers(network).items()}
    torch.manual_seed(0)
    x, labels = torch.randn(20, 1, 8, 8, dtype=torch.float64), torch.arange(20) % 3
    found = []
    for place in (card, torch.device("cpu")):
        here = {name: value.to(place) for name, value in buffers.items()}
        objective = Objective(network, here, [(x.to(place), labels.to(place))], "batch")
        found.append(rows(objective, weights.to(place), 0, 40).cpu())
    torch.testing.assert_close(found[0], found[1], rtol=1e-8, atol=1e-10)


def test_tf32_is_used_where_it_is_asked_for_and_nowhere_else(card: torch.device) -> None:
    """Forward and backward: sums of products of numbers with 10 bits of fraction are off by about 2^-11 of them."""
    x, weight = (torch.randn(256, 256).to(card).requires_grad_() for _ in range(2))
    exact = x.detach().double() @ weight.detach().double()
    errors = {}
    for precision in ("fp32", "tf32"):
        with device.number_format(precision, card):
            product = x @ weight
        with device.product_format(precision):
            (slope,) = torch.autograd.grad(product.sum(), x)
        wrong = (slope.double() - weight.detach().double().sum(1)).abs().max() / 16
        errors[precision] = float((product.double() - exact).abs().max() / 16), float(wrong)
    assert max(errors["fp32"]) < 1e-5 < 1e-4 < min(errors["tf32"])
    assert max(errors["tf32"]) < 1e-2
    assert torch.backends.cuda.matmul.fp32_precision == "ieee"


@pytest.mark.usefixtures("recordings")
def test_a_replica_that_diverges_in_a_replay_is_flagged_with_its_step(
    card: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.engine.train.MAX_FUSED", 1)  # no filled slots: what is told of are the very tensors
    case = ALL["lenet"]
    replicas = fresh(case, card)
    first = replicas.steps[1]

    def on_step(moved: int, everyone: Callable[[], Replicas]) -> None:
        if everyone().steps[1] == first + 20:
            everyone().weights[1] = float("inf")

    ends = train(case.network, case.recipe, images_of(case, card), replicas, on_step=on_step, on_snapshot=nothing)
    assert ends.diverged_at.tolist() == [FINITE, first + 20, FINITE, FINITE]


def test_work_that_waits_for_the_device_goes_on_without_a_graph() -> None:
    by_itself(_waits)


def _waits() -> None:
    card = device.choose("cuda")
    device.prepare(card)
    total = torch.zeros((), device=card)
    seen: list[float] = []

    def work(size: int) -> None:
        total.add_(size)
        seen.append(total.item())

    step = graphs.prepared(work, card)
    before = torch.cuda.current_stream()
    for _ in range(graphs.WARM_UP):
        step(2)
    with pytest.warns(RuntimeWarning, match="no CUDA graph could be recorded"):
        step(2)
    for _ in range(2):
        step(2)
    assert seen[-1] == 2 * (graphs.WARM_UP + 3)
    assert torch.cuda.current_stream() == before
    after: Tensor = torch.ones(3, device=card).sum()
    assert after.item() == 3


def test_a_replica_that_overflows_leaves_its_neighbours_alone(card: torch.device) -> None:
    """Whose convolutions are groups of the same kernels."""
    case, _ = TRAINED["toy"]
    ends = []
    for broken in (False, True):
        images, replicas = single("toy", card, 3)
        if broken:
            replicas.weights[1] = float("inf")
        ends.append(train(case.network, case.recipe, images, replicas, on_step=nothing, on_snapshot=nothing))
    assert [step != FINITE for step in ends[1].diverged_at.tolist()] == [False, True, False]
    for neighbour in (0, 2):
        assert torch.equal(ends[0].weights[neighbour], ends[1].weights[neighbour])


def test_memory_that_is_free_goes_down_with_what_is_held() -> None:
    card = device.choose("cuda")
    before = device.free_bytes(card)
    held = torch.empty(1 << 28, dtype=torch.uint8, device=card)
    assert before - device.free_bytes(card) >= len(held)
    del held
    assert device.free_bytes(card) >= before - (1 << 22), "what the allocator keeps can be used again"


def test_a_group_too_large_for_the_card_is_halved(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each group asks for half the card a replica: one fits, two do not."""
    card = device.choose("cuda")
    device.prepare(card)
    plan = request(Place(tmp_path).write(imp_text())).plan
    half = device.free_bytes(card) * 0.55
    real = training.train

    def greedy(network: Network, recipe: Hyperparameters, images: Images, replicas: Replicas, **told: Any) -> Replicas:
        torch.empty(int(half * len(replicas)), dtype=torch.uint8, device=card)
        return real(network, recipe, images, replicas, **told)

    monkeypatch.setattr(training, "train", greedy)
    run = run_on([card], plan, tmp_path / "store")
    assert run == set(plan.jobs)
    trained = [job for job in plan.jobs.values() if job.stage == "train"]
    assert {Store(tmp_path / "store").record(job)["provenance"]["beside"] for job in trained} == {1}


def test_all_cards_together_agree_with_one(tmp_path: Path) -> None:
    cards = device.chosen("cuda")
    if len(cards) < 2:
        pytest.skip("one card only")
    plan = request(Place(tmp_path).write(imp_text())).plan
    device.prepare(cards[0])
    assert run_on(cards, plan, tmp_path / "all") == run_on(cards[:1], plan, tmp_path / "one") == set(plan.jobs)
    several, one = Store(tmp_path / "all"), Store(tmp_path / "one")
    assert {several.record(job)["provenance"]["device"] for job in plan.jobs.values()} == set(map(str, cards))
    for job in plan.targets:
        assert several.read(job).table.keys() == one.read(job).table.keys()


def run_on(devices: list[torch.device], plan: Plan, root: Path) -> set[str]:
    load = partial(datasets.load, root=Path("data"))
    run = execute(plan, Store(root), backend=on_devices(devices), load_dataset=load)
    assert run.failed == {}
    return run.executed
