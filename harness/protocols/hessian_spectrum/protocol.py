"""The spectrum of the Hessian through training: power law, negative part, and how its eigenvectors are spread."""

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

from harness.figure import Figure
from harness.jobs.job import Job
from harness.observation import Condition, Observation, Quantity
from harness.protocols.common import curvature
from harness.protocols.common.base import Claims, Measurement, Read
from harness.protocols.common.setting import time_problems
from harness.protocols.common.training import TrainingExperiment
from harness.protocols.hessian_spectrum.figures import concentration_figures, density_figures, spectrum_figures
from harness.protocols.hessian_spectrum.observations import (
    MAGNITUDES,
    density_of,
    drawn,
    mass,
    of_concentration,
    of_density,
    of_eigenvalues,
    over_reference,
    scale,
    spectrum_of,
)
from harness.protocols.hessian_spectrum.options import DensityOptions, HessianSpectrumOptions, SpectrumSetting
from harness.schema.load import Problem

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


def density(setting: SpectrumSetting, state: Job, options: DensityOptions, seed: int) -> Job:
    """The spectral density at a state, from probes of the initialisation's own."""
    about = curvature.objective_params(setting.recipe, setting.options.objective)
    return Job("density", {**about, **options.model_dump(mode="json"), "seed": f"density/{seed}"}, {"state": state})


class HessianSpectrum(TrainingExperiment[HessianSpectrumOptions]):
    """The exact Hessian of the training loss at several checkpoints of one training per initialisation."""

    name = "hessian_spectrum"
    settings = HessianSpectrumOptions
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "orders": Quantity("", ("checkpoint",), "log10 of the last eigenvalue of the power law over the first"),
        "power_exponent": Quantity("", ("checkpoint",), "minus the slope of log λ on log rank, by least squares"),
        "power_law_r2": Quantity(
            "", ("checkpoint",), "share of the variance of log λ that this line explains (R²)", 0.0, 1.0, 1.0
        ),
        "power_law_over_exponential": Quantity(
            "sd",
            ("checkpoint",),
            "log of the likelihood of a power law over that of an exponential law, for these eigenvalues but the last, "
            "in its standard deviations (Vuong): above 1.64 the power law is nearer, at 5 %",
        ),
        "power_law_over_lognormal": Quantity(
            "sd",
            ("checkpoint",),
            "likewise over a log-normal law, which the power law is a limit of: below -1.64 the log-normal is nearer",
            most=0.0,
            computed_from=1.0,
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

    def measurements(self, setting: SpectrumSetting) -> Iterable[Measurement]:
        """For every initialisation and checkpoint: what its eigenvalues and what its eigenvectors say."""
        options, size = setting.options, setting.recipe.training.parameters
        for seed in setting.replicates.seeds:
            for checkpoint in _checkpoints(setting):
                about = _about(setting, seed, checkpoint)
                at: Mapping[str, Condition] = {"checkpoint": checkpoint}
                if options.density is not None:
                    yield Measurement(of_density, about, at, seed)
                    continue
                yield Measurement(of_eigenvalues, about, at, seed)
                yield Measurement(drawn, spectrum(about, options), at, seed)
                yield Measurement(of_concentration, concentration(about, options, size), at, seed)

    def derived(
        self, setting: SpectrumSetting, observations: Sequence[Observation], read: Read
    ) -> Iterable[Observation]:
        """Ratios to the reference of the same initialisation."""
        reference = setting.iterations(setting.options.reference)
        places = [(seed, checkpoint) for seed in setting.replicates.seeds for checkpoint in _checkpoints(setting)]
        tables = {place: table for place in places if (table := read(_about(setting, *place))) is not None}
        if setting.options.density is None:
            spectra = {place: spectrum_of(setting, table) for place, table in tables.items()}
            yield from over_reference("shift", spectra, reference, scale)
            yield from over_reference("negative_ratio", spectra, reference, mass)
        else:
            densities = {place: density_of(setting, table) for place, table in tables.items()}
            yield from over_reference("negative_ratio", densities, reference, mass)

    def rests_on(
        self, setting: SpectrumSetting, quantity: str, at: Mapping[str, Condition], measurement: Measurement
    ) -> bool:
        """Ratios are to the reference."""
        reference = setting.iterations(setting.options.reference)
        to_reference = quantity in ("shift", "negative_ratio") and measurement.at["checkpoint"] == reference
        return to_reference or measurement.agrees(at)

    def axes(self, setting: SpectrumSetting) -> Mapping[str, Sequence[Condition]]:
        """Checkpoints and bands."""
        return {"checkpoint": _checkpoints(setting), "band": list(setting.options.bands.ranks(1))}

    def defaults(self, setting: SpectrumSetting) -> Mapping[str, Condition]:
        """The end of training, the top band."""
        return {"checkpoint": _checkpoints(setting)[-1], "band": "top"}

    def unmeasured(self, setting: SpectrumSetting, quantity: str, at: Mapping[str, Condition]) -> str | None:
        """A density knows no single eigenvalues and no eigenvectors."""
        if setting.options.density is not None and quantity not in _OF_DENSITIES:
            return f"{quantity} needs all eigenpairs: leave settings.density out"
        return None

    def check_setting(self, setting: SpectrumSetting) -> Iterable[Problem]:
        """Checkpoints lie in training, in order; there are as many eigenpairs as are asked for."""
        yield from super().check_setting(setting)
        yield from curvature.objective_problems(setting.recipe, setting.options.objective)
        options = setting.options
        yield from time_problems(setting.recipe, "checkpoints", options.checkpoints)
        if setting.iterations(options.reference) > setting.length:
            message = f"found {options.reference}, but training ends at {setting.recipe.training.length}: choose k <= T"
            yield Problem(("settings", "reference"), message)
        if options.density is None:
            yield from curvature.exact_problems(setting.recipe)
        yield from options.bands.problems(setting.recipe.training.parameters)
        for field in ("ranks", "components"):
            if getattr(options, field) > setting.recipe.training.parameters:
                message = (
                    f"found {getattr(options, field)}, but there are {setting.recipe.training.parameters}: choose fewer"
                )
                yield Problem(("settings", field), message)

    def figures(
        self, setting: SpectrumSetting, observations: Sequence[Observation], claims: Claims
    ) -> Sequence[Figure]:
        """Sorted spectra; cumulative power of components; both summed up against the checkpoint; or densities."""
        checkpoints = _checkpoints(setting)
        if setting.options.density is not None:
            return density_figures(observations, checkpoints, MAGNITUDES)
        return [
            *spectrum_figures(observations, checkpoints),
            *concentration_figures(observations, checkpoints[-1], list(self.axes(setting)["band"])),
        ]


def _checkpoints(setting: SpectrumSetting) -> list[int]:
    return curvature.checkpoints(setting.recipe, (*setting.options.checkpoints, setting.options.reference))


def _about(setting: SpectrumSetting, seed: int, checkpoint: int) -> Job:
    """The exact Hessian at a checkpoint, or the spectral density in its place."""
    state, options = setting.recipe.trunk(seed, checkpoint), setting.options
    if options.density is not None:
        return density(setting, state, options.density, seed)
    return curvature.hessian(setting.recipe, state, options.objective)


PROTOCOL = HessianSpectrum()
