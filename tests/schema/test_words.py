"""What is wrong with a spec is told in our words, all at once, and without text that commands a terminal."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from harness.errors import RequestError
from harness.protocols import protocols
from harness.schema.document import Location, read
from harness.schema.load import load
from harness.schema.model import Spec
from harness.schema.words import message
from tests.support import (
    approximation_text,
    claim,
    cliffs_text,
    drift_text,
    edge_text,
    edited,
    imp_text,
    instability_text,
    line_of,
    quadratic_text,
    spectrum_text,
)

I = instability_text()  # noqa: E741
TEXTS = (
    I,
    imp_text(),
    quadratic_text(),
    edge_text(),
    spectrum_text(),
    drift_text(),
    cliffs_text(),
    approximation_text(),
)
WRONG = (None, True, -1, 0, 1.5, float("nan"), 10**30, "", "x y", "x" * 3000, [], {}, [[]], {"a": {}}, [True] * 1001)


def problems(text: str, folder: Path, name: str = "tiny.yaml") -> list[str]:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RequestError) as caught:
        load(path, protocols())
    return [line.removeprefix(f"{path}:") for line in str(caught.value).splitlines()]


def spoilt(value: Any, places: list[Location]) -> Iterator[Any]:
    """The document with each place in turn made each wrong value."""
    for place in places:
        for wrong in WRONG:
            whole = copy.deepcopy(value)
            inner = whole
            for part in place[:-1]:
                inner = inner[part]
            inner[place[-1]] = wrong
            yield whole


def errors(model: type[BaseModel], value: Any) -> Iterator[str]:
    try:
        model.model_validate(value)
    except ValidationError as error:
        yield from (message(one, model) for one in error.errors())


def test_no_sentence_of_pydantic_is_told(tmp_path: Path) -> None:
    said: set[str] = set()
    for text in TEXTS:
        (tmp_path / "spec.yaml").write_text(text)
        document = read(tmp_path / "spec.yaml")
        for value in spoilt(document.value, [place for place in document.lines if place]):
            said |= set(errors(Spec, value))
        settings = ("scales", "toy", "settings")
        model = protocols()[document.value["protocol"]].settings
        inner = [place[3:] for place in document.lines if place[:3] == settings and place[3:]]
        for value in spoilt(document.value["scales"]["toy"]["settings"], inner):
            said |= set(errors(model, value))
    assert len(said) > 300
    for words in ("Input should", "valid ", "Value error", "is not allowed here", "Tuple", "Extra inputs"):
        assert not [one for one in said if words in one]


def test_all_is_told_at_once(tmp_path: Path) -> None:
    """Fields, claims, scales, the protocol's settings and the file's name, in the order of the file."""
    text = instability_text(
        claim("a"),
        claim("a", quantity="instabilty"),
        claim("b", at="{fork: 30it}"),
        claim("c", expect="{kind: equals, value: 1.0}"),
    )
    for old, new in (
        ("id: tiny\n", "id: other\n"),
        ("title: A tiny", "titel: A tiny"),
        ("batch: 50", "batch: 0"),
        ("forks: [0it, 10it]", "forks: []"),
    ):
        text = edited(text, old, new)
    other = text[text.index("  toy:\n    replicates") :].replace("  toy:", "  moon:", 1)
    sound = other.replace("batch: 0", "batch: 50").replace("forks: []", "forks: [0it, 41it]")
    told = problems(edited(text, "scales:\n", "scales:\n" + sound), tmp_path)
    for words in (
        "id: found 'other'",
        "titel: unknown field",
        "title: this field is missing",
        "claims[1].id: found 'a', which claim 1 has",
        "claims[1].quantity: found 'instabilty'",
        "claims[3].checks.toy.expect.margin: this field is missing",
        "scales.moon.settings.forks[1]: found 41it",
        "scales.toy.training.batch: found 0",
        "scales.toy.settings.forks: found 0 items: should have at least 1 item",
    ):
        assert len([line for line in told if words in line]) == 1, words
    lines = [int(line.split(":")[0]) for line in told]
    assert lines == sorted(lines)


def test_a_claim_after_a_broken_one_keeps_its_place(tmp_path: Path) -> None:
    text = instability_text(claim("a", expect="{kind: equals}"), claim("b", at="{fork: 30it}"))
    told = problems(text, tmp_path)
    assert [
        line for line in told if line.startswith(f"{line_of(text, 'at: {fork: 30it}')}: claims[1].checks.toy.at.fork")
    ]


def test_a_condition_of_no_kind_is_one_problem(tmp_path: Path) -> None:
    (told,) = problems(instability_text(claim(at="{fork: 1.5}")), tmp_path)
    assert "claims[0].checks.toy.at.fork: found 1.5: should be a word, a duration or an integer" in told


@pytest.mark.parametrize("version", ["true", "1.0", '"1"', "True"])
def test_a_version_is_the_integer(version: str, tmp_path: Path) -> None:
    (told,) = problems(edited(I, "schema_version: 1", f"schema_version: {version}"), tmp_path)
    assert told.startswith("2: schema_version: found ")


@pytest.mark.parametrize("field", ["length: 40it", "drops: [30it]", "[0it, 10it]"])
def test_digits_of_other_scripts_are_no_duration(field: str, tmp_path: Path) -> None:
    wide = field.translate({ord("0") + digit: chr(0xFF10 + digit) for digit in range(10)})
    told = problems(edited(I, field, wide), tmp_path)
    assert told
    assert all("is not a duration" in line for line in told)


ESCAPES = {"\\n": "000A", "\\e": "001B", "\\x7f": "007F", "\\x85": "0085", "\\u202e": "202E", "\\u2028": "2028"}


@pytest.mark.parametrize("escape", ESCAPES)
@pytest.mark.parametrize(
    ("old", "place"),
    [
        ("title: A tiny experiment", "title"),
        ("sentence: A sentence.", "claims[0].sentence"),
        ('place: "Section 3"', "claims[0].source.place"),
        ("paper: lmc", "claims[0].source.paper"),
        ("departures: [a toy]", "scales.toy.departures[0]"),
        ("at: {fork: 0it}", "claims[0].checks.toy.at.fork"),
        ("id: tiny\n", "id"),
    ],
)
def test_text_that_is_no_line_is_refused_with_its_place(old: str, place: str, escape: str, tmp_path: Path) -> None:
    field, _, value = old.strip().rpartition(": ")
    bare = value.strip('"[]}')
    new = f"{field}: " + value.replace(value.strip("[]}"), f'"{bare}{escape}::error::x"')
    text = edited(I, old, new + "\n" * old.endswith("\n"))
    told = problems(text, tmp_path)
    assert [line for line in told if line.startswith(f"{line_of(text, new)}: {place}: ")]
    whole = "".join(told)
    assert whole.isprintable()
    if place != "id":
        assert f"the character U+{ESCAPES[escape]} cannot stand in it" in whole


def test_lists_are_bounded(tmp_path: Path) -> None:
    forks = ", ".join(f"{number}it" for number in range(1001))
    told = problems(edited(I, "[0it, 10it]", f"[{forks}]"), tmp_path)
    assert "settings.forks: found 1,001 items: should have at most 1,000 items" in told[0]


def test_a_file_of_nonsense_is_told_in_fifty_lines(tmp_path: Path) -> None:
    told = problems(I + "".join(f"k{number}: 1\n" for number in range(5000)), tmp_path)
    assert len(told) == 51
    assert told[-1].endswith(" at least 950 more problems like these")


def test_a_name_of_a_field_commands_nothing(tmp_path: Path) -> None:
    told = problems(I + '"\\n::error file=x::\\e[31m": 1\n' + f"{'x' * 1000}: 1\n", tmp_path)
    assert len(told) == 2
    assert "".join(told).isprintable()
    assert all(len(line) < 300 for line in told)
