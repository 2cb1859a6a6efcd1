"""Error and loss of many replicas against one example and one replica at a time."""

import importlib
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from harness.engine.feed import Images
from harness.engine.networks.build import Network, build
from harness.engine.networks.layers import Layers
from harness.measure import evaluate as module
from harness.measure.evaluate import States, evaluate, recompute_statistics
from harness.measure.recount import recount
from harness.seeds import permutation, stream
from tests.engine.oracles import PLAIN, TINY_LENET, TINY_RESNET, dataset, fill, plain, plain_tensor, random_state

LENET = build(TINY_LENET, (1, 6, 6), 3)
RESNET = build(TINY_RESNET, (1, 6, 6), 3)
IMAGES = Images(dataset(40, 33), PLAIN, device=torch.device("cpu"), dtype=torch.float64)


@pytest.fixture(params=["PyTorch", "compiled"], autouse=True)
def layers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> type[Layers]:
    """What computes networks with convolutions."""
    if request.param == "PyTorch":
        return by(Layers, monkeypatch)
    pytest.importorskip("numba")
    return by(importlib.import_module("harness.engine.kernels.layers").CompiledLayers, monkeypatch)


def by(layers: type[Layers], patch: pytest.MonkeyPatch) -> type[Layers]:
    patch.setattr(module, "layers_for", lambda network, *place: Layers if network is LENET else layers)
    return layers


def states_of(network: Network, replicas: int) -> States:
    return States(*random_state(network, replicas))


@pytest.mark.parametrize("network", [LENET, RESNET], ids=["lenet", "resnet"])
@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("small_batches", [False, True])
def test_scores_are_those_of_single_examples(
    network: Network, split: str, small_batches: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if small_batches:  # 16 at a time, the last one short
        monkeypatch.setattr(module, "_ELEMENTS_OF_A_BATCH", 1)
        monkeypatch.setattr(module, "_ELEMENTS_OF_A_COMPILED_BATCH", 1)
    states = states_of(network, 3)
    scores = evaluate(network, states, IMAGES, split, precision="fp64")
    x, y = IMAGES.split[split]
    for replica in range(3):
        one = fill(plain(network), states.parameters, states.buffers, replica).eval()
        wrong, losses = 0, []
        for pixels, label in zip(x, y.tolist(), strict=True):
            logits = one(pixels[None].double() / 255)[0].tolist()
            shift = max(logits)
            losses.append(shift + math.log(sum(math.exp(z - shift) for z in logits)) - logits[label])
            wrong += max(range(3), key=lambda k: logits[k]) != label
        assert scores.errors[replica] == pytest.approx(100 * wrong / len(y), abs=1e-12)
        assert scores.losses[replica].tolist() == pytest.approx(losses, rel=1e-10, abs=1e-12)
        assert scores.mean_losses[replica] == pytest.approx(sum(losses) / len(y), rel=1e-12)
    assert torch.equal(scores.labels, y)


def test_errors_are_percent_of_the_whole_split() -> None:
    scores = module.Scores(torch.tensor([[0, 1, 2, 2], [0, 0, 0, 0]]), torch.zeros(2, 4), torch.tensor([0, 1, 2, 1]))
    assert scores.errors == [25.0, 75.0]


def test_evaluation_changes_no_state_and_keeps_no_graph() -> None:
    states = states_of(RESNET, 2)
    before = {name: value.clone() for name, value in (*states.parameters.items(), *states.buffers.items())}
    for value in states.parameters.values():
        value.requires_grad_()
    scores = evaluate(RESNET, states, IMAGES, "test", precision="fp64")
    assert not scores.losses.requires_grad
    for name, value in (*states.parameters.items(), *states.buffers.items()):
        assert torch.equal(value, before[name])


@pytest.mark.parametrize("batch", [8, 16, 40])
def test_statistics_are_recomputed_as_torchs_update_bn_does(batch: int) -> None:
    states = states_of(RESNET, 3)
    fresh = recompute_statistics(RESNET, states, IMAGES, batch=batch, precision="fp64")
    x = in_random_order(IMAGES.split["train"][0].double() / 255)
    for replica in range(3):
        one = fill(plain(RESNET), states.parameters, states.buffers, replica)
        torch.optim.swa_utils.update_bn([x[i : i + batch] for i in range(0, len(x), batch)], one)
        for name, value in fresh.buffers.items():
            torch.testing.assert_close(value[replica], plain_tensor(one, name), rtol=1e-12, atol=1e-13)
    assert all(fresh.parameters[name] is value for name, value in states.parameters.items())


def in_random_order(x: torch.Tensor) -> torch.Tensor:
    return x[permutation(stream("statistics"), len(x))]


def test_a_short_last_batch_counts_as_much_as_a_full_one() -> None:
    """As in update_bn: the mean is over batches, each with its own statistics."""
    states = states_of(RESNET, 1)
    fresh = recompute_statistics(RESNET, states, IMAGES, batch=16, precision="fp64")
    one = fill(plain(RESNET), states.parameters, states.buffers, 0)
    x = in_random_order(IMAGES.split["train"][0].double() / 255)
    y = torch.nn.functional.conv2d(x, one.get_parameter("stem.weight"), padding=1)
    parts = [y[0:16], y[16:32], y[32:40]]
    mean = torch.stack([part.mean((0, 2, 3)) for part in parts]).mean(0)
    variance = torch.stack([part.var((0, 2, 3)) for part in parts]).mean(0)
    torch.testing.assert_close(fresh.buffers["stem.bn.mean"][0], mean.detach())
    torch.testing.assert_close(fresh.buffers["stem.bn.variance"][0], variance.detach())


def test_recomputing_forgets_the_old_statistics_and_leaves_them_alone() -> None:
    states = states_of(RESNET, 2)
    other = States(states.parameters, {name: value + 5 for name, value in states.buffers.items()})
    kept = {name: value.clone() for name, value in other.buffers.items()}
    found = [recompute_statistics(RESNET, one, IMAGES, batch=8, precision="fp64") for one in (states, other)]
    for name in states.buffers:
        assert torch.equal(found[0].buffers[name], found[1].buffers[name])
        assert torch.equal(other.buffers[name], kept[name])


@pytest.mark.parametrize("function", [evaluate, recompute_statistics])
def test_replicas_are_the_same_alone(function: Callable[..., Any]) -> None:
    more = {"split": "test"} if function is evaluate else {"batch": 8}
    states = states_of(RESNET, 3)
    together = function(RESNET, states, IMAGES, **more, precision="fp64")
    for replica in range(3):
        row = slice(replica, replica + 1)
        one = States(
            {name: value[row] for name, value in states.parameters.items()},
            {name: value[row] for name, value in states.buffers.items()},
        )
        alone = function(RESNET, one, IMAGES, **more, precision="fp64")
        if function is evaluate:
            torch.testing.assert_close(together.losses[replica], alone.losses[0], rtol=1e-12, atol=1e-13)
            assert together.errors[replica] == alone.errors[0]
        else:
            for name in states.buffers:
                torch.testing.assert_close(together.buffers[name][replica], alone.buffers[name][0])


@pytest.mark.parametrize("layers", ["compiled"], indirect=True)
@pytest.mark.usefixtures("layers")
def test_compiled_loops_have_the_same_bits_for_any_number_of_replicas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ELEMENTS_OF_A_COMPILED_BATCH", 1)  # more than one batch
    images = Images(dataset(40, 33), PLAIN, device=torch.device("cpu"), dtype=torch.float32)
    states = states_of(RESNET, 7)
    found = {}
    for rows in ([0, 1, 2, 3, 4, 5, 6], [3], [6, 3]):
        some = States(*({k: v[rows].float() for k, v in one.items()} for one in (states.parameters, states.buffers)))
        fresh = recompute_statistics(RESNET, some, images, batch=9, precision="fp32")
        scores = [evaluate(RESNET, one, images, "train", precision="fp32") for one in (some, fresh)]
        at = rows.index(3)
        found[len(rows)] = [score.losses[at] for score in scores] + [value[at] for value in fresh.buffers.values()]
    for fewer in (1, 2):
        assert all(torch.equal(mine, its) for mine, its in zip(found[fewer], found[7], strict=True))


@pytest.mark.parametrize("layers", ["compiled"], indirect=True)
def test_compiled_loops_find_the_errors_that_pytorchs_operations_find(
    layers: type[Layers], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In single precision but for images of which two classes are as likely; losses to a share of 1e-5."""
    images = Images(dataset(40, 33), PLAIN, device=torch.device("cpu"), dtype=torch.float32)
    doubles = states_of(RESNET, 4)
    states = States(*({k: v.float() for k, v in one.items()} for one in (doubles.parameters, doubles.buffers)))
    found = []
    for kind in (layers, Layers):
        by(kind, monkeypatch)
        fresh = recompute_statistics(RESNET, states, images, batch=16, precision="fp32")
        found.append([evaluate(RESNET, one, images, "test", precision="fp32") for one in (states, fresh)])
    for mine, theirs in zip(*found, strict=True):
        torch.testing.assert_close(mine.losses, theirs.losses, rtol=1e-5, atol=1e-5)
    for replica, error in enumerate(found[0][0].errors):
        row = slice(replica, replica + 1)
        one = States(*({k: v[row] for k, v in some.items()} for some in (states.parameters, states.buffers)))
        assert recount(RESNET, one, images, "test", precision="fp32").agrees(error)


@pytest.mark.parametrize("layers", ["compiled"], indirect=True)
def test_a_recount_never_uses_what_it_is_to_check(layers: type[Layers], monkeypatch: pytest.MonkeyPatch) -> None:
    expected = recount(RESNET, states_of(RESNET, 1), IMAGES, "test", precision="fp64")

    def wrong(self: Layers, x: torch.Tensor, *rest: Any, **more: Any) -> torch.Tensor:
        raise AssertionError("compiled loops were used")

    monkeypatch.setattr(layers, "block", wrong)
    monkeypatch.setattr(layers, "images", wrong)
    states = states_of(RESNET, 1)
    assert recount(RESNET, states, IMAGES, "test", precision="fp64") == expected
    recompute_statistics(RESNET, states, IMAGES, batch=16, precision="fp64", layers=Layers)
    with pytest.raises(AssertionError, match="compiled loops were used"):
        recompute_statistics(RESNET, states, IMAGES, batch=16, precision="fp64")
    with pytest.raises(AssertionError, match="compiled loops were used"):
        evaluate(RESNET, states, IMAGES, "test", precision="fp64")
