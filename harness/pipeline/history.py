"""How the claims of a spec changed from commit to commit, as git has them."""

from collections.abc import Iterator, Mapping
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
    revision: str
    date: str
    path: str


def history(path: Path) -> list[Change]:
    """The changes of a spec's claims, the oldest first.

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
    changes: list[Change] = []
    before: _Claims = {}
    versions = [
        (commit.revision, commit.date, git(folder, "show", f"{commit.revision}:{commit.path}")) for commit in commits
    ]
    for revision, date, version in [*versions, (WORKING_COPY, "", text)]:
        after = _claims(version)
        if after is None:
            changes.append(Change(revision, date, "", _WHOLE, "", "cannot be read as YAML with claims"))
            continue
        changes += [Change(revision, date, *change) for change in _compared(before, after)]
        before = after
    return changes


def _commits(folder: Path, name: str) -> list[_Commit]:
    """The commits that changed a file, the oldest first, with its path in the repository then."""
    words = ("log", "--follow", "--format=%x01%H %cs", "--name-only", "--", name)
    commits = []
    for entry in git(folder, "-c", "core.quotePath=false", *words).split("\x01")[1:]:
        head, *paths = entry.split("\n")
        revision, date = head.split(" ")
        commits += [_Commit(revision, date, path) for path in paths if path][:1]
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
