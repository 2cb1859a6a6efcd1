"""Losses at many points, each against the loss of torch's own modules at that point."""

import pytest
import torch
import torch.nn.functional as F

from harness.measure.curvature import gradient, products
from harness.measure.landscape import losses
from tests.measure.problems import NETWORKS, Mode, Problem, problem


@pytest.mark.parametrize("mode", ["batch", "eval"])
@pytest.mark.parametrize("name", NETWORKS)
def test_losses_are_those_of_each_point(name: str, mode: Mode) -> None:
    here = problem(name, sizes=(10,))
    noise = torch.randn(5, here.network.size, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    points = here.weights + 0.3 * noise
    ((x, y),) = here.chunks
    expected = []
    for point in points:
        with torch.no_grad():
            scores = Problem(here.network, point, here.buffers, here.chunks).module(mode)(x)
            expected.append(float(F.cross_entropy(scores, y)))
    for side_by_side in (2, 16):
        found = losses(here.network, points, here.buffers, x, y, batch_norm=mode, side_by_side=side_by_side)
        assert found.tolist() == pytest.approx(expected, rel=1e-12)


def test_a_line_has_the_slope_and_curvature_of_its_derivatives() -> None:
    here = problem("resnet9", sizes=(10,))
    direction = torch.randn(here.network.size, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    direction /= direction.norm()
    step = 1e-4
    at = torch.tensor([-step, 0.0, step], dtype=torch.float64)
    ((x, y),) = here.chunks
    below, middle, above = losses(
        here.network, here.weights + at[:, None] * direction, here.buffers, x, y, batch_norm="batch"
    ).tolist()
    objective = here.objective("batch")
    loss, slope = gradient(objective, here.weights)
    curvature = float(products(objective, here.weights, direction[None])[0] @ direction)
    assert middle == pytest.approx(loss, rel=1e-13)
    assert (above - below) / (2 * step) == pytest.approx(float(slope @ direction), rel=1e-4)
    assert (above - 2 * middle + below) / step**2 == pytest.approx(curvature, rel=1e-4)


def test_no_state_is_changed_and_no_graph_kept() -> None:
    here = problem("resnet", sizes=(10,))
    before = {name: value.clone() for name, value in here.buffers.items()}
    ((x, y),) = here.chunks
    points = here.weights[None].clone().requires_grad_()
    found = losses(here.network, points, here.buffers, x, y, batch_norm="batch")
    assert not found.requires_grad
    assert all(torch.equal(here.buffers[name], value) for name, value in before.items())
