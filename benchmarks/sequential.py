"""How often looks until decided are wrong, and how many initialisations they take, beside a fixed number.

    python benchmarks/sequential.py                  # 2,500 draws a row; the tables of docs/verdicts.md
    python benchmarks/sequential.py --draws 500 --first 3

Laws and bounds are those of ``benchmarks/verdicts.py``; every look goes through the intervals that judge a claim there.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.judging.estimands import NAMES, Located
from harness.judging.sequential import MOST_TIMES, Look, levels, sizes_of_looks
from harness.schema.claims import AtMost, Estimand
from verdicts import ESTIMANDS, LAWS, SHIFT, Law

FIRST = 5
"""Initialisations of the first look."""

_HAIR = 1e-9
_FIXED = 0.90


@dataclass(frozen=True)
class Found:
    """What came of the samples of a law, where a claim has a bound.

    Attributes:
        first: share of samples in which a fixed number, that of the first look, lets the claim stand.
        looks: the same of the looks, one after the other.
        last: the same of a fixed number, that of the last look.
        taken: mean number of initialisations until the claim is decided, either way, or the looks end.
    """

    first: float
    looks: float
    last: float
    taken: float


@dataclass(frozen=True)
class _Ends:
    """Ends of intervals by which claims are judged.

    Attributes:
        looks: [sample, look, 2] at the looks' own levels.
        fixed: [sample, 2, 2] of the numbers of the first and of the last look, at the level of a fixed number.
    """

    looks: np.ndarray
    fixed: np.ndarray


def ends(law: Law, estimand: Estimand, sizes: tuple[int, ...], draws: int, seed: int) -> _Ends:
    """Judges samples of a law; those with a value that is not positive have no geometric mean and are left out."""
    samples = law.draw(np.random.default_rng([seed, *sizes]), (draws, sizes[-1]))
    if estimand == "geometric_mean":
        samples = samples[(samples > 0).all(axis=1)]
    expect = AtMost(kind="at_most", estimand=estimand, bound=1.0)
    at = [levels(expect, Look(number, sizes)).stands for number in range(1, len(sizes) + 1)]
    looks, fixed = [], []
    for row in samples.tolist():
        seen = [Located({seed: [value] for seed, value in enumerate(row[:n])}, estimand) for n in sizes]
        looks.append([_interval(located, level) for located, level in zip(seen, at, strict=True)])
        fixed.append([_interval(located, _FIXED) for located in (seen[0], seen[-1])])
    return _Ends(np.array(looks), np.array(fixed))


def _interval(located: Located, level: float) -> tuple[float, float]:
    interval = located.interval(level)
    return interval.low, interval.high


def at_most(judged: _Ends, sizes: Sequence[int], bound: float) -> Found:
    """Of the claim that the estimand is at most a bound."""
    return _found(judged.looks[..., 1] <= bound, judged.looks[..., 0] > bound, judged.fixed[..., 1] <= bound, sizes)


def at_least(judged: _Ends, sizes: Sequence[int], bound: float) -> Found:
    """Of the claim that it is at least a bound."""
    return _found(judged.looks[..., 0] >= bound, judged.looks[..., 1] < bound, judged.fixed[..., 0] >= bound, sizes)


def _found(stands: np.ndarray, falls: np.ndarray, fixed: np.ndarray, sizes: Sequence[int]) -> Found:
    decided = stands | falls
    ends = np.where(decided.any(axis=1), decided.argmax(axis=1), len(sizes) - 1)
    standing = stands[np.arange(len(stands)), ends]
    taken = np.array(sizes)[ends].mean()
    return Found(float(fixed[:, 0].mean()), float(standing.mean()), float(fixed[:, 1].mean()), float(taken))


def table(estimand: Estimand, first: int, draws: int, seed: int) -> str:
    """Markdown: a row a law, "at most" / "at least" in each cell."""
    sizes = sizes_of_looks(first, MOST_TIMES * first)
    few, many = sizes[0], sizes[-1]
    name = f"{NAMES[estimand]}, looks at {', '.join(map(str, sizes))}"
    lines = [f"| {name} | wrong | found | n = {few} | n = {many} | looks take |", "|---" * 6 + "|"]
    for law in LAWS:
        judged, true = ends(law, estimand, sizes, draws, seed), law.true[estimand]
        wrong = at_most(judged, sizes, true * (1 - _HAIR)), at_least(judged, sizes, true * (1 + _HAIR))
        right = at_most(judged, sizes, true * SHIFT), at_least(judged, sizes, true / SHIFT)
        cells = [
            "/".join(_share(found.looks) for found in wrong),
            "/".join(_share(found.looks) for found in right),
            "/".join(_share(found.first) for found in right),
            "/".join(_share(found.last) for found in right),
            "/".join(f"{found.taken:.1f}" for found in right),
        ]
        lines.append(f"| {law.name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _share(rate: float) -> str:
    return f"{rate:.2f}".removeprefix("0") if rate < 0.995 else "1"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=2500, help="samples a row")
    parser.add_argument("--first", type=int, default=FIRST, help="initialisations of the first look")
    parser.add_argument("--estimand", nargs="+", choices=ESTIMANDS, default=ESTIMANDS)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    tables = [table(estimand, asked.first, asked.draws, asked.seed) for estimand in asked.estimand]
    print("\n\n".join(tables))


if __name__ == "__main__":
    main()
