"""Labels that are wrong on purpose."""

from dataclasses import replace

from harness import seeds
from harness.engine.data.dataset import Dataset


def with_noise(data: Dataset, share: float, seed: int) -> Dataset:
    """The dataset with a share of its training labels drawn anew; the digest in its facts stays that of the original.

    Args:
        data: the original, left as it is.
        share: of the N training labels, round(share * N) are drawn anew, uniformly over all K classes, so that about
            share * (K - 1) / K are wrong. A greater share redraws the same examples and more.
        seed: every seed gives another draw.
    """
    count = len(data.train.labels)
    chosen = seeds.permutation(seeds.stream("noise", seed, "examples"), count)[: round(share * count)]
    drawn = (seeds.uniform(seeds.stream("noise", seed, "labels"), count) * data.info.classes).long()
    return replace(data, train=data.train.relabelled(data.train.labels.index_copy(0, chosen, drawn[chosen])))
