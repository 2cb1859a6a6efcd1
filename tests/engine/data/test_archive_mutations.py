"""Whatever is done to an archive or a folder, an import ends in data or in words, and touches nothing else."""

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from harness.engine.data.datasets import load_known
from harness.engine.data.importing import import_known
from harness.errors import RequestError
from tests.engine.data.archive_mutations import known_of, mutated, sound
from tests.engine.data.dataset_samples import nothing_left


def outcome(seed: int, folder: Path) -> str:
    """The digest of what was imported, or the words in which it was refused."""
    root, known = folder / "data", known_of(seed)
    source = mutated(seed, folder)
    before = sorted(folder.iterdir())
    info, words = None, ""
    try:
        info = import_known(known, source, root)
    except RequestError as error:
        words = str(error)
    if info is None:
        assert nothing_left(root)
        assert words.isprintable()
        assert sorted(folder.iterdir()) == before
        return words
    assert load_known(known, root).info == info
    assert not info.original
    assert info.caveat
    return info.digest


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(st.integers(0, 999))
def test_a_mutated_source_ends_in_data_or_in_words(seed: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        outcome(seed, Path(name))


def test_a_mutation_is_a_function_of_its_seed(tmp_path: Path) -> None:
    for seed in range(20):
        kept = []
        for copy in "ab":
            (tmp_path / f"{seed}{copy}").mkdir()
            path = mutated(seed, tmp_path / f"{seed}{copy}")
            kept.append((path.name, path.read_bytes() if path.is_file() else sorted(p.name for p in path.rglob("*"))))
        assert kept[0] == kept[1]


def test_mutations_reach_both_ends(tmp_path: Path) -> None:
    """Not all of them are refused, not all of them leave the data as it was: else nothing was tried."""
    outcomes = []
    for seed in range(60):
        (tmp_path / f"{seed}").mkdir()
        outcomes.append(outcome(seed, tmp_path / f"{seed}"))
    sound_digests = {import_known(known_of(n), sound(n, tmp_path), tmp_path / f"s{n}").digest for n in (0, 1, 3, 4)}
    assert sound_digests & set(outcomes)
    assert len({" ".join(words.split("mutated")[-1].split()[1:4]) for words in outcomes if " " in words}) >= 8
