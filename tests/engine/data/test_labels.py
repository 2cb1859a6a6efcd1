"""Label noise: its share, its uniformity, and that nothing but the training labels changes."""

import pytest
import torch

from harness.engine.data.labels import with_noise
from tests.engine.oracles import dataset

LARGE = dataset(6000, 11, (1, 1, 1))


@pytest.mark.parametrize("share", [0.2, 0.5, 1.0])
def test_a_share_of_the_labels_is_drawn_uniformly_over_all_classes(share: float) -> None:
    noisy = with_noise(LARGE, share, 0)
    redrawn = round(share * 6000)
    changed = int((noisy.train_y != LARGE.train_y).sum())
    assert changed <= redrawn
    assert changed == pytest.approx(redrawn * 2 / 3, abs=4 * (redrawn * 2 / 9) ** 0.5)  # one of three stays right
    for old in range(3):
        new = noisy.train_y[(LARGE.train_y == old) & (noisy.train_y != old)]
        wrong = [int((new == label).sum()) for label in range(3) if label != old]
        assert wrong[0] == pytest.approx(len(new) / 2, abs=4 * (len(new) / 4) ** 0.5)


def test_no_share_changes_nothing() -> None:
    assert torch.equal(with_noise(LARGE, 0.0, 0).train_y, LARGE.train_y)


def test_only_training_labels_change_and_the_original_stays() -> None:
    before = LARGE.train_y.clone()
    noisy = with_noise(LARGE, 0.7, 3)
    assert torch.equal(LARGE.train_y, before)
    assert not torch.equal(noisy.train_y, before)
    assert noisy.info == LARGE.info
    for name in ("train_x", "test_x", "test_y"):
        assert torch.equal(getattr(noisy, name), getattr(LARGE, name))
    assert set(noisy.train_y.tolist()) == {0, 1, 2}


def test_the_draw_is_a_function_of_the_seed() -> None:
    assert torch.equal(with_noise(LARGE, 0.2, 1).train_y, with_noise(LARGE, 0.2, 1).train_y)
    assert not torch.equal(with_noise(LARGE, 0.2, 1).train_y, with_noise(LARGE, 0.2, 2).train_y)


def test_a_greater_share_redraws_the_same_labels_and_more() -> None:
    few, many = (with_noise(LARGE, share, 0).train_y for share in (0.1, 0.3))
    changed = few != LARGE.train_y
    assert torch.equal(few[changed], many[changed])
