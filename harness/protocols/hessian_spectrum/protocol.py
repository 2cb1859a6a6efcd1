"""The spectrum of the Hessian through training: power law, negative part, and how its eigenvectors are spread."""

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

from pydantic import Field

from harness.figure import Figure
from harness.jobs.job import Job
from harness.observation import Condition, Observation, Quantity
from harness.protocols.common import curvature, lineage
from harness.protocols.common.bands import BandOptions
from harness.protocols.common.base import Claims, Measurement, Read
from harness.protocols.common.setting import TrainingSetting, time_problems
from harness.protocols.common.training import TrainingProtocol
from harness.protocols.hessian_spectrum.figures import concentration_figures, density_figures, spectrum_figures
from harness.protocols.hessian_spectrum.observations import (
    MAGNITUDES,
    Density,
    Spectrum,
    drawn,
    mass,
    of_concentration,
    of_density,
    of_spectrum,
    over_reference,
    scale,
)
from harness.schema.base import Count, Fraction, Hundreds, Many, Model, Time
from harness.schema.load import Problem


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
            as neither positive nor negative, in shares and sums alike, and a number that rests on it alone has no value
            [open]. Single precision moves those of the toy network by 7e-7 at most.
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
    tolerance: Fraction = curvature.EIGENVALUE_ERROR
    components: Count = 100
    bands: BandOptions = BandOptions()
    draws: Hundreds = 100
    density: DensityOptions | None = None


_OF_DENSITIES = ("negative_ratio",)
"""Quantities that a spectral density gives too. How many eigenvalues are negative it cannot tell: most are so near to
zero that the quadrature does not resolve their sign."""


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
            "x",
            ("checkpoint",),
            "sum of the magnitudes of the eigenvalues that are negative by more than their numerical error, over that "
            "at the reference",
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
                yield Measurement("eigenvalues", hessian, at, seed)
                yield Measurement("spectrum", spectrum(hessian, options), at, seed)
                yield Measurement("concentration", concentration(hessian, options, size), at, seed)

    def observe(self, setting: TrainingSetting, read: Read) -> Sequence[Observation]:
        """What the tables hold; ratios to the reference of the same initialisation."""
        found: list[Observation] = []
        spectra: dict[tuple[int, int], Spectrum] = {}
        densities: dict[tuple[int, int], Density] = {}
        options: HessianSpectrumOptions = setting.options
        size = setting.training.parameters
        for one in self.measurements(setting):
            table, place = read(one.job), (one.initialisation, int(one.at["checkpoint"]))
            if table is None:
                continue
            if one.kind == "density":
                densities[place] = Density(table, options.tolerance)
                found += of_density(one, densities[place])
            elif one.kind == "eigenvalues":
                spectra[place] = Spectrum(table["eigenvalue"], options.ranks, options.tolerance)
                found += of_spectrum(one, spectra[place])
            elif one.kind == "spectrum":
                found += drawn(one, table, size)
            else:
                bands = options.bands.ranks(size)
                found += of_concentration(one, table, options.components, bands, spectra.get(place))
        reference = setting.iterations(options.reference)
        found += over_reference("shift", spectra, reference, scale)
        found += over_reference("negative_ratio", spectra, reference, mass)
        found += over_reference("negative_ratio", densities, reference, mass)
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
        yield from curvature.objective_problems(setting)
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


PROTOCOL = HessianSpectrum()
