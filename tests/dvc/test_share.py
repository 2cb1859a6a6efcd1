"""``dvc push`` and ``dvc pull``: a second clone has everything; what is wrong on the way is told and loses nothing."""

from pathlib import Path

import pytest

from tests.dvc.repository import Repository
from tests.support import cli, counted


@pytest.fixture
def remote(repository: Repository) -> Path:
    """Where the results of ``repository`` were pushed to; known to clones by --local settings only."""
    folder = repository.root.parent / "remote"
    repository.dvc("remote", "add", "--quiet", "--local", "--default", "lab", str(folder))
    repository.dvc("push")
    assert repository.git("status", "--porcelain") == ""
    return folder


def joined(repository: Repository, remote: Path) -> Repository:
    clone = repository.clone()
    clone.dvc("remote", "add", "--quiet", "--local", "--default", "lab", str(remote))
    return clone


def test_a_second_clone_pulls_and_retrains_nothing(repository: Repository, remote: Path) -> None:
    clone = joined(repository, remote)
    clone.dvc("pull")
    assert clone.place.artifacts() == repository.place.artifacts()
    with counted() as jobs:
        for spec in sorted((clone.root / "specs").glob("*.yaml")):
            assert clone.place.verify(spec).code == 0
    assert jobs == []
    assert "up to date" in clone.dvc("status")
    assert "Stage 'measure' didn't change" in clone.dvc("repro")
    clone.assert_nothing_is_stored_twice()


def test_a_remote_that_is_not_there(repository: Repository) -> None:
    assert "no remote specified" in repository.refused("push")
    clone = joined(repository, repository.root.parent / "absent")
    assert "neither locally nor on remote" in clone.refused("pull")
    assert clone.git("status", "--porcelain") == ""
    assert not list(clone.root.glob(".harness/jobs/*"))


def test_a_corrupt_file_of_the_remote(repository: Repository, remote: Path) -> None:
    name = sorted(repository.place.store.glob("jobs/*/*/table.json"))[0]
    (victim,) = (path for path in remote.rglob("*") if path.is_file() and path.read_bytes() == name.read_bytes())
    victim.chmod(0o644)
    victim.write_bytes(victim.read_bytes()[:-1] + b" ")

    careful = joined(repository, remote)
    careful.dvc("remote", "modify", "--local", "lab", "verify", "true")
    assert "Checkout failed" in careful.refused("pull")
    assert not [path for path in careful.root.rglob(".harness/jobs/*/*/table.json") if path.parent == name.parent]

    careful.dvc("remote", "modify", "--local", "lab", "verify", "false")
    careful.dvc("pull")
    said = cli("store", "check", "--store", careful.place.store)
    assert said.code == 3
    assert str(name.relative_to(repository.root).parent) in said.err
