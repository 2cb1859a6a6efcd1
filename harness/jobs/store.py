"""Content-addressed artifacts: what a job gave, kept under the job's key, written once, checked on every read.

Layout: ``<root>/jobs/<2 hex>/<key>/`` holds ``record.json`` and, as the result has them, ``tensors.safetensors``
and ``table.json`` (columns of equal length). A directory is filled under ``<root>/tmp`` and appears by one
rename, so a killed run leaves either a whole artifact or none. Nothing here is ever unpickled. What makes a folder
a store, and what of it may be touched, is in ``store_folder``.
"""

import hashlib
import json
import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from copy import copy
from pathlib import Path
from typing import Any, TypeVar

from harness.errors import BrokenError, CorruptArtifact, InvariantBroken, RequestError, StoreBroken, write_remedy
from harness.files import probe, sync_folder, write_new
from harness.jobs import artifact as files_of
from harness.jobs import faults, store_folder
from harness.jobs.artifact import Artifact, Columns, Described
from harness.jobs.job import Job, canonical
from harness.jobs.lease import Attempt
from harness.jobs.provenance import Made, read_made
from harness.jobs.stage_row import Table

__all__ = ["Artifact", "Store", "Table"]
Decoded = TypeVar("Decoded")


class Store:
    """Artifacts below one root directory. Loss of it costs time, never correctness."""

    def __init__(self, root: Path, *, make: bool = True) -> None:
        """Opens the store; makes it where its folder is absent or empty.

        Args:
            root: its folder.
            make: whether to; else nothing is made there, no right to is needed, and a folder that is absent holds
                nothing. Whoever writes later calls ``make`` first.

        Raises:
            RequestError: the folder is no store, or cannot be written.
        """
        self.root = root
        self.attempt: Attempt | None = None
        if root == Path():
            raise RequestError("the store needs a folder of its own: name one with --store")
        store_folder.require_store(root)
        if make:
            self.make()

    def make(self) -> None:
        """Makes the store where its folder is absent or empty, and tries whether it can be written.

        Raises:
            RequestError: the folder is no store, or cannot be written.
        """
        try:
            store_folder.make(self.root)
            probe(self.root / "tmp")
        except OSError as error:
            raise RequestError(
                f"the store {self.root} cannot be written ({error.strerror}): "
                f"{write_remedy(self.root, error)}choose another with --store"
            ) from error

    def through(self, attempt: Attempt | None) -> "Store":
        """The same store, to which all is written through an attempt: nothing any more once that is given up."""
        fenced = copy(self)
        fenced.attempt = attempt
        return fenced

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
        if not path.exists() and not path.is_symlink():
            return False
        if not (path / files_of.RECORD).is_file():
            odd = os.path.lexists(path / files_of.RECORD)
            raise self.corrupt(job, "has a record.json that is no file" if odd else "has lost its record.json")
        return True

    def record(self, job: Job) -> dict[str, Any]:
        """The commit record: the job's description, digests, and how the result came about.

        Raises:
            CorruptArtifact: unreadable, or written for another job.
        """
        try:
            record = files_of.read_record(self.path(job.key) / files_of.RECORD).model_dump()
        except OSError as error:
            raise self.corrupt(job, f"cannot be read ({error.strerror})", files_of.RECORD) from error
        except ValueError as error:
            raise self.corrupt(job, str(error), files_of.RECORD) from error
        if canonical(record["job"]) != canonical(job.description):
            told = faults.difference(record["job"], job.description)
            raise self.corrupt(job, f"was written for another job: {told}", files_of.RECORD)
        return record

    def made(self, job: Job) -> Made:
        """How the job's result came about, as a run writes it.

        Raises:
            CorruptArtifact: the record is unreadable, of another job, or says something else.
        """
        try:
            return read_made(self.record(job)["provenance"])
        except ValueError as error:
            raise self.corrupt(job, str(error), files_of.RECORD) from error

    def read(self, job: Job) -> Artifact:
        """The job's artifact, each file checked against its digest.

        Raises:
            CorruptArtifact: a file is missing, truncated, changed, or not of its kind. So is, later, a column that is
                asked for and is not in the table.
        """
        tensors = self._decoded(job, files_of.TENSORS, files_of.decode_tensors)
        return Artifact(tensors or {}, self.read_table(job))

    def read_table(self, job: Job) -> Columns:
        """The table of the job's artifact, checked against its digest; its tensors, which may be large, are not read.

        Raises:
            CorruptArtifact: as ``read`` does.
        """

        def lacking(what: str) -> CorruptArtifact:
            return self.corrupt(job, what, files_of.TABLE, seen_by_check=False)

        return Columns(self._decoded(job, files_of.TABLE, files_of.decode_table) or {}, lacking)

    def _decoded(self, job: Job, name: str, decode: Callable[[bytes], Decoded]) -> Decoded | None:
        """A file of the job's artifact; None where it has none of that name."""
        digest = self.record(job)["files"].get(name)
        if digest is None:
            return None
        try:
            return decode(files_of.read_checked(self.path(job.key) / name, digest))
        except ValueError as error:
            raise self.corrupt(job, str(error), name) from error

    def write(self, job: Job, artifact: Artifact, provenance: Mapping[str, Any]) -> None:
        """Commits an artifact: data first, then the record, then one rename. An existing one is left as it is.

        Raises:
            BrokenError: the artifact holds a number that is not finite.
            InvariantBroken: it holds nothing.
            StoreBroken: the disk is full or the place cannot be written; nothing half-written is left behind.
            LeaseLost: the attempt that it was to be written through was given up.
        """
        try:
            files = files_of.encode(artifact)
        except ValueError as error:
            raise BrokenError(f"{job!r} gave a number that is not finite, so nothing can rest on it") from error
        if not files:
            raise InvariantBroken(f"{job!r} gave neither tensors nor a table: its stage must give one")
        record = {
            "job": job.description,
            "files": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
            "provenance": {**provenance, **({"witness": dict(artifact.witness)} if artifact.witness else {})},
        }
        files[files_of.RECORD] = json.dumps(record, indent=1, sort_keys=True).encode()
        draft = (self.attempt.drafts if self.attempt else self.root / "tmp") / uuid.uuid4().hex
        final = self.path(job.key)
        try:
            draft.mkdir()
            for name, content in files.items():
                write_new(draft / name, content)
            sync_folder(draft)
            final.parent.mkdir(exist_ok=True)
            if not self.has(job):
                os.rename(draft, final)
                sync_folder(final.parent)
        except OSError as error:
            if self.attempt:
                self.attempt.require()
            if not self.has(job):
                raise StoreBroken(
                    f"cannot write {job!r} into the store {self.root} ({error.strerror}): "
                    f"{write_remedy(final, error)}choose another with --store, then run the same command again; "
                    "what was finished is kept"
                ) from error
        finally:
            with suppress(OSError):
                store_folder.discard(draft)

    def size(self, job: Job) -> int:
        """Bytes on disk of the job's artifact."""
        paths = (self.path(job.key) / name for name in store_folder.FILES)
        return sum(path.stat().st_size for path in paths if path.exists())

    def check(self, judge: faults.Judge = lambda record, artifact: "") -> Iterator[tuple[Path, str]]:
        """Reads every artifact: its directory, and what is wrong with it, or nothing.

        Args:
            judge: says of the record and the artifact, whose files are sound, what is wrong with them, or "".
        """
        for path in sorted((self.root / "jobs").glob("*/*")):
            if store_folder.is_artifact(path):
                yield path, faults.wrong_with(path, judge)

    def described(self, key: str) -> Described | None:
        """The description of the job with this key, by its record; None where there is none that fits."""
        try:
            described = files_of.read_record(self.path(key) / files_of.RECORD).job
        except (OSError, ValueError):
            return None
        return described if faults.is_of(described, key) else None

    def strangers(self) -> Iterator[Path]:
        """What lies among the artifacts under a name that the store does not give: nobody's business here."""
        for shard in sorted((self.root / "jobs").glob("*")):
            inside = [] if shard.is_symlink() or not shard.is_dir() else sorted(shard.iterdir())
            own = [path for path in inside if store_folder.is_artifact(path)]
            if not own and (inside or not shard.is_dir() or len(shard.name) != 2):
                yield shard
            else:
                yield from (path for path in inside if path not in own)

    def remove(self, path: Path) -> None:
        """Removes an artifact that ``check`` found corrupt; a killed removal leaves none or all of it.

        Raises:
            StoreBroken: it cannot be removed, or its folder holds what the store did not put there.
        """
        gone = self.root / "tmp" / uuid.uuid4().hex
        try:
            other = store_folder.not_ours(path)
            if other:
                raise StoreBroken(
                    f"{path} is not removed: it holds {other[0].name}, which the store did not put there. Move that "
                    "away and run the same command again"
                )
            os.rename(path, gone)
            store_folder.discard(gone)
        except OSError as error:
            raise StoreBroken(f"{path} cannot be removed ({error.strerror}): remove it by hand") from error

    def progress_path(self, name: str) -> Path:
        """Where a long training keeps its checkpoint while it runs."""
        return self.root / "progress" / name

    def corrupt(self, job: Job, what: str, name: str = "", *, seen_by_check: bool = True) -> CorruptArtifact:
        """The error about an artifact, with the remedy.

        Args:
            job: whose result it is.
            what: is wrong, in words that follow the name of the file or folder.
            name: of the file, "" for the folder.
            seen_by_check: whether ``check`` sees it too, and so can remove it.
        """
        here = self.path(job.key)
        remedy = f"Remove it with `harness store check --store {self.root} --remove`"
        if not seen_by_check:
            remedy = f"Its digest is right, so it was written so: remove the folder {here}"
        place = here / name if name else here
        return CorruptArtifact(
            f"artifact {job!r} is corrupt: {place} {what}. {remedy} and run again; only this job is repeated"
        )
