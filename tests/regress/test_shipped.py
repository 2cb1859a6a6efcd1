"""The committed baselines: readable, of the present version of their specs, with enough initialisations."""

from pathlib import Path

import pytest

from harness.pipeline.request import prepare
from harness.protocols import protocols
from harness.regress import files
from harness.regress.kinds import kinds
from harness.regress.model import INITIALISATIONS
from harness.regress.spec_digest import differences, written
from harness.schema.load import load
from tests.support import ROOT

BASELINES = sorted((ROOT / "reports" / "baseline").glob("*.json"))


def test_the_guard_has_baselines() -> None:
    assert {path.name for path in BASELINES} >= {f"{spec}.toy.json" for spec in ("lenet_imp", "resnet20_stability")}


@pytest.mark.parametrize("path", BASELINES, ids=lambda path: path.stem)
def test_a_baseline_is_of_its_spec_as_it_is(path: Path) -> None:
    baseline = files.read(path)
    loaded = load(ROOT / baseline.path, protocols())
    assert list(differences(baseline.written, written(loaded.spec, baseline.scale))) == []
    assert all(number.n >= INITIALISATIONS for number in baseline.content.numbers.values())
    assert not baseline.since.modified


@pytest.mark.parametrize("path", BASELINES, ids=lambda path: path.stem)
def test_a_baseline_is_of_the_plan_as_it_is(path: Path) -> None:
    """Else every run of the guard would raise an alarm: measure anew, with the reason."""
    baseline = files.read(path)
    request = prepare(load(ROOT / baseline.path, protocols()), baseline.scale, ROOT / "data", initialisations=1)
    labels: dict[str, set[str]] = {}
    for kind in kinds(request.plan.jobs).values():
        labels.setdefault(kind.label, set()).add(kind.digest)
    assert {label: set(digests) for label, digests in baseline.content.kinds.items()} == labels
