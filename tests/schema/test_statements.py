"""Statements of sources: data held against the specs both ways, checked with file, line and field."""

import re
from pathlib import Path

import pytest

from harness.errors import RequestError
from harness.schema.claims import Claim
from harness.schema.coverage import CheckedClaim, load_claims, mismatches, scales_of
from harness.schema.over_specs import OVER_SPECS, load_over_specs
from harness.schema.papers import load_papers
from harness.schema.statements import Section, Source, Statement, Statements, load_statements
from tests.support import ROOT, SPECS, loaded

FOLDER = ROOT / "statements"


@pytest.fixture(scope="module")
def shipped() -> Statements:
    return load_statements(FOLDER)


@pytest.fixture(scope="module")
def claims() -> dict[str, CheckedClaim]:
    return dict(load_claims(ROOT / "specs"))


def _all(statements: Statements) -> list[Statement]:
    return [statement for source in statements.sources for statement in source.statements]


def test_statements_and_claims_name_each_other(shipped: Statements, claims: dict[str, CheckedClaim]) -> None:
    assert list(mismatches(shipped, claims)) == []


def test_each_source_has_its_statements(shipped: Statements) -> None:
    assert {source.paper for source in shipped.sources} == set(load_papers())


def test_ids_are_unique_over_all_sources(shipped: Statements) -> None:
    ids = [statement.id for statement in _all(shipped)]
    assert len(set(ids)) == len(ids)


def test_a_claim_that_a_source_states_is_not_ours_as_well(shipped: Statements) -> None:
    stated = {claim for statement in _all(shipped) for claim in statement.checked_by}
    ours = [claim for own in shipped.ours for claim in own.claims]
    assert len(set(ours)) == len(ours)
    assert not stated & set(ours)


def test_a_claim_is_named_by_its_own_source(shipped: Statements) -> None:
    named = {
        (claim, source.paper)
        for source in shipped.sources
        for statement in source.statements
        for claim in statement.checked_by
    }
    ours = {claim for own in shipped.ours for claim in own.claims}
    over = {(claim.name, claim.source.paper) for claim in load_over_specs(ROOT / OVER_SPECS)}
    assert {(name, claim.source.paper) for name, claim in _claims().items() if name not in ours} | over == named


def test_no_statement_is_said_twice_of_one_place(shipped: Statements) -> None:
    said = [(statement.words, statement.place) for statement in _all(shipped)]
    assert sorted(said) == sorted(set(said))


def test_a_number_that_a_spec_has_of_a_source_stands_in_a_statement(shipped: Statements) -> None:
    """So that a claim's number and its statement's words do not part; in hundreds of a percent, or as it is."""
    words: dict[str, str] = {}
    for statement in _all(shipped):
        for name in statement.checked_by:
            words[name] = f"{words.get(name, '')} {statement.words} {statement.place}".replace(",", "")
    missing = [
        name
        for name, claim in _claims().items()
        if claim.quantity in ("accuracy", "accuracy_drop", "disagreements", "error_at_fork", "error_at_rewind")
        and claim.paper_value is not None
        and not _stands_in(abs(claim.paper_value), words[name])
    ]
    assert missing == []
    assert not _stands_in(98.3, "The full network, LeNet, reaches 98.4 %.")


def _claims() -> dict[str, Claim]:
    specs = [loaded(path).spec for path in SPECS]
    return {f"{spec.id}/{claim.id}": claim for spec in specs for claim in spec.claims}


def _stands_in(value: float, words: str) -> bool:
    numbers = {float(number) for number in re.findall(r"\d+(?:\.\d+)?", words)}
    return bool({value, round(100 - value, 6)} & numbers)


def test_claims_are_those_that_loading_whole_specs_gives(claims: dict[str, CheckedClaim]) -> None:
    whole = {
        f"{spec.spec.id}/{claim.id}": CheckedClaim(
            tuple(scale for scale in spec.spec.scales if scale in claim.checks),
            path.parent.name == "pilot",
            tuple(scale for scale in spec.spec.scales if scale in claim.checks and claim.checks[scale].sentence),
            ("imagenet",) * (path.stem.startswith(("resnet50", "inception")) and "paper" in claim.checks),
            claim.source.errata,
        )
        for path in SPECS
        for spec in [loaded(path)]
        for claim in spec.spec.claims
    }
    assert {name: one for name, one in claims.items() if not name.startswith("over_specs/")} == whole


def test_a_claim_over_specs_is_checked_at_the_scales_of_all_that_it_joins(claims: dict[str, CheckedClaim]) -> None:
    assert claims["over_specs/matching_only_when_stable"].scales == ("toy", "paper")


def test_what_waits_for_images_is_said_of_every_such_claim_and_of_no_other(
    shipped: Statements, claims: dict[str, CheckedClaim]
) -> None:
    waiting = {name for statement in _all(shipped) if statement.waits_for for name in statement.checked_by}
    of_imagenet = {name for name in claims if name.startswith(("resnet50_", "inception_v3_"))}
    assert len(waiting) > 50
    assert waiting == of_imagenet
    assert of_imagenet == {name for name, claim in claims.items() if claim.waits_for}


@pytest.mark.parametrize(
    ("status", "waits_for", "words"),
    [
        ("claims: [s/a]", "", None),
        ("claims: [s/a], waits_for: imagenet", "imagenet", None),
        ("claims: [s/a]", "imagenet", "p-1-1: waits_for: found nothing, but its claims wait for imagenet"),
        ("claims: [s/a], waits_for: imagenet", "", "p-1-1: waits_for: found imagenet, but its claims wait for nothing"),
    ],
)
def test_statements_that_wait_for_other_data_than_their_claims_are_told(
    status: str, waits_for: str, words: str | None, tmp_path: Path
) -> None:
    (tmp_path / "p.yaml").write_text(HEAD + GOOD.replace("claims: [s/a]", status))
    claims = {"s/a": CheckedClaim(("paper",), pilot=True, waits_for=(waits_for,) if waits_for else ())}
    told = list(mismatches(load_statements(tmp_path), claims))
    assert [line.split(": say so")[0] for line in told] == ([] if words is None else [words])


def test_a_statement_is_checked_at_the_scales_of_all_its_claims() -> None:
    claims = {
        "s/a": CheckedClaim(("toy", "paper"), pilot=False, reworded=("toy",)),
        "s/b": CheckedClaim(("paper",), pilot=True),
    }
    both = Statement(id="p-1-1", place="1", words="W.", claims=("s/a", "s/b"))
    assert scales_of(both, claims) == {"paper": True}
    assert scales_of(Statement(id="p-1-1", place="1", words="W.", claims=("s/a",)), claims) == {
        "toy": False,
        "paper": True,
    }


HEAD = "paper: p\nsections:\n  - title: T\n    statements:\n"
GOOD = "      - {id: p-1-1, place: S, words: W., claims: [s/a]}\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            HEAD + "      - {id: p-1-1, place: S, words: W.}\n",
            "p.yaml:5: sections[0].statements[0]: should have exactly one",
        ),
        (
            HEAD + "      - {id: p-1-1, place: S, words: W., claims: [s/a], none: {kind: not_built, why: w}}\n",
            "exactly one of claims, partly and none; it has claims and none",
        ),
        (HEAD + GOOD + GOOD, "p.yaml:6: sections[0].statements[1].id: found 'p-1-1', which another statement has"),
        (HEAD + GOOD.replace("p-1", "q-1"), "p.yaml:5: sections[0].statements[0].id: found 'q-1-1': it should begin"),
        (HEAD + GOOD.replace("p-1-1", "p"), 'found "p": should be paper, section and number'),
        (HEAD + GOOD.replace("s/a", "a"), 'claims[0]: found "a": should be a claim of a spec'),
        (HEAD + GOOD.replace("[s/a]", "[]"), "should have at least 1 item"),
        (HEAD + GOOD.replace("claims: [s/a]", "none: {kind: lazy, why: w}"), "sections[0].statements[0].none.kind"),
        (
            HEAD + GOOD.replace("claims: [s/a]", "none: {kind: not_built, why: w}, waits_for: imagenet"),
            "leave out waits_for",
        ),
        (HEAD + GOOD.replace("words", "wrods"), "wrods: unknown field"),
        (HEAD.replace("paper: p", "paper: q") + GOOD, "p.yaml:1: paper: found 'q', but the file is called 'p.yaml'"),
    ],
)
def test_a_wrong_file_is_told_with_line_and_field(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(RequestError) as caught:
        load_statements(tmp_path)
    assert words in str(caught.value)


def test_every_erratum_touches_a_statement(shipped: Statements) -> None:
    touched = {(source.paper, name) for source in shipped.sources for one in source.statements for name in one.errata}
    assert touched == {(paper, name) for paper, source in load_papers().items() for name in source.errata}


def test_an_erratum_that_the_source_has_not_is_told(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(HEAD + GOOD.replace("claims", "errata: [unknown], claims"))
    with pytest.raises(RequestError, match=r"p\.yaml:5: sections\[0\]\.statements\[0\]\.errata\[0\]: found 'unknown'"):
        load_statements(tmp_path)


def test_errata_of_statements_and_of_their_claims_are_held_against_each_other() -> None:
    def told(of_statement: tuple[str, ...], of_claims: dict[str, tuple[str, ...]]) -> list[str]:
        statement = Statement(id="lmc-1-1", place="S", words="W.", claims=tuple(of_claims), errata=of_statement)
        source = Source(paper="lmc", sections=(Section(title="T", statements=(statement,)),))
        claims = {name: CheckedClaim(("toy",), pilot=False, errata=errata) for name, errata in of_claims.items()}
        named = tuple((name, "here") for name in of_claims)
        return [line.split(":")[0] for line in mismatches(Statements((source,), (), named), claims)]

    assert told(("e",), {"s/a": ("e",), "s/b": ()}) == []
    assert told(("e",), {"s/a": (), "s/b": ()}) == ["lmc-1-1"]
    assert told((), {"s/a": ("e",), "s/b": ()}) == ["s/a"]
    assert told(("e",), {"s/a": ("f",), "s/b": ("e",)}) == ["s/a"]


def test_names_that_go_nowhere_are_told_both_ways(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(HEAD + GOOD.replace("[s/a]", "[s/a, s/gone]"))
    (tmp_path / "ours.yaml").write_text("ours:\n  - {reason: r, claims: [s/old]}\n")
    claims = {"s/a": CheckedClaim(("toy",), pilot=False), "s/unnamed": CheckedClaim(("toy",), pilot=False)}
    told = list(mismatches(load_statements(tmp_path), claims))
    assert [re.sub(r".*/(?=p\.yaml|ours)", "", line).split(",")[0].split(": no")[0] for line in told] == [
        "p.yaml:5: sections[0].statements[0].claims[1]: found 's/gone'",
        "ours.yaml:2: ours[0].claims[0]: found 's/old'",
        "s/unnamed",
    ]


def test_a_claim_of_a_source_that_is_named_as_ours_too_is_told(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(HEAD + GOOD)
    (tmp_path / "ours.yaml").write_text("ours:\n  - {reason: r, claims: [s/a, s/b]}\n")
    claims = {name: CheckedClaim(("toy",), pilot=False) for name in ("s/a", "s/b")}
    (told,) = mismatches(load_statements(tmp_path), claims)
    assert told.startswith("s/a: a source states this claim, and it is named as ours too (")
    assert "p.yaml:5: sections[0].statements[0].claims[0], " in told
    assert "ours.yaml:2: ours[0].claims[0]): keep one of both" in told


def test_a_folder_without_statements_is_told(tmp_path: Path) -> None:
    (tmp_path / "ours.yaml").write_text("ours: []\n")
    with pytest.raises(RequestError, match="no statements"):
        load_statements(tmp_path)
    with pytest.raises(RequestError, match="no spec files"):
        load_claims(tmp_path / "absent")


def test_of_a_file_of_nonsense_the_first_problems_are_told(tmp_path: Path) -> None:
    lines = "".join(f"      - {{id: p-1-{number}, place: S}}\n" for number in range(60))
    (tmp_path / "p.yaml").write_text(HEAD + lines)
    with pytest.raises(RequestError) as caught:
        load_statements(tmp_path)
    *told, last = str(caught.value).splitlines()
    assert len(told) == 50
    assert "p.yaml:5: sections[0].statements[0].words: this field is missing" in told[0]
    assert last.endswith("p.yaml: 10 more problems like these")


@pytest.mark.parametrize("text", ["7\n", "paper: &a p\n", "x" * (1 << 19), f"paper: {'[' * 60}{']' * 60}\n"])
def test_a_file_of_statements_is_not_called_a_spec(text: str, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(RequestError) as caught:
        load_statements(tmp_path)
    assert "spec" not in str(caught.value).replace(str(tmp_path), "")
