"""Probes inside a training: they measure what they say, of each replica at its own steps, and change no bit."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from harness.engine import graphs
from harness.engine.feed import FEEDS
from harness.engine.networks.initialise import flatten, unflatten
from harness.engine.probes import Probes
from harness.engine.replicas import Replicas
from harness.engine.train import train
from harness.measure.training import MEASURES
from tests.engine import frozen
from tests.engine.test_graphs import ALL, assert_equal, by_pytorch, course, fresh, replaying, tensors
from tests.engine.test_train import CASES, CPU, Case, masks_of, nothing, replicas_of

__all__ = ["by_pytorch", "replaying"]

STEPS = ([0, 3, 4, 10], [5], [])
"""Of three replicas."""


def probes_of(start: Replicas, steps: Sequence[Sequence[int]] = STEPS) -> Probes:
    """States are kept at every other of the steps; what began above 0 counts as weights of layers."""
    return Probes(steps, MEASURES, start.weights.clone(), start.weights > 0, [each[::2] for each in steps])


def probed(case: Case, replicas: Replicas, probes: Probes | None) -> Replicas:
    return train(case.network, case.recipe, case.images, replicas, on_step=nothing, on_snapshot=nothing, probes=probes)


def start_of(case: Case, pruned: bool = False) -> Replicas:
    return replicas_of(case, [0, 0, 0], [[11], [2, 7], [11]], masks=masks_of(case.network, 3) if pruned else None)


@pytest.mark.parametrize("name", CASES)
def test_a_training_has_the_bits_of_one_without_probes(name: str) -> None:
    case = CASES[name]
    with_probes = probed(case, start_of(case), probes_of(start_of(case)))
    without = probed(case, start_of(case), None)
    assert all(torch.equal(a, b) for a, b in zip(tensors(with_probes), tensors(without), strict=True))


def expected(case: Case, row: int, step: int, pruned: bool) -> dict[str, float]:
    """The measures of a replica, by automatic differentiation at the state that it has after so many steps."""
    first = start_of(case, pruned).take([row])
    here = probed(case, replace(start_of(case, pruned).take([row]), snapshot_steps=[[step]]), None)
    feed = FEEDS[case.sampling](
        here.order_seeds, here.steps, examples=len(case.images.split["train"][1]), batch=case.batch, device=CPU
    )
    x, labels = case.images.augmented(*feed.next())
    leaves = {key: value.clone().requires_grad_() for key, value in unflatten(case.network, here.weights).items()}
    buffers = {key: value.clone() for key, value in here.buffers.items()}
    whole = labels.shape[1]
    loss = torch.zeros((), dtype=x.dtype)
    for start in range(0, whole, case.microbatch or whole):  # parts are normalised by themselves
        part = slice(start, min(start + (case.microbatch or whole), whole))
        scores = case.network.logits(leaves, buffers, x[part], batch_norm="train")[0]
        loss = loss + F.cross_entropy(scores, labels[0, part], reduction="sum") / whole
    slopes = dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True))
    gradient = flatten(case.network, slopes)[0]
    if here.mask is not None:
        gradient = gradient * here.mask[0]
    then = probed(case, replace(start_of(case, pruned).take([row]), snapshot_steps=[[step + 1]]), None)
    before, begun = here.weights[0], first.weights[0]
    kernels = begun > 0
    return {
        "cosine_with_start": F.cosine_similarity(before, begun, dim=0).item(),
        "mean_magnitude": before[kernels].abs().mean().item(),
        "signs_changed": 100 * (before[kernels] <= 0).double().mean().item(),
        "step_length": (then.weights - here.weights).norm().item(),
        "loss": loss.item(),
        "gradient_norm": gradient.square().sum().sqrt().item(),
        "weight_norm": here.weights.square().sum().sqrt().item(),
        "distance_from_start": (here.weights - first.weights).square().sum().sqrt().item(),
    }


@pytest.mark.parametrize("pruned", [False, True], ids=["dense", "pruned"])
@pytest.mark.parametrize("name", CASES)
def test_measures_are_of_the_state_before_the_step_and_of_the_batch_about_to_be_seen(name: str, pruned: bool) -> None:
    """Also where the gradient is clipped, and where weight decay is added to it: it is measured before both."""
    case = CASES[name]
    probes = probes_of(start_of(case, pruned))
    probed(case, start_of(case, pruned), probes)
    for place, step in ((0, 0), (0, 4), (0, 10), (1, 5)):
        found = probes.of(place, [step], list(MEASURES))
        for measure, value in expected(case, place, step, pruned).items():
            assert found[measure] == [pytest.approx(value, rel=1e-9, abs=1e-12)], (place, step, measure)
    assert probes.of(0, [0], ["distance_from_start"]) == {"distance_from_start": [0.0]}


def test_measures_do_not_depend_on_what_runs_beside() -> None:
    """LeNet's bits are the same in groups of any size."""
    case = CASES["lenet"]
    together = probes_of(start_of(case))
    start = start_of(case).weights
    alone = Probes([STEPS[0]], MEASURES, start[:1].clone(), start[:1] > 0)
    probed(case, start_of(case), together)
    probed(case, start_of(case).take([0]), alone)
    assert together.of(0, STEPS[0], list(MEASURES)) == alone.of(0, STEPS[0], list(MEASURES))


def test_what_was_measured_is_given_once_and_taken_up_again() -> None:
    case, start = CASES["lenet"], start_of(CASES["lenet"])
    probes = probes_of(start)
    kept: dict[str, Tensor] = {}
    for stop in (4, 11):
        part = replace(start, snapshot_steps=[[stop]] * 3)
        start = probed(case, part, probes)
        new = probes.new()
        assert kept.keys().isdisjoint(new)
        kept |= new
    assert probes.new() == {}
    assert [len(rows) for name, rows in kept.items() if "/" not in name] == [2, 3]
    again = probes_of(start)
    again.recall(kept)
    assert again.new() == {}
    for place, step in ((0, 0), (0, 4), (1, 5)):
        assert torch.equal(again.visited(place, step).weights, probes.visited(place, step).weights)
    for place, steps in enumerate(STEPS):
        assert again.of(place, steps, ["loss"]) == probes.of(place, steps, ["loss"])


@pytest.mark.parametrize("name", ALL)
def test_between_replays_of_a_recorded_step_it_is_the_same(
    name: str, replaying: list[graphs.Graphed], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every step of every replica: the bits of the training, and the numbers of one that is not recorded."""
    case = ALL[name]
    steps = [
        range(start, max(snapshot_steps))
        for start, snapshot_steps in zip(fresh(case).steps, fresh(case).snapshot_steps, strict=True)
    ]
    replayed, eager = (probes_of(fresh(case), steps) for _ in range(2))
    with_probes = course(case, probes=replayed)
    assert any(one._replays for one in replaying), "nothing was recorded"
    assert_equal(with_probes, course(case))
    monkeypatch.setattr(graphs, "prepared", lambda work, device: work)
    course(case, probes=eager)
    for place, own in enumerate(steps):
        assert replayed.of(place, own, list(MEASURES)) == eager.of(place, own, list(MEASURES))


def test_a_probed_step_does_only_what_a_graph_can_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    case, calls = ALL["lenet"], []

    def prepared(work: graphs.Work, device: torch.device) -> graphs.Work:
        def watched(size: int) -> None:
            with frozen.graph_safe() as operations:
                work(size)
            calls.append(len(operations))

        return watched

    monkeypatch.setattr(graphs, "prepared", prepared)
    course(case, probes=probes_of(fresh(case), [[start] for start in fresh(case).steps]))
    probed_calls = len(calls)
    course(case)
    assert max(calls[:probed_calls]) == max(calls[probed_calls:]) + 1, "one copy more"


def test_a_state_is_kept_as_it_is_before_the_step() -> None:
    case = CASES["resnet"]
    probes = probes_of(start_of(case))
    probed(case, start_of(case), probes)
    for place, step in ((0, 4), (1, 5)):
        state = probed(case, replace(start_of(case).take([place]), snapshot_steps=[[step]]), None)
        visited = probes.visited(place, step)
        assert torch.allclose(visited.weights, state.weights[0], rtol=1e-12)
        assert visited.buffers.keys() == state.buffers.keys() != set()
        for name, value in visited.buffers.items():
            assert torch.allclose(value, state.buffers[name][0], rtol=1e-12)
    with pytest.raises(KeyError):
        probes.visited(0, 3)
