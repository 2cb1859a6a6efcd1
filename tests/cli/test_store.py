"""``harness store check``: damage is named and, on request, removed; then only that is computed again."""

import errno
import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from harness.execution.claimfile import Owner
from harness.jobs import dvc_cache
from harness.jobs.job import canonical
from tests.support import Place, Said, cli, counted, instability_text


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    assert place.verify(place.write(instability_text())).code == 0
    return place


def checked(place: Place, *more: str) -> Said:
    return cli("store", "check", "--store", place.store, *more)


def test_a_sound_store(place: Place) -> None:
    said = checked(place)
    assert said.code == 0
    assert f"{len(place.keys())} artifacts are sound" in said.out
    assert ".dvc/cache: " in said.out, "which cache was looked at"


@pytest.mark.parametrize("name", ["record.json", "table.json", "tensors.safetensors"])
@pytest.mark.parametrize("damage", ["missing", "changed", "a folder"])
def test_damage_is_named_and_removed_on_request(name: str, damage: str, place: Place) -> None:
    whole = place.keys()
    beside = "tensors.safetensors" if name == "tensors.safetensors" else "table.json"
    victim = sorted(place.store.glob(f"jobs/*/*/{beside}"))[0].with_name(name)
    content = victim.read_bytes()
    victim.unlink()
    if damage == "changed":
        victim.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        victim.chmod(0o444)
    elif damage == "a folder":
        victim.mkdir()
    said = checked(place)
    assert said.code == 3
    assert f"{victim.parent}: {name} " in said.err
    assert "--remove" in said.err
    assert victim.parent.exists(), "a look changes nothing"
    said = checked(place, "--remove")
    assert said.code == 0
    assert f"1 of {len(whole)} artifacts were corrupt and are removed" in said.out
    assert not victim.parent.exists()
    assert list((place.store / "tmp").iterdir()) == []
    with counted() as jobs:
        assert place.verify(place.root / "tiny.yaml").code == 0
    assert {job.key for job in jobs} <= {victim.parent.name}, "a state is needed only by what rests on it"
    assert jobs or name == "tensors.safetensors"
    assert place.keys() | {victim.parent.name} == whole
    assert checked(place).code == 0


def test_a_record_of_another_job_is_damage(place: Place) -> None:
    first, second = sorted(place.store.glob("jobs/*/*/record.json"))[:2]
    first.write_bytes(second.read_bytes())
    said = checked(place)
    assert said.code == 3
    assert f"{first.parent}: record.json was written for another job" in said.err


def test_a_cache_of_dvc_is_checked_too(place: Place, tmp_path: Path) -> None:
    """A name there is the content's MD5, split after two digits; ``.dir`` marks a list of files."""
    folder = tmp_path / "cache" / "files" / "md5" / "90"
    folder.mkdir(parents=True)
    for suffix in ("", ".dir"):
        (folder / f"0150983cd24fb0d6963f7d28e17f72{suffix}").write_text("abc")
    (folder / "0150983cd24fb0d6963f7d28e17f72.unpacked").mkdir()
    where = ("--cache", str(tmp_path / "cache"))
    said = checked(place, *where)
    assert said.code == 0
    assert f"{tmp_path / 'cache'}: DVC's cache, 2 files" in said.out
    victim = folder / "0150983cd24fb0d6963f7d28e17f72"
    victim.write_text("abd")
    victim.chmod(0o444)
    said = checked(place, *where)
    assert said.code == 3
    assert f"{victim}: is not what its name says" in said.err
    assert f"--cache {tmp_path / 'cache'} --remove" in said.err
    assert checked(place, *where, "--remove").code == 0
    assert {path.suffix for path in folder.iterdir()} == {".dir", ".unpacked"}


@pytest.mark.parametrize(("owner", "call"), [(dvc_cache, "digest_of"), (Path, "unlink")])
def test_a_cache_of_another_user_is_told(
    owner: object, call: str, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = place.root / "cache" / "files" / "md5" / "90" / "0150983cd24fb0d6963f7d28e17f72"
    victim.parent.mkdir(parents=True)
    victim.write_text("abd")
    kept = getattr(owner, call)

    def refused(path: Path, *more: str) -> object:
        if path == victim:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return kept(path, *more)

    monkeypatch.setattr(owner, call, refused)
    said = checked(place, "--cache", str(place.root / "cache"), "--remove")
    assert said.code == 3
    assert str(victim) in said.err
    assert "(Permission denied): " in said.err
    assert "Traceback" not in said.err
    assert victim.exists()


@pytest.mark.parametrize("stage", ["evaluate", "train"])
def test_a_result_that_is_not_what_its_stage_gives_is_named_and_removed_on_request(stage: str, place: Place) -> None:
    """Its files and digests are right: it was written so."""
    whole = place.keys()
    records = {path: json.loads(path.read_text()) for path in place.store.glob("jobs/*/*/record.json")}
    path = min(path for path, record in records.items() if record["job"]["stage"] == stage)
    name = "table.json" if stage == "evaluate" else "tensors.safetensors"
    if stage == "evaluate":
        table = json.loads((path.parent / name).read_text())
        (path.parent / name).write_text(json.dumps({column: table[column] for column in table if column != "error"}))
        words = "is a result of evaluate and has no column 'error' in its table"
    else:
        (path.parent / name).write_bytes(save({"weight/none": torch.zeros(2)}))
        words = "is a result of train and has no tensor '"
    digest = hashlib.sha256((path.parent / name).read_bytes()).hexdigest()
    path.write_text(json.dumps({**records[path], "files": {name: digest}}))
    said = checked(place)
    assert said.code == 3
    assert f"{path.parent}: {words}" in said.err
    assert f"1 of {len(whole)} artifacts are corrupt: `harness store check --store " in " ".join(said.err.split())
    assert checked(place, "--remove").code == 0
    assert not path.parent.exists()
    assert checked(place).code == 0


def test_results_of_other_code_are_no_fault(place: Place) -> None:
    """Nor are those whose inputs are there no more."""
    for path in place.store.glob("jobs/*/*/record.json"):
        own = json.loads(path.read_text())
        if own["job"]["stage"] == "init":
            shutil.rmtree(path.parent)
    for stage, version, made in (("evaluate", 99, {}), ("no_such_stage", 1, {}), ("evaluate", 1, own["provenance"])):
        about = {"stage": stage, "version": version, "params": {"old": 1}, "inputs": {"state": "0" * 64}}
        key = hashlib.sha256(canonical(about).encode()).hexdigest()
        folder = place.store / "jobs" / key[:2] / key
        folder.mkdir(parents=True)
        table = b'{"split": ["train", "test"], "error": [1.0, 2.0], "loss": [1.0, 2.0]}'
        (folder / "table.json").write_bytes(table)
        record = {"job": about, "files": {"table.json": hashlib.sha256(table).hexdigest()}, "provenance": made}
        (folder / "record.json").write_text(json.dumps(record))
    said = checked(place)
    assert said.code == 0, said.err


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"seconds": -1.0}, "provenance.seconds: Input should be greater than or equal to 0, found -1.0"),
        ({"beside": 0}, "provenance.beside: Input should be greater than or equal to 1, found 0"),
        ({"code": {"revision": "abc"}}, "provenance.code.modified: Field required"),
        ({"outside": {"x": "1.0"}}, "provenance.outside.x: "),
        (None, "provenance.code: Field required"),
    ],
)
def test_provenance_of_another_form_is_named_and_removed_on_request(
    wrong: dict[str, object] | None, told: str, place: Place
) -> None:
    whole = place.keys()
    path = sorted(place.store.glob("jobs/*/*/record.json"))[0]
    record = json.loads(path.read_text())
    record["provenance"] = {} if wrong is None else {**record["provenance"], **wrong}
    path.unlink()
    path.write_text(json.dumps(record))
    said = checked(place)
    assert said.code == 3
    assert f"{path.parent}: record.json does not say how its result came about ({told}" in said.err
    assert f"1 of {len(whole)} artifacts are corrupt" in said.err
    assert checked(place, "--remove").code == 0
    assert place.verify(place.root / "tiny.yaml").code == 0
    assert place.keys() == whole


def test_claims_that_live_are_kept_and_others_told(place: Place) -> None:
    folder = place.store / "progress"
    live, ended, stale, damaged = (folder / f"{digit * 32}.claim" for digit in "0123")
    owner = Owner.here("0" * 32)
    live.write_bytes(owner.content)
    ended.write_bytes(owner.model_copy(update={"started": 1}).content)
    stale.write_bytes(owner.model_copy(update={"machine": "another"}).content)
    os.utime(stale, (0, 0))
    before = {path: path.read_bytes() for path in (live, ended, stale)}
    said = checked(place)
    assert said.code == 0
    assert str(live) not in said.err
    assert f"{ended}: process {os.getpid()} on {owner.host} has ended; this holds up nobody" in said.err
    assert f"{stale}: process {os.getpid()} on {owner.host} has not renewed its claim for " in said.err
    assert {path: path.read_bytes() for path in folder.iterdir()} == before, "a look changes nothing"
    os.mkfifo(damaged)
    said = checked(place)
    assert said.code == 3
    assert f"{damaged}: is a named pipe, not a regular file" in said.err
    assert "and 1 files of interrupted runs are corrupt" in " ".join(said.err.split())
    assert checked(place, "--remove").code == 0
    assert list(folder.iterdir()) == [live]
    assert checked(place, "--remove").code == 0
    assert list(folder.iterdir()) == [live]


def test_a_claim_that_cannot_be_removed_is_told(place: Place) -> None:
    path = place.store / "progress" / f"{'0' * 32}.claim"
    (path / "thesis").mkdir(parents=True)
    said = checked(place, "--remove")
    assert said.code == 3
    assert f"{path}, where a run claims its work, is none and cannot be removed (Directory not empty)" in " ".join(
        said.err.split()
    )
    assert (path / "thesis").is_dir()


def test_what_is_no_file_of_dvc_is_left_alone(place: Place) -> None:
    folder = place.root / "home" / "files" / "md5" / "my"
    folder.mkdir(parents=True)
    (folder / "letter").write_text("dear reader")
    (folder.with_name("90")).mkdir()
    os.mkfifo(folder.with_name("90") / "0150983cd24fb0d6963f7d28e17f72")
    said = checked(place, "--cache", str(place.root / "home"), "--remove")
    assert said.code == 0
    assert (folder / "letter").read_text() == "dear reader"


def test_no_cache_is_told(place: Place) -> None:
    said = checked(place, "--cache", str(place.root / "none"))
    assert said.code == 0
    assert f"{place.root / 'none'}: no cache of DVC" in said.out


def test_no_store_to_check(tmp_path: Path) -> None:
    said = cli("store", "check", "--store", tmp_path / "none")
    assert said.code == 2
    assert f"there is no store {tmp_path / 'none'}" in said.err
    assert not (tmp_path / "none").exists()
