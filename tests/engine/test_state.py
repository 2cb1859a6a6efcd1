"""States and masks as values: there and back, and what a mask does."""

import pytest
import torch

from harness.engine.state import Mask, State
from harness.errors import InvariantBroken

WEIGHTS = {"layer.weight": torch.tensor([[1.0, 2.0], [3.0, 4.0]]), "layer.bias": torch.tensor([5.0, 6.0])}
KEPT = {"layer.weight": torch.tensor([[True, False], [False, True]])}


def test_a_state_comes_back_from_its_tensors() -> None:
    state = State(
        WEIGHTS, {"norm.mean": torch.zeros(2)}, 7, optimiser={"velocity": torch.ones(6), "time": torch.ones(())}
    )
    back = State.of(state.tensors())
    assert back.step == 7
    for part in ("weights", "buffers", "optimiser"):
        ours, theirs = getattr(state, part), getattr(back, part)
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_the_names_in_an_artifact_are_as_stores_have_them() -> None:
    state = State({"a": torch.ones(1)}, {"b": torch.ones(1)}, 3, optimiser={"c": torch.ones(1)})
    assert list(state.tensors()) == ["weight:a", "buffer:b", "optimiser:c", "step"]
    assert state.tensors()["step"].dtype == torch.int64
    assert list(Mask({"a": torch.ones(1).bool()}).tensors()) == ["mask:a"]


def test_a_state_without_an_optimiser_gives_none() -> None:
    assert State.of(State(WEIGHTS, {}, 0).tensors()).optimiser == {}


def test_a_mask_takes_no_tensor_of_another_kind() -> None:
    tensors = State(WEIGHTS, {}, 0).tensors() | Mask(KEPT).tensors()
    assert Mask.of(tensors).kept.keys() == KEPT.keys()
    assert State.of(tensors).weights.keys() == WEIGHTS.keys()


def test_pruned_weights_are_zero_and_what_no_mask_names_is_left() -> None:
    pruned = Mask(KEPT).applied(WEIGHTS)
    assert pruned["layer.weight"].tolist() == [[1.0, 0.0], [0.0, 4.0]]
    assert pruned["layer.bias"].tolist() == [5.0, 6.0]
    assert WEIGHTS["layer.weight"].tolist() == [[1.0, 2.0], [3.0, 4.0]], "the state itself is as it was"


def test_a_mask_over_weights_names_them_all_in_their_order() -> None:
    whole = Mask(KEPT).over({"layer.bias": WEIGHTS["layer.bias"], "layer.weight": WEIGHTS["layer.weight"]})
    assert list(whole.kept) == ["layer.bias", "layer.weight"]
    assert (Mask(KEPT).count(), whole.count()) == (2, 4)
    assert {kept.dtype for kept in whole.kept.values()} == {torch.bool}


def test_a_mask_of_another_network_is_refused() -> None:
    with pytest.raises(InvariantBroken, match=r"another network: there is no weight layer\.weight here"):
        Mask(KEPT).over({"layer.bias": WEIGHTS["layer.bias"]})


def test_no_mask_keeps_everything() -> None:
    assert Mask().over(WEIGHTS).count() == 6
    assert all(torch.equal(value, WEIGHTS[name]) for name, value in Mask().applied(WEIGHTS).items())
