"""The training loop: fused against single replicas and against a loop written in plain torch, in float64."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from harness import seeds
from harness.engine import optimise
from harness.engine.data.dataset import Dataset
from harness.engine.feed import Images
from harness.engine.networks.build import Network, build
from harness.engine.networks.initialise import flatten, unflatten
from harness.engine.replicas import FINITE, Replicas
from harness.engine.step import Hyperparameters
from harness.engine.train import train
from harness.errors import InvariantBroken, RequestError
from tests.engine.oracles import (
    ADAM,
    CONSTANT,
    NO_AUGMENTATION,
    SCALE,
    SGD,
    TINY_LENET,
    TINY_RESNET,
    TINY_RESNET9,
    dataset,
    naive_training,
    plain_tensor,
    random_state,
)

CPU = torch.device("cpu")
AUGMENTED = {"flip": True, "crop_padding": 1}
SCHEDULE = {"rate": 0.1, "drops": [9, 14], "factor": 0.5, "warmup": 4}


@dataclass(frozen=True)
class Case:
    """What is trained and how."""

    network: Network
    optimiser: Mapping[str, Any]
    schedule: Mapping[str, Any]
    augment: Mapping[str, Any]
    examples: int = 20
    batch: int = 5
    sampling: str = "epochs"
    microbatch: int | None = None

    @property
    def data(self) -> Dataset:
        return dataset(self.examples, shape=self.network.shape)

    @property
    def ragged(self) -> bool:
        return self.sampling == "epochs" and self.examples % self.batch != 0

    @property
    def images(self) -> Images:
        settings = {"normalise": SCALE, "augment": self.augment}
        return Images(self.data, settings, device=CPU, dtype=torch.float64)

    @property
    def recipe(self) -> Hyperparameters:
        reach = self.optimiser["decay_reach"]
        return Hyperparameters(self.batch, self.sampling, self.optimiser, self.schedule, reach, "fp64", self.microbatch)


class Apart(Network):
    """Each replica by itself, as large networks are."""

    def branches(self, replicas: int) -> list[slice]:
        return [slice(replica, replica + 1) for replica in range(replicas)]


RESNET = Case(build(TINY_RESNET, (1, 6, 6), 3), SGD, SCHEDULE, AUGMENTED)
LENET = Case(build(TINY_LENET, (1, 6, 6), 3), {**ADAM, "weight_decay": 0.01}, CONSTANT, NO_AUGMENTATION)
THIN = Case(
    build(TINY_RESNET9, (1, 8, 8), 3),
    {**SGD, "momentum": 0.97, "clip": {"kind": "value", "at": 0.1}},
    SCHEDULE,
    AUGMENTED,
)
CASES = {
    "resnet": RESNET,
    "resnet-ragged": replace(RESNET, examples=23),
    "resnet-apart": replace(
        RESNET, examples=23, network=Apart("resnet", {"widths": [3, 4], "blocks": 1}, (1, 6, 6), 3)
    ),
    "resnet-in-parts": replace(RESNET, examples=23, microbatch=2),  # the last part of a batch has one example
    "resnet-in-parts-apart": replace(
        RESNET, examples=22, microbatch=3, network=Apart("resnet", {"widths": [3, 4], "blocks": 1}, (1, 6, 6), 3)
    ),
    "resnet-falling": replace(
        RESNET, schedule={"rate": 0.1, "drops": [], "factor": 0.1, "warmup": 0, "end": 0.01, "length": 11}
    ),
    "resnet-decayed-weights": replace(RESNET, optimiser={**SGD, "weight_decay": 0.1, "decay_reach": "weights"}),
    "lenet": LENET,
    "lenet-ragged": replace(LENET, examples=23),
    "resnet9-clipped-independent": replace(THIN, examples=23, sampling="independent"),
    "resnet9-layer-clipped-by-norm": replace(
        THIN,
        network=build({**TINY_RESNET9, "normalisation": "layer"}, (1, 8, 8), 3),
        optimiser={**SGD, "clip": {"kind": "norm", "at": 0.5}},
    ),
}


def masks_of(network: Network, replicas: int, density: float = 0.4) -> dict[str, Tensor]:
    """A different mask for each replica, over weights only."""
    return {
        name: torch.stack(
            [
                (seeds.uniform(seeds.stream("test", replica, name), torch.Size(declared.shape).numel()) < density)
                .double()
                .reshape(declared.shape)
                for replica in range(replicas)
            ]
        )
        for name, declared in network.parameters.items()
        if declared.is_weight
    }


def replicas_of(
    case: Case,
    starts: Sequence[int],
    snapshot_steps: Sequence[Sequence[int]],
    *,
    orders: Sequence[int | str] = ("a", "b", "c", "d"),
    schedule_starts: Sequence[int] | None = None,
    masks: Mapping[str, Tensor] | None = None,
) -> Replicas:
    count = len(starts)
    parameters, buffers = random_state(case.network, count)
    weights = flatten(case.network, parameters)
    mask = None
    if masks is not None:
        mask = flatten(
            case.network, {name: masks.get(name, torch.ones_like(value)) for name, value in parameters.items()}
        )
        weights = weights * mask
    return Replicas(
        weights=weights,
        buffers=buffers,
        optimiser=optimise.fresh_state(case.optimiser, weights),
        mask=mask,
        steps=list(starts),
        snapshot_steps=[list(each) for each in snapshot_steps],
        order_seeds=list(orders[:count]),
        augmentation_seeds=[None] * count,
        schedule_starts=list(schedule_starts or [0] * count),
        diverged_at=torch.full((count,), FINITE),
    )


def nothing(*_: Any) -> None:
    """Listens to nothing."""


def run(case: Case, replicas: Replicas, on_snapshot: Callable[..., None] = nothing) -> Replicas:
    return train(case.network, case.recipe, case.images, replicas, on_step=nothing, on_snapshot=on_snapshot)


def assert_same(one: Replicas, row: int, other: Replicas, other_row: int, tolerance: float = 1e-12) -> None:
    close = {"rtol": tolerance, "atol": tolerance}
    torch.testing.assert_close(one.weights[row], other.weights[other_row], **close)
    for name in one.buffers:
        torch.testing.assert_close(one.buffers[name][row], other.buffers[name][other_row], **close)
    for name in one.optimiser:
        torch.testing.assert_close(one.optimiser[name][row], other.optimiser[name][other_row], **close)
    assert one.steps[row] == other.steps[other_row]


@pytest.mark.parametrize("pruned", [False, True], ids=["dense", "pruned"])
@pytest.mark.parametrize("name", CASES)
def test_fused_training_is_that_of_a_plain_loop(name: str, pruned: bool) -> None:
    """Four replicas of different orders, masks, schedule starts and lengths; and, where allowed, starts and phases."""
    case = CASES[name]
    starts = [5, 5, 10, 5] if case.ragged else [0, 3, 7, 2]
    stops = [start + length for start, length in zip(starts, (12, 12, 9, 4), strict=True)]
    schedule_starts = [0, starts[1], 0, 2]
    masks = masks_of(case.network, 4) if pruned else None
    ends = run(
        case,
        replicas_of(case, starts, [[stop] for stop in stops], masks=masks, schedule_starts=schedule_starts),
    )
    parameters, buffers = random_state(case.network, 4)
    for replica in range(4):
        module = naive_training(
            case.network,
            case.data,
            parameters,
            buffers,
            replica,
            start=starts[replica],
            stop=stops[replica],
            order="abcd"[replica],
            batch=case.batch,
            optimiser=case.optimiser,
            schedule=case.schedule,
            mask=masks,
            schedule_start=schedule_starts[replica],
            augment=case.augment,
            sampling=case.sampling,
            microbatch=case.microbatch,
        )
        for tensor_name, value in (*unflatten(case.network, ends.weights).items(), *ends.buffers.items()):
            expected = plain_tensor(module, tensor_name).detach()
            torch.testing.assert_close(value[replica], expected, rtol=1e-9, atol=1e-11)
    assert list(ends.steps) == stops
    assert not torch.equal(ends.weights[0], ends.weights[1])


@pytest.mark.parametrize("name", CASES)
def test_fused_replicas_are_the_same_alone(name: str) -> None:
    """Order, rate, mask and stops are a replica's own: only some are pruned, and they end at different times."""
    case = CASES[name]
    starts = [3, 8, 3, 13] if case.ragged else [0, 6, 3, 1]
    snapshot_steps = [[starts[0] + 7, starts[0] + 11], [starts[1] + 7], [starts[2]], [starts[3], starts[3] + 5]]
    masks = masks_of(case.network, 4)
    for value in masks.values():
        value[1] = 1
    fused = run(case, replicas_of(case, starts, snapshot_steps, masks=masks))
    for replica in range(4):
        whole = replicas_of(case, starts, snapshot_steps, masks=masks)
        assert_same(fused, replica, run(case, whole.take([replica])), 0)
    unmasked = replicas_of(case, starts, snapshot_steps).take([1])
    assert_same(fused, 1, run(case, unmasked), 0)


def test_a_replica_at_its_end_rests() -> None:
    case = CASES["resnet-ragged"]
    ends = run(case, replicas_of(case, [0, 0], [[0], [7]]))
    start = replicas_of(case, [0, 0], [[0], [7]])
    assert torch.equal(ends.weights[0], start.weights[0])
    assert all(torch.equal(ends.buffers[name][0], start.buffers[name][0]) for name in ends.buffers)
    assert ends.steps == [0, 7]


@pytest.mark.parametrize("name", CASES)
def test_marks_see_each_replica_at_its_steps(name: str) -> None:
    case = CASES[name]
    snapshot_steps = [[0, 4, 9], [2, 9], [7]]
    seen: dict[tuple[int, int], Tensor] = {}

    def on_snapshot(replica: int, now: Replicas) -> None:
        assert (replica, now.steps[replica]) not in seen
        seen[replica, now.steps[replica]] = now.weights[replica].clone()

    run(case, replicas_of(case, [0, 0, 0], snapshot_steps), on_snapshot)
    assert sorted(seen) == [(0, 0), (0, 4), (0, 9), (1, 2), (1, 9), (2, 7)]
    for (replica, step), weights in seen.items():
        alone = run(case, replicas_of(case, [0, 0, 0], [[step]] * 3).take([replica]))
        torch.testing.assert_close(weights, alone.weights[0], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_stopping_and_going_on_is_as_if_never_stopped(name: str) -> None:
    """Order, augmentation, rate, momentum and statistics are taken up in mid-epoch, bit by bit."""
    case = CASES[name]
    whole = run(case, replicas_of(case, [0, 0], [[11], [11]]))
    half = run(case, replicas_of(case, [0, 0], [[6], [6]]))
    rest = run(case, replace(half, snapshot_steps=[[11], [11]]))
    assert torch.equal(whole.weights, rest.weights)
    assert all(torch.equal(whole.buffers[name], rest.buffers[name]) for name in whole.buffers)
    assert all(torch.equal(whole.optimiser[name], rest.optimiser[name]) for name in whole.optimiser)


def test_steps_are_reported_with_the_states_of_all() -> None:
    case = CASES["resnet"]
    moves: list[tuple[int, list[int]]] = []
    halfway: list[Replicas] = []

    def on_step(moved: int, everyone: Callable[[], Replicas]) -> None:
        now = everyone()
        moves.append((moved, list(now.steps)))
        if len(moves) == 4:
            halfway.append(now.take([0, 1]))

    replicas = replicas_of(case, [0, 2], [[5], [5]])
    train(case.network, case.recipe, case.images, replicas, on_step=on_step, on_snapshot=nothing)
    assert moves == [(2, [1, 3]), (2, [2, 4]), (2, [3, 5]), (1, [4, 5]), (1, [5, 5])]
    assert_same(halfway[0], 0, run(case, replicas_of(case, [0, 2], [[4], [5]]).take([0])), 0)
    assert_same(halfway[0], 1, run(case, replicas_of(case, [0, 2], [[4], [5]]).take([1])), 0)


def test_what_is_reported_is_enough_to_go_on() -> None:
    """A loop killed between two reports and started from the last gives the same bits."""
    case = CASES["resnet"]
    snapshot_steps = [[3, 9], [7]]
    kept: list[Replicas] = []

    def on_step(moved: int, everyone: Callable[[], Replicas]) -> None:
        kept.append(everyone().take([0, 1]))

    whole = train(
        case.network,
        case.recipe,
        case.images,
        replicas_of(case, [0, 2], snapshot_steps),
        on_step=on_step,
        on_snapshot=nothing,
    )
    for saved in kept:
        again = run(case, saved)
        assert torch.equal(again.weights, whole.weights)
        assert all(torch.equal(again.buffers[name], whole.buffers[name]) for name in whole.buffers)


@pytest.mark.parametrize("name", ["resnet", "lenet"])
def test_pruned_weights_stay_exactly_zero(name: str) -> None:
    case = CASES[name]
    masks = masks_of(case.network, 2)
    ends = run(case, replicas_of(case, [0, 0], [[12], [12]], masks=masks))
    for tensor_name, value in unflatten(case.network, ends.weights).items():
        if tensor_name in masks:
            assert ((value != 0) == (masks[tensor_name] == 1)).all()
        else:
            assert (value != 0).any()


def test_a_mask_that_leaks_at_the_start_is_an_error() -> None:
    case = CASES["resnet"]
    replicas = replicas_of(case, [0, 4], [[5], [9]], masks=masks_of(case.network, 2))
    place = int((replicas.mask[1] == 0).nonzero()[0])
    replicas.weights[1, place] = 1e-300
    with pytest.raises(InvariantBroken, match=r"mask leaks: 1 pruned weights of replica 1 .* zero at step 4"):
        run(case, replicas)


def test_a_mask_that_leaks_on_the_way_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    case = CASES["lenet"]
    real = optimise.build

    def leaky(*arguments: Any) -> optimise.Update:
        update = real(*arguments)

        def step(weights: Tensor, gradient: Tensor, state: optimise.State, rate: Tensor) -> None:
            update(weights, gradient + 1e-9, state, rate)

        return step

    monkeypatch.setattr(optimise, "build", leaky)
    with pytest.raises(InvariantBroken, match=r"mask leaks: \d+ pruned weights of replica 0 .* at step 3"):
        run(case, replicas_of(case, [0], [[3]], masks=masks_of(case.network, 1)))


@pytest.mark.parametrize("name", ["resnet", "lenet"])
def test_a_replica_that_diverges_is_flagged_with_its_step_and_leaves_the_others_alone(name: str) -> None:
    case = CASES[name]
    clean = run(case, replicas_of(case, [0, 2, 1], [[12], [14], [13]]))
    replicas = replicas_of(case, [0, 2, 1], [[12], [14], [13]])

    def on_step(moved: int, everyone: Callable[[], Replicas]) -> None:
        if everyone().steps[1] == 6:
            everyone().weights[1] = float("inf")

    ends = train(case.network, case.recipe, case.images, replicas, on_step=on_step, on_snapshot=nothing)
    assert ends.diverged_at.tolist() == [FINITE, 6, FINITE]
    assert_same(ends, 0, clean, 0)
    assert_same(ends, 2, clean, 2)
    assert clean.diverged_at.tolist() == [FINITE] * 3


def test_a_rate_beyond_reason_diverges() -> None:
    case = replace(CASES["lenet"], optimiser=SGD, schedule={**CONSTANT, "rate": 1e200})
    ends = run(case, replicas_of(case, [0], [[9]]))
    assert 0 < int(ends.diverged_at) < 5


def test_training_leaves_global_random_state_alone() -> None:
    before = torch.get_rng_state()
    case = CASES["resnet"]
    run(case, replicas_of(case, [0], [[5]]))
    assert torch.equal(before, torch.get_rng_state())


def test_single_precision_follows_double() -> None:
    """fp32 takes the same path, to its own accuracy."""
    case = CASES["resnet"]
    double = run(case, replicas_of(case, [0, 3], [[8], [11]]))
    start = replicas_of(case, [0, 3], [[8], [11]])
    single = replace(
        start,
        weights=start.weights.float(),
        buffers={name: value.float() for name, value in start.buffers.items()},
        optimiser={name: value.float() for name, value in start.optimiser.items()},
    )
    images = Images(dataset(20), {"normalise": SCALE, "augment": AUGMENTED}, device=CPU)
    recipe = replace(case.recipe, precision="fp32")
    ends = train(case.network, recipe, images, single, on_step=nothing, on_snapshot=nothing)
    assert ends.weights.dtype == torch.float32
    torch.testing.assert_close(ends.weights.double(), double.weights, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("chosen", [[0], [3], [3, 1]])
def test_a_replica_by_itself_has_the_same_bits_whatever_runs_beside_it(chosen: list[int]) -> None:
    """Wherever its row lies; in single precision, where grouped convolutions give other last digits."""
    case = CASES["resnet-apart"]
    recipe = replace(case.recipe, precision="fp32")
    images = Images(case.data, {"normalise": SCALE, "augment": AUGMENTED}, device=CPU)

    def ends(places: list[int]) -> Tensor:
        start = replicas_of(case, [0] * 4, [[12]] * 4).take(places)
        single = replace(
            start,
            weights=start.weights.float(),
            buffers={name: value.float() for name, value in start.buffers.items()},
            optimiser={name: value.float() for name, value in start.optimiser.items()},
        )
        return train(case.network, recipe, images, single, on_step=nothing, on_snapshot=nothing).weights

    assert torch.equal(ends([0, 1, 2, 3])[chosen], ends(chosen))


def test_a_number_format_that_the_device_lacks_is_an_error() -> None:
    case = CASES["lenet"]
    recipe = replace(case.recipe, precision="tf32")
    with pytest.raises(RequestError, match="number format tf32 is not one of cpu: use fp32"):
        train(case.network, recipe, case.images, replicas_of(case, [0], [[1]]), on_step=nothing, on_snapshot=nothing)
    assert torch.backends.cuda.matmul.fp32_precision != "tf32"
