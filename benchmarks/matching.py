"""How often "matching" is decided wrongly, as one deviation of the full network is estimated for all initialisations.

    python benchmarks/matching.py                  # 20,000 draws a row; the table of docs/verdicts.md
    python benchmarks/matching.py --draws 1000

A training has an accuracy from a normal law of deviation 1, of which a share of the variance is the initialisation's,
and the sparse network's initialisation has it in common with the full one or not. ``drop_beyond_sd`` is the drop less
the deviation of a full training, and the sign test is of its median. Three ways to estimate the deviation:

- ``run``: from all full networks of the run, as ``drop_beyond_sd`` does.
- ``others``: for each initialisation from all others (leave one out).
- ``limit``: its one-sided 75 % confidence limit on the side that makes the claim harder, by the chi-square law.

Wrong: the true median of the drop less the true deviation is on the limit. Found: for "at most" the sparse network
loses half a deviation, for "at least" three.
"""

import argparse
from dataclasses import dataclass

import numpy as np
from command import positive
from numpy.typing import NDArray
from scipy import stats

from harness.schema.power import deciding

WAYS = ("run", "others", "limit")
SIZES = (5, 8)
"""Initialisations."""
ORDERS = 2
CONFIDENCE = 0.75

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """How accuracies vary.

    Attributes:
        name: as the table has it.
        share: of the variance of a training that is between initialisations.
        shared: correlation of a full and a sparse network's part that is the initialisation's.
    """

    name: str
    share: float
    shared: float


CASES = (
    Case("orders alone", 0.0, 0.0),
    Case("half, nothing shared", 0.5, 0.0),
    Case("half, all shared", 0.5, 1.0),
    Case("four fifths, nothing shared", 0.8, 0.0),
    Case("four fifths, all shared", 0.8, 1.0),
    Case("nine tenths, all shared", 0.9, 1.0),
)


def trainings(case: Case, n: int, draws: int, seed: int) -> tuple[Values, Values]:
    """Accuracies of full and sparse networks, [sample, initialisation, order], without a loss."""
    random = np.random.default_rng([seed, n])
    own, other = random.normal(size=(2, draws, n, 1))
    common = case.shared * own + (1 - case.shared**2) ** 0.5 * other
    noise = (1 - case.share) ** 0.5 * random.normal(size=(2, draws, n, ORDERS))
    return case.share**0.5 * own + noise[0], case.share**0.5 * common + noise[1]


def deviations(full: Values) -> Values:
    """Of a single training, [sample]; as ``harness.protocols.common.matching.deviation`` has it."""
    between = full.mean(axis=2).var(axis=1, ddof=1)
    rest = full.var(axis=2, ddof=1).mean(axis=1) * (1 - 1 / full.shape[2])
    return np.asarray(np.sqrt(between + rest))


def estimates(way: str, full: Values) -> tuple[Values, Values]:
    """What is subtracted where "at most" is claimed, and where "at least" is; [sample, initialisation or 1]."""
    n = full.shape[1]
    if way == "others":
        each = np.stack([deviations(np.delete(full, seed, axis=1)) for seed in range(n)], axis=1)
        return each, each
    of_run = deviations(full)[:, None]
    if way == "run":
        return of_run, of_run
    low, high = (np.sqrt((n - 1) / stats.chi2.ppf(level, n - 1)) for level in (CONFIDENCE, 1 - CONFIDENCE))
    return of_run * low, of_run * high


def decided(way: str, full: Values, sparse: Values, *, lost: tuple[float, float], margin: float) -> tuple[float, float]:
    """How often "at most" and "at least" the margin stand.

    Args:
        way: of the deviation.
        full: accuracies.
        sparse: likewise.
        lost: by the sparse networks, for "at most" and for "at least".
        margin: limit of what is lost beyond a deviation.
    """
    drops = full.mean(axis=2) - sparse.mean(axis=2)
    needed = deciding(full.shape[1])
    at_most, at_least = estimates(way, full)
    below = ((drops + lost[0] - at_most <= margin).sum(axis=1) >= needed).mean()
    above = ((drops + lost[1] - at_least >= margin).sum(axis=1) >= needed).mean()
    return float(below), float(above)


def row(case: Case, n: int, draws: int, seed: int) -> str:
    """Wrong "at most" / "at least" a way, and in brackets how often true ones are found."""
    full, sparse = trainings(case, n, draws, seed)
    cells = []
    for way in WAYS:
        wrong = decided(way, full, sparse, lost=(1.0, 1.0), margin=0.0)
        found = decided(way, full, sparse, lost=(0.5, 3.0), margin=0.0)
        cells.append(f"{_shares(wrong)} ({_shares(found)})")
    return f"| {case.name} | {n} | {' | '.join(cells)} |"


def _shares(pair: tuple[float, float]) -> str:
    return "/".join(f"{rate:.3f}".removeprefix("0") for rate in pair)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=positive, default=20_000, help="samples a row")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    print(f"| between initialisations | n | {' | '.join(WAYS)} |\n|{'---|' * (2 + len(WAYS))}")
    for n in SIZES:
        for case in CASES:
            print(row(case, n, asked.draws, asked.seed))


if __name__ == "__main__":
    main()
