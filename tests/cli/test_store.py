"""``harness store check``: damage is named and, on request, removed; then only that is computed again."""

from pathlib import Path

import pytest

from harness.store import Store
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
    assert f"{len(place.keys())} artifacts" in said.out


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
    assert "1 corrupt ones are removed" in said.out
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


def test_a_second_name_of_what_is_removed_is_not_trusted_as_unchanged(place: Place, tmp_path: Path) -> None:
    """As DVC's cache has it: it trusts what is read-only, or has the time that it knows."""
    victim = sorted(place.store.glob("jobs/*/*/table.json"))[0]
    cached = tmp_path / "cached"
    cached.hardlink_to(victim)
    cached.chmod(0o444)
    before = cached.stat().st_mtime_ns
    Store(place.store).remove(victim.parent)
    assert cached.stat().st_mode & 0o222
    assert cached.stat().st_mtime_ns != before


def test_no_store_to_check(tmp_path: Path) -> None:
    said = cli("store", "check", "--store", tmp_path / "none")
    assert said.code == 2
    assert f"there is no store {tmp_path / 'none'}" in said.err
    assert not (tmp_path / "none").exists()
