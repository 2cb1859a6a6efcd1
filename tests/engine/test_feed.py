"""Which examples come when, and how they look: against loops over single images, before and after a resume."""

from itertools import pairwise
from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from harness import seeds
from harness.engine.data.vision import torchvision_part
from harness.engine.feed import FEEDS, EpochFeed, Feed, Images, IndependentFeed
from harness.errors import InvariantBroken
from harness.schema.training import Training
from tests.engine.oracles import NO_AUGMENTATION, PLAIN, SCALE, dataset, naive_choice, naive_epoch, naive_image

CPU = torch.device("cpu")


def feed(order_seeds: list[int | str], steps: list[int], examples: int = 23, batch: int = 5) -> EpochFeed:
    return EpochFeed(order_seeds, steps, examples=examples, batch=batch, device=CPU)


def taken(source: Feed, count: int) -> list[tuple[Tensor, Tensor]]:
    return [(index.clone(), keys.clone()) for index, keys in (source.next() for _ in range(count))]


def images(settings: dict[str, Any], shape: tuple[int, int, int] = (1, 6, 6)) -> Images:
    return Images(dataset(shape=shape), settings, device=CPU, dtype=torch.float64)


@pytest.mark.parametrize(("examples", "batch"), [(23, 5), (20, 5), (7, 7), (9, 1)])
def test_every_epoch_is_another_permutation(examples: int, batch: int) -> None:
    source = feed(["a", 3], [0, 0], examples, batch)
    assert source.per_epoch == -(-examples // batch)
    epochs = []
    for _ in range(3):
        batches = [index for index, _ in taken(source, source.per_epoch)]
        sizes = [part.shape[1] for part in batches]
        assert sizes == [batch] * (examples // batch) + ([examples % batch] if examples % batch else [])
        whole = torch.cat(batches, 1)
        assert torch.equal(whole.sort(1).values, torch.arange(examples).expand(2, -1))
        epochs.append(whole)
    rows = [tuple(row) for whole in epochs for row in whole.tolist()]
    assert len(set(rows)) == 6


def test_orders_are_those_of_a_naive_sort() -> None:
    source = feed(["copy/0/0", "copy/0/1"], [0, 0])
    for epoch in range(2):
        for place, (index, keys) in enumerate(taken(source, 5)):
            for replica, seed in enumerate(("copy/0/0", "copy/0/1")):
                assert index[replica].tolist() == naive_epoch(seed, epoch, 23, 5)[place]
                assert int(keys[replica]) == seeds.stream("augment", seed, epoch)


@pytest.mark.parametrize("start", [1, 4, 5, 7, 12, 14])
def test_a_fork_in_mid_epoch_takes_up_its_place(start: int) -> None:
    """As after a resume: what comes does not depend on where the feed was opened."""
    undisturbed = taken(feed(["a", "b"], [0, 0]), 20)[start:]
    resumed = taken(feed(["a", "b"], [start, start]), 20 - start)
    for (index, keys), (index_again, keys_again) in zip(undisturbed, resumed, strict=True):
        assert torch.equal(index, index_again)
        assert torch.equal(keys, keys_again)


def test_replicas_at_different_places_each_get_their_own() -> None:
    """Allowed where all batches have one size; here also across an epoch's end, at different times."""
    together = taken(feed(["a", "b", "a"], [0, 3, 9], examples=20), 11)
    for replica, (seed, start) in enumerate((("a", 0), ("b", 3), ("a", 9))):
        alone = taken(feed([seed], [start], examples=20), 11)
        for (index, keys), (index_alone, keys_alone) in zip(together, alone, strict=True):
            assert torch.equal(index[replica], index_alone[0])
            assert torch.equal(keys[replica], keys_alone[0])


def test_replicas_in_different_epochs_at_one_place_run_together() -> None:
    together = taken(feed(["a", "a"], [2, 12]), 8)
    for replica, start in enumerate((2, 12)):
        alone = taken(feed(["a"], [start]), 8)
        assert all(torch.equal(one[0][replica], other[0][0]) for one, other in zip(together, alone, strict=True))


def test_short_batches_at_different_times_cannot_be_fused() -> None:
    with pytest.raises(InvariantBroken, match="different places of their epochs were fused"):
        feed(["a", "b"], [0, 3])


def test_a_replica_that_loses_its_place_is_an_error() -> None:
    source = feed(["a", "b"], [0, 0], examples=20)
    taken(source, 2)
    source._starts[1] += 1  # as if a step were counted twice
    with pytest.raises(InvariantBroken, match="replica 1 lost its place: it entered epoch 1 at batch 1 after 4 of 4"):
        taken(source, 3)


def test_a_jump_into_another_epoch_is_an_error() -> None:
    source = feed(["a"], [0])
    taken(source, 5)
    source._starts[0] += 2
    with pytest.raises(InvariantBroken, match="entered epoch 1 at batch 2 after 5 of 5"):
        source.next()


def independent(order_seeds: list[int | str], steps: list[int], examples: int = 23, batch: int = 5) -> IndependentFeed:
    return IndependentFeed(order_seeds, steps, examples=examples, batch=batch, device=CPU)


@pytest.mark.parametrize("ahead", [1, 5, 64])
def test_independent_batches_are_those_of_a_naive_draw(ahead: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of replicas at different places: a batch is never short."""
    monkeypatch.setattr("harness.engine.feed._STEPS_AHEAD", ahead)
    for number, (index, keys) in enumerate(taken(independent(["copy/0/0", "copy/0/1"], [0, 8]), 12)):
        for replica, (seed, start) in enumerate((("copy/0/0", 0), ("copy/0/1", 8))):
            examples, look = naive_choice("independent", seed, start + number, 23, 5)
            assert index[replica].tolist() == examples
            assert int(keys[replica]) == seeds.stream("augment", *look)


def test_independent_batches_do_not_depend_on_where_the_feed_was_opened() -> None:
    undisturbed = taken(independent(["a", "b"], [0, 0]), 12)[7:]
    resumed = taken(independent(["a", "b"], [7, 7]), 5)
    for (index, keys), (index_again, keys_again) in zip(undisturbed, resumed, strict=True):
        assert torch.equal(index, index_again)
        assert torch.equal(keys, keys_again)


def test_independent_batches_hold_an_example_once_and_all_examples_alike() -> None:
    batches = torch.cat([index for index, _ in taken(independent(["a"], [0], examples=10, batch=4), 5000)])
    assert (batches.sort(1).values.diff(dim=1) > 0).all()
    sigma = (5000 * 0.4 * 0.6) ** 0.5
    assert (torch.bincount(batches.flatten(), minlength=10) - 2000).abs().max() < 4 * sigma
    pairs = torch.nn.functional.one_hot(batches, 10).sum(1)
    together = (pairs.t() @ pairs).double().fill_diagonal_(5000 * 12 / 90)  # 4 * 3 / (10 * 9) of the batches
    assert (together - 5000 * 12 / 90).abs().max() < 5 * (5000 * 12 / 90) ** 0.5


def test_an_independent_batch_says_nothing_of_the_next() -> None:
    """In an epoch two neighbours share no example; drawn independently, 4 of 10 twice share 1.6 on average."""
    batches = [set(index[0].tolist()) for index, _ in taken(independent(["a"], [0], examples=10, batch=4), 2000)]
    shared = [len(one & other) for one, other in pairwise(batches)]
    assert sum(shared) / len(shared) == pytest.approx(1.6, abs=4 * 0.8 / 2000**0.5)


@pytest.mark.parametrize("kind", FEEDS)
@pytest.mark.parametrize("start", [0, 3])
def test_order_and_augmentation_may_have_seeds_of_their_own(kind: str, start: int) -> None:
    """Each alone is as it is where one seed drives both; a replica without a second seed has the first for both."""

    def batches(orders: list[int | str], looks: list[int | str | None]) -> list[tuple[Tensor, Tensor]]:
        starts = [start] * len(orders)
        make = FEEDS[kind]
        return taken(make(orders, starts, examples=23, batch=5, device=CPU, augmentation_seeds=looks), 12)

    whole = batches(["a", "b"], [])
    for (index, keys), (its, looks) in zip(whole, batches(["a", "a", "b", "b"], ["b", None, "a", "b"]), strict=True):
        assert torch.equal(its, index[[0, 0, 1, 1]])
        assert torch.equal(looks, keys[[1, 0, 0, 1]])
        assert not torch.equal(keys[0], keys[1])
        assert not torch.equal(index[0], index[1])


def test_a_batch_as_large_as_the_set_holds_every_example() -> None:
    index, _ = independent(["a"], [3], examples=7, batch=7).next()
    assert sorted(index[0].tolist()) == list(range(7))


def test_every_sampling_of_a_spec_has_its_feed() -> None:
    assert set(FEEDS) == set(get_args(Training.model_fields["sampling"].annotation))
    for make in FEEDS.values():
        source: Feed = make(["a"], [2], examples=23, batch=5, device=CPU)
        index, keys = source.next()
        assert (index.shape, keys.shape) == ((1, 5), (1,))


@pytest.mark.parametrize("padding", [0, 1, 4])
@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("shape", [(1, 6, 6), (3, 5, 8)])
def test_augmentation_is_that_of_single_images(padding: int, flip: bool, shape: tuple[int, int, int]) -> None:
    source = images({"normalise": SCALE, "augment": {"flip": flip, "crop_padding": padding}}, shape)
    pixels, labels = source.split["train"]
    for index, keys in taken(feed(["a", "b"], [3, 3]), 4):
        x, y = source.augmented(index, keys)
        assert x.shape == (index.shape[1], 2, *shape)
        for replica in range(2):
            for place, example in enumerate(index[replica].tolist()):
                draw = int(seeds.bits(int(keys[replica]), torch.tensor(example)))
                expected = naive_image(pixels[example], draw, padding=padding, flip=flip).double() / 255
                assert torch.equal(x[place, replica], expected)
                assert y[replica, place] == labels[example]


def test_augmentation_offers_what_torchvision_offers() -> None:
    """RandomCrop(padding) then RandomHorizontalFlip: every draw is one of their results, and each of them comes."""
    source = images({"normalise": SCALE, "augment": {"flip": True, "crop_padding": 1}}, (3, 4, 4))
    pixels = source.split["train"][0][7]
    functional = torchvision_part("transforms.v2.functional")
    padded = functional.pad(pixels, [1, 1, 1, 1])
    possible = {}
    for down in range(3):
        for right in range(3):
            crop = functional.crop(padded, down, right, 4, 4)
            possible[down, right, False] = crop
            possible[down, right, True] = functional.horizontal_flip(crop)
    seen = dict.fromkeys(possible, 0)
    for epoch in range(450):
        keys = torch.tensor([seeds.stream("augment", 0, epoch)])
        x = source.augmented(torch.tensor([[7]]), keys)[0][0, 0]
        (which,) = [name for name, image in possible.items() if torch.equal(x, image.double() / 255)]
        seen[which] += 1
    assert min(seen.values()) > 7  # 25 expected of each
    assert max(seen.values()) < 50


def test_augmentation_is_the_same_after_a_resume_and_differs_by_epoch_and_replica() -> None:
    source = images({"normalise": SCALE, "augment": {"flip": True, "crop_padding": 2}})
    index = torch.arange(23).expand(2, -1)
    looks = {}
    for seed in ("a", "b"):
        for epoch in (0, 1):
            keys = torch.tensor([seeds.stream("augment", seed, epoch)] * 2)
            looks[seed, epoch] = source.augmented(index, keys)[0]
            assert torch.equal(looks[seed, epoch][:, 0], looks[seed, epoch][:, 1])
    assert all(not torch.equal(one, other) for a, one in looks.items() for b, other in looks.items() if a != b)


def test_an_examples_look_does_not_depend_on_its_place_in_the_batch() -> None:
    source = images({"normalise": SCALE, "augment": {"flip": True, "crop_padding": 2}})
    keys = torch.tensor([seeds.stream("augment", "a", 0)])
    forwards = source.augmented(torch.arange(23)[None], keys)[0]
    backwards = source.augmented(torch.arange(23).flip(0)[None], keys)[0]
    assert torch.equal(forwards, backwards.flip(0))


def test_padding_is_black_in_pixels_not_the_mean() -> None:
    settings = {
        "normalise": {"kind": "mean_std", "mean": [0.5], "std": [0.25], "scale": 255.0},
        "augment": {"flip": False, "crop_padding": 6},
    }
    source = images(settings)
    x = torch.cat(
        [
            source.augmented(torch.arange(23)[None], torch.tensor([seeds.stream("augment", 0, epoch)]))[0]
            for epoch in range(10)
        ]
    )
    corner = x[..., 0, 0]
    assert corner.min() == -2.0  # (0 - .5) / .25
    assert (corner == -2.0).double().mean() > 0.5


def test_mean_and_std_of_each_channel() -> None:
    mean, std = [0.1, 0.2, 0.3], [0.5, 0.25, 2.0]
    settings = {"normalise": {"kind": "mean_std", "mean": mean, "std": std, "scale": 16.0}, "augment": NO_AUGMENTATION}
    source = images(settings, (3, 4, 4))
    normalize = torchvision_part("transforms.v2").Normalize(mean, std)
    expected = normalize(source.split["test"][0].double() / 16)
    torch.testing.assert_close(source.plain("test", 0, 11)[0][:, 0], expected, rtol=1e-14, atol=0)


def test_unit_norm_divides_each_image_by_its_own_norm() -> None:
    settings = {"normalise": {"kind": "unit_norm", "scale": 255.0}, "augment": NO_AUGMENTATION}
    source = images(settings, (2, 3, 3))
    x = source.plain("train", 0, 23)[0][:, 0]
    for example, pixels in enumerate(source.split["train"][0].double()):
        torch.testing.assert_close(x[example], pixels / pixels.square().sum().sqrt(), rtol=1e-14, atol=0)
    batch, _ = source.augmented(torch.tensor([[3, 1], [4, 0]]), torch.tensor([0, 0]))
    torch.testing.assert_close(batch[1, 0], x[1])
    torch.testing.assert_close(batch[0, 1], x[4])


def test_unit_norm_of_a_black_image_is_black() -> None:
    settings = {"normalise": {"kind": "unit_norm", "scale": 255.0}, "augment": NO_AUGMENTATION}
    source = images(settings)
    source.split["test"][0][0] = 0
    assert torch.equal(source.plain("test", 0, 1)[0], torch.zeros(1, 1, 1, 6, 6, dtype=torch.float64))


def test_plain_examples_come_in_their_order_for_all_replicas() -> None:
    source = images(PLAIN)
    x, y = source.plain("test", 3, 8)
    assert x.shape == (5, 1, 1, 6, 6)
    assert torch.equal(x[:, 0], source.split["test"][0][3:8].double() / 255)
    assert torch.equal(y, source.split["test"][1][3:8])


def test_the_test_split_is_never_augmented() -> None:
    augmented = images({"normalise": SCALE, "augment": {"flip": True, "crop_padding": 2}})
    plain = images(PLAIN)
    for split in ("train", "test"):
        assert torch.equal(augmented.plain(split, 0, 11)[0], plain.plain(split, 0, 11)[0])


def test_the_dataset_is_not_written_to() -> None:
    data = dataset()
    before = data.train.images(slice(None)).clone()
    source = Images(
        data,
        {"normalise": {"kind": "unit_norm", "scale": 255.0}, "augment": {"flip": True, "crop_padding": 1}},
        device=CPU,
    )
    source.augmented(torch.arange(23)[None], torch.tensor([1]))
    source.plain("train", 0, 23)
    assert torch.equal(data.train.images(slice(None)), before)
