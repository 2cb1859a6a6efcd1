"""Outcomes built by hand: one as a protocol would give it, one of all that is awkward, one at paper scale."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.figure import Figure, Panel, Reference, Series, Surface
from harness.judging.statistics import Estimate
from harness.judging.verdict import Judgement, Verdict
from harness.pipeline.outcome import Cost, Failure, Outcome
from harness.report.index import index
from harness.report.read import read_all
from harness.report.write import write, write_index
from harness.schema.model import Spec

_TRAINING: Mapping[str, Any] = {
    "network": {"name": "resnet", "widths": [8, 16], "blocks": 1},
    "parameters": 5122,
    "data": {"name": "digits", "normalise": {"kind": "scale", "scale": 16.0}, "augment": {"crop_padding": 1}},
    "length": "1000it",
    "batch": 64,
    "optimiser": {"name": "sgd"},
    "schedule": {"rate": 0.5, "drops": ["500it", "750it"]},
}
_PROVENANCE: Mapping[str, Any] = {
    "code": {"commit": "0f3c9a1d77be", "changed": False, "version": "0.1.0"},
    "environment": {"python": "3.11.7", "torch": "2.13.0+cpu", "lock": "sha256:" + "5e1f" * 16},
    "hardware": {"device": "cpu", "cores": 2, "deterministic": True},
    "data": {"digits": "sha256:" + "a71c" * 16},
    "started": "2026-01-05T10:00:00Z",
}
_COST = Cost(212, 180, 48, 48_000, 201.4, 1342.0, 41_250_112)


def claim(identity: str, sentence: str, checks: Mapping[str, Any], paper: float | None = None) -> dict[str, Any]:
    place = "Section 4, Figure 5 (left)"
    return {
        "id": identity,
        "sentence": sentence,
        "source": {"paper": "lmc", "place": place},
        "quantity": "instability",
        "paper_value": paper,
        "checks": checks,
    }


def spec(claims: list[dict[str, Any]], identity: str = "resnet20_imp", **changed: Any) -> Spec:
    scale = {
        "replicates": {"initialisations": 5},
        "training": _TRAINING,
        "settings": {
            "rewind": ["0it", "25it", "100it"],
            "levels": 8,
            "fraction": 0.2,
            "statistics": "recomputed",
        },
        "departures": ["A ResNet of 5,122 parameters on digits in place of ResNet-20 on CIFAR-10."],
    }
    return Spec.model_validate(
        {
            "schema_version": 1,
            "id": identity,
            "title": "Sparse ResNets become stable and matching when rewound to early in training",
            "protocol": "lottery_tickets",
            "claims": claims,
            "scales": {"toy": scale, "paper": scale},
            **changed,
        }
    )


def judgement(made: Spec, at: int, verdict: Verdict, estimate: Estimate | None, unit: str, **more: Any) -> Judgement:
    one = made.claims[at]
    return Judgement(one, one.checks.get(more.pop("scale", "toy")), verdict, estimate, unit, **more)


def rewinding() -> Figure:
    x = [0, 10, 25, 50, 100, 250, 500, 1000]
    y = [17.6, 12.1, 3.4, 1.0, 0.3, 0.2, 0.1, 0.0]
    pruned = [18.9, 18.1, 16.4, 15.8, 14.9, 13.2, 11.8, 10.4]
    again = [19.4, 18.6, 17.9, 16.1, 14.0, 12.6, 11.1, 9.7]
    full = [21.0, 14.0, 6.1, 2.1, 0.7, 0.2, 0.1, 0.0]
    return Figure(
        "instability",
        "Instability by rewinding iteration, 16.8 % of weights",
        "IMP subnetworks become stable when rewound to 50 or later; random ones at no point. Bands: 95 %.",
        "Rewinding iteration",
        "Instability (points)",
        [
            Series("IMP", "imp", x, y, [0.6 * one for one in y], [1.4 * one for one in y]),
            Series("Random pruning", "random_prune", x, pruned, [v - 2 for v in pruned], [v + 2 for v in pruned]),
            Series("Random reinit", "random_reinit", x, again, [v - 2 for v in again], [v + 2 for v in again]),
            Series("Full network", "full", x, full, dashed=True),
        ],
        [Reference("stable", 2.0, "y", "threshold"), Reference("paper", 500, "x", "paper")],
        x_scale="symlog",
    )


def levels() -> Figure:
    x = [100 * 0.8**level for level in range(12)]
    early = [1.4 + 0.02 * level**2 for level in range(12)]
    late = [1.4 + 0.004 * level**2 for level in range(12)]
    return Figure(
        "error",
        "Test error by sparsity",
        "Rewound to 100, IMP matches the full network down to 10.8 % of weights; rewound to 0 it does not.",
        "Weights remaining (%)",
        "Test error (%)",
        [
            Series("IMP, rewound to 0", "imp", x, early, [v - 0.2 for v in early], [v + 0.2 for v in early], True),
            Series("IMP, rewound to 100", "imp", x, late, [v - 0.1 for v in late], [v + 0.1 for v in late]),
            Series("Full network", "full", x, [1.4] * 12),
        ],
        [Reference("paper", 3.2, "y", "paper")],
        x_scale="reversed_log",
    )


def training() -> Figure:
    steps = [100.0 * at for at in range(400)]
    rates = [0.1 if one < 10_000 else 0.01 for one in steps]
    return Figure(
        "training",
        "Loss and sharpness",
        "The loss falls and the sharpness rises where the rate drops.",
        "iteration",
        "training loss (nats)",
        [
            Series("loss", "train", steps, [0.02 + rate for rate in rates]),
            Series("λmax", "sharpness", steps, [1.9 / rate for rate in rates], panel=1),
            Series("2/η", "bound", steps, [2 / rate for rate in rates], dashed=True, style="steps", panel=1),
        ],
        [Reference("rate drops", at, "x", "event") for at in (10_000, 20_000)],
        below=[Panel("λmax", "log")],
    )


def spectra() -> Figure:
    ranks = list(range(1, 41))
    return Figure(
        "spectra",
        "Sorted spectra",
        "Eigenvalues fall as a power of their rank.",
        "rank",
        "eigenvalue",
        [
            Series(f"iteration {at}", "spectrum", ranks, [10.0 ** (at - 5) / rank**2 for rank in ranks], order=at / 9)
            for at in range(10)
        ],
        x_scale="log",
        y_scale="log",
    )


def parabolas() -> Figure:
    across = [at / 10 for at in range(-10, 11)]
    centres = [-0.2, 0.0, 0.3]
    batches = [Series("a batch", "batch", across, [(x - c) ** 2 for x in across], style="thin") for c in centres]
    minima = Series("minima", "minimum", centres, [0.0] * 3, [-0.1] * 3, [0.1] * 3, style="points")
    return Figure("parabolas", "Batches", "Each has its minimum.", "displacement", "loss (nats)", [*batches, minima])


def overlap() -> Figure:
    names = ["1e-2…1e-1", "1e-1…1", "1…10"]
    values = [[0.875, 0.25, float("nan")], [0.25, 0.5, 0.125], [0.0, 0.125, 1.0]]
    surface = Surface(range(3), range(3), values, "mean squared overlap", "heat", x_names=names, y_names=names)
    return Figure("overlap", "Overlap", "Large eigenvalues stay.", "λ at 200", "λ at 100", [], surface=surface)


def valley() -> Figure:
    across = [-2 + at / 10 for at in range(41)]
    up = [at / 10 for at in range(41)]
    values = [[0.01 + (1 + y) * x**2 for x in across] for y in up]
    path = Series("checkpoints", "path", [0.2, -0.2, 0.1, 0.0], [0.5, 1.5, 2.5, 3.5])
    words = ("valley", "The valley", "The path follows the valley.", "across (λmax)", "along the path")
    return Figure(*words, [path], surface=Surface(across, up, values, "training loss (nats)", z_scale="log"))


def _line() -> Figure:
    alphas = [index / 29 for index in range(30)]
    test = [1.4 + 70 * alpha * (1 - alpha) for alpha in alphas]
    train = [60 * alpha * (1 - alpha) for alpha in alphas]
    return Figure(
        "line",
        "Error between two copies from the start",
        "The error rises by 17 points between the copies: they do not lie in one linearly connected minimum.",
        "α",
        "Error (%)",
        [
            Series("test", "test", alphas, test, [v * 0.9 for v in test], [v * 1.1 for v in test]),
            Series("train", "train", alphas, train, [v * 0.9 for v in train], [v * 1.1 for v in train]),
        ],
    )


def realistic_outcome() -> Outcome:
    at = {"arm": "imp", "rewind": "100it", "level": 8}
    made = spec(
        [
            claim(
                "imp_stable_when_rewound",
                "IMP subnetworks are stable when rewound to iteration 500 (0.8 % of training).",
                {"toy": {"at": at, "expect": {"kind": "at_most", "estimand": "mean", "bound": 2.0}}},
                0.9,
            ),
            claim(
                "stable_from",
                "Sparse IMP subnetworks of ResNet-20 become stable from rewinding iteration 500 on.",
                {
                    "toy": {
                        "expect": {
                            "kind": "first_within",
                            "axis": "rewind",
                            "threshold": 2.0,
                            "earliest": "1it",
                            "latest": "250it",
                        }
                    }
                },
                500,
            ),
            claim(
                "drop_at_zero",
                "Rewound to iteration 0, IMP loses 3.2 points of accuracy against the full network.",
                {"toy": {"expect": {"kind": "equals", "estimand": "mean", "value": 3.2, "margin": 1.0}}},
                3.2,
            ),
            claim(
                "reinit_worse",
                "Randomly reinitialised subnetworks are less accurate than IMP at every rewinding iteration.",
                {
                    "toy": {
                        "at": at,
                        "expect": {"kind": "less_than", "estimand": "mean", "than": {"arm": "random_reinit"}},
                    }
                },
            ),
            claim(
                "full_unstable",
                "The full network is unstable at initialisation: on the line its error is that of guessing.",
                {"toy": {"expect": {"kind": "at_least", "estimand": "mean", "bound": 60.0}}},
                80.0,
            ),
            claim(
                "only_paper",
                "The copies end more than half of the whole way apart.",
                {"paper": {"expect": {"kind": "at_least", "estimand": "mean", "bound": 0.5}}},
                0.52,
            ),
        ]
    )
    judgements = [
        judgement(
            made, 0, Verdict.HOLDS, Estimate(0.31, 5, 0.14, 0.13, 0.48), "points",
            expected="at most 2 points (arm imp, rewind 100it, level 8)",
            why="The whole 95 % interval lies below 2.",
        ),
        judgement(
            made, 1, Verdict.HOLDS, Estimate(50, 5, None, 25, 100, "crossing"), "rewind",
            expected="first at or below 2 points between 1it and 250it of rewind",
            why="The first stable rewinding iteration and its whole interval lie in the window.",
        ),
        judgement(
            made, 2, Verdict.INCONCLUSIVE, Estimate(2.61, 5, 0.56, 1.91, 3.31), "points",
            expected="3.2 ± 1 points (rewind 0it, level 8)",
            why="The 90 % interval [2.1, 3.1] leaves 3.2 ± 1 on one side, and the 95 % interval touches it.",
            replicates_needed=9,
            warnings=("The margin is 1.8 sd: under 2 sd, so a true value may well be missed.",),
        ),
        judgement(
            made, 3, Verdict.HOLDS, Estimate(-3.12, 5, 0.3, -3.5, -2.74), "points",
            expected="less than with arm random_reinit (arm imp, rewind 100it, level 8)",
            why="In every initialisation the difference is below 0.",
        ),
        judgement(
            made, 4, Verdict.FAILS, Estimate(17.2, 5, 3.4, 13.0, 21.4), "points",
            expected="at least 60 points (rewind 0it)",
            why="The whole interval lies below 60: the line never reaches the error of guessing.",
        ),
        judgement(
            made, 5, Verdict.NOT_RUN, None, "",
            expected="", why="The spec has no check for this claim at toy scale.",
        ),
    ]  # fmt: skip
    figures = [rewinding(), levels(), _line()]
    departures = [
        *made.scales["toy"].departures,
        "Batch-norm statistics on the line are recomputed; the paper does not say how it gets them.",
    ]
    path = "specs/resnet20_imp.yaml"
    setting = made.scales["toy"].model_dump(mode="json")
    return Outcome(made, path, "toy", judgements, figures, departures, _PROVENANCE, _COST, setting=setting)


def awkward_outcome() -> Outcome:
    evil = "</title><script>alert('x')</script> & <img src=x onerror=alert(1)> | **not bold** $x_1$ \u202eright"
    told = evil.replace("\u202e", "")  # a spec is refused with the character
    long = "supercalifragilistic" * 12
    toy = {"toy": {"expect": {"kind": "equals", "estimand": "mean", "value": 0.0, "margin": 1.0}}}
    made = spec(
        [
            claim("evil", told, toy, 1e-8),
            claim("long_word", long, toy),
            claim("lonely", "One replicate.", toy, 2.0),
        ],
        "awkward",
        title=told,
    )
    none = Estimate(None, 1, None, None, None, "crossing")
    judgements = [
        judgement(made, 0, Verdict.NOT_RUN, None, "points", expected=evil, why=evil, warnings=(evil, long)),
        judgement(made, 1, Verdict.INCONCLUSIVE, none, "it", expected=long, why=long),
        judgement(
            made,
            2,
            Verdict.HOLDS,
            Estimate(0.5, 1, None, None, None),
            "points",
            expected="0 ± 1",
            why="Inside.",
        ),
    ]
    figure = Figure(
        evil,
        evil,
        evil,
        evil,
        long,
        [
            Series(evil, evil, [0.0, 1.0, 2.0], [1.0, float("nan"), float("inf")]),
            Series("_hidden", "x", [1.0], [2.0]),
        ],
        [Reference(evil, float("nan"), "y", "paper"), Reference("", 0.25, "y", "paper")],
        x_scale="symlog",
        y_scale="log",
    )
    empty = Figure("nothing", "Nothing", "Nothing was measured.", "x", "y", [], x_scale="reversed_log", y_scale="log")
    failures = [
        Failure("train:1a2b3c4d", f"\x1b[31mloss became nan\x1b[0m at iteration 17 \x00{evil}\n{long}", 12),
        Failure("hessian:9f9f", "out of memory", 0),
    ]
    provenance = {
        "note": evil,
        long: long,
        "nan": float("nan"),
        "deep": {"a": {"b": {"c": [1, {"d": None}]}}},
    }
    cost = Cost(3, 0, 1, 1, 0.84, 0.84, 812)
    return Outcome(made, f"{evil}.yaml", "toy", judgements, [figure, empty], (evil, long), provenance, cost, failures)


def paper_outcome() -> Outcome:
    expect = {"paper": {"expect": {"kind": "equals", "estimand": "mean", "value": 3.2, "margin": 1.0}}}
    made = spec([claim("drop", "IMP loses 3.2 points.", expect, 3.2), claim("other", "So does this.", expect, 3.2)])
    words: Mapping[str, Any] = {
        "expected": "3.2 ± 1 points",
        "why": "Compared with the margin.",
        "scale": "paper",
    }
    judgements = [
        judgement(made, 0, Verdict.REPRODUCED, Estimate(3.1, 3, 0.1, 2.85, 3.35), "points", **words),
        judgement(made, 1, Verdict.CONTRADICTED, Estimate(8.0, 3, 0.1, 7.7, 8.3), "points", **words),
    ]
    return Outcome(made, "specs/resnet20_imp.yaml", "paper", judgements, [], (), _PROVENANCE, _COST)


@pytest.fixture(scope="session")
def curvature() -> Outcome:
    """An outcome whose figures are of every kind."""
    return replace(realistic_outcome(), figures=[training(), spectra(), parabolas(), overlap(), valley()])


@pytest.fixture(scope="session")
def realistic() -> Outcome:
    return realistic_outcome()


@pytest.fixture(scope="session")
def awkward() -> Outcome:
    return awkward_outcome()


@pytest.fixture(scope="session")
def paper() -> Outcome:
    return paper_outcome()


@pytest.fixture(scope="session")
def reports_folder(
    realistic: Outcome, awkward: Outcome, paper: Outcome, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Reports of two scales and a page over them; nobody changes it."""
    folder = tmp_path_factory.mktemp("reports")
    write([realistic, awkward], folder / "toy")
    write([paper], folder / "a paper's #1")
    write_index(index(read_all(folder)), folder)
    return folder
