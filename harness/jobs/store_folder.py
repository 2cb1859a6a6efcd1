"""The folder of a store: the marker that makes it one, and the only names in it that are ever touched.

A folder belongs to a user until it carries the marker, which the store writes into a folder that is empty. Without
it a folder counts as a store only where all that it holds are names that stores give: such were made by the version
before the marker, or by ``dvc pull``.
"""

import errno
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from harness import jsonfile
from harness.errors import RequestError, write_remedy
from harness.files import put, read_regular

MARKER = "harness_store.json"
_MARK = {"harness": "store of results", "layout": 1}
PARTS = ("jobs", "tmp", "progress")
FILES = ("record.json", "table.json", "tensors.safetensors")
"""Names of an artifact's files."""

_STALE_AFTER_S = 24 * 3600.0
_STALE_SCHEDULE_AFTER_S = 30 * _STALE_AFTER_S  # a training of days writes none meanwhile
_SHARD, _KEY, _DRAFT = (re.compile(f"[0-9a-f]{{{digits}}}") for digits in (2, 64, 32))
_LEASE = re.compile(r"[0-9a-f]{32}\.lease")
_PROGRESS = re.compile(r"[0-9a-f]{32}(\.json|\.claim|\.lease|\.[0-9]+)?")
_IN_TMP = re.compile(r"[0-9a-f]{32}(\.lease)?")
_PART = re.compile(r"[0-9a-f]{32}\.[0-9]+")
_TEMPORARY = re.compile(r"\.([0-9a-f]{32}(\.json|\.claim|\.[0-9]+)?|probe)\.[0-9a-f]+\.tmp")
"""Of ``files.put`` and ``files.probe``; the version before wrote a process's number in place of random digits."""
_MARKING = re.compile(re.escape(f".{MARKER}.") + r"[0-9a-f]{32}\.tmp")


def require_store(root: Path) -> None:
    """Raises RequestError where the folder is neither absent, nor empty, nor a store. Writes nothing."""
    if not root.is_dir():
        if (root.exists() or root.is_symlink()) and not root.is_dir():  # another run may have made it since
            raise RequestError(f"the store {root} is no folder: choose another with --store")
        return
    marker = root / MARKER
    try:
        if marker.exists() or marker.is_symlink():
            _require_marker(marker)
            _require_parts(root)
            return
        foreign = next(_foreign(root), None)
    except OSError as error:
        raise RequestError(
            f"the store {root} cannot be read ({error.strerror}): choose another with --store"
        ) from error
    if foreign is not None and not marker.exists():  # another run may have marked it since
        raise RequestError(
            f"the folder {root} is no store of results: it has no {MARKER}, and holds {foreign.relative_to(root)}, "
            "which no store does. Name a store, or a folder that is new or empty, with --store"
        )


def make(root: Path) -> None:
    """Makes a folder that is absent or empty a store, and marks one of the version before; sweeps what is stale.

    Raises:
        RequestError: it holds something else.
        OSError: it cannot be written.
    """
    require_store(root)
    root.mkdir(parents=True, exist_ok=True)
    if not (root / MARKER).exists():
        put(
            root / MARKER, f"{json.dumps(_MARK)}\n".encode()
        )  # first: a kill leaves no folder that is not known for what it is
    for part in PARTS:
        (root / part).mkdir(exist_ok=True)
    _sweep(root)


def require_writable(root: Path) -> Path:
    """Asks, and does not try, whether a store can be written; gives its folder, or the one in which it would be made.

    Raises:
        RequestError: it cannot.
    """
    place = root.absolute()
    while not place.exists():
        place = place.parent
    for folder in (place, *(root / part for part in PARTS)):
        if folder.exists() and not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            denied = PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
            raise RequestError(
                f"the store {root} cannot be written ({denied.strerror}): "
                f"{write_remedy(folder, denied)}choose another with --store"
            )
    return place


def is_artifact(path: Path) -> bool:
    """Whether a path below ``jobs`` has a name that the store gives to an artifact."""
    return bool(_KEY.fullmatch(path.name)) and path.parent.name == path.name[:2]


def is_checkpoint(path: Path) -> bool:
    """Whether a path in ``progress`` has a name that the store gives to a checkpoint."""
    return bool(_DRAFT.fullmatch(path.name))


def is_part(path: Path) -> bool:
    """Whether a path in ``progress`` has a name that the store gives to a part of a checkpoint, ``CHECKPOINT.N``."""
    return bool(_PART.fullmatch(path.name))


def is_schedule(path: Path) -> bool:
    """Whether a path in ``progress`` has a name that the store gives to a run's schedule."""
    return bool(_PROGRESS.fullmatch(path.name)) and path.suffix == ".json"


def is_claim(path: Path) -> bool:
    """Whether a path in ``progress`` has a name that the store gives to a claim."""
    return bool(_PROGRESS.fullmatch(path.name)) and path.suffix == ".claim"


def is_lease(path: Path) -> bool:
    """Whether a path in ``tmp`` or ``progress`` has a name that the store gives to a lease."""
    return bool(_LEASE.fullmatch(path.name))


def not_ours(path: Path) -> list[Path]:
    """What a folder of an artifact holds that the store did not put there; nothing where it is a file or a link."""
    if path.is_symlink() or not path.is_dir():
        return []
    return [
        entry for entry in path.iterdir() if entry.name not in FILES or (_is_folder(entry) and any(entry.iterdir()))
    ]


def discard(path: Path) -> None:
    """Removes an artifact, or what lies at its name, and nothing that the store did not put there.

    Raises:
        OSError: it cannot be removed, or the folder holds something else.
    """
    if _is_folder(path):
        for name in FILES:
            with suppress(FileNotFoundError):
                file = path / name
                file.rmdir() if _is_folder(file) else file.unlink()
        path.rmdir()
    else:
        path.unlink()


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _require_marker(marker: Path) -> None:
    try:
        right = jsonfile.parse(read_regular(marker, 4096)) == _MARK
    except ValueError:
        right = False
    if not right:
        raise RequestError(
            f"{marker} is not what this version of the harness writes: {marker.parent} may be a store of another "
            "version, or none. Choose another with --store"
        )


def _require_parts(root: Path) -> None:
    """A part may be a link to a folder, on another disk say; what lies in it is the store's own."""
    for part in PARTS:
        place = root / part
        if (place.exists() or place.is_symlink()) and not place.is_dir():
            raise RequestError(
                f"{place} is no folder, where the store has its {part}: remove it, or choose another with --store"
            )
    for shard in (root / "jobs").iterdir() if (root / "jobs").is_dir() else ():
        if shard.is_symlink() and _SHARD.fullmatch(shard.name):
            raise RequestError(
                f"{shard} is a link, through which results would be written and removed elsewhere: remove it, or put "
                "the folder that it leads to in its place; or choose another store with --store"
            )


def _foreign(root: Path) -> Iterator[Path]:
    """Whatever a folder holds under a name that no store gives."""
    for part in root.iterdir():
        if not _is_folder(part) or part.name not in PARTS:
            if part.name != MARKER and not _MARKING.fullmatch(part.name):
                yield part
        elif part.name == "jobs":
            for shard in part.iterdir():
                if not _SHARD.fullmatch(shard.name) or not _is_folder(shard):
                    yield shard
                else:
                    yield from (entry for entry in shard.iterdir() if not is_artifact(entry))
        else:
            named = _IN_TMP if part.name == "tmp" else _PROGRESS
            yield from (
                entry
                for entry in part.iterdir()
                if not (named.fullmatch(entry.name) or _TEMPORARY.fullmatch(entry.name))
            )


def _sweep(root: Path) -> None:
    """Removes what killed runs left: drafts, claims and parts without their checkpoint a day later, schedules a month.

    What cannot be removed, such as another user's, stays: it is in nobody's way. Another run's own may vanish meanwhile
    too.
    """
    drafts = [entry for entry in (root / "tmp").iterdir() if _DRAFT.fullmatch(entry.name)]
    halves = [
        entry for part in ("tmp", "progress") for entry in (root / part).iterdir() if _TEMPORARY.fullmatch(entry.name)
    ]
    claims = filter(is_claim, (root / "progress").iterdir())
    parts = [entry for entry in (root / "progress").iterdir() if is_part(entry) and not entry.with_suffix("").exists()]
    for draft in (*drafts, *halves, *claims, *parts):
        _discard_after(_STALE_AFTER_S, draft)
    for lease in (entry for part in ("tmp", "progress") for entry in (root / part).iterdir() if is_lease(entry)):
        _discard_lease_after(_STALE_AFTER_S, lease)
    for schedule in (entry for entry in (root / "progress").iterdir() if is_schedule(entry)):
        _discard_after(_STALE_SCHEDULE_AFTER_S, schedule)


def _discard_lease_after(seconds: float, path: Path) -> None:
    """Removes what a killed run left of a lease; a run that lives dates its own anew."""
    with suppress(OSError):
        if time.time() - os.lstat(path).st_mtime > seconds and _is_folder(path):
            for attempt in filter(_is_folder, path.iterdir()):
                for entry in attempt.iterdir():
                    discard(entry)
                attempt.rmdir()
            path.rmdir()


def _discard_after(seconds: float, path: Path) -> None:
    with suppress(OSError):
        if time.time() - os.lstat(path).st_mtime > seconds and not not_ours(path):
            discard(path)
