"""A lease on a group: the folders out of which everything that its holder writes to the store is renamed into place.

Whoever gives a holder up removes these folders. From then on nothing of that holder can appear in the store, however
late it wakes up: a rename needs the folder that it takes a file from, and file systems look that up and rename in one
step. So there is no moment between a look at the lease and the write that rests on it. On a network's file system a
client may know the folder by a handle and not by its name; so it is removed, and not only renamed, as a handle of what
is removed is refused.

Layout: ``tmp/<lease>.lease/<attempt>/`` for results and ``progress/<lease>.lease/<attempt>/`` for checkpoints (which
may lie on another disk). The number of an attempt is the fencing token: the holder of the lease raises it whenever it
gives the group to somebody else.
"""

import errno
import os
import secrets
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from harness.errors import LeaseLost
from harness.jobs import store_folder

PLACES = ("tmp", "progress")
_LOST = (errno.ENOENT, errno.ESTALE, errno.ENOTDIR)
_REVOKE_WITHIN_S = 10.0


@dataclass(frozen=True)
class Attempt:
    """One holder's right to write what comes of a group; plain values, fit to be sent.

    Attributes:
        root: the store's folder.
        lease: 32 hex digits.
        number: of the attempt, from 1.
    """

    root: Path
    lease: str
    number: int

    @property
    def drafts(self) -> Path:
        """Where results are put together."""
        return self._in("tmp")

    @property
    def saves(self) -> Path:
        """Where checkpoints are put together."""
        return self._in("progress")

    @property
    def lives(self) -> bool:
        """Whether it was not given up; both folders are opened, as looks may be answered from a cache."""
        return all(map(_opens, (self.drafts, self.saves)))

    def require(self) -> None:
        """Raises LeaseLost where it was given up."""
        if not self.lives:
            raise LeaseLost(f"what attempt {self.number} had under way was given to another")

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Turns an error of what is written through it into LeaseLost where it was given up."""
        try:
            yield
        except OSError as error:
            if error.errno == errno.ESTALE:
                raise LeaseLost(f"what attempt {self.number} had under way was given to another") from error
            self.require()
            raise

    def discard(self, path: Path) -> None:
        """Removes a file of ``progress``, if it is there and the attempt lives.

        Raises:
            LeaseLost: it was given up, and the file is as it was.
            OSError: the file cannot be removed.
        """
        aside = self.saves / uuid.uuid4().hex
        with self.writing():
            try:
                os.rename(path, aside)
            except FileNotFoundError:
                self.require()
                return
            aside.unlink()

    def _in(self, place: str) -> Path:
        return _folder(self.root, self.lease, place) / str(self.number)


class Lease:
    """A lease as its holder, a run, has it: the run makes attempts and gives them up.

    Args:
        root: the store's folder.
        name: 32 hex digits, given to no other lease.
    """

    def __init__(self, root: Path, name: str) -> None:
        self.root, self.name = root, name
        self._number = 0

    @classmethod
    def new(cls, root: Path) -> "Lease":
        """One of which nothing is on the disk yet."""
        return cls(root, secrets.token_hex(16))

    def make(self) -> None:
        """Raises OSError where its folders cannot be made."""
        for place in PLACES:
            _folder(self.root, self.name, place).mkdir(exist_ok=True)

    def attempt(self, instead_of: Attempt | None = None) -> Attempt:
        """The next attempt. It does not live where the lease was taken away.

        Args:
            instead_of: an attempt that is given up first.

        Raises:
            OSError: its folders cannot be made, or that before not removed.
        """
        if instead_of is not None:
            for place in PLACES:
                _remove(_folder(self.root, self.name, place) / str(instead_of.number), self.root / place)
        self._number += 1
        made = Attempt(self.root, self.name, self._number)
        with suppress(FileNotFoundError):
            for folder in (made.drafts, made.saves):
                folder.mkdir()
        return made

    def renew(self) -> None:
        """Dates it anew, so that it is not swept."""
        for place in PLACES:
            with suppress(OSError):
                os.utime(_folder(self.root, self.name, place))

    def revoke(self) -> None:
        """Gives all attempts up; afterwards nothing that they write can appear.

        Raises:
            OSError: the folders cannot be removed.
        """
        revoke(self.root, self.name)


def revoke(root: Path, name: str) -> None:
    """Gives up all attempts of a lease that anybody holds; nothing happens where there is none of that name.

    Raises:
        OSError: its folders cannot be removed.
    """
    for place in PLACES:
        _remove(_folder(root, name, place), root / place)


def _folder(root: Path, name: str, place: str) -> Path:
    return root / place / f"{name}.lease"


def _opens(folder: Path) -> bool:
    try:
        number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in _LOST:
            return False
        raise
    os.close(number)
    return True


def _remove(folder: Path, place: Path) -> None:
    """Removes a folder of a lease, whatever is still being written into it; its drafts are taken out whole first.

    A draft is renamed before it is taken apart: so either it appeared in the store as a whole before, or never does.

    Raises:
        OSError: it cannot be removed.
    """
    until = time.monotonic() + _REVOKE_WITHIN_S
    while True:
        try:
            for entry in list(folder.iterdir()):
                if entry.parent.name.endswith(".lease") and entry.is_dir() and not entry.is_symlink():
                    _remove(entry, place)
                else:
                    _take_out(entry, place)
            folder.rmdir()
            return
        except FileNotFoundError:
            if not os.path.lexists(folder):
                return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or time.monotonic() > until:
                raise


def _take_out(entry: Path, place: Path) -> None:
    """Moves a draft, or half a checkpoint, out of the lease, where its holder no longer finds it, and removes it."""
    aside = place / (uuid.uuid4().hex if place.name == "tmp" else f".{uuid.uuid4().hex}.{uuid.uuid4().hex}.tmp")
    with suppress(FileNotFoundError):
        os.rename(entry, aside)
        store_folder.discard(aside)
