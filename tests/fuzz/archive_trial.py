"""A mutated archive or folder is data, and told to be no original, or is refused; and nothing else is touched."""

import random
from pathlib import Path

from harness.engine.data.datasets import load_known
from harness.engine.data.importing import import_known
from tests.engine.data.archive_mutations import known_of, mutated, sound
from tests.engine.data.dataset_samples import nothing_left
from tests.fuzz.trial import Outcome, Unclear, Wrong, tried


def archive_outcome(draw: random.Random, folder: Path) -> Outcome:
    """Spoils an archive or a folder, and imports it into an empty folder of data.

    Args:
        draw: decides everything.
        folder: empty.
    """
    seed = draw.randrange(2**32)
    inside = folder / "inside"
    inside.mkdir()
    source, root, known = mutated(seed, inside), folder / "data", known_of(seed)
    before = _everything(inside)

    def imported() -> str:
        info = import_known(known, source, root)
        if load_known(known, root).info != info:
            raise Wrong("read again, the data are others than were imported")
        if info.original or not info.caveat:
            raise Wrong(f"{info.digest} is told as the original")
        genuine = import_known(known, sound(seed, folder / "sound"), folder / "genuine").digest
        return "the same data" if info.digest == genuine else f"other data: {info.caveat}"

    def named(words: str) -> None:
        if f"mutated-{seed}" not in words:
            raise Unclear(f"the source is not named: {words[:1500]}")

    (folder / "sound").mkdir()
    outcome = tried(imported, named)
    extra = {path.name for path in folder.iterdir()} - {"inside", "data", "sound", "genuine"}
    if extra or _everything(inside) != before:
        return Outcome("wrong", f"something was written outside: {extra or 'beside the source'}; {outcome.words}")
    if outcome.kind != "accepted" and root.exists() and not nothing_left(root):
        return Outcome("wrong", f"refused, and something is left in the folder of data: {outcome.words}")
    return outcome


def _everything(root: Path) -> dict[str, int | None]:
    """Path -> size of all that is below a folder, None for what is no file; links are not followed."""
    return {
        str(path): path.stat().st_size if path.is_file() and not path.is_symlink() else None for path in root.rglob("*")
    }
