"""What a spec's text says of a scale: values that decide, not words and not defaults."""

from pathlib import Path

from harness.protocols import protocols
from harness.regress.spec_digest import differences, digest, written
from harness.schema.load import load
from tests.support import edited, instability_text


def of(text: str, folder: Path) -> dict[str, object]:
    path = folder / "tiny.yaml"
    path.write_text(text)
    return written(load(path, protocols()).spec, "toy")


def test_words_and_replicates_do_not_count(tmp_path: Path) -> None:
    text = instability_text()
    other = edited(edited(text, "A sentence.", "Another sentence."), "[a toy]", "[a toy, truly]")
    other = edited(edited(other, "initialisations: 2", "initialisations: 5"), "first_seed: 0", "first_seed: 9")
    assert of(text, tmp_path) == of(other, tmp_path)


def test_a_value_that_decides_counts(tmp_path: Path) -> None:
    text = instability_text()
    for old, new in (("batch: 50", "batch: 40"), ("bound: 100.0", "bound: 90.0"), ("orders: 2", "orders: 3")):
        changed = list(differences(of(text, tmp_path), of(edited(text, old, new), tmp_path)))
        assert len(changed) == 1
        assert old.split(": ")[0] in changed[0]


def test_a_default_that_is_not_written_is_not_there(tmp_path: Path) -> None:
    assert "precision" not in str(of(instability_text(), tmp_path))


def test_differences_name_place_and_both_values() -> None:
    before, now = {"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 1, "c": 4}, "e": 5}
    assert list(differences(before, now)) == ["a.c: was 2, is 4", "d: was 3, is gone", "e: is new, 5"]
    assert list(differences(now, now)) == []
    assert digest(before) != digest(now)
