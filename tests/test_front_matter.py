"""Licence, citation and changelog agree with the package."""

import tomllib
from pathlib import Path

import yaml

import harness

ROOT = Path(harness.__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text())
AUTHORS = "The authors of the training-dynamics harness"


def test_one_version_everywhere() -> None:
    assert PROJECT["version"] == CITATION["version"] == harness.__version__
    assert f"\n## [{harness.__version__}] - " in (ROOT / "CHANGELOG.md").read_text()


def test_one_licence_everywhere() -> None:
    assert (PROJECT["license"], CITATION["license"], PROJECT["license-files"]) == ("MIT", "MIT", ["LICENSE"])
    text = (ROOT / "LICENSE").read_text()
    assert text.startswith("MIT License\n")
    assert f" {AUTHORS}\n" in text


def test_the_citation_has_what_its_format_requires() -> None:
    assert CITATION["cff-version"] == "1.2.0"
    assert CITATION["message"]
    assert CITATION["title"]
    assert CITATION["authors"] == [{"name": AUTHORS}]
    known = {"cff-version", "message", "type", "title", "abstract", "authors", "version", "license", "keywords"}
    assert CITATION.keys() <= known
