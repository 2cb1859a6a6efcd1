"""The stage ``train``: snapshots, forks, the optimiser's state, masks, divergence, and resuming after a kill."""

import hashlib
import json
import os
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from harness import stages
from harness.engine.state import MASK, OPTIMISER, STEP, WEIGHT, Mask, State
from harness.errors import HarnessError, InvariantBroken, TrainingDiverged
from harness.execution import checkpoint as checkpoints
from harness.execution.backends.in_process import InProcess
from harness.execution.parts import PART_BYTES
from harness.execution.run import Progress, Run, execute
from harness.jobs.job import Job
from harness.jobs.plan import Plan
from harness.jobs.store import Artifact, Store
from harness.protocols.common.recipe import LineOptions, Recipe
from harness.protocols.common.setting import TrainingSetting
from tests.engine.oracles import TINY_RESNET9, dataset
from tests.stages.bench import ADAM, SGD, TINY_LENET, Bench, same, setting

STAGE = stages.find("train")


def state_job(here: TrainingSetting, k: int = 6, seed: int = 0) -> Job:
    return here.recipe.trunk(seed, k)


def copy_job(here: TrainingSetting, state: Job, start: int, stop: int, order: str = "copy/0/0", **more: Any) -> Job:
    return here.recipe.train(state, start, stop, order=order, **more)


def mask_job(here: TrainingSetting, seed: int = 0) -> Job:
    end = copy_job(here, state_job(here, 6, seed), 6, 9, f"copy/{seed}/0")
    return here.recipe.prune(end, None, output_layer=True, fraction=0.4)


def plain_artifacts(results: list[Artifact | HarnessError]) -> list[Artifact]:
    for result in results:
        if isinstance(result, HarnessError):
            raise result
    return [result for result in results if isinstance(result, Artifact)]


def close(a: Artifact, b: Artifact) -> None:
    assert set(a.tensors) == set(b.tensors)
    for name, value in a.tensors.items():
        torch.testing.assert_close(value, b.tensors[name], rtol=1e-11, atol=1e-12)


THIN: dict[str, Any] = {
    "network": TINY_RESNET9,
    "shape": (1, 8, 8),
    "optimiser": {**SGD, "clip": {"kind": "value", "at": 0.05}},
    "sampling": "independent",
    "label_noise": 0.5,
}


@pytest.mark.parametrize("recipe", [{}, {"optimiser": ADAM}, THIN], ids=["sgd", "adam", "thin"])
def test_jobs_together_are_the_jobs_alone(recipe: dict[str, Any]) -> None:
    """Other initialisations, orders, stops and masks, one not pruned at all; two snapshots of one training."""
    here = setting(**recipe)
    bench = Bench(dataset(shape=here.recipe.data.shape))
    jobs = [
        copy_job(here, state_job(here), 6, 14),
        copy_job(here, state_job(here), 6, 14, "copy/0/1", mask=mask_job(here)),
        copy_job(here, state_job(here, seed=1), 6, 9, "copy/1/0", mask=mask_job(here, 1), keep_optimiser=True),
        copy_job(here, state_job(here), 6, 11, keep_optimiser=True),
        copy_job(here, here.recipe.trunk(1, 11), 11, 13, "copy/1/0"),
        copy_job(here, state_job(here), 6, 14, "copy/0/2", schedule_start=6),
        copy_job(here, state_job(here), 6, 14, augmentation="copy/0/3"),
    ]
    assert len({STAGE.fuse(job) for job in jobs}) == 1
    for job, result in zip(jobs, plain_artifacts(bench.together(*jobs)), strict=True):
        close(result, bench[job])


def test_independent_batches_fuse_whatever_the_start() -> None:
    """No batch is short, so replicas need not be at the same place of an epoch."""
    for sampling, groups in (("epochs", 3), ("independent", 1)):
        here = setting(sampling=sampling)
        state = here.recipe.initial(0)
        jobs = [copy_job(here, state_job(here, k) if k else state, k, 12) for k in (0, 5, 7, 8)]
        assert len({STAGE.fuse(job) for job in jobs}) == groups


def test_training_in_one_go_and_in_pieces_is_the_same() -> None:
    here, bench = setting(), Bench()
    start = here.recipe.initial(0)
    whole = copy_job(here, start, 0, 13, "trunk/0", keep_optimiser=True)
    first = copy_job(here, start, 0, 7, "trunk/0", keep_optimiser=True)
    rest = copy_job(here, first, 7, 13, "trunk/0", keep_optimiser=True)
    assert same(bench[whole], bench[rest])


def test_a_state_stands_at_its_step_and_keeps_the_optimiser_only_where_asked() -> None:
    here, bench = setting(), Bench()
    with_state = bench[state_job(here, 6)]
    without = bench[copy_job(here, state_job(here, 6), 6, 9)]
    assert (int(with_state.tensors[STEP]), int(without.tensors[STEP])) == (6, 9)
    assert State.of(with_state.tensors).optimiser
    assert not State.of(without.tensors).optimiser


def test_a_fork_that_lost_its_place_is_an_error() -> None:
    here, bench = setting(), Bench()
    trunk = state_job(here, 6)
    bench.plant(trunk, {STEP: torch.tensor(5)})
    with pytest.raises(InvariantBroken, match="starts at step 6, but its state is of step 5: the fork lost its place"):
        bench[copy_job(here, trunk, 6, 9)]


def test_the_optimisers_state_is_carried_or_reset() -> None:
    here, bench = setting(), Bench()
    trunk = state_job(here)
    ends = {how: bench[copy_job(here, trunk, 6, 9, optimiser_state=how)] for how in ("carried", "reset")}
    assert not same(ends["carried"], ends["reset"])
    zeros = {name: torch.zeros_like(value) for name, value in bench[trunk].tensors.items() if OPTIMISER in name}
    bench.plant(trunk, zeros)
    again = Bench(made={trunk.key: bench[trunk]})
    assert same(again[copy_job(here, trunk, 6, 9)], ends["reset"])


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (SGD, ADAM, r"is velocity of shape \(\d+,\), where count of shape \(1,\), first of shape \(\d+,\), second of"),
        (ADAM, SGD, r"is count of shape \(1,\), first of .*, second of .*, where velocity of shape \(\d+,\) is due"),
    ],
    ids=["adam after sgd", "sgd after adam"],
)
def test_another_optimisers_state_is_not_carried(
    before: Mapping[str, Any], after: Mapping[str, Any], words: str
) -> None:
    trunk, then, bench = state_job(setting(optimiser=before)), setting(optimiser=after), Bench()
    target = copy_job(then, trunk, 6, 9)
    with pytest.raises(InvariantBroken, match=words) as caught:
        bench[target]
    told = str(caught.value)
    assert told.startswith(f"{target!r} carries on an optimiser state of its input {trunk!r} that is none of its own")
    assert "Begin afresh (optimiser_state: reset), or train both with the same optimiser" in told
    assert State.of(bench[copy_job(then, trunk, 6, 9, optimiser_state="reset")].tensors).weights


def test_another_networks_optimiser_state_is_not_carried() -> None:
    here, bench = setting(), Bench()
    trunk = state_job(here)
    state = bench[trunk]
    velocity = OPTIMISER + "velocity"
    bench.made[trunk.key] = Artifact({**state.tensors, velocity: state.tensors[velocity][:-1].clone()})
    with pytest.raises(InvariantBroken, match=r"it is velocity of shape \(\d+,\), where velocity of shape \(\d+,\) is"):
        bench[copy_job(here, trunk, 6, 9)]


def test_a_carried_state_is_masked() -> None:
    """Momentum of pruned weights is dropped: planting nonsense there changes nothing."""
    here, bench = setting(), Bench()
    mask, trunk = mask_job(here), state_job(here)
    job = copy_job(here, trunk, 6, 9, mask=mask, keep_optimiser=True)
    honest = bench[job]
    held = bench[trunk].tensors[OPTIMISER + "velocity"].clone()
    kept = torch.cat(
        [
            bench[mask].tensors.get(MASK + name.removeprefix(WEIGHT), torch.ones_like(value)).flatten().bool()
            for name, value in ordered(here, bench[trunk]).items()
        ]
    )
    held[~kept] = 1e6
    bench.plant(trunk, {OPTIMISER + "velocity": held})
    assert same(Bench(made={**bench.made, job.key: honest})[job], honest)
    del bench.made[job.key]
    assert same(bench[job], honest)
    assert (honest.tensors[OPTIMISER + "velocity"][~kept] == 0).all()


def ordered(here: TrainingSetting, state: Artifact) -> dict[str, Tensor]:
    """Weights in the network's own order, as the optimiser's state has them."""
    network = (
        Bench()
        .context()
        .network(
            {"network": here.recipe.training.network.model_dump(mode="json"), "classes": 3},
            Bench()
            .context()
            .images(
                here.recipe.train(here.recipe.initial(0), 0, 1, order="x").params["data"]
                | {"augment": {"flip": False, "crop_padding": 0}},
                "fp64",
            ),
        )
    )
    return {WEIGHT + name: state.tensors[WEIGHT + name] for name in network.parameters}


def test_a_state_that_cannot_be_carried_is_an_error() -> None:
    here, bench = setting(), Bench()
    trunk = here.recipe.train(here.recipe.initial(0), 0, 6, order="trunk/0", keep_optimiser=False)
    with pytest.raises(InvariantBroken, match=r"its input train:\w+ does not hold: let that one keep it"):
        bench[copy_job(here, trunk, 6, 9)]
    assert STEP in bench[copy_job(here, trunk, 6, 9, optimiser_state="reset")].tensors


def test_nor_can_that_of_another_stage_than_training() -> None:
    here, bench = setting(), Bench()
    trunk = here.recipe.train(here.recipe.initial(0), 0, 6, order="trunk/0", keep_optimiser=False)
    moved = Job("descend", {"seed": 0}, {"state": trunk})
    bench.made[moved.key] = bench[trunk]
    with pytest.raises(InvariantBroken, match=r"its input descend:\w+ does not hold: .*: reset\)"):
        bench[copy_job(here, moved, 6, 9)]
    assert STEP in bench[copy_job(here, moved, 6, 9, optimiser_state="reset")].tensors


def test_pruned_weights_are_zero_and_others_are_rewound() -> None:
    here, bench = setting(), Bench()
    mask, trunk = mask_job(here), state_job(here)
    at_rewind = bench[copy_job(here, trunk, 6, 6, mask=mask)]
    trained = bench[copy_job(here, trunk, 6, 12, mask=mask)]
    for name, kept in Mask.of(bench[mask].tensors).kept.items():
        start, weight = bench[trunk].tensors[WEIGHT + name], trained.tensors[WEIGHT + name]
        assert torch.equal(at_rewind.tensors[WEIGHT + name], start * kept)
        assert (weight[~kept] == 0).all()
        assert (weight[kept] != start[kept]).all()


def test_a_mask_that_leaks_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    here, bench = setting(), Bench()
    mask, trunk = mask_job(here), state_job(here)
    assert bench[mask]
    assert bench[trunk]
    monkeypatch.setattr(Mask, "applied", lambda mask, weights: dict(weights))
    with pytest.raises(InvariantBroken, match=r"the mask leaks: \d+ pruned weights of replica 0 .* at step 6"):
        bench[copy_job(here, trunk, 6, 9, mask=mask)]


def test_divergence_is_the_replicas_own(monkeypatch: pytest.MonkeyPatch) -> None:
    here, bench = setting(TINY_LENET), Bench()
    good, bad = state_job(here), state_job(here, seed=1)
    jobs = [copy_job(here, good, 6, 9), copy_job(here, bad, 6, 9), copy_job(here, good, 6, 12)]
    bench.plant(bad, {WEIGHT + "output.bias": torch.full((3,), float("inf"), dtype=torch.float64)})
    results = bench.together(*jobs)
    assert isinstance(results[1], TrainingDiverged)
    assert "the weight output.bias is not finite before the first step, 6" in str(results[1])
    assert "lower" not in str(results[1]), "no step was made yet: the rate is not to blame"
    for place in (0, 2):
        result = results[place]
        assert isinstance(result, Artifact)
        close(result, bench[jobs[place]])


def test_a_snapshot_before_the_divergence_stands() -> None:
    """What was right at its stop is a result, even though the training beyond it diverges."""
    here = setting(TINY_LENET, rate=1e38, length=14)
    bench = Bench()
    start = here.recipe.initial(0)  # warmup: the first step has rate 0
    jobs = [copy_job(here, start, 0, 1), copy_job(here, start, 0, 9)]
    first, last = bench.together(*jobs)
    assert isinstance(first, Artifact)
    assert isinstance(last, TrainingDiverged)
    assert "it was from 0 on, as the images are, so steps carried the weights too far" in str(last)
    assert "lower training.schedule.rate, here 1e+38" in str(last)


def scaled(here: TrainingSetting, scale: float) -> TrainingSetting:
    """The setting with pixels divided by another number."""
    data = here.recipe.training.data
    normalise = data.normalise.model_copy(update={"scale": scale})
    changed = here.recipe.training.model_copy(update={"data": data.model_copy(update={"normalise": normalise})})
    return replace(here, recipe=Recipe(changed, here.recipe.data))


VGG = {"name": "vgg", "widths": [2, 2, 2], "convolutions": [1, 1, 1], "last_pooling": "mean"}
CAUSES: dict[str, tuple[TrainingSetting, str]] = {
    "images": (
        scaled(setting(TINY_LENET), 1e-307),
        r"at step 0 of 9: images of the training set have numbers that are not finite in fp64 .* "
        r"correct training\.data\.normalise, here scale",
    ),
    "number format": (
        scaled(setting(TINY_LENET, precision="fp32"), 1e-36),
        r"at step 0 of 9, the first .*: it is .* on the first images in fp64, which fp32 does not reach "
        r"\(images have numbers up to 2\.55e\+38.*training\.precision fp64, do",
    ),
    "numbers beyond any format": (
        scaled(setting(TINY_LENET), 1e-305),
        r"before the first step it is already ∞ on the first images.* correct training\.data\.normalise or",
    ),
    "numbers too large for any rate": (
        scaled(setting(TINY_LENET, precision="fp32", rate=1e3), 1e-8),
        r"before the first step it is already .*e10 on the first images \(images have numbers up to 2\.55e\+10",
    ),
    "running statistics": (
        setting(VGG, batch=1, shape=(1, 4, 4)),
        r"the running statistic stage3\.conv1\.bn\.variance of batch normalisation was not finite at step 9 of 9, "
        r"though every weight and the loss were: .* single value; .*take larger batches",
    ),
}


@pytest.mark.parametrize("cause", CAUSES)
def test_a_cause_of_divergence_is_found_before_it_is_named(cause: str) -> None:
    """None of these is mended by another rate."""
    here, words = CAUSES[cause]
    bench = Bench(dataset(shape=here.recipe.data.shape))
    (result,) = bench.together(copy_job(here, here.recipe.initial(0), 0, 9))
    assert isinstance(result, TrainingDiverged)
    assert re.search(words, str(result)), str(result)
    assert "schedule.rate" not in str(result)


def test_another_dataset_than_planned_is_an_error() -> None:
    here = setting()
    bench = Bench()
    job = copy_job(here, here.recipe.initial(0), 0, 2)
    data = job.params["data"]
    other = Job("train", {**job.params, "data": {**data, "digest": "0" * 64}}, job.inputs)
    with pytest.raises(HarnessError, match=r"dataset digits has digest ffffffffffff, .* planned for 000000000000"):
        bench[other]


@pytest.mark.parametrize("sampling", ["epochs", "independent"])
def test_copies_may_share_their_order_and_differ_in_augmentation_or_the_reverse(sampling: str) -> None:
    here, bench = setting(sampling=sampling, n_train=23), Bench()
    fed: dict[tuple[str, str], Mapping[str, Any]] = {}
    ends: list[Artifact] = []
    for order in ("copy/0/0", "copy/0/1"):
        for augmentation in ("copy/0/0", "copy/0/1"):
            end = bench[copy_job(here, state_job(here), 6, 14, order, augmentation=augmentation)]
            fed[order, augmentation] = end.witness
            assert not any(same(end, other) for other in ends)
            ends.append(end)
    orders = {seeds: seen["data order"] for seeds, seen in fed.items()}
    for (order, _), seen in orders.items():
        assert seen == orders[order, order]
    assert len(set(orders.values())) == 2


def test_an_augmentation_of_the_orders_seed_is_the_same_training() -> None:
    here = setting()
    own = copy_job(here, state_job(here), 6, 14)
    assert copy_job(here, state_job(here), 6, 14, augmentation="copy/0/0") == own
    assert "augmentation" not in own.params
    other = copy_job(here, state_job(here), 6, 14, augmentation="copy/0/1")
    assert other.params == {**own.params, "augmentation": "copy/0/1"}


def test_what_fuses() -> None:
    here, even = setting(), setting(n_train=20)

    def kind(where: TrainingSetting, start: int, **more: Any) -> str | None:
        state = where.recipe.trunk(0, start)
        return STAGE.fuse(copy_job(where, state, start, 14, **more))

    assert kind(here, 1) == kind(here, 6) == kind(here, 6, order="copy/0/1", keep_optimiser=True)
    assert kind(here, 1) == kind(here, 1, augmentation="copy/0/1")
    assert kind(here, 1) != kind(here, 2)  # the short batch comes at another time
    assert kind(even, 1) == kind(even, 2)
    assert kind(here, 1) != kind(setting(rate=0.2), 1)
    assert kind(here, 1) != kind(setting(TINY_LENET), 1)
    assert STAGE.cost(copy_job(here, state_job(here), 6, 14)) == 8


def test_progress_is_told_in_replica_steps() -> None:
    here, bench = setting(), Bench()
    jobs = [copy_job(here, state_job(here), 6, 14), copy_job(here, state_job(here), 6, 9, "copy/0/1")]
    assert all(bench[given] for job in jobs for given in job.inputs.values())
    bench.advanced = 0
    bench.together(*jobs)
    assert bench.advanced == 8 + 3


def test_global_random_state_is_untouched() -> None:
    here, bench = setting(), Bench()
    torch_before, numpy_before, python_before = torch.get_rng_state(), np.random.get_state(), random.getstate()
    copies = [copy_job(here, state_job(here), 6, 14, f"copy/0/{i}", mask=mask_job(here)) for i in range(2)]
    shuffled = Job("shuffle", {"seed": "shuffle/0"}, {"mask": mask_job(here)})
    for job in (
        *copies,
        here.recipe.line(*copies, LineOptions(alphas=3)),
        here.recipe.compare(*copies),
        Recipe.distance(*copies),
        here.recipe.evaluate(copies[0]),
        shuffled,
    ):
        assert bench[job]
    assert torch.equal(torch.get_rng_state(), torch_before)
    assert all(np.array_equal(a, b) for a, b in zip(np.random.get_state(), numpy_before, strict=True))
    assert random.getstate() == python_before


class Killed(BaseException):
    """As if the process had been killed."""


def group_targets(here: TrainingSetting) -> list[Job]:
    """A group of five that end at three different times, one of them two snapshots of one training."""
    trunk = state_job(here)
    return [
        copy_job(here, trunk, 6, 14),
        copy_job(here, trunk, 6, 14, "copy/0/1", mask=mask_job(here)),
        copy_job(here, trunk, 6, 11),
        copy_job(here, trunk, 6, 8, "copy/0/2"),
        copy_job(here, trunk, 6, 14, augmentation="copy/0/3"),
    ]


def execute_here(targets: list[Job], root: Path, on_progress: Any = lambda progress: None) -> Run:
    return execute(
        Plan.of(targets),
        Store(root),
        backend=InProcess(torch.device("cpu")),
        load_dataset=lambda name: Bench().data,
        on_progress=on_progress,
    )


def contents(root: Path) -> dict[str, bytes]:
    return {
        f"{path.parent.name}/{path.name}": path.read_bytes()
        for path in root.glob("jobs/*/*/*")
        if path.name != "record.json"
    }


def saved(root: Path) -> list[Path]:
    """Checkpoints; the schedule beside them has a suffix."""
    return [path for path in (root / "progress").iterdir() if not path.suffix]


class Killer:
    """Kills when told of progress for the given time, counting only work whose label holds ``label``."""

    def __init__(self, at: int, label: str = "") -> None:
        self.at, self.label, self.calls = at, label, 0

    def __call__(self, progress: Progress) -> None:
        self.calls += any(self.label in words for words in progress.now)
        if self.calls == self.at:
            raise Killed


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], int]:
    root = tmp_path_factory.mktemp("undisturbed")
    counter = Killer(-1)
    run = execute_here(group_targets(setting()), root, counter)
    assert not run.failed
    assert not list((root / "progress").iterdir())
    return contents(root), counter.calls


@pytest.mark.parametrize(("share", "part_bytes"), [(i / 12, (0, 4000, PART_BYTES)[i % 3]) for i in range(1, 12)])
def test_a_killed_run_goes_on_to_the_same_bits(
    share: float,
    part_bytes: int,
    tmp_path: Path,
    undisturbed: tuple[dict[str, bytes], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(checkpoints, "CHECKPOINT_EVERY_S", 0.0)
    monkeypatch.setattr(checkpoints, "MOST_TIME_SAVING", float("inf"))
    monkeypatch.setattr("harness.execution.parts.PART_BYTES", part_bytes)
    expected, calls = undisturbed
    targets = group_targets(setting())
    with pytest.raises(Killed):
        execute_here(targets, tmp_path, Killer(round(share * calls)))
    half = contents(tmp_path)
    assert half.items() < expected.items()
    run = execute_here(targets, tmp_path)
    assert contents(tmp_path) == expected
    assert run.executed
    assert not run.failed
    assert not list((tmp_path / "progress").iterdir())
    assert not list((tmp_path / "tmp").iterdir())


def test_a_run_killed_twice_in_one_group_goes_on(
    tmp_path: Path, undisturbed: tuple[dict[str, bytes], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "CHECKPOINT_EVERY_S", 0.0)
    monkeypatch.setattr(checkpoints, "MOST_TIME_SAVING", float("inf"))
    expected, _ = undisturbed
    targets = group_targets(setting())
    for at in (4, 4, 4):
        with pytest.raises(Killed):
            execute_here(targets, tmp_path, Killer(at, "train x"))
    execute_here(targets, tmp_path)
    assert contents(tmp_path) == expected


def test_a_resumed_training_does_not_start_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were the checkpoint not read, the steps would be made twice."""
    monkeypatch.setattr(checkpoints, "CHECKPOINT_EVERY_S", 0.0)
    monkeypatch.setattr(checkpoints, "MOST_TIME_SAVING", float("inf"))
    here = setting()
    target = copy_job(here, here.recipe.initial(0), 0, 14)
    with pytest.raises(Killed):
        execute_here([target], tmp_path, Killer(14))
    made: list[int] = []
    real = stages.find("train").run

    def spying(work: Any, context: Any) -> Any:
        before = context.advance
        context.advance = lambda units: (made.append(units), before(units))
        return real(work, context)

    monkeypatch.setattr(type(stages.find("train")), "run", lambda self, work, context: spying(work, context))
    execute_here([target], tmp_path)
    assert sum(made) == 14
    assert made[0] > 5  # taken up where the checkpoint was
    assert set(made[1:]) == {1}


def test_a_run_killed_while_results_are_written_keeps_the_rest_of_its_group(
    tmp_path: Path, undisturbed: tuple[dict[str, bytes], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, _ = undisturbed
    targets = group_targets(setting())
    real = Store.write
    written: list[Job] = []

    def write(self: Store, job: Job, artifact: Artifact, provenance: Mapping[str, Any]) -> None:
        if job in targets:
            written.append(job)
            if len(written) == 3:
                raise Killed
        real(self, job, artifact, provenance)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "write", write)
        with pytest.raises(Killed):
            execute_here(targets, tmp_path)
    assert sum(Store(tmp_path).has(job) for job in targets) == 2
    there = len(contents(tmp_path))
    run = execute_here(targets, tmp_path)
    assert contents(tmp_path) == expected
    assert len(run.executed) + there == len(Plan.of(targets).jobs)
    assert not list((tmp_path / "progress").iterdir())


def reseal(change: Callable[[dict[str, Any], dict[str, Any]], Any]) -> Callable[[bytes], bytes]:
    """A checkpoint that says something else, with the digest that fits."""

    def changed(whole: bytes) -> bytes:
        tensors = load_tensors(whole[:-32])
        about = json.loads(bytes(tensors.pop("about").tolist()))
        said = change(about, tensors)
        words = torch.tensor(list((said if isinstance(said, str) else json.dumps(about)).encode()), dtype=torch.uint8)
        content = save_tensors({**tensors, "about": words})
        return content + hashlib.sha256(content).digest()

    return changed


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "truncated": lambda whole: whole[:-100],
    "emptied": lambda whole: b"",
    "nonsense": lambda whole: b"\x08" * 500,
    "a bit": lambda whole: whole[:-40] + bytes([whole[-40] ^ 1]) + whole[-39:],
    "a null": reseal(lambda about, tensors: "null"),
    "a list": reseal(lambda about, tensors: "[]"),
    "deep": reseal(lambda about, tensors: "[" * 10**5),
    "without jobs": reseal(lambda about, tensors: about.pop("jobs")),
    "no jobs": reseal(lambda about, tensors: about.update(jobs=[])),
    "jobs elsewhere": reseal(lambda about, tensors: about.update(jobs=["../../x"])),
    "jobs a number": reseal(lambda about, tensors: about.update(jobs=3)),
    "elapsed null": reseal(lambda about, tensors: about.update(elapsed=None)),
    "elapsed before its start": reseal(lambda about, tensors: about.update(elapsed=-1.0)),
    "without notes": reseal(lambda about, tensors: about.pop("notes")),
    "without steps": reseal(lambda about, tensors: about["notes"].pop("steps")),
    "steps as text": reseal(lambda about, tensors: about["notes"].update(steps="abc")),
    "without weights": reseal(lambda about, tensors: tensors.pop("weights")),
    "weights of another shape": reseal(
        lambda about, tensors: tensors.update(weights=tensors["weights"][:, :5].clone())
    ),
    "without a step taken": reseal(lambda about, tensors: about["notes"].update(steps=[])),
}


@pytest.mark.parametrize("damage", [*DAMAGE, "a folder", "a named pipe", "a device"])
def test_a_damaged_checkpoint_is_removed_and_told_and_its_group_starts_afresh(
    damage: str, tmp_path: Path, undisturbed: tuple[dict[str, bytes], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "CHECKPOINT_EVERY_S", 0.0)
    monkeypatch.setattr(checkpoints, "MOST_TIME_SAVING", float("inf"))
    expected, _ = undisturbed
    targets = group_targets(setting())
    with pytest.raises(Killed):
        execute_here(targets, tmp_path, Killer(5, "train x"))
    (path,) = saved(tmp_path)
    whole = path.read_bytes()
    path.unlink()
    if damage == "a folder":
        path.mkdir()
    elif damage == "a named pipe":
        os.mkfifo(path)
    elif damage == "a device":
        path.symlink_to("/dev/zero")
    else:
        path.write_bytes(DAMAGE[damage](whole))
    told: list[Progress] = []
    run = execute_here(targets, tmp_path, told.append)
    assert run.failed == {}
    (note,) = (progress.note for progress in told if progress.note)
    assert note.startswith(f"the checkpoint {path} ")
    assert note.endswith(": it is removed, and its group starts afresh")
    assert contents(tmp_path) == expected
    assert not list((tmp_path / "progress").iterdir())
