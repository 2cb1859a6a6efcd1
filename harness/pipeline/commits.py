"""The commits that made a file what it is, on every branch, with the file's place in each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.jobs.provenance import git

_RENAMED = ("-m", "-M", "--diff-filter=R")
_RENAMED_OR_COPIED = ("-C", "--find-copies-harder", "--diff-filter=RC")
"""Where a file may come from: in a merge only by a rename, as there each file of one side is new to the other."""

_Origins = Mapping[tuple[str, str], tuple[str, ...]]
"""(revision, place of a file that is new there) -> places that it may have had in the parents."""


@dataclass(frozen=True)
class Commit:
    """A commit in which a file differs from a parent, or branches meet on which it does.

    Attributes:
        revision: of git.
        date: YYYY-MM-DD.
        parents: the nearest such commits before it, but those in which another file has its name.
        text: the file; "" where the commit has none.
    """

    revision: str
    date: str
    parents: tuple[str, ...]
    text: str


def commits_of(path: Path) -> list[Commit]:
    """The commits of a file, the oldest first; of two branches one comes after the other.

    Renames and copies are followed, on each side of a merge by the names that the file had there.

    Args:
        path: the file, in a repository of git.

    Returns:
        None where no commit has it.
    """
    folder = path.resolve().parent
    top = Path(git(folder, "rev-parse", "--show-toplevel"))
    name = (folder.relative_to(top.resolve()) / path.name).as_posix()
    origins = _origins(folder, name)
    names = dict.fromkeys([name, *(place for places in origins.values() for place in places)])
    words = ("log", "--topo-order", "--simplify-merges", "--format=%H %cs %P", "--", *map(_literally, names))
    lines = [line.split() for line in git(folder, *words).splitlines()]
    places, before = _places(folder, name, {revision: parents for revision, _, *parents in lines}, origins)
    return [
        Commit(
            revision,
            date,
            tuple(parent for parent in parents if before[revision, parent] == places[parent]),
            _text(folder, revision, places[revision]),
        )
        for revision, date, *parents in reversed(lines)
    ]


def _places(
    folder: Path, name: str, graph: Mapping[str, Sequence[str]], origins: _Origins
) -> tuple[Mapping[str, str], Mapping[tuple[str, str], str]]:
    """Where a file is in each commit, and where each commit, if it has parents, had it from: (revision, parent).

    Args:
        folder: in the repository.
        name: of the file in the newest commit.
        graph: the parents of each commit, the newest first.
        origins: where it may have come from.
    """
    surely: dict[str, str] = {}
    absent: dict[str, str] = {}
    before: dict[tuple[str, str], str] = {}
    for revision, parents in graph.items():
        place = surely.setdefault(revision, absent.get(revision, name))
        for parent in parents:
            places = (place, *origins.get((revision, place), ()))
            there = next((old for old in places if _text(folder, parent, old)), None)
            before[revision, parent] = there or place
            (absent if there is None else surely).setdefault(parent, there or place)
    return surely, before


def _text(folder: Path, revision: str, place: str) -> str:
    return git(folder, "show", f"{revision}:{place}")


def _origins(folder: Path, name: str) -> _Origins:
    """Of all names that a file had."""
    origins: dict[tuple[str, str], tuple[str, ...]] = {}
    names = [name]
    for known in names:  # grows
        for revision, is_merge in _beginnings(folder, known).items():
            origins[revision, known] = _came_from(folder, revision, known, _RENAMED if is_merge else _RENAMED_OR_COPIED)
            names += [place for place in dict.fromkeys(origins[revision, known]) if place not in names]
    return origins


def _beginnings(folder: Path, name: str) -> dict[str, bool]:
    """The revisions in which a file is new to a parent: whether they are merges."""
    words = ("log", "--full-history", "-m", "--diff-filter=A", "--name-only", "--format=%x01%H %P")
    heads = git(folder, *words, "--", _literally(name)).split("\x01")[1:]
    revisions = [head.split("\n")[0].split() for head in heads]
    return {revision: len(parents) > 1 for revision, *parents in revisions}


def _came_from(folder: Path, revision: str, name: str, how: tuple[str, ...]) -> tuple[str, ...]:
    words = ("log", "-1", *how, "--name-status", "--format=", revision)
    changes = [line.split("\t") for line in git(folder, "-c", "core.quotePath=false", *words).splitlines()]
    return tuple(change[1] for change in changes if change[-1] == name)


def _literally(name: str) -> str:
    return f":(top,literal){name}"
