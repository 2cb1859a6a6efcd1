"""How eigenvectors are spread over components, against vectors made by hand and the Gaussian closed form."""

import math

import pytest
import torch
from scipy import stats

from harness import seeds
from harness.measure import concentration
from harness.measure.concentration import cumulative, gaussian


def test_shares_of_vectors_made_by_hand() -> None:
    one = torch.tensor([[1.0, -2.0, 0.0, 2.0]])
    assert cumulative(one).tolist() == pytest.approx([4 / 9, 8 / 9, 1, 1])
    assert cumulative(-7 * one).tolist() == cumulative(one).tolist()
    axis = torch.tensor([[0.0, 3.0, 0.0, 0.0]])
    assert cumulative(axis).tolist() == [1, 1, 1, 1]
    assert cumulative(torch.ones(1, 4)).tolist() == [0.25, 0.5, 0.75, 1]
    both = torch.cat([axis, torch.ones(1, 4)])
    assert cumulative(both).tolist() == [0.625, 0.75, 0.875, 1]


def test_many_vectors_are_measured_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = seeds.normal(seeds.stream("test", 1), 700).reshape(70, 10)
    whole = cumulative(vectors)
    monkeypatch.setattr(concentration, "_NUMBERS", 90)
    torch.testing.assert_close(cumulative(vectors), whole, rtol=1e-12, atol=0)


def test_the_null_is_that_of_normal_numbers() -> None:
    """Of many components the share q largest hold 2 (z φ(z) + q / 2), where z is beaten in size with probability q."""
    size, share = 20_000, 0.1
    z = stats.norm.isf(share / 2)
    expected = 2 * (z * math.exp(-(z**2) / 2) / math.sqrt(2 * math.pi) + share / 2)
    assert float(gaussian(size, 5)[round(share * size) - 1]) == pytest.approx(expected, abs=0.004)


def test_the_null_is_the_same_every_time_and_the_mean_of_its_draws() -> None:
    assert torch.equal(gaussian(50, 4), gaussian(50, 4))
    draws = [cumulative(seeds.normal(seeds.stream("gaussian_null", draw), 50)[None]) for draw in range(2)]
    torch.testing.assert_close(gaussian(50, 2), (draws[0] + draws[1]) / 2, rtol=1e-12, atol=0)


def test_rows_of_a_random_rotation_look_gaussian_and_those_of_the_identity_do_not() -> None:
    size = 300
    turned = torch.linalg.qr(seeds.normal(seeds.stream("test", 2), size * size).reshape(size, size))[0]
    null = gaussian(size, 100)
    for count in (10, 100):
        assert float(cumulative(turned)[count - 1] / null[count - 1]) == pytest.approx(1, abs=0.03)
    assert float(cumulative(torch.eye(size))[0]) == 1.0
    assert float(null[0]) < 0.05
