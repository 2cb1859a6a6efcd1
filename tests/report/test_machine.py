"""JSON and JUnit: complete, valid, and finite."""

import json
import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pytest

from harness.pipeline.outcome import Outcome
from harness.report import json as machine
from harness.report.junit import junit
from harness.schema.model import Spec


def _refuse(name: str) -> Any:
    raise AssertionError(f"{name} is no JSON")


def test_json_is_complete_and_round_trips(realistic: Outcome, awkward: Outcome, paper: Outcome) -> None:
    for outcome in (realistic, awkward, paper):
        text = machine.json(outcome)
        assert text == machine.json(outcome)
        found = json.loads(text, parse_constant=_refuse)
        assert found == machine.document(outcome)
        assert found["schema"] == 1
        assert Spec.model_validate(found["spec"]) == outcome.spec
        assert [one["verdict"] for one in found["claims"]] == [one.verdict.value for one in outcome.judgements]
        assert found["exit_code"] == outcome.exit_code


def test_numbers_that_differ_by_the_order_of_a_sum_are_one() -> None:
    assert machine.plain_value([0.293890957678818, 0.2938909576788183]) == [0.293890957679] * 2
    assert machine.plain_value([1e-300 / 3, -2 / 3, 1e15]) == [3.33333333333e-301, -0.666666666667, 1e15]


def test_json_keeps_every_number(realistic: Outcome) -> None:
    found = json.loads(machine.json(realistic))
    assert found["claims"][2]["estimate"] == {
        "value": 2.61, "n": 5, "sd": 0.56, "low": 1.91, "high": 3.31, "kind": "mean", "level": 0.95, "mean": None,
    }  # fmt: skip
    assert found["claims"][2]["replicates_needed"] == 9
    for figure, original in zip(found["figures"], realistic.figures, strict=True):
        for one, kept in zip(figure["series"], original.series, strict=True):
            assert one["y"] == pytest.approx(list(kept.y), rel=1e-11)
    assert found["setting"]["training"]["length"] == "1000it"
    assert found["provenance"] == realistic.provenance
    assert found["cost"]["disk_bytes"] == 41_250_112


def test_json_has_surfaces_and_panels(curvature: Outcome) -> None:
    figures = json.loads(machine.json(curvature))["figures"]
    assert figures[0]["below"] == [{"y_label": "λmax", "y_scale": "log"}]
    assert [one["panel"] for one in figures[0]["series"]] == [0, 1, 1]
    assert figures[3]["surface"]["z"] == [[0.875, 0.25, None], [0.25, 0.5, 0.125], [0.0, 0.125, 1.0]]
    assert figures[3]["surface"]["x"] == [0, 1, 2]


def test_what_json_cannot_say_is_put_plainly() -> None:
    values = {
        "nan": float("nan"),
        "inf": np.float32("inf"),
        "single": np.float32(0.5),
        "count": np.int64(3),
        "yes": np.bool_(True),
        "array": np.array([[1.0, np.nan]]),
        "set": {"b", "a"},
        "path": PurePosixPath("a/b"),
        "time": datetime(2026, 1, 5, tzinfo=UTC),
        1: (True, None, b"\x01"),
    }
    assert machine.plain_value(values) == {
        "nan": None,
        "inf": None,
        "single": 0.5,
        "count": 3,
        "yes": True,
        "array": [[1.0, None]],
        "set": ["a", "b"],
        "path": "a/b",
        "time": "2026-01-05 00:00:00+00:00",
        "1": [True, None, "01"],
    }


def test_junit_tells_every_outcome(realistic: Outcome, awkward: Outcome, paper: Outcome) -> None:
    outcomes = [realistic, awkward, paper]
    assert junit(outcomes) == junit(outcomes)
    root = ET.fromstring(junit(outcomes))
    counted = {key: root.get(key) for key in ("tests", "failures", "errors", "skipped")}
    assert counted == {"tests": "13", "failures": "4", "errors": "3", "skipped": "1"}
    kinds = {}
    for case in root.iter("testcase"):
        result = [one for one in case if one.tag != "system-out"]
        kinds[case.get("name")] = (result[0].tag, result[0].get("type")) if result else None
    assert kinds == {
        "imp_stable_when_rewound": None,
        "stable_from": None,
        "drop_at_zero": ("failure", "inconclusive"),
        "reinit_worse": None,
        "full_unstable": ("failure", "fails"),
        "only_paper": ("skipped", None),
        "evil": ("error", "not run"),
        "long_word": ("failure", "inconclusive"),
        "lonely": None,
        "job train:1a2b3c4d": ("error", "broken job"),
        "job hessian:9f9f": ("error", "broken job"),
        "drop": None,
        "other": ("failure", "contradicted"),
    }
    assert [suite.get("name") for suite in root] == ["resnet20_imp.toy", "awkward.toy", "resnet20_imp.paper"]


def test_junit_of_nothing_is_valid() -> None:
    assert ET.fromstring(junit([])).get("tests") == "0"
