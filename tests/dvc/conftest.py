"""The repository that ran its catalogue once, and copies of it."""

import subprocess
from pathlib import Path

import pytest

from tests.dvc.repository import Repository, created, program


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """After ``dvc repro`` on a fresh clone; not committed, and not to be changed."""
    repository = created(tmp_path_factory.mktemp("recorded") / "first")
    repository.dvc("repro")
    return repository


@pytest.fixture
def repository(recorded: Repository, tmp_path: Path) -> Repository:
    """A copy with everything committed, links between store and cache kept."""
    subprocess.run(["cp", "-a", str(recorded.root), str(tmp_path / "first")], check=True)
    program(tmp_path, "-m", "harness")
    copy = Repository(tmp_path / "first")
    copy.commit("Its results")
    return copy
