"""How the claims of a spec changed from commit to commit, as git has them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from harness.errors import RequestError
from harness.jobs.provenance import git
from harness.printable import one_line

WORKING_COPY = "working copy"
"""In place of a revision: what is not committed."""

_SHOWN = ("primary", "sentence", "quantity", "paper_value", "checks")
"""Fields of a claim that say what is claimed and expected."""

_WHOLE = ""
"""In place of a field: the claim itself came or went."""

_Claims = Mapping[str, Mapping[str, str]]
"""Id of the claim -> field -> value."""


@dataclass(frozen=True)
class Change:
    """A change of a claim.

    Attributes:
        revision: of git, or ``WORKING_COPY``.
        date: of the commit, YYYY-MM-DD; "" for the working copy.
        claim: its id; "" where the whole file is meant.
        field: as in the spec, ``checks.toy.expect.bound``; "" where the claim itself came or went.
        before: its value, "" where there was none.
        after: the same.
    """

    revision: str
    date: str
    claim: str
    field: str
    before: str
    after: str


@dataclass(frozen=True)
class _Commit:
    """A commit, or a merge, that changed the file: ``path`` is its place then, ``before`` its place in the parents."""

    revision: str
    date: str
    parents: tuple[str, ...]
    path: str
    before: str


def history(path: Path) -> list[Change]:
    """The changes of a spec's claims, the oldest first, one branch after the other where branches were merged.

    Each commit is compared with the one that it was made from, whatever was committed meanwhile elsewhere; a merge with
    all that it joins, so that only what none of them has is told as its own.

    Revisions are read as plain YAML, so that those which are no valid specs any more are told as well; a revision that
    cannot be read is a change of the whole file, and is left out of the comparison. Renames of the file are followed.

    Args:
        path: a spec, tracked by git.

    Raises:
        RequestError: the file cannot be read, git is not there, the file is in no repository, or in no commit.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"{path}: the spec cannot be read ({error})") from error
    folder = path.resolve().parent
    if not git(folder, "rev-parse", "--show-toplevel"):
        raise RequestError(f"{path} lies in no git repository, or git is not installed: its history cannot be told")
    commits = _commits(folder, path.name)
    if not commits:
        raise RequestError(f"no commit has {path}: commit it first (git add, git commit)")
    head = _Commit(WORKING_COPY, "", ("HEAD",), f"./{path.name}", f"./{path.name}")
    changes: list[Change] = []
    readable: _Claims = {}
    for commit in (*commits, head):
        after = _claims(text if commit is head else git(folder, "show", f"{commit.revision}:{commit.path}"))
        if after is None:
            why = "cannot be read as YAML with claims"
            changes.append(Change(commit.revision, commit.date, "", _WHOLE, "", why))
            continue
        versions = [_before(folder, parent, commit.before, readable) for parent in commit.parents]
        changes += [Change(commit.revision, commit.date, *change) for change in _own_changes(versions, after)]
        readable = after
    return changes


def _before(folder: Path, parent: str, path: str, readable: _Claims) -> _Claims:
    """The claims of a parent: none where it has no such file, the last ones that can be read where its cannot."""
    text = git(folder, "show", f"{parent}:{path}")
    claims = _claims(text) if text else {}
    return readable if claims is None else claims


def _own_changes(versions: Sequence[_Claims], after: _Claims) -> list[tuple[str, str, str, str]]:
    """(claim, field, before, after) of what differs from every version before, as the first of them has it."""
    first, *others = [list(_compared(before, after)) for before in versions or [{}]]
    in_all = [{change[:2] for change in changes} for changes in others]
    return [change for change in first if all(change[:2] in places for places in in_all)]


def _commits(folder: Path, name: str) -> list[_Commit]:
    """The commits that changed a file, the oldest first; of two branches one comes after the other."""
    words = ("log", "--follow", "--topo-order", "-c", "--format=%x01%H %cs %P", "--name-status", "--", name)
    commits = []
    for entry in git(folder, "-c", "core.quotePath=false", *words).split("\x01")[1:]:
        head, *lines = entry.split("\n")
        revision, date, *parents = head.split()
        for paths in [line.split("\t")[1:] for line in lines if line][:1]:
            commits.append(_Commit(revision, date, tuple(parents), paths[-1], paths[0]))
    return commits[::-1]


def _claims(text: str) -> _Claims | None:
    """The claims of a version of the file; None where it has none that can be read."""
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        return None
    raw = value.get("claims") if isinstance(value, dict) else None
    if not isinstance(raw, list):
        return None
    claims = [claim for claim in raw if isinstance(claim, dict) and "id" in claim]
    return {str(claim["id"]): dict(_flat({name: claim[name] for name in _SHOWN if name in claim})) for claim in claims}


def _flat(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Fields with dotted names."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _flat(part, f"{place}.{name}" if place else str(name))
    else:
        yield place, one_line(str(value))


def _compared(before: _Claims, after: _Claims) -> Iterator[tuple[str, str, str, str]]:
    """(claim, field, before, after) of what differs."""
    for claim in [*after, *(claim for claim in before if claim not in after)]:
        old, new = before.get(claim), after.get(claim)
        if old is None or new is None:
            yield claim, _WHOLE, "" if old is None else _sentence(old), "" if new is None else _sentence(new)
            continue
        for field in dict.fromkeys([*old, *new]):
            if old.get(field) != new.get(field):
                yield claim, field, old.get(field, ""), new.get(field, "")


def _sentence(claim: Mapping[str, str]) -> str:
    return claim.get("sentence", "a claim without a sentence")
