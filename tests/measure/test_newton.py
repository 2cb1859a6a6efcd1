"""The minimum of a local quadratic in the span of some eigenvectors, where it is known."""

import pytest
import torch

from harness import seeds
from harness.measure import newton
from harness.measure.newton import components, minima

SIZE = 12


def basis() -> torch.Tensor:
    return torch.linalg.qr(seeds.normal(seeds.stream("basis"), SIZE * SIZE).reshape(SIZE, SIZE))[0]


def test_newton_finds_the_minimum_of_a_quadratic(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, values = basis(), torch.linspace(6, 0.5, SIZE, dtype=torch.float64)
    target = seeds.normal(seeds.stream("target"), SIZE)
    matrix = vectors.t() @ (values[:, None] * vectors)
    for block in (newton._BLOCK, 5):
        monkeypatch.setattr(newton, "_BLOCK", block)
        steps, falls = minima(-(matrix @ target), values, vectors, [0.1, 4.1])
        torch.testing.assert_close(steps[0], target)
        assert falls[0] == pytest.approx(float(target @ matrix @ target) / 2)
        inside = vectors[:4]  # 6, 5.5, 5, 4.5
        torch.testing.assert_close(steps[1], inside.t() @ inside @ target)
        part = components(inside, target)
        assert falls[1] == pytest.approx(float((values[:4] * part.square()).sum()) / 2)


def test_negative_directions_and_those_below_the_threshold_are_left_out() -> None:
    values = torch.cat([torch.tensor([3.0]), torch.full((SIZE - 1,), -2.0)]).double()
    steps, falls = minima(torch.ones(SIZE), values, torch.eye(SIZE), [3.5, 3.0, 1e-9])
    assert not steps[0].any()
    assert falls[0] == 0
    assert steps[1].tolist() == pytest.approx([-1 / 3] + [0] * (SIZE - 1))
    assert falls[1:] == pytest.approx([1 / 6, 1 / 6])
