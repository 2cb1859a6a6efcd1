"""Where results come from: a checkout, an image, or neither."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import harness
from harness.datainfo import nominal
from harness.execution.run import Run
from harness.jobs import provenance
from harness.jobs.job import Job
from harness.jobs.plan import Plan
from harness.jobs.store import Artifact, Store
from harness.pipeline.accounts import provenance_of
from tests.support import ROOT


@pytest.fixture
def facts(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("HARNESS_IMAGE", "HARNESS_REVISION", "HARNESS_MODIFIED"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def git(folder: Path, *words: str) -> str:
    author = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    return subprocess.run(
        ["git", "-C", folder, *author, *words], check=True, capture_output=True, text=True
    ).stdout.strip()


def checkout_at(folder: Path) -> str:
    """A repository with a package in it, whose modules provenance takes itself for; its revision."""
    (folder / "harness").mkdir(parents=True)
    (folder / "harness" / "__init__.py").write_text("")
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "one")
    return git(folder, "rev-parse", "HEAD")


def test_a_checkout_tells_its_revision_and_changes(tmp_path: Path, facts: pytest.MonkeyPatch) -> None:
    revision = checkout_at(tmp_path)
    facts.setattr(provenance, "PACKAGE", tmp_path / "harness" / "__init__.py")
    facts.setenv("HARNESS_REVISION", "of an image")
    assert provenance.describe("cpu", 1, "")["code"] == {"revision": revision, "modified": False}
    (tmp_path / "notes.txt").write_text("not code")
    assert not provenance.describe("cpu", 1, "")["code"]["modified"]
    (tmp_path / "harness" / "new.py").write_text("")
    assert provenance.describe("cpu", 1, "")["code"] == {"revision": revision, "modified": True}


def test_a_repository_around_an_installed_package_tells_nothing(tmp_path: Path, facts: pytest.MonkeyPatch) -> None:
    """As a virtual environment in another project is, ignored or not yet added."""
    checkout_at(tmp_path)
    installed = tmp_path / "venv" / "harness"
    shutil.copytree(tmp_path / "harness", installed)
    facts.setattr(provenance, "PACKAGE", installed / "__init__.py")
    facts.setenv("HARNESS_REVISION", "0123456789abcdef")
    assert provenance.describe("cpu", 1, "")["code"] == {"revision": "0123456789abcdef", "modified": False}


def test_a_repository_that_the_environment_names_tells_nothing(tmp_path: Path, facts: pytest.MonkeyPatch) -> None:
    checkout_at(tmp_path / "foreign")
    checkout_at(tmp_path / "own")
    git(tmp_path / "own", "commit", "--quiet", "--allow-empty", "--message", "two")
    revision = git(tmp_path / "own", "rev-parse", "HEAD")
    facts.setattr(provenance, "PACKAGE", tmp_path / "own" / "harness" / "__init__.py")
    facts.setenv("GIT_DIR", str(tmp_path / "foreign" / ".git"))
    facts.setenv("GIT_WORK_TREE", str(tmp_path / "foreign"))
    facts.setenv("GIT_INDEX_FILE", str(tmp_path / "foreign" / ".git" / "index"))
    assert provenance.describe("cpu", 1, "")["code"] == {"revision": revision, "modified": False}


@pytest.mark.parametrize("path", ["", "/usr/bin:/bin"])
def test_without_a_checkout_the_image_tells(path: str, tmp_path: Path, facts: pytest.MonkeyPatch) -> None:
    """Without git at all, and with git but no repository."""
    facts.setattr(provenance, "PACKAGE", tmp_path / "harness" / "__init__.py")
    (tmp_path / "harness").mkdir()
    facts.setenv("PATH", path)
    facts.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    assert provenance.describe("cpu", 1, "")["code"] == {"revision": "unknown", "modified": False}
    facts.setenv("HARNESS_REVISION", "0123456789abcdef")
    facts.setenv("HARNESS_MODIFIED", "false")
    assert provenance.describe("cpu", 1, "")["code"] == {"revision": "0123456789abcdef", "modified": False}
    facts.setenv("HARNESS_MODIFIED", "true")
    assert provenance.describe("cpu", 1, "")["code"] == {"revision": "0123456789abcdef", "modified": True}


def test_the_lock_is_known_by_its_digest(facts: pytest.MonkeyPatch) -> None:
    pins = hashlib.sha256((ROOT / "constraints.txt").read_bytes()).hexdigest()
    assert provenance.describe("cpu", 1, "")["lock"] == pins


def test_results_from_inside_and_outside_a_container_are_told_apart(tmp_path: Path, facts: pytest.MonkeyPatch) -> None:
    store, jobs = Store(tmp_path), [Job("init", {"seed": seed}) for seed in range(2)]
    for job, image, beside in zip(jobs, ("", "sha256:0a1b"), (1, 7), strict=True):
        facts.setenv("HARNESS_IMAGE", image)
        made = {**provenance.describe("cpu", 1, ""), "beside": beside, "seconds": 0.5}
        if image:  # records of code without a choice say nothing
            made["small_networks"] = "compiled loops, in training and evaluation"
        store.write(job, Artifact(table={"x": [1]}), made)
    run = Run(workers_lost=["one died"])
    found = provenance_of(Plan.of(jobs), [nominal("digits")], store, run)
    assert found["results made by"]["container"] == ["none: made outside the container", "sha256:0a1b"]
    assert found["harness"] == harness.__version__
    assert found["results made by"]["CPU threads"] == [1]
    assert found["results made by"]["small networks"] == ["compiled loops, in training and evaluation"]
    assert found["results made by"]["jobs side by side"] == "1 to 7"
    assert found["worker processes that died"] == ["one died"]
    assert "worker processes that died" not in provenance_of(Plan.of(jobs), [], store, Run())


_IN_PLACE_OF_CPUINFO = """
import sys
import harness.jobs.provenance as provenance
from pathlib import Path
provenance.Path = lambda path: Path(sys.argv[1]) if path == "/proc/cpuinfo" else Path(path)
print(ascii(provenance.processor()))
"""


def test_a_processors_name_is_read_in_any_locale(tmp_path: Path) -> None:
    file = tmp_path / "cpuinfo"
    file.write_bytes("vendor: x\nmodel name\t: Cœur™ 9\n".encode() + b"\xff\n")
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", _IN_PLACE_OF_CPUINFO, str(file)],
        env={**os.environ, **locale, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.startswith("'C\\u0153ur\\u2122 9, "), done.stderr
