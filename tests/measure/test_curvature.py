"""Derivatives of the loss against torch's own double differentiation of torch's own modules, and against curvlinops."""

from functools import lru_cache
from typing import Any, get_args

import curvlinops
import pytest
import torch
from torch import Tensor, nn

from harness.errors import BrokenError, RequestError
from harness.measure import curvature as module
from harness.measure.affordable import require_affordable
from harness.measure.curvature import Matrix, Objective, gradient, products, rows, symmetric
from tests.measure.problems import NETWORKS, Mode, Problem, problem, relative

CASES = [
    (name, mode) for name in NETWORKS for mode in get_args(Mode) if mode == "batch" or name in ("resnet", "resnet9")
]
IDS = ["-".join(case) for case in CASES]


@lru_cache
def known(name: str, mode: Mode) -> tuple[Problem, Tensor]:
    """A problem and its Hessian by the oracle."""
    here = problem(name)
    return here, here.hessian(mode)


def exact(objective: Objective, weights: Tensor, matrix: Matrix = "hessian", block: int = 50) -> tuple[Tensor, float]:
    """The whole matrix, some rows at a time."""
    places = range(0, objective.size, block)
    parts = [rows(objective, weights, at, min(at + block, objective.size), matrix=matrix) for at in places]
    return symmetric(torch.cat(parts), objective.layers)


def directions(count: int, size: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(7), dtype=torch.float64).to(dtype)


@pytest.mark.parametrize(("name", "mode"), CASES, ids=IDS)
def test_exact_hessian_is_that_of_double_differentiation(name: str, mode: Mode) -> None:
    here, expected = known(name, mode)
    found, error = exact(here.objective(mode), here.weights)
    assert relative(found, expected) < 1e-10
    assert torch.equal(found, found.t())
    assert 0 <= error < 1e-12


@pytest.mark.parametrize(("name", "mode"), CASES, ids=IDS)
def test_products_are_those_with_the_hessian(name: str, mode: Mode, monkeypatch: pytest.MonkeyPatch) -> None:
    here, hessian = known(name, mode)
    monkeypatch.setattr(module, "TANGENTS", 3)  # so that the last group is short
    many = directions(7, here.network.size)
    assert relative(products(here.objective(mode), here.weights, many), many @ hessian) < 1e-10


@pytest.mark.parametrize("name", NETWORKS)
def test_gradient_and_loss_are_those_of_backward(name: str) -> None:
    here = problem(name)
    reference = here.module("batch")
    each = [nn.functional.cross_entropy(reference(x), y, reduction="sum") for x, y in here.chunks]
    total = torch.stack(each).sum() / 15
    slopes = torch.autograd.grad(total, list(reference.parameters()))
    expected = torch.cat([slope.flatten() for slope in slopes])
    loss, slope = gradient(here.objective("batch"), here.weights)
    assert loss == pytest.approx(total.item(), rel=1e-13)
    assert relative(slope[here.places], expected) < 1e-11


def gauss_newton_by_definition(here: Problem, mode: Mode) -> Tensor:
    """The mean over examples of JᵀBJ, with J and B written out example by example."""
    reference = here.module(mode)
    found = torch.zeros(here.network.size, here.network.size, dtype=torch.float64)
    for x, _ in here.chunks:
        scores = reference(x)
        for example in scores:
            grads = [torch.autograd.grad(score, list(reference.parameters()), retain_graph=True) for score in example]
            jacobian = torch.stack([torch.cat([part.flatten() for part in grad]) for grad in grads])
            p = example.detach().softmax(0)
            found += jacobian.t() @ (torch.diag(p) - torch.outer(p, p)) @ jacobian / here.objective(mode).examples
    back = here.places.argsort()
    return found[back][:, back]


@pytest.mark.parametrize(("name", "mode"), [("lenet", "eval"), ("resnet", "batch"), ("resnet9", "eval")])
def test_gauss_newton_part_is_as_defined(name: str, mode: Mode) -> None:
    here = problem(name)
    expected = gauss_newton_by_definition(here, mode)
    found, error = exact(here.objective(mode), here.weights, "gauss_newton")
    assert relative(found, expected) < 1e-10
    assert error < 1e-12
    assert float(torch.linalg.eigvalsh(found)[0]) > -1e-12 * float(expected.abs().max())  # never negative
    many = directions(4, here.network.size)
    got = products(here.objective(mode), here.weights, many, matrix="gauss_newton")
    assert relative(got, many @ expected) < 1e-10


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(
    ("matrix", "operator"),
    [("hessian", curvlinops.HessianLinearOperator), ("gauss_newton", curvlinops.GGNLinearOperator)],
)
def test_products_are_those_of_curvlinops(name: str, matrix: Matrix, operator: Any) -> None:
    """Not with statistics of the batch: there curvlinops 3.0.1 with torch 2.13 gets the rows of the scales wrong."""
    here = problem(name)
    reference = here.module("eval")
    theirs = operator(
        reference, nn.CrossEntropyLoss(), list(reference.parameters()), here.chunks, check_deterministic=False
    )
    many = directions(5, here.network.size)
    expected = (theirs @ many[:, here.places].t()).t().detach()
    found = products(here.objective("eval"), here.weights, many, matrix=matrix)
    assert relative(found[:, here.places], expected) < 1e-10


@pytest.mark.parametrize("name", ["lenet", "resnet", "layer_norm"])
def test_under_a_mask_only_what_is_left_moves(name: str) -> None:
    """The pruned network's Hessian is the rows and columns of what is left, at the pruned weights."""
    here = problem(name)
    kept = (torch.rand(here.network.size, generator=torch.Generator().manual_seed(3)) < 0.4).nonzero()[:, 0]
    pruned = torch.zeros_like(here.weights)
    pruned[kept] = here.weights[kept]
    at = Problem(here.network, pruned, here.buffers, here.chunks)
    hessian = at.hessian("batch")[kept][:, kept]
    objective = here.objective("batch", kept)
    assert objective.size == len(kept) < here.network.size
    found, error = exact(objective, pruned, block=17)
    assert relative(found, hessian) < 1e-10
    assert error < 1e-12
    many = directions(3, len(kept))
    assert relative(products(objective, pruned, many), many @ hessian) < 1e-10
    assert torch.equal(gradient(objective, pruned)[1], gradient(here.objective("batch"), pruned)[1][kept])


def test_rows_do_not_depend_on_where_a_run_was_cut() -> None:
    here, _ = known("resnet", "batch")
    objective = here.objective("batch")
    whole = rows(objective, here.weights, 0, objective.size)
    for start, stop in ((0, 5), (40, 41), (objective.size - 3, objective.size)):
        torch.testing.assert_close(
            rows(objective, here.weights, start, stop), whole[start:stop], rtol=1e-12, atol=1e-14
        )
    assert rows(objective, here.weights, 4, 4).shape == (0, objective.size)


def test_chunks_are_only_a_matter_of_memory_without_batch_statistics() -> None:
    one, many = problem("resnet", sizes=(15,)), problem("resnet", sizes=(9, 6))
    x, y = (torch.cat(parts) for parts in zip(*many.chunks, strict=True))
    one = Problem(one.network, one.weights, one.buffers, [(x, y)])
    found = {mode: [exact(here.objective(mode), here.weights)[0] for here in (one, many)] for mode in get_args(Mode)}
    assert relative(*found["eval"]) < 1e-12
    assert relative(*found["batch"]) > 1e-3  # another loss: every chunk has its own statistics


def test_layers_name_the_layer_of_every_place() -> None:
    here = problem("resnet")
    layers = here.objective("eval").layers
    assert len(layers) == here.network.size
    assert layers.diff().min() == 0
    assert layers.diff().max() == 1
    names = [
        name.rsplit(".", 1)[0]
        for name, one in here.network.parameters.items()
        for _ in range(torch.Size(one.shape).numel())
    ]
    assert len(set(zip(layers.tolist(), names, strict=True))) == len(set(names)) == int(layers[-1]) + 1


def test_symmetry_error_is_the_largest_of_what_was_computed_twice() -> None:
    upper = torch.tensor([[2.0, 1.0, 5.0], [1.5, -4.0, 6.0], [0.0, 0.0, 3.0]])
    found, error = symmetric(upper, torch.tensor([0, 0, 1]))
    assert error == 0.5 / 6
    assert found.tolist() == [[2.0, 1.25, 5.0], [1.25, -4.0, 6.0], [5.0, 6.0, 3.0]]
    assert symmetric(torch.zeros(2, 2), torch.tensor([0, 1]))[1] == 0.0


def test_single_precision_is_single_and_close() -> None:
    here, expected = known("resnet9", "batch")
    objective = here.objective("batch", dtype=torch.float32)
    found, error = exact(objective, here.weights.float())
    assert found.dtype == torch.float32
    assert 1e-12 < relative(found.double(), expected) < 1e-4
    assert error < 1e-4
    many = directions(2, here.network.size)
    got = products(objective, here.weights.float(), many.float())
    assert got.dtype == torch.float32
    assert relative(got.double(), many @ expected) < 1e-4


def test_nothing_of_the_state_is_changed() -> None:
    here = problem("resnet")
    before = [here.weights.clone(), *(value.clone() for value in here.buffers.values())]
    objective = here.objective("batch")
    gradient(objective, here.weights)
    products(objective, here.weights, directions(2, objective.size))
    rows(objective, here.weights, 0, 2)
    after = [here.weights, *here.buffers.values()]
    assert all(torch.equal(one, other) and not other.requires_grad for one, other in zip(before, after, strict=True))


@pytest.mark.parametrize("function", ["gradient", "products", "rows"])
def test_a_state_without_a_finite_loss_has_no_curvature(function: str) -> None:
    here = problem("lenet")
    objective, broken = here.objective("eval"), here.weights.clone()
    broken[-1] = float("nan")
    calls = {
        "gradient": lambda: gradient(objective, broken),
        "products": lambda: products(objective, broken, directions(1, objective.size)),
        "rows": lambda: rows(objective, broken, 0, 1),
    }
    with pytest.raises(BrokenError, match="not finite"):
        calls[function]()


def test_an_exact_hessian_that_is_too_large_says_what_it_would_cost() -> None:
    require_affordable(26_490)
    with pytest.raises(RequestError, match=r"266,610.*530 GiB.*passes.*operations.*Lanczos.*density"):
        require_affordable(266_610)
