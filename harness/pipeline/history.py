"""How the claims of a spec changed from commit to commit, as git has them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from harness.errors import RequestError
from harness.jobs.provenance import git
from harness.pipeline.commits import Commit, commits_of
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
class _Told:
    """What was told up to a commit of it and of what it was made from.

    Attributes:
        claims: each field as it was told last.
        last: (claim, field) -> the number of the commit of which that was told.
    """

    claims: _Claims
    last: Mapping[tuple[str, str], int]

    def number(self, claim: str, field: str) -> int:
        """Of the commit that told a field last; whoever tells a whole claim tells its fields."""
        return max(self.last.get((claim, name), -1) for name in (field, _WHOLE))


def history(path: Path) -> list[Change]:
    """The changes of a spec's claims, the oldest first, one branch after the other where branches were merged.

    Each commit is compared with the one that it was made from, whatever was committed meanwhile elsewhere; a merge with
    what was told last of each field on the branches that it joins: what it changes itself, and what it takes back of
    one branch for the sake of another, is told as its own.

    Revisions are read as plain YAML, so that those which are no valid specs any more are told as well; a revision that
    cannot be read is a change of the whole file, and is left out of the comparison. Renames and copies
    of the file are followed, on each branch by itself.

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
    commits = commits_of(path)
    if not commits:
        raise RequestError(f"no commit has {path}: commit it first (git add, git commit)")
    changes: list[Change] = []
    told: dict[str, _Told] = {}
    for number, commit in enumerate((*commits, Commit(WORKING_COPY, "", (commits[-1].revision,), text))):
        before = _joined([told[parent] for parent in commit.parents])
        told[commit.revision] = before
        after = _claims(commit.text)
        if after is None:
            changes.append(Change(commit.revision, commit.date, "", _WHOLE, "", "cannot be read as YAML with claims"))
            continue
        own = list(_compared(before.claims, after))
        changes += [Change(commit.revision, commit.date, *change) for change in own]
        told[commit.revision] = _Told(after, {**before.last, **{change[:2]: number for change in own}})
    return changes


def _joined(branches: Sequence[_Told]) -> _Told:
    """What was told last on any of the branches, field by field."""

    def latest(claim: str, field: str) -> Mapping[str, str] | None:
        return max(branches, key=lambda told: told.number(claim, field)).claims.get(claim)

    claims: dict[str, dict[str, str]] = {}
    for claim in dict.fromkeys(claim for told in branches for claim in told.claims):
        if latest(claim, _WHOLE) is not None:
            fields = dict.fromkeys(field for told in branches for field in told.claims.get(claim, ()))
            sides = {field: latest(claim, field) or {} for field in fields}
            claims[claim] = {field: side[field] for field, side in sides.items() if field in side}
    return _Told(
        claims, {place: max(told.number(*place) for told in branches) for told in branches for place in told.last}
    )


def _claims(text: str) -> _Claims | None:
    """The claims of a version of the file; None where it has none that can be read, {} where it is not there."""
    if not text:
        return {}
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
