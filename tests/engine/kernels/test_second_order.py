"""Hessian-vector products by compiled loops against ``torch.func``, one by one, and against torch's modules."""

from collections.abc import Iterator
from typing import Any, Literal

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import grad, jvp

pytest.importorskip("numba")

from harness.engine.kernels import choice
from harness.engine.kernels.second_order import SIDE_BY_SIDE, SecondOrder, second_order
from harness.engine.networks.build import NETWORKS, Network, build
from harness.engine.networks.initialise import flatten
from harness.engine.networks.layers import Layers
from harness.engine.networks.tails import Tail, tails
from harness.errors import InvariantBroken
from harness.measure.curvature import products, rows, symmetric
from tests.engine.oracles import TINY_LENET, TINY_RESNET, TINY_RESNET9, TINY_VGG, TINY_WIDE, random_state
from tests.measure.problems import problem, relative

Mode = Literal["batch", "eval"]
CASES: dict[str, tuple[dict[str, Any], tuple[int, int, int], int]] = {
    "relu": (TINY_RESNET, (1, 8, 8), 9),
    "gelu": ({**TINY_RESNET, "activation": "gelu"}, (2, 7, 5), 16),
    "toy": ({"name": "resnet", "widths": [4, 8], "blocks": 1, "activation": "gelu"}, (1, 8, 8), 19),
    "deep": ({"name": "resnet", "widths": [2, 5, 3], "blocks": 2, "activation": "gelu"}, (1, 9, 8), 5),
}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Case:
    """A network at random numbers, as compiled loops have it and as its tails do."""

    def __init__(self, name: str, mode: Mode, dtype: torch.dtype = torch.float64) -> None:
        description, shape, examples = CASES[name]
        self.network = build(description, shape, 4)
        parameters, buffers = random_state(self.network, 1)
        self.weights = flatten(self.network, parameters)[0]
        held = {name: value[0] for name, value in buffers.items()}
        generator = torch.Generator().manual_seed(3)
        x = torch.randn(examples, *shape, generator=generator, dtype=torch.float64)
        self.labels = torch.randint(0, 4, (examples,), generator=generator)
        found = second_order(
            self.network, self.weights.to(dtype), {n: v.to(dtype) for n, v in held.items()}, x.to(dtype), self.labels,
            batch_norm=mode,
        )  # fmt: skip
        assert found is not None
        self.compiled: SecondOrder = found
        self.tails: list[Tail] = tails(self.network, self.weights, held, x, batch_norm=mode)

    def expected(self, layer: int, directions: Tensor) -> Tensor:
        """Products with each direction, float64."""
        tail = self.tails[layer]

        def slope(at: Tensor) -> Tensor:
            derivative: Tensor = grad(lambda here: F.cross_entropy(tail.logits(here), self.labels))(at)
            return derivative

        return torch.stack([jvp(slope, (self.weights[tail.start :],), (one,))[1] for one in directions.double()])


def drawn(count: int, size: int) -> Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(7), dtype=torch.float64)


@pytest.mark.parametrize("mode", ["batch", "eval"])
@pytest.mark.parametrize("name", CASES)
def test_products_of_every_tail_are_those_of_torch(name: str, mode: Mode) -> None:
    case = Case(name, mode)
    assert case.compiled.layers == [(tail.start, tail.stop) for tail in case.tails]
    for layer, tail in enumerate(case.tails):
        size = case.network.size - tail.start
        many = drawn(SIDE_BY_SIDE + 1, size)  # so that the last group is short
        many[1], many[2] = 0, 0
        many[1, 0] = many[2, tail.stop - tail.start - 1] = 1  # within the first layer alone, as rows are
        assert relative(case.compiled.multiply(layer, many), case.expected(layer, many)) < 1e-11


@pytest.mark.parametrize("name", ["relu", "toy"])
def test_single_precision_is_single_and_close(name: str) -> None:
    case = Case(name, "batch", torch.float32)
    many = drawn(3, case.network.size).float()
    found = case.compiled.multiply(0, many)
    assert found.dtype == torch.float32
    assert 1e-9 < relative(found.double(), case.expected(0, many)) < 2e-5


def test_a_direction_does_not_see_those_beside_it() -> None:
    case = Case("toy", "batch", torch.float32)
    many = drawn(SIDE_BY_SIDE, case.network.size).float()
    together = case.compiled.multiply(0, many)
    assert all(
        torch.equal(case.compiled.multiply(0, one[None])[0], row) for one, row in zip(many, together, strict=True)
    )


@pytest.mark.parametrize("mode", ["batch", "eval"])
def test_rows_and_products_are_those_of_torchs_own_modules(mode: Mode) -> None:
    """Several chunks; a mask; the path that stages take."""
    here = problem("resnet")
    objective, hessian = here.objective(mode), here.hessian(mode)
    assert objective.compiled(here.weights) is not None
    found, error = symmetric(rows(objective, here.weights, 0, objective.size), objective.layers)
    assert relative(found, hessian) < 1e-10
    assert error < 1e-12
    many = drawn(5, objective.size)
    assert relative(products(objective, here.weights, many), many @ hessian) < 1e-10
    kept = torch.arange(3, objective.size, 2)
    masked = here.objective(mode, kept)
    again = symmetric(rows(masked, here.weights, 0, masked.size), masked.layers)[0]
    assert relative(again, hessian[kept][:, kept]) < 1e-10


def test_another_state_is_not_taken_for_the_last() -> None:
    here = problem("resnet")
    objective, many = here.objective("batch"), drawn(2, here.network.size)
    weights = here.weights.clone()
    first = products(objective, weights, many)
    assert objective.compiled(weights) is objective.compiled(weights.clone())
    weights *= 1.5  # in place
    fresh = products(here.objective("batch"), weights, many)
    assert torch.equal(products(objective, weights, many), fresh)
    assert not torch.allclose(first, fresh)


def test_it_does_not_matter_whether_the_caller_wants_gradients() -> None:
    with torch.no_grad():
        inside = Case("relu", "batch")
    many = drawn(2, inside.network.size)
    assert torch.equal(inside.compiled.multiply(0, many), Case("relu", "batch").compiled.multiply(0, many))


def test_a_loss_that_overflowed_has_no_derivatives() -> None:
    here = problem("resnet")
    objective, weights = here.objective("batch", dtype=torch.float32), here.weights.float()
    weights[-1] = torch.inf
    with pytest.raises(InvariantBroken, match="not finite"):
        products(objective, weights, drawn(1, objective.size).float())


@pytest.mark.parametrize(
    "description", [TINY_LENET, TINY_VGG, TINY_RESNET9, {**TINY_RESNET9, "normalisation": "layer"}, TINY_WIDE]
)
def test_other_networks_are_left_to_torch(description: dict[str, Any]) -> None:
    network = build(description, (1, 8, 8), 3)
    assert _found(network) is None


def _stem(layers: Layers, x: Tensor) -> Tensor:
    return layers.block(layers.images(x), "stem", 3, 3, norm="stem.bn", activation="gelu")


ODD: dict[str, Any] = {
    "added-outside": lambda layers, x: layers.linear(layers.pool_all(_stem(layers, x) + 1), "output", 3),
    "block-of-something": lambda layers, x: layers.linear(
        layers.pool_all(layers.block(_stem(layers, x) * 2, "a", 3, 3, norm="a.bn")), "output", 3
    ),
    "after-the-mean": lambda layers, x: layers.linear(layers.relu(layers.pool_all(_stem(layers, x))), "output", 3),
    "after-the-scores": lambda layers, x: 2 * layers.linear(layers.pool_all(_stem(layers, x)), "output", 3),
    "another-linear": lambda layers, x: layers.linear(layers.pool_all(_stem(layers, x)), "scores", 3),
}
"""Networks that do something between blocks, or at the end, that there is no rule for."""


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_what_has_no_rule_is_left_to_torch(odd: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def plain(layers: Layers, x: Tensor) -> Tensor:
        return layers.linear(layers.pool_all(_stem(layers, x)), "output", 3)

    for forward, served in ((plain, True), (odd, False)):
        monkeypatch.setitem(NETWORKS, "odd", lambda layers, x, *, classes, forward=forward: forward(layers, x))  # type: ignore[arg-type]
        assert (_found(Network("odd", {}, (1, 8, 8), 3)) is not None) == served


def _found(network: Network) -> SecondOrder | None:
    parameters, buffers = random_state(network, 1)
    held = {name: value[0] for name, value in buffers.items()}
    x = torch.randn(5, 1, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    labels = torch.tensor([0, 1, 2, 0, 1])
    return second_order(network, flatten(network, parameters)[0], held, x, labels, batch_norm="eval")


def test_only_where_a_training_is_compiled_too(monkeypatch: pytest.MonkeyPatch) -> None:
    here = problem("resnet")
    monkeypatch.setattr(choice, "installed", lambda: False)
    assert here.objective("batch").compiled(here.weights) is None
    monkeypatch.setattr(choice, "installed", lambda: True)
    assert here.objective("batch").compiled(here.weights) is not None
    torch.set_num_threads(2)
    assert here.objective("batch").compiled(here.weights) is None
