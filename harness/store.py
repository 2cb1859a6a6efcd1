"""Content-addressed artifacts: what a job gave, kept under the job's key, written once, checked on every read.

Layout: ``<root>/jobs/<2 hex>/<key>/`` holds ``record.json`` and, as the result has them, ``tensors.safetensors``
and ``table.json`` (columns of equal length). A directory is filled under ``<root>/tmp`` and appears by one
rename, so a killed run leaves either a whole artifact or none. Nothing here is ever unpickled.
"""

import contextlib
import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from harness.errors import BrokenError, CorruptArtifact, RequestError, StoreBroken, write_remedy
from harness.job import Job, canonical

Table = Mapping[str, list[Any]]
_STALE_AFTER_S = 24 * 3600.0


@dataclass(frozen=True)
class Artifact:
    """What a job gives: named tensors, a table of plain columns, or both.

    Attributes:
        tensors: by name.
        table: columns by name.
        witness: what the making of it showed, kept with the provenance; none where it is read again.
    """

    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    table: Table = field(default_factory=dict)
    witness: Mapping[str, str] = field(default_factory=dict)


class Store:
    """Artifacts below one root directory. Loss of it costs time, never correctness."""

    def __init__(self, root: Path, *, read_only: bool = False) -> None:
        """Opens the store, making its directories.

        Args:
            root: its folder.
            read_only: make nothing there, and need no right to; a folder that is absent holds nothing.

        Raises:
            RequestError: the place cannot be written.
        """
        self.root = root
        if root == Path():
            raise RequestError("the store needs a folder of its own: name one with --store")
        if read_only:
            if root.exists() and not root.is_dir():
                raise RequestError(f"the store {root} is no folder: choose another with --store")
            return
        try:
            for part in ("jobs", "tmp", "progress"):
                (root / part).mkdir(parents=True, exist_ok=True)
            probe = root / "tmp" / uuid.uuid4().hex
            probe.touch()
            probe.unlink()
            _sweep(root)
        except OSError as error:
            raise RequestError(
                f"the store {root} cannot be written ({error.strerror}): "
                f"{write_remedy(root, error)}choose another with --store"
            ) from error

    def path(self, key: str) -> Path:
        """Directory of the artifact with this key."""
        return self.root / "jobs" / key[:2] / key

    def has(self, job: Job) -> bool:
        """Whether the job's artifact is committed; its content is checked when it is read.

        Raises:
            CorruptArtifact: it was, but its record is gone.
        """
        path = self.path(job.key)
        # In this order: another run may commit between the two looks, and then the record came with the directory.
        if not path.exists():
            return False
        if not (path / "record.json").is_file():
            raise self._corrupt(job, path, "has lost its record.json")
        return True

    def record(self, job: Job) -> dict[str, Any]:
        """The commit record: the job's description, digests, and how the result came about.

        Raises:
            CorruptArtifact: unreadable, or written for another job.
        """
        path = self.path(job.key) / "record.json"
        try:
            record = json.loads(path.read_bytes())
            described = record["job"]
            if not all(isinstance(record[part], dict) for part in ("files", "provenance")):
                raise TypeError("files or provenance is not a mapping")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise self._corrupt(job, path, f"cannot be read ({error})") from error
        if canonical(described) != canonical(job.description):
            raise self._corrupt(job, path, f"was written for another job: {_difference(described, job.description)}")
        return dict(record)

    def read(self, job: Job) -> Artifact:
        """The job's artifact, each file checked against its digest.

        Raises:
            CorruptArtifact: a file is missing, truncated or changed.
        """
        record = self.record(job)
        contents: dict[str, bytes] = {}
        for name, digest in record["files"].items():
            path = self.path(job.key) / name
            try:
                contents[name] = _checked(path, digest)
            except ValueError as error:
                raise self._corrupt(job, path, str(error)) from error
        try:
            # Sorted: the library gives the names in another order at every load.
            tensors = (
                dict(sorted(load_tensors(contents["tensors.safetensors"]).items()))
                if "tensors.safetensors" in contents
                else {}
            )
            table = json.loads(contents["table.json"]) if "table.json" in contents else {}
        except (SafetensorError, ValueError) as error:
            raise self._corrupt(job, self.path(job.key), f"cannot be decoded ({error})") from error
        return Artifact(tensors, table)

    def write(self, job: Job, artifact: Artifact, provenance: Mapping[str, Any]) -> None:
        """Commits an artifact: data first, then the record, then one rename. An existing one is left as it is.

        Raises:
            BrokenError: the artifact holds a number that is not finite.
            StoreBroken: the disk is full or the place cannot be written; nothing half-written is left behind.
        """
        files: dict[str, bytes] = {}
        if artifact.tensors:
            files["tensors.safetensors"] = save_tensors(
                {name: tensor.detach().cpu().contiguous() for name, tensor in sorted(artifact.tensors.items())}
            )
        if artifact.table:
            try:
                files["table.json"] = canonical(dict(artifact.table)).encode()
            except ValueError as error:
                raise BrokenError(f"{job!r} gave a number that is not finite, so nothing can rest on it") from error
        record = {
            "job": job.description,
            "files": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
            "provenance": {**provenance, **({"witness": dict(artifact.witness)} if artifact.witness else {})},
        }
        files["record.json"] = json.dumps(record, indent=1, sort_keys=True).encode()
        draft = self.root / "tmp" / uuid.uuid4().hex
        final = self.path(job.key)
        try:
            draft.mkdir()
            for name, content in files.items():
                _write_durably(draft / name, content)
            final.parent.mkdir(exist_ok=True)
            if not self.has(job):
                os.rename(draft, final)
        except OSError as error:
            if not self.has(job):
                raise StoreBroken(
                    f"cannot write {job!r} into the store {self.root} ({error.strerror}): "
                    f"{write_remedy(final, error)}choose another with --store, then run the same command again; "
                    "what was finished is kept"
                ) from error
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def size(self, job: Job) -> int:
        """Bytes on disk of the job's artifact."""
        return sum(path.stat().st_size for path in self.path(job.key).iterdir())

    def check(self) -> Iterator[tuple[Path, str]]:
        """Reads every artifact: its directory, and what is wrong with it, or nothing."""
        for path in sorted((self.root / "jobs").glob("*/*")):
            yield path, _wrong_with(path)

    def remove(self, path: Path) -> None:
        """Removes an artifact that ``check`` found corrupt; a killed removal leaves none or all of it.

        Raises:
            StoreBroken: it cannot be removed.
        """
        gone = self.root / "tmp" / uuid.uuid4().hex
        try:
            os.rename(path, gone)
            shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
        except OSError as error:
            raise StoreBroken(f"{path} cannot be removed ({error.strerror}): remove it by hand") from error

    def progress_path(self, name: str) -> Path:
        """Where a long training keeps its checkpoint while it runs."""
        return self.root / "progress" / name

    def _corrupt(self, job: Job, path: Path, what: str) -> CorruptArtifact:
        return CorruptArtifact(
            f"artifact {job!r} is corrupt: {path} {what}. "
            f"Remove it with `harness store check --store {self.root} --remove` and run again; "
            "only this job is repeated"
        )


def _checked(path: Path, digest: str) -> bytes:
    """A file's content. Raises ValueError, which says what is wrong with it."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror})") from error
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        raise ValueError(f"has sha256 {found[:12]}, its record says {digest[:12]}")
    return content


def _wrong_with(path: Path) -> str:
    """What is wrong with an artifact's directory, or nothing."""
    try:
        record = json.loads((path / "record.json").read_bytes())
        described, files = record["job"], dict(record["files"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"record.json cannot be read ({error})"
    if hashlib.sha256(canonical(described).encode()).hexdigest() != path.name:
        return "record.json was written for another job"
    for name, digest in files.items():
        try:
            _checked(path / name, digest)
        except ValueError as error:
            return f"{name} {error}"
    return ""


def _sweep(root: Path) -> None:
    """Removes drafts that killed runs left behind, a day later; another run's own draft may vanish meanwhile."""
    for draft in (*(root / "tmp").iterdir(), *(root / "progress").glob("*.tmp")):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - draft.stat().st_mtime > _STALE_AFTER_S:
                shutil.rmtree(draft) if draft.is_dir() else draft.unlink()


def _write_durably(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _difference(found: Any, wanted: Any, place: str = "") -> str:
    if isinstance(found, dict) and isinstance(wanted, dict):
        parts = [
            _difference(found.get(name), wanted.get(name), f"{place}.{name}" if place else str(name))
            for name in sorted({*found, *wanted})
            if found.get(name) != wanted.get(name)
        ]
        return "; ".join(parts)
    return f"{place} is {found!r}, wanted {wanted!r}"
