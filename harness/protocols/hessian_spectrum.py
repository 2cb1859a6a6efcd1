"""The spectrum of the Hessian through training: power law, negative part, and how its eigenvectors are spread."""

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

from pydantic import Field

from harness.figure import Figure
from harness.job import Job
from harness.observation import Condition, Observation, Quantity
from harness.protocols import curvature, lineage
from harness.protocols.bands import BandOptions
from harness.protocols.base import Claims, Measurement, Read
from harness.protocols.setting import TrainingSetting, time_problems
from harness.protocols.spectrum_figures import concentration_figures, density_figures, spectrum_figures
from harness.protocols.training import TrainingProtocol
from harness.spec.base import Count, Fraction, Hundreds, Many, Model, Time
from harness.spec.load import Problem
from harness.store import Table


class DensityOptions(Model):
    """Stochastic Lanczos quadrature in place of the exact Hessian, for networks too large for it.

    Attributes:
        probes: random directions [open].
        steps: of Lanczos, from each [open].
    """

    probes: Hundreds = 8
    steps: Hundreds = 80


class HessianSpectrumOptions(Model):
    """What the study of the spectrum leaves to choose.

    Attributes:
        checkpoints: times at which all eigenpairs are computed; the end of training is always one more.
        reference: the time that others are compared with, just before the first drop of the learning rate [open];
            one more checkpoint where it is none of them.
        objective: the loss that is differentiated.
        ranks: how many of the largest eigenvalues the power law goes through [paper: the 100th is 1/100 of the first].
        tolerance: numerical error of an eigenvalue over the largest magnitude of any; what is nearer to zero counts
            as neither positive nor negative [open]. Single precision moves those of the toy network by 7e-7 at most.
        components: k of the concentration: the squared length in the k largest components [paper: 100].
        bands: whose eigenvectors' concentration is measured.
        draws: Gaussian vectors that the null of the concentration is the mean of [open].
        density: estimate the density of the eigenvalues in place of computing all of them: what is about single
            eigenvalues or eigenvectors is not measured then.
    """

    checkpoints: Many[Time] = ()
    reference: Time
    objective: curvature.ObjectiveOptions = curvature.ObjectiveOptions()
    ranks: int = Field(default=100, ge=3, le=10**9)
    tolerance: Fraction = 1e-5
    components: Count = 100
    bands: BandOptions = BandOptions()
    draws: Hundreds = 100
    density: DensityOptions | None = None


_RATIOS: Mapping[str, str] = {"shift": "geometric_mean", "negative_ratio": "negative_mass"}
"""Quantities that compare a column with that of the reference."""
_COLUMNS: Mapping[str, str] = {
    "orders": "orders",
    "power_exponent": "exponent",
    "power_law_r2": "r2",
    "negative_share": "negative_share",
}
"""Quantities that are columns of ``spectrum``."""
_OF_DENSITIES = ("negative_ratio",)
"""Quantities that a spectral density gives too. How many eigenvalues are negative it cannot tell: most are so near to
zero that the quadrature does not resolve their sign."""
MAGNITUDES: Mapping[str, float] = {f"1e{quarter / 4:g}": 10 ** (quarter / 4) for quarter in range(-24, 25)}
"""Of eigenvalues, in quarters of a decade, beyond which their share is counted."""


def spectrum(hessian: Job, options: HessianSpectrumOptions) -> Job:
    """What the eigenvalues amount to."""
    return Job("spectrum", {"ranks": options.ranks, "tolerance": options.tolerance}, {"hessian": hessian})


def concentration(hessian: Job, options: HessianSpectrumOptions, size: int) -> Job:
    """Over how many of ``size`` components the eigenvectors are spread."""
    params = {"bands": dict(options.bands.ranks(size)), "components": options.components, "draws": options.draws}
    return Job("concentration", params, {"hessian": hessian})


def density(setting: TrainingSetting, state: Job, options: DensityOptions, seed: int) -> Job:
    """The spectral density at a state, from probes of the initialisation's own."""
    about = curvature.objective_params(setting, setting.options.objective)
    return Job("density", {**about, **options.model_dump(mode="json"), "seed": f"density/{seed}"}, {"state": state})


class HessianSpectrum(TrainingProtocol):
    """The exact Hessian of the training loss at several checkpoints of one training per initialisation."""

    name = "hessian_spectrum"
    settings = HessianSpectrumOptions
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "orders": Quantity("", ("checkpoint",), "log10 of the last eigenvalue of the power law over the first"),
        "power_exponent": Quantity("", ("checkpoint",), "minus the slope of log λ on log rank, by least squares"),
        "power_law_r2": Quantity(
            "", ("checkpoint",), "share of the variance of log λ that this line explains (R²)", 0.0, 1.0, 1.0
        ),
        "shift": Quantity(
            "x", ("checkpoint",), "geometric mean of the eigenvalues of the power law, over that at the reference"
        ),
        "negative_ratio": Quantity(
            "x", ("checkpoint",), "sum of the magnitudes of the negative eigenvalues, over that at the reference"
        ),
        "negative_share": Quantity(
            "%", ("checkpoint",), "share of the eigenvalues that are negative by more than their numerical error"
        ),
        "concentration": Quantity(
            "%", ("checkpoint", "band"), "squared length of an eigenvector in its k largest components, band's mean"
        ),
        "concentration_over_null": Quantity(
            "x", ("checkpoint", "band"), "that share over the one of vectors of independent normal numbers"
        ),
        "eigenvalue": Quantity(
            "", ("checkpoint", "sign", "rank"), "magnitudes of the eigenvalues of a sign, sorted", least=0.0
        ),
        "cumulative": Quantity(
            "%", ("checkpoint", "band", "components"), "squared length in the largest components, band's mean"
        ),
        "cumulative_null": Quantity("%", ("checkpoint", "components"), "the same of independent normal numbers"),
        "share_beyond": Quantity(
            "%", ("checkpoint", "sign", "magnitude"), "share of the eigenvalues of a sign beyond a magnitude"
        ),
    }
    time_axes: ClassVar[frozenset[str]] = frozenset({"checkpoint"})

    def measurements(self, setting: TrainingSetting) -> Iterable[Measurement]:
        """For every initialisation and checkpoint: what its eigenvalues and what its eigenvectors say."""
        options: HessianSpectrumOptions = setting.options
        size = setting.training.parameters
        for seed in setting.replicates.seeds:
            for checkpoint in _checkpoints(setting):
                if options.density is not None:
                    job = density(setting, lineage.trunk(setting, seed, checkpoint), options.density, seed)
                    yield Measurement("density", job, {"checkpoint": checkpoint}, seed)
                    continue
                hessian = curvature.hessian(setting, lineage.trunk(setting, seed, checkpoint), options.objective)
                at: Mapping[str, Condition] = {"checkpoint": checkpoint}
                yield Measurement("spectrum", spectrum(hessian, options), at, seed)
                yield Measurement("concentration", concentration(hessian, options, size), at, seed)

    def observe(self, setting: TrainingSetting, read: Read) -> Sequence[Observation]:
        """What the tables hold; ratios to the reference of the same initialisation."""
        found: list[Observation] = []
        tables: dict[tuple[int, Condition], Table] = {}
        masses: dict[tuple[int, Condition], float] = {}
        for one in self.measurements(setting):
            table = read(one.job)
            if table is None:
                continue
            if one.kind == "density":
                masses[one.initialisation, one.at["checkpoint"]] = _negative_mass(table)
                found += _of_density(one, table, setting.options.tolerance)
            elif one.kind == "spectrum":
                tables[one.initialisation, one.at["checkpoint"]] = table
                found += _of_spectrum(one, table, setting.training.parameters)
            else:
                found += _of_concentration(one, table, setting.options.components)
        reference = setting.iterations(setting.options.reference)
        for (seed, checkpoint), table in tables.items():
            if (seed, reference) in tables:
                for name, column in _RATIOS.items():
                    ratio = table[column][0] / tables[seed, reference][column][0]
                    found.append(Observation(name, {"checkpoint": checkpoint}, seed, 0, ratio))
        for (seed, checkpoint), mass in masses.items():
            if masses.get((seed, reference)):
                at = {"checkpoint": checkpoint}
                found.append(Observation("negative_ratio", at, seed, 0, mass / masses[seed, reference]))
        return found

    def axes(self, setting: TrainingSetting) -> Mapping[str, Sequence[Condition]]:
        """Checkpoints and bands."""
        return {"checkpoint": _checkpoints(setting), "band": list(setting.options.bands.ranks(1))}

    def defaults(self, setting: TrainingSetting) -> Mapping[str, Condition]:
        """The end of training, the top band."""
        return {"checkpoint": _checkpoints(setting)[-1], "band": "top"}

    def unmeasured(self, setting: TrainingSetting, quantity: str, at: Mapping[str, Condition]) -> str | None:
        """A density knows no single eigenvalues and no eigenvectors."""
        if setting.options.density is not None and quantity not in _OF_DENSITIES:
            return f"{quantity} needs all eigenpairs: leave settings.density out"
        return None

    def check_setting(self, setting: TrainingSetting) -> Iterable[Problem]:
        """Checkpoints lie in training, in order; there are as many eigenpairs as are asked for."""
        yield from super().check_setting(setting)
        options: HessianSpectrumOptions = setting.options
        yield from time_problems(setting, "checkpoints", options.checkpoints)
        if setting.iterations(options.reference) > setting.length:
            message = f"found {options.reference}, but training ends at {setting.training.length}: choose k <= T"
            yield Problem(("settings", "reference"), message)
        if options.density is None:
            yield from curvature.exact_problems(setting)
        yield from options.bands.problems(setting.training.parameters)
        for field in ("ranks", "components"):
            if getattr(options, field) > setting.training.parameters:
                message = f"found {getattr(options, field)}, but there are {setting.training.parameters}: choose fewer"
                yield Problem(("settings", field), message)

    def figures(
        self, setting: TrainingSetting, observations: Sequence[Observation], claims: Claims
    ) -> Sequence[Figure]:
        """Sorted spectra; cumulative power of components; both summed up against the checkpoint; or densities."""
        checkpoints = _checkpoints(setting)
        if setting.options.density is not None:
            return density_figures(observations, checkpoints, MAGNITUDES)
        return [
            *spectrum_figures(observations, checkpoints),
            *concentration_figures(observations, checkpoints[-1], list(self.axes(setting)["band"])),
        ]


def _checkpoints(setting: TrainingSetting) -> list[int]:
    return curvature.checkpoints(setting, setting.options.reference)


def _of_spectrum(one: Measurement, table: Table, size: int) -> list[Observation]:
    found = [Observation(name, one.at, one.initialisation, 0, table[column][0]) for name, column in _COLUMNS.items()]
    found += [
        Observation("eigenvalue", {**one.at, "sign": sign, "rank": rank}, one.initialisation, 0, value)
        for sign, rank, value in zip(table["sign"], table["rank"], table["eigenvalue"], strict=True)
    ]
    for sign in ("positive", "negative"):
        values = [value for value, its in zip(table["eigenvalue"], table["sign"], strict=True) if its == sign]
        found += _beyond(one, sign, [(value, 100 / size) for value in values], min(values, default=0.0))
    return found


def _negative_mass(density: Table) -> float:
    """Mean magnitude of the negative part, over all eigenvalues."""
    points = zip(density["node"], density["weight"], strict=True)
    return float(sum(-node * weight for node, weight in points if node < 0))


def _of_density(one: Measurement, table: Table, tolerance: float) -> Iterable[Observation]:
    """Each probe's weights sum to 1; the density is the mean of the probes'."""
    probes = len(set(table["probe"]))
    points = [(node, 100 * weight / probes) for node, weight in zip(table["node"], table["weight"], strict=True)]
    error = tolerance * max(abs(node) for node, _ in points)
    for sign, turn in (("positive", 1), ("negative", -1)):
        yield from _beyond(one, sign, [(turn * node, weight) for node, weight in points], error)


def _beyond(one: Measurement, sign: str, points: Sequence[tuple[float, float]], error: float) -> Iterable[Observation]:
    """Shares (%) beyond each magnitude, of (magnitude, share); magnitudes below the error tell nothing."""
    for name, magnitude in MAGNITUDES.items():
        beyond = sum(share for value, share in points if value > magnitude)
        if beyond > 0 and magnitude >= error:
            at: Mapping[str, Condition] = {**one.at, "sign": sign, "magnitude": name}
            yield Observation("share_beyond", at, one.initialisation, 0, beyond)


def _of_concentration(one: Measurement, table: Table, components: int) -> list[Observation]:
    found, null = [], dict(zip(table["components"], table["null"], strict=True))
    for band, count, share in zip(table["band"], table["components"], table["share"], strict=True):
        at = {**one.at, "band": band}
        found.append(Observation("cumulative", {**at, "components": count}, one.initialisation, 0, share))
        if count == components:
            found.append(Observation("concentration", at, one.initialisation, 0, share))
            found.append(Observation("concentration_over_null", at, one.initialisation, 0, share / null[count]))
    found += [
        Observation("cumulative_null", {**one.at, "components": count}, one.initialisation, 0, share)
        for count, share in null.items()
    ]
    return found


PROTOCOL = HessianSpectrum()
