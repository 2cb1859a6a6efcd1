"""The narrowing valley's gradient and curvature against automatic differentiation."""

import torch

from harness.measure import valley

POINTS = torch.rand(200, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_gradient_is_that_of_the_loss() -> None:
    expected = torch.func.vmap(torch.func.grad(valley.loss))(POINTS)
    assert torch.allclose(valley.gradient(POINTS), expected, rtol=1e-12, atol=1e-14)


def test_curvatures_are_the_hessians_eigenvalues() -> None:
    expected = torch.linalg.eigvalsh(torch.func.vmap(torch.func.hessian(valley.loss))(POINTS))
    assert (expected[:, 0] < 0).any()
    assert (expected[:, 0] > 0).any()
    assert torch.allclose(valley.curvatures(POINTS), expected, rtol=1e-10, atol=1e-12)


def test_it_narrows_towards_its_minimum() -> None:
    floor = torch.tensor([[0.0, 0.0], [0.4, 0.0], [0.8, 0.0]], dtype=torch.float64)
    assert valley.loss(floor)[-1] == 0
    assert bool((valley.loss(floor).diff() < 0).all())
    assert bool((valley.curvatures(floor)[:, 1].diff() > 0).all())


def test_a_walk_is_repeatable_and_steps_against_the_gradient() -> None:
    def walked(sigma: float) -> list[torch.Tensor]:
        chains = valley.walk(
            name="w", replicas=3, rates=[0.1, 0.05], sigma=sigma, start=(-0.5, 0.2), device=torch.device("cpu")
        )
        return [points.clone() for points in chains]

    for one, again in zip(walked(0.1), walked(0.1), strict=True):
        assert torch.equal(one, again)
    assert not torch.equal(walked(0.1)[0][0], walked(0.1)[0][1]), "chains have their own noise"
    start = torch.tensor([[-0.5, 0.2]], dtype=torch.float64)
    first = start - 0.1 * valley.gradient(start)
    quiet = walked(0.0)
    assert torch.allclose(quiet[0], first.expand(3, 2), rtol=1e-14)
    assert torch.allclose(quiet[1], (first - 0.05 * valley.gradient(first)).expand(3, 2), rtol=1e-14)
