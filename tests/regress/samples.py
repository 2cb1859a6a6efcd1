"""Baselines and fresh runs as small as can be."""

from typing import Any

from harness.regress.model import Baseline, Content, Entry, Judged, Number


def number(mean: float = 10.0, sd: float = 1.0, n: int = 20, **more: Any) -> Number:
    return Number(mean=mean, sd=sd, n=n, **more)


def content(**changes: Any) -> Content:
    whole: dict[str, Any] = {
        "initialisations": 20,
        "first_seed": 0,
        "facts": {"trainable parameters": 1210, "dataset digest": "d4a5"},
        "setting": {"training": {"batch": 50, "optimiser": {"name": "adam"}}},
        "kinds": {"init": ("aa",), "train 0it → 40it, copy": ("bb",)},
        "claims": {"stable": Judged(verdict="HOLDS", in_order=True, number="instability at fork=0")},
        "rehearsal": {"norm of weights, init": 1.0, "L2, distance of (init) and (train 0it → 3it, trunk)": -2.0},
        "numbers": {"instability at fork=0": number(unit="points")},
    }
    return Content(**{**whole, **changes})


def baseline(**changes: Any) -> Baseline:
    entry = Entry(revision="0123456789ab", modified=False, date="2026-01-02", reason="first baseline")
    return Baseline(
        schema_version=1,
        spec="tiny",
        path="specs/tiny.yaml",
        scale="toy",
        history=(entry,),
        written={"setting": {"training": {"batch": 50}}},
        content=content(**changes),
    )
