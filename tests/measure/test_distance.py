"""Distances between networks against loops over single numbers."""

import math

import pytest
import torch

from harness.measure import distance
from harness.measure.evaluate import Scores

A = {"w": torch.tensor([[1.0, -2.0], [0.5, 0.0]]), "b": torch.tensor([3.0])}
B = {"w": torch.tensor([[0.0, -2.0], [1.5, 4.0]]), "b": torch.tensor([-1.0])}


def numbers(values: dict[str, torch.Tensor]) -> list[float]:
    return [float(x) for value in values.values() for x in value.flatten()]


def test_l2_over_all_parameters_together() -> None:
    expected = math.sqrt(sum((x - y) ** 2 for x, y in zip(numbers(A), numbers(B), strict=True)))
    assert distance.l2(A, B) == pytest.approx(expected, rel=1e-15)
    assert distance.l2(A, B) == math.sqrt(34)
    assert distance.l2(A, A) == 0.0


def test_cosine_distance() -> None:
    a, b = numbers(A), numbers(B)
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    expected = 1 - dot / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))
    assert distance.cosine(A, B) == pytest.approx(expected, rel=1e-12)
    assert distance.cosine(A, {name: 7 * value for name, value in A.items()}) == pytest.approx(0, abs=1e-12)
    assert distance.cosine(A, {name: -value for name, value in A.items()}) == pytest.approx(2, abs=1e-12)


def test_weights_that_are_all_zero_have_no_direction() -> None:
    zero = {name: torch.zeros_like(value) for name, value in A.items()}
    assert distance.cosine(A, zero) is None
    assert distance.cosine(zero, A) is None
    assert distance.l2(zero, zero) == 0.0


def test_small_differences_of_large_weights_are_summed_in_double_precision() -> None:
    a = {"w": torch.full((1_000_000,), 1.0)}
    b = {"w": torch.full((1_000_000,), 1.0 + 2.0**-20)}
    assert distance.l2(a, b) == pytest.approx(1000 * 2.0**-20, rel=1e-9)


def test_disagreements_and_loss_distance() -> None:
    labels = torch.tensor([0, 1, 2, 1])
    a = Scores(torch.tensor([[0, 1, 2, 2]]), torch.tensor([[0.5, 1.0, 2.0, 0.0]]), labels)
    b = Scores(torch.tensor([[0, 2, 2, 0]]), torch.tensor([[0.5, 4.0, 2.0, 4.0]]), labels)
    assert distance.disagreements(a, b) == 2  # classified differently, whether or not rightly
    assert distance.loss_distance(a, b) == 5.0
    assert distance.disagreements(a, a) == 0


def test_parameters_are_paired_by_name_whatever_their_order() -> None:
    turned = dict(reversed(B.items()))
    assert distance.l2(A, turned) == distance.l2(A, B)
    assert distance.cosine(turned, A) == distance.cosine(B, A)


def test_states_of_different_networks_have_no_distance() -> None:
    with pytest.raises(ValueError, match=r"not of one network: \['b'\] on one side only"):
        distance.l2(A, {"w": B["w"]})
