"""Short names of sources: data of the package, complete for the specs, checked with field and line."""

import tomllib
from pathlib import Path

import pytest
import yaml

from harness.errors import RequestError
from harness.schema.papers import FILE, Paper, errata_of, load_papers, title_of
from tests.support import ROOT, SPECS, loaded


def test_titles_are_those_of_the_papers() -> None:
    assert {name: paper.title for name, paper in load_papers().items()} == {
        "lmc": "Linear Mode Connectivity and the Lottery Ticket Hypothesis",
        "ep": "The Early Phase of Neural Network Training",
        "ciuca": "Neural Network Training Dynamics",
    }


def test_a_name_that_is_not_known_is_a_title() -> None:
    assert title_of("ep") == "The Early Phase of Neural Network Training"
    assert title_of("Deep Learning") == "Deep Learning"


def test_errata_are_of_sources_that_are_known_by_their_short_name() -> None:
    assert "vgg16_error_at_1000" in errata_of("lmc")
    assert errata_of("ep") == errata_of("Deep Learning") == {}


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_every_source_of_a_spec_has_a_title(path: Path) -> None:
    assert {claim.source.paper for claim in loaded(path).spec.claims} <= set(load_papers())


def test_the_file_is_part_of_an_installed_package() -> None:
    """And no spec: it does not lie where ``specs/*.yaml`` looks."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert FILE.name in settings["package-data"]["*"]
    assert FILE.parent == ROOT / "harness" / "schema"
    assert FILE.name not in {path.name for path in SPECS}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("papers: {a: {}}", "papers.yaml:1: papers.a.title: this field is missing"),
        ("papers:\n  a: {title: T, cited: C}", "papers.yaml:2: papers.a.cited: unknown field"),
        ("papers:\n  a:\n    title: 3", "papers.yaml:3: papers.a.title: found 3: should be text"),
        ("papers:\n  A: {title: T}", 'papers.yaml:2: papers.A: found "A": should be a name'),
        (
            "papers:\n  a:\n    title: T\n    errata:\n      e: {words: W., quotes: [{place: P, quote: q}]}",
            "papers.yaml:5: papers.a.errata.e.quotes: found",
        ),
        (
            "papers:\n  a:\n    title: T\n    errata:\n"
            "      e: {words: W., quotes: [{place: P, quote: q}, {place: R, quote: q}]}",
            "papers.a.errata.e.quotes: one quote stands there twice",
        ),
        (
            "papers:\n  a:\n    title: T\n    errata:\n"
            f"      e: {{words: W., quotes: [{{place: P, quote: q}}, {{place: R, quote: {'r' * 201}}}]}}",
            "papers.a.errata.e.quotes[1].quote",
        ),
        ("- lmc", 'papers.yaml:1: the file: found ["lmc"]: should be a mapping'),
        ("papers: [", "papers.yaml:1: not YAML"),
        ("", "papers.yaml:1: the file: found null: should be a mapping"),
    ],
)
def test_a_wrong_file_is_told_with_line_and_field(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "papers.yaml"
    path.write_text(text)
    with pytest.raises(RequestError) as caught:
        load_papers(path)
    assert words in str(caught.value)


def test_a_file_is_read_as_it_says(tmp_path: Path) -> None:
    path = tmp_path / "papers.yaml"
    path.write_text(yaml.safe_dump({"papers": {"a": {"title": "T"}}}))
    assert load_papers(path) == {"a": Paper(title="T")}
