"""How often a verdict is wrong at the boundary of the estimand that it names, and how often it is found.

    python benchmarks/verdicts.py                  # 10,000 draws a cell; the tables of docs/verdicts.md
    python benchmarks/verdicts.py --draws 1000

Every sample goes through the intervals that judge a claim. ``at_most``: the bound is a hair below the law's true
median, mean or geometric mean, so that HOLDS is wrong; ``at_least``: a hair above. FAILS of the one is HOLDS of the
other.
Power: the bound is half as far again from 0, or two thirds, so that HOLDS is right.
"""

import argparse
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from harness.judging.estimands import NAMES, Located
from harness.schema.claims import Estimand

SIZES = (3, 5, 7, 10)
"""Numbers of initialisations."""

ESTIMANDS: Sequence[Estimand] = get_args(Estimand)
SHIFT = 1.5
"""Of the bound, for power: this many times the estimand, or the estimand over it."""

_HAIR = 1e-9
_EULER = 0.5772156649015329

Draws = NDArray[np.float64]
"""[sample, initialisation]."""


@dataclass(frozen=True)
class Law:
    """What one initialisation's value is drawn from.

    Attributes:
        name: as the table has it.
        draw: generator and shape -> values.
        true: estimand -> its value.
    """

    name: str
    draw: Callable[[np.random.Generator, tuple[int, int]], Draws]
    true: Mapping[Estimand, float]


def _normal() -> Law:
    """Mean 1, sd .25; the geometric mean by Gauss-Hermite quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    values = 1 + 0.25 * nodes
    inside = values > 0
    logarithm = (weights[inside] * np.log(values[inside])).sum() / weights[inside].sum()
    true: Mapping[Estimand, float] = {"median": 1.0, "mean": 1.0, "geometric_mean": float(np.exp(logarithm))}
    return Law("normal, CV .25", lambda random, shape: random.normal(1, 0.25, shape), true)


def _lognormal(variation: float) -> Law:
    spread = math.sqrt(math.log1p(variation**2))
    true: Mapping[Estimand, float] = {"median": 1.0, "mean": math.exp(spread**2 / 2), "geometric_mean": 1.0}
    name = f"lognormal, CV {variation:g}".replace("0.", ".")
    return Law(name, lambda random, shape: random.lognormal(0, spread, shape), true)


def _exponential() -> Law:
    true: Mapping[Estimand, float] = {"median": math.log(2), "mean": 1.0, "geometric_mean": math.exp(-_EULER)}
    return Law("exponential", lambda random, shape: random.exponential(1, shape), true)


def _rare(share: float, value: float) -> Law:
    """Most at .4, a share at a value."""
    true: Mapping[Estimand, float] = {
        "median": 0.4,
        "mean": (1 - share) * 0.4 + share * value,
        "geometric_mean": 0.4 ** (1 - share) * value**share,
    }
    name = f"{100 * (1 - share):.0f} % at .4, {100 * share:.0f} % at {value:g}"
    return Law(name, lambda random, shape: np.where(random.random(shape) < share, value, 0.4), true)


LAWS: Sequence[Law] = (
    _normal(),
    _lognormal(0.5),
    _exponential(),
    _lognormal(1.3),
    _rare(0.2, 8.4),
    _rare(0.1, 16.4),
)


@dataclass(frozen=True)
class Rates:
    """Shares of samples.

    Attributes:
        at_most: in which "at most" holds, though the estimand is a hair more.
        at_least: in which "at least" holds, though it is a hair less.
        found_at_most: in which "at most" holds where the bound is ``SHIFT`` times the estimand.
        found_at_least: in which "at least" holds where the bound is the estimand over ``SHIFT``.
    """

    at_most: float
    at_least: float
    found_at_most: float
    found_at_least: float


def rates(law: Law, estimand: Estimand, n: int, draws: int, seed: int) -> Rates:
    """Judges samples of a law; one with a value that is not positive has no geometric mean and holds nothing."""
    samples = law.draw(np.random.default_rng([seed, n]), (draws, n))
    if estimand == "geometric_mean":
        samples = samples[(samples > 0).all(axis=1)]
    ends = np.array([_ends(row, estimand) for row in samples.tolist()])
    low, high, true = ends[:, 0], ends[:, 1], law.true[estimand]
    counts = (
        (high <= true * (1 - _HAIR)).sum(),
        (low >= true * (1 + _HAIR)).sum(),
        (high <= true * SHIFT).sum(),
        (low >= true / SHIFT).sum(),
    )
    return Rates(*(float(count / draws) for count in counts))


def _ends(values: Sequence[float], estimand: Estimand) -> tuple[float, float]:
    """The one-sided 95 % bounds by which a claim holds or fails."""
    interval = Located({seed: [value] for seed, value in enumerate(values)}, estimand).interval(0.90)
    return interval.low, interval.high


def table(estimand: Estimand, draws: int, seed: int) -> str:
    """Markdown: a row a law; wrong "at most" / "at least", and in brackets how often the true ones are found."""
    head = " | ".join(f"n = {n}" for n in SIZES)
    lines = [f"| {NAMES[estimand]}: law of one initialisation | {head} |", "|---" * (len(SIZES) + 1) + "|"]
    for law in LAWS:
        cells = [_cell(rates(law, estimand, n, draws, seed)) for n in SIZES]
        lines.append(f"| {law.name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(found: Rates) -> str:
    wrong = f"{_share(found.at_most)}/{_share(found.at_least)}"
    return f"{wrong} ({_share(found.found_at_most)}/{_share(found.found_at_least)})"


def _share(rate: float) -> str:
    return f"{rate:.2f}".removeprefix("0") if rate < 0.995 else "1"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=10_000, help="samples a cell")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    print("\n\n".join(table(estimand, asked.draws, asked.seed) for estimand in ESTIMANDS))


if __name__ == "__main__":
    main()
