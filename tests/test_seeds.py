"""Randomness as a pure function: pinned, stateless, evenly spread."""

import hashlib
import math

import numpy as np
import pytest
import torch
from scipy import stats

from harness import seeds

KEY = seeds.stream("order", 0, 0)


def python_bits(key: int, index: int) -> int:
    """The hash in unbounded integers: SplitMix64's finaliser twice, the key added before each."""
    word = (1 << 64) - 1

    def mix(x: int) -> int:
        x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & word
        x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & word
        return x ^ (x >> 31)

    x = mix(((index + 1) * 0x9E3779B97F4A7C15 + key) & word)
    x = mix((x + key) & word)
    return x - (1 << 64) if x >> 63 else x


def test_values_are_pinned() -> None:
    """A change here changes every result there is: raise every version in harness/jobs/job.py."""
    assert seeds.stream("order", 0, 0) == 7787715444537980699
    assert seeds.stream("init", 1, "x") == -1262060854226276787
    assert seeds.bits(KEY, torch.arange(3)).tolist() == [
        -5919077002150145543,
        -1996216574740108134,
        8243458444645269803,
    ]
    assert seeds.permutation(KEY, 10).tolist() == [7, 9, 3, 0, 4, 8, 1, 6, 5, 2]
    assert seeds.choice(torch.tensor([KEY]), 10, 3).tolist() == [[7, 9, 3]]
    key = seeds.stream("init", 0, "a")
    assert [x.hex() for x in seeds.uniform(key, 3).tolist()] == [
        "0x1.fb9a2050f5480p-1",
        "0x1.c8bc142ac7c17p-2",
        "0x1.6179291b519d6p-3",
    ]
    assert seeds.normal(key, 3).tolist() == pytest.approx(
        [2.3828440515988536, -0.1356981285987273, -0.943962613912832], rel=1e-14
    )


def test_a_choice_is_the_beginning_of_the_permutation() -> None:
    keys = [seeds.stream("order", 0, "step", step) for step in range(50)]
    for count, chosen in ((1, 1), (23, 5), (500, 128), (500, 500)):
        whole = torch.stack([seeds.permutation(key, count) for key in keys])
        assert torch.equal(seeds.choice(torch.tensor(keys), count, chosen), whole[:, :chosen])


def test_bits_are_those_of_unbounded_integers() -> None:
    for key in (0, 1, -1, KEY, (1 << 63) - 1, -(1 << 63)):
        index = [0, 1, 2, 49_999, -1, 1 << 62]
        assert seeds.bits(key, torch.tensor(index)).tolist() == [python_bits(key, i) for i in index]


def test_a_stream_is_the_hash_of_its_labels() -> None:
    digest = hashlib.sha256(b"str:5:order|str:7:trunk/3|int:1:4").digest()
    assert seeds.stream("order", "trunk/3", 4) == int.from_bytes(digest[:8], "little", signed=True)


def test_streams_are_told_apart_by_label_type_and_place() -> None:
    tuples: list[tuple[str | int, ...]] = [
        *[("order", seed, epoch) for seed in range(20) for epoch in range(20)],
        *[("augment", seed, epoch) for seed in range(20) for epoch in range(20)],
        ("order", "0", 0),
        ("order", 0, "0"),
        ("order", "0|int:1:0"),
        ("order|int:1:0", 0),
        ("order",),
        ("order", 0),
        ("", "order", 0, 0),
        ("order", 1, 11),
        ("order", 11, 1),
    ]
    assert len({seeds.stream(*labels) for labels in tuples}) == len(set(tuples))


def test_bits_do_not_depend_on_chunks_shapes_or_calls() -> None:
    index = torch.arange(1000)
    whole = seeds.bits(KEY, index)
    assert torch.equal(whole, torch.cat([seeds.bits(KEY, part) for part in index.split(7)]))
    assert torch.equal(whole.reshape(10, 100), seeds.bits(KEY, index.reshape(10, 100)))
    assert torch.equal(whole.flip(0), seeds.bits(KEY, index.flip(0)))
    assert torch.equal(seeds.uniform(KEY, 1000)[:10], seeds.uniform(KEY, 10))
    assert torch.equal(seeds.normal(KEY, 1000)[:10], seeds.normal(KEY, 10))


def test_keys_broadcast() -> None:
    keys = torch.tensor([seeds.stream("augment", seed, 0) for seed in range(3)])
    index = torch.arange(5)
    together = seeds.bits(keys[None, :], index[:, None])
    assert together.shape == (5, 3)
    for column, key in enumerate(keys.tolist()):
        assert torch.equal(together[:, column], seeds.bits(key, index))


def test_uniform_is_open_and_even() -> None:
    numbers = seeds.uniform(KEY, 100_000)
    assert numbers.min() > 0
    assert numbers.max() < 1
    counts = torch.histc(numbers, 100, 0, 1)
    assert 1e-3 < stats.chisquare(counts.numpy()).pvalue < 1 - 1e-3


@pytest.mark.parametrize("shift", range(0, 64, 4))
def test_every_nibble_is_even(shift: int) -> None:
    nibbles = (seeds.bits(KEY, torch.arange(50_000)) >> shift) & 15
    assert stats.chisquare(torch.bincount(nibbles, minlength=16).numpy()).pvalue > 1e-4


def test_neighbours_in_index_seed_and_epoch_are_unrelated() -> None:
    index = torch.arange(20_000)
    base = seeds.uniform(KEY, 20_000)
    others = {
        "next index": (seeds.bits(KEY, index + 1) >> 11).double(),
        "next seed": seeds.uniform(seeds.stream("order", 1, 0), 20_000),
        "next epoch": seeds.uniform(seeds.stream("order", 0, 1), 20_000),
        "next key": seeds.uniform(KEY + 1, 20_000),
        "other stream": seeds.uniform(seeds.stream("augment", 0, 0), 20_000),
    }
    for what, other in others.items():
        correlation = float(torch.corrcoef(torch.stack([base, other]))[0, 1])
        assert abs(correlation) < 4 / math.sqrt(20_000), what


def test_normal_has_the_moments_and_shape_of_a_normal() -> None:
    numbers = seeds.normal(KEY, 100_000)
    assert numbers.dtype == torch.float64
    assert abs(float(numbers.mean())) < 4 / math.sqrt(100_000)
    assert float(numbers.var()) == pytest.approx(1, abs=4 * math.sqrt(2 / 100_000))
    assert abs(stats.skew(numbers.numpy())) < 4 * math.sqrt(6 / 100_000)
    assert abs(stats.kurtosis(numbers.numpy())) < 4 * math.sqrt(24 / 100_000)
    assert stats.kstest(numbers.numpy(), "norm").pvalue > 1e-3


def test_permutations_are_permutations_and_differ() -> None:
    seen = set()
    for epoch in range(20):
        order = seeds.permutation(seeds.stream("order", 0, epoch), 1400)
        assert torch.equal(order.sort().values, torch.arange(1400))
        seen.add(tuple(order.tolist()))
    assert len(seen) == 20


def test_every_place_is_equally_likely() -> None:
    """Where element 0 lands in 6 places, over 6000 orders; and all 24 orders of 4."""
    places = torch.zeros(6)
    orders: dict[tuple[int, ...], int] = {}
    for epoch in range(6000):
        key = seeds.stream("order", "even", epoch)
        places[int((seeds.permutation(key, 6) == 0).nonzero())] += 1
        four = tuple(seeds.permutation(key, 4).tolist())
        orders[four] = orders.get(four, 0) + 1
    assert len(orders) == 24
    assert stats.chisquare(places.numpy()).pvalue > 1e-4
    assert stats.chisquare(np.array(list(orders.values()))).pvalue > 1e-4
