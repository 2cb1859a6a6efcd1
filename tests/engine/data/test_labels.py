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
    changed = int((noisy.train.labels != LARGE.train.labels).sum())
    assert changed <= redrawn
    assert changed == pytest.approx(redrawn * 2 / 3, abs=4 * (redrawn * 2 / 9) ** 0.5)  # one of three stays right
    for old in range(3):
        new = noisy.train.labels[(LARGE.train.labels == old) & (noisy.train.labels != old)]
        wrong = [int((new == label).sum()) for label in range(3) if label != old]
        assert wrong[0] == pytest.approx(len(new) / 2, abs=4 * (len(new) / 4) ** 0.5)


def test_no_share_changes_nothing() -> None:
    assert torch.equal(with_noise(LARGE, 0.0, 0).train.labels, LARGE.train.labels)


def test_only_training_labels_change_and_the_original_stays() -> None:
    before = LARGE.train.labels.clone()
    noisy = with_noise(LARGE, 0.7, 3)
    assert torch.equal(LARGE.train.labels, before)
    assert not torch.equal(noisy.train.labels, before)
    assert noisy.info == LARGE.info
    assert noisy.test == LARGE.test
    assert torch.equal(noisy.train.images(slice(None)), LARGE.train.images(slice(None)))
    assert set(noisy.train.labels.tolist()) == {0, 1, 2}


def test_the_draw_is_a_function_of_the_seed() -> None:
    assert torch.equal(with_noise(LARGE, 0.2, 1).train.labels, with_noise(LARGE, 0.2, 1).train.labels)
    assert not torch.equal(with_noise(LARGE, 0.2, 1).train.labels, with_noise(LARGE, 0.2, 2).train.labels)


def test_a_greater_share_redraws_the_same_labels_and_more() -> None:
    few, many = (with_noise(LARGE, share, 0).train.labels for share in (0.1, 0.3))
    changed = few != LARGE.train.labels
    assert torch.equal(few[changed], many[changed])
