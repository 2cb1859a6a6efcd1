"""Claims over specs through the whole street: reports of planted truth in, verdict, page and data out."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import RequestError
from harness.judging.over_specs import Table
from harness.judging.verdict import Verdict
from harness.report.index import index
from harness.report.over_specs import over_json, over_results
from harness.report.read import Report, read_all
from harness.report.write import write_over_specs
from harness.schema.over_specs import OverSpecs, asked, load_over_specs
from harness.schema.statements import load_statements
from tests.report.parser import parsed

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "over_specs"


def _claim(which: str = "matching_only_when_stable") -> OverSpecs:
    return next(claim for claim in load_over_specs(FOLDER) if claim.id == which)


def _planted(claim: OverSpecs, template: Report, stable: bool | None = None, scale: str = "toy") -> list[Report]:
    """Reports in which IMP matches but for the first column; stable is what matches, or what is told for all."""
    verdicts: dict[str, dict[str, Verdict]] = {}
    for network in claim.networks:
        for cell in network.cells:
            there = cell.row == "imp" and (network.name == "lenet" or cell.column != "at_0")
            second = (there or network.name == "lenet") if stable is None else stable is not there
            for outcome, value in ((cell.first, there), (cell.second, second)):
                name, says = asked(outcome)
                spec, _, identity = name.partition("/")
                verdicts.setdefault(spec, {})[identity] = Verdict.HOLDS if value is says else Verdict.FAILS
    return [_report(template, spec, found, scale) for spec, found in verdicts.items()]


def _report(template: Report, spec: str, found: dict[str, Verdict], scale: str) -> Report:
    one = next(one for one in template.judgements if one.check is not None)
    judged = [
        replace(one, claim=one.claim.model_copy(update={"id": identity}), verdict=verdict)
        for identity, verdict in found.items()
    ]
    return replace(template, spec=spec, place=f"{scale}/{spec}-{scale}.json", scale=scale, judgements=tuple(judged))


@pytest.fixture
def template(reports_folder: Path) -> Report:
    return read_all(reports_folder)[0]


def test_planted_association_stands_with_its_counts(template: Report, tmp_path: Path) -> None:
    claim = _claim()
    for scale, verdict in (("toy", Verdict.HOLDS), ("paper", Verdict.REPRODUCED)):
        reports = _planted(claim, template, scale=scale)
        (result,) = over_results([claim], reports)
        assert (result.verdict, result.exceptions) == (verdict, ())
        assert result.tables == {
            "lenet": Table(1, 0, 2, 0, 0),
            "resnet20": Table(3, 0, 0, 9, 0),
            "vgg16": Table(3, 0, 0, 9, 0),
        }
    page = parsed(index(reports, load_statements(ROOT / "statements"), [result]))
    assert claim.sentence in page.text
    assert "over_specs.matching_only_when_stable" in {attributes.get("id") for _, attributes in page.elements}
    assert "over_specs/matching_only_when_stable (REPRODUCED at paper scale)" in page.text
    (told,) = json.loads(write_over_specs([result], tmp_path).read_text())["claims"]
    assert (told["verdict"], told["networks"]["vgg16"]["neither"]) == ("REPRODUCED", 9)


def test_planted_opposition_falls(template: Report) -> None:
    claim = _claim()
    (result,) = over_results([claim], _planted(claim, template, stable=True))
    assert result.verdict is Verdict.FAILS
    assert len(result.exceptions) == 7


def test_what_is_missing_is_named_and_nothing_is_judged(template: Report) -> None:
    claim = _claim()
    reports = [one for one in _planted(claim, template) if one.spec != "vgg16_low_imp"]
    (result,) = over_results([claim], reports)
    assert (result.verdict, result.test) == (Verdict.NOT_RUN, None)
    assert {name.partition("/")[0] for name in result.missing} == {"vgg16_low_imp"}
    assert "vgg16_low_imp" in result.why
    assert json.loads(over_json([result]))["claims"][0]["missing"] == list(result.missing)


def test_an_open_outcome_is_counted_as_open(template: Report) -> None:
    claim = _claim()
    reports = _planted(claim, template)
    first, *others = reports
    left = [replace(one, verdict=Verdict.INCONCLUSIVE) for one in first.judgements]
    (result,) = over_results([claim], [replace(first, judgements=tuple(left)), *others])
    assert result.tables["lenet"].open == 3


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("expect: only_when", "expect: always", "expect"),
        ("first: lenet_imp/imp_matching", "first: lenet_imp", "should be a claim of a spec"),
        ("row: imp, column: at_0", "row: random_prune, column: at_0", "each row with each column once"),
        ("id: imp_stable_only_when_matching", "id: matching_only_when_stable", "which another claim has already"),
    ],
)
def test_a_bad_file_is_told_with_file_line_and_field(tmp_path: Path, old: str, new: str, told: str) -> None:
    text = (FOLDER / "lmc.yaml").read_text()
    assert old in text
    (tmp_path / "lmc.yaml").write_text(text.replace(old, new, 1))
    with pytest.raises(RequestError) as error:
        load_over_specs(tmp_path)
    assert told in str(error.value)
    assert "lmc.yaml:" in str(error.value)
    assert "claims[" in str(error.value) or "claims." in str(error.value)


def test_a_folder_without_them_has_none(tmp_path: Path) -> None:
    assert load_over_specs(tmp_path / "nowhere") == ()
