"""What the eigenvalues of a Hessian, or their density, amount to; what may be all rounding has no value."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from harness.digits import plain
from harness.jobs.stage_row import Table
from harness.measure import power_law, tail_laws
from harness.observation import NoValue, Observation, observed
from harness.protocols.common.bands import no_vectors
from harness.protocols.common.base import Measured
from harness.protocols.hessian_spectrum.options import SpectrumSetting

MAGNITUDES: Mapping[str, float] = {f"1e{quarter / 4:g}": 10 ** (quarter / 4) for quarter in range(-24, 25)}
"""Of eigenvalues, in quarters of a decade, beyond which their share is counted."""

_FEWEST = 3
"""Eigenvalues that a power law needs."""
_FEWEST_OF_TAIL = 4
_AGAINST: Mapping[str, Callable[[Sequence[float]], float]] = {
    "power_law_over_exponential": tail_laws.over_exponential,
    "power_law_over_lognormal": tail_laws.over_lognormal,
}
"""Quantity -> the law that the power law is held against."""
_MOST_WITHIN = 0.1
"""Of a negative mass: what lies within the error may change a ratio by as much."""


@dataclass(frozen=True)
class Spectrum:
    """All eigenvalues at a checkpoint.

    Attributes:
        values: the largest first.
        ranks: how many of the largest the power law goes through.
        tolerance: numerical error of an eigenvalue over the largest magnitude of any.
    """

    values: Sequence[float]
    ranks: int
    tolerance: float

    @property
    def largest(self) -> Sequence[float]:
        """Those that the power law goes through."""
        return self.values[: self.ranks]

    @cached_property
    def error(self) -> float:
        """Numerical error of an eigenvalue."""
        return self.tolerance * max(abs(self.values[0]), abs(self.values[-1]))

    def negative_mass(self, beyond: float) -> float:
        """Sum of the magnitudes of those that are negative by more than so much."""
        return power_law.negative_mass(self.values, beyond)

    @property
    def no_law(self) -> NoValue | None:
        """Why the largest have no logarithms; None where they do."""
        if self.largest[-1] > self.error:
            return None
        count = sum(value > self.error for value in self.values)
        return NoValue(
            f"only {count} of the {self.ranks} largest eigenvalues are positive beyond their error of "
            f"{plain(self.error, 3)}, so no power law goes through them"
            + (f": settings.ranks of {count} would do here" if count >= _FEWEST else "")
        )


@dataclass(frozen=True)
class Density:
    """The spectral density at a checkpoint: columns ``probe``, ``node`` and ``weight``; each probe's weights sum to 1.

    Attributes:
        table: the columns.
        tolerance: numerical error of an eigenvalue over the largest magnitude of any.
    """

    table: Table
    tolerance: float

    @cached_property
    def error(self) -> float:
        """Numerical error of an eigenvalue."""
        return float(self.tolerance * max(map(abs, self.table["node"])))

    def negative_mass(self, beyond: float) -> float:
        """Mean over all eigenvalues of the magnitudes of those that are negative by more than so much, times probes."""
        points = zip(self.table["node"], self.table["weight"], strict=True)
        return float(sum(-node * weight for node, weight in points if node < -beyond))

    @property
    def shares(self) -> list[tuple[float, float]]:
        """Pairs of an eigenvalue and the share (%) of all that it stands for: the mean over the probes."""
        probes = len(set(self.table["probe"]))
        pairs = zip(self.table["node"], self.table["weight"], strict=True)
        return [(node, 100 * weight / probes) for node, weight in pairs]


Part = TypeVar("Part", Spectrum, Density)


def spectrum_of(setting: SpectrumSetting, table: Table) -> Spectrum:
    """Of a table of ``hessian``."""
    return Spectrum(table["eigenvalue"], setting.options.ranks, setting.options.tolerance)


def density_of(setting: SpectrumSetting, table: Table) -> Density:
    """Of a table of ``density``."""
    return Density(table, setting.options.tolerance)


def of_eigenvalues(measured: Measured[SpectrumSetting]) -> Iterable[Observation]:
    """The power law through the largest eigenvalues, and the share of the negative ones."""
    spectrum = spectrum_of(measured.setting, measured.table)
    for name, value in _law(spectrum).items():
        yield measured.seen(name, value)
    yield measured.seen("negative_share", power_law.negative_share(spectrum.values, spectrum.error))


def _law(seen: Spectrum) -> Mapping[str, float | NoValue]:
    names = ("orders", "power_exponent", "power_law_r2", *_AGAINST)
    if seen.no_law is not None:
        return dict.fromkeys(names, seen.no_law)
    law, largest = power_law.power_law(seen.largest), seen.largest
    found: dict[str, float | NoValue] = {
        "orders": power_law.orders_of_magnitude(largest),
        "power_exponent": law.exponent,
        "power_law_r2": law.r2,
    }
    if largest[0] - largest[-1] <= seen.error:
        same = NoValue(
            f"the {seen.ranks} largest eigenvalues differ by {plain(largest[0] - largest[-1], 3)}, no more than their "
            f"error of {plain(seen.error, 3)}: there is no variance to explain"
        )
        return found | dict.fromkeys(("power_law_r2", *_AGAINST), same)
    if len(largest) < _FEWEST_OF_TAIL:
        few = NoValue(f"{len(largest)} eigenvalues tell no law from another: settings.ranks of 4 or more would")
        return found | dict.fromkeys(_AGAINST, few)
    return found | {name: deviate(largest) for name, deviate in _AGAINST.items()}


def drawn(measured: Measured[SpectrumSetting]) -> Iterable[Observation]:
    """Some eigenvalues of each sign, and their shares beyond magnitudes, of a table of ``spectrum``."""
    table, size = measured.table, measured.setting.recipe.training.parameters
    for sign, rank, value in zip(table["sign"], table["rank"], table["eigenvalue"], strict=True):
        yield measured.seen("eigenvalue", value, sign=sign, rank=rank)
    for sign in ("positive", "negative"):
        values = [value for value, its in zip(table["eigenvalue"], table["sign"], strict=True) if its == sign]
        yield from _beyond(measured, sign, [(value, 100 / size) for value in values], min(values, default=0.0))


def of_density(measured: Measured[SpectrumSetting]) -> Iterable[Observation]:
    """The shares of the eigenvalues of each sign beyond magnitudes."""
    density = density_of(measured.setting, measured.table)
    for sign, turn in (("positive", 1), ("negative", -1)):
        yield from _beyond(measured, sign, [(turn * node, share) for node, share in density.shares], density.error)


def _beyond(
    measured: Measured, sign: str, points: Sequence[tuple[float, float]], error: float
) -> Iterable[Observation]:
    """Shares (%) beyond each magnitude, of (magnitude, share); magnitudes below the error tell nothing."""
    for name, magnitude in MAGNITUDES.items():
        beyond = sum(share for value, share in points if value > magnitude)
        if beyond > 0 and magnitude >= error:
            yield measured.seen("share_beyond", beyond, sign=sign, magnitude=name)


def over_reference(
    name: str,
    parts: Mapping[tuple[int, int], Part],
    reference: int,
    compare: Callable[[Part, Part, int], float | NoValue],
) -> Iterable[Observation]:
    """A comparison with the reference of the same initialisation, where that is there."""
    for (seed, checkpoint), part in parts.items():
        if (seed, reference) in parts:
            value = compare(part, parts[seed, reference], reference)
            yield observed(name, {"checkpoint": checkpoint}, seed, 0, value)


def scale(here: Spectrum, there: Spectrum, reference: int) -> float | NoValue:
    """The geometric mean of the largest eigenvalues over that at the reference."""
    if here.no_law is not None:
        return here.no_law
    if there.no_law is not None:
        return NoValue(f"at the reference, iteration {reference}, {there.no_law.why}")
    return power_law.geometric_mean(here.largest) / power_law.geometric_mean(there.largest)


def mass(here: Part, there: Part, reference: int) -> float | NoValue:
    """The negative mass over that at the reference, both beyond the larger of their errors.

    Each beyond its own would fall where only the largest eigenvalue, and with it the error, rises.
    """
    error = max(here.error, there.error)
    masses = [part.negative_mass(error) for part in (here, there)]
    if masses[1] == 0:
        return NoValue(
            f"at the reference, iteration {reference}, no eigenvalue is negative beyond the error of "
            f"{plain(error, 3)}, so that there is nothing to compare with"
        )
    within = max(part.negative_mass(0.0) - beyond for part, beyond in zip((here, there), masses, strict=True))
    if within > _MOST_WITHIN * masses[1]:
        return NoValue(
            f"eigenvalues that are negative by no more than the error of {plain(error, 3)} sum to {plain(within, 3)}, "
            f"where those beyond it at the reference, iteration {reference}, sum to {plain(masses[1], 3)}: the ratio "
            "may be all error"
        )
    return masses[0] / masses[1]


def of_concentration(measured: Measured[SpectrumSetting]) -> Iterable[Observation]:
    """Over how many components the eigenvectors of each band are spread, of a table of ``concentration``."""
    table, options, hessian = measured.table, measured.setting.options, measured.of_input("hessian")
    spectrum = None if hessian is None else spectrum_of(measured.setting, hessian)
    bands = options.bands.ranks(measured.setting.recipe.training.parameters)
    null = dict(zip(table["components"], table["null"], strict=True))
    for band, count, share in zip(table["band"], table["components"], table["share"], strict=True):
        yield measured.seen("cumulative", share, band=band, components=count)
        if count == options.components:
            without = None if spectrum is None else no_vectors(spectrum.values, bands[band], spectrum.error)
            yield measured.seen("concentration", without or share, band=band)
            yield measured.seen("concentration_over_null", without or share / null[count], band=band)
    for count, share in null.items():
        yield measured.seen("cumulative_null", share, components=count)
