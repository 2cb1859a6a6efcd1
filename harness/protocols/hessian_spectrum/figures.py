"""Figures of Hessian spectra, in the slides' form."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from harness.figure import Figure, Series
from harness.observation import Condition, Observation
from harness.protocols.common import series


def spectrum_figures(observations: Sequence[Observation], checkpoints: Sequence[int]) -> list[Figure]:
    """Sorted eigenvalues at every checkpoint, and what they amount to against the checkpoint."""
    eigenvalues = _in_all(observations)
    lines = [
        _line(
            eigenvalues,
            "eigenvalue",
            "rank",
            {"checkpoint": checkpoint, "sign": sign},
            label=f"iteration {checkpoint}, {sign}",
            role=f"checkpoint{number}",
            dashed=sign == "negative",
            order=number / max(len(checkpoints) - 1, 1),
            interval=False,
        )
        for number, checkpoint in enumerate(checkpoints)
        for sign in ("positive", "negative")
    ]
    spectra = Figure(
        "spectra",
        "Sorted eigenvalues of the Hessian",
        "Magnitudes of the eigenvalues against their rank, positive and negative ones apart: the positive part is "
        "roughly a straight line that shifts upwards, the negative one falls off a cliff.",
        "rank",
        "|eigenvalue|",
        lines,
        (),
        "log",
        "log",
    )
    ratios: Mapping[str, str] = {"shift": "largest eigenvalues, geometric mean", "negative_ratio": "negative mass"}
    through = Figure(
        "spectrum_through_training",
        "Both parts of the spectrum through training",
        "The largest eigenvalues and the sum of the negative ones, over their values just before the first drop of "
        "the learning rate.",
        "iteration",
        "over the reference",
        [series.curve(observations, name, "checkpoint", {}, label=label, role=name) for name, label in ratios.items()],
    )
    return [spectra, through]


def density_figures(
    observations: Sequence[Observation], checkpoints: Sequence[int], magnitudes: Mapping[str, float]
) -> list[Figure]:
    """The share of eigenvalues beyond a magnitude: the sorted spectrum, turned by a right angle."""
    places: dict[Condition, float] = dict(magnitudes.items())
    lines = [
        series.curve(
            observations,
            "share_beyond",
            "magnitude",
            {"checkpoint": checkpoint, "sign": sign},
            label=f"iteration {checkpoint}, {sign}",
            role=f"checkpoint{number}",
            dashed=sign == "negative",
            places=places,
        )
        for number, checkpoint in enumerate(checkpoints)
        for sign in ("positive", "negative")
    ]
    return [
        Figure(
            "density",
            "Share of the eigenvalues beyond a magnitude",
            "Share of the eigenvalues of the Hessian, of each sign, whose magnitude is greater; estimated by "
            "stochastic Lanczos quadrature.",
            "|eigenvalue|",
            "share of all eigenvalues (%)",
            lines,
            (),
            "log",
            "log",
        )
    ]


def concentration_figures(
    observations: Sequence[Observation], checkpoint: int, bands: Sequence[Condition]
) -> list[Figure]:
    """The squared length of eigenvectors in their largest components; and against the checkpoint."""
    return [_cumulative_power(observations, checkpoint, bands), _concentration(observations, bands)]


def _cumulative_power(observations: Sequence[Observation], checkpoint: int, bands: Sequence[Condition]) -> Figure:
    """At a checkpoint, beside that of Gaussian vectors."""
    lines = [
        _line(
            observations,
            "cumulative",
            "components",
            {"checkpoint": checkpoint, "band": band},
            label=f"{band} eigenvectors",
            role=f"band_{band}",
        )
        for band in bands
    ]
    null = _line(
        observations,
        "cumulative_null",
        "components",
        {"checkpoint": checkpoint},
        label="Gaussian vectors",
        role="null",
        dashed=True,
    )
    return Figure(
        "cumulative_power",
        f"Cumulative power in sorted components, iteration {checkpoint}",
        "Share of an eigenvector's squared length in its largest components, averaged over a band: eigenvectors of "
        "large eigenvalues are held by few components, those of small ones look like Gaussian vectors.",
        "components, the largest first",
        "squared length (%)",
        [*lines, null],
        (),
        "log",
    )


def _concentration(observations: Sequence[Observation], bands: Sequence[Condition]) -> Figure:
    """Through training, over that of Gaussian vectors."""
    return Figure(
        "concentration",
        "Concentration of eigenvectors through training",
        "Squared length in the k largest components over that of Gaussian vectors, by band.",
        "iteration",
        "over Gaussian vectors",
        [
            series.curve(
                observations,
                "concentration_over_null",
                "checkpoint",
                {"band": band},
                label=f"{band} eigenvectors",
                role=f"band_{band}",
            )
            for band in bands
        ],
    )


def _line(
    observations: Sequence[Observation],
    quantity: str,
    axis: str,
    at: Mapping[str, Condition],
    *,
    label: str,
    role: str,
    dashed: bool = False,
    order: float | None = None,
    interval: bool = True,
) -> Series:
    """``series.curve`` over the few observations of the line, as there are thousands of others."""
    mine = [
        observation
        for observation in observations
        if observation.quantity == quantity and all(observation.at.get(name) == value for name, value in at.items())
    ]
    line = series.curve(mine, quantity, axis, at, label=label, role=role, dashed=dashed)
    ends = (line.low, line.high) if interval else ((), ())
    return replace(line, style="thin", order=order, low=ends[0], high=ends[1])


def _in_all(observations: Sequence[Observation]) -> list[Observation]:
    """Eigenvalues of ranks that every initialisation has, so that a line does not jump where one of them ends."""
    eigenvalues = [observation for observation in observations if observation.quantity == "eigenvalue"]
    counts = Counter(tuple(sorted(eigenvalue.at.items())) for eigenvalue in eigenvalues)
    seeds = len({eigenvalue.initialisation for eigenvalue in eigenvalues})
    return [eigenvalue for eigenvalue in eigenvalues if counts[tuple(sorted(eigenvalue.at.items()))] == seeds]
