"""The file by which a run says that some work is under way in it: who owns it, and whether that owner still lives."""

import os
import platform
import re
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness import jsonfile
from harness.errors import StoreBroken, write_remedy
from harness.files import open_regular, temporary, write_new
from harness.jobs import lease, store_folder

RENEWED_EVERY_S = 10.0
STALE_AFTER_S = 60.0
"""Without being renewed; also of a date that lies so far ahead."""

_LARGEST = 4096
_ENDED = ("Z", "X")
"""States of a process that ran to its end, and whose parent did not ask how."""
_STOPPED = ("T", "t")
_Line = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$", max_length=200)]


class Owner(BaseModel):
    """Whose a claim is.

    Attributes:
        host: name of its machine, for readers.
        machine: where the number of its process means something: a boot of a machine, and a space of numbers on it.
        pid: number of its process.
        started: when that started, in the machine's ticks; 0 where it does not tell.
        token: of this owner alone.
        lease: through which what is claimed is written (``jobs.lease``); "" where an older version claimed it.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    host: _Line
    machine: _Line
    pid: Annotated[int, Field(ge=1, lt=2**31)]
    started: Annotated[int, Field(ge=0)]
    token: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    lease: Annotated[str, Field(pattern=r"^([0-9a-f]{32})?$")] = ""

    @classmethod
    def here(cls, token: str) -> "Owner":
        """This process."""
        process = _process(os.getpid())
        host, started = _plain(platform.node() or "unnamed"), process[1] if process else 0
        return cls(host=host, machine=_machine(host), pid=os.getpid(), started=started, token=token)

    @property
    def words(self) -> str:
        """For readers."""
        return f"process {self.pid} on {self.host}"

    @property
    def content(self) -> bytes:
        """Of the file."""
        return self.model_dump_json().encode()


@dataclass(frozen=True)
class Seen:
    """A claim as it was found.

    Attributes:
        mark: by which the same file, not renewed since, is known again.
        renewed: when, by the clock of its file system.
        owner: None where it is being written, or may not be read by us.
        wrong: with the file, in words that follow its name; "" where nothing is.
    """

    mark: tuple[int, ...]
    renewed: float
    owner: Owner | None = None
    wrong: str = ""

    @property
    def words(self) -> str:
        """Its owner, for readers."""
        return self.owner.words if self.owner else "a process that is not known"


def look(path: Path) -> Seen:
    """What is at the place of a claim, whatever it is; nothing is waited for.

    Raises:
        FileNotFoundError: nothing is.
    """
    about = os.lstat(path)
    if stat.S_ISLNK(about.st_mode):
        return Seen(_mark(about), about.st_mtime, wrong="is a link, not a regular file")
    try:
        with open_regular(path) as (file, _):
            about = os.fstat(
                file.fileno()
            )  # of an open file: a network's file system may hold an older one of its name
            content = file.read(_LARGEST + 1)
    except FileNotFoundError:
        raise
    except OSError:
        return Seen(_mark(about), about.st_mtime)
    except ValueError as error:
        return Seen(_mark(about), about.st_mtime, wrong=str(error))
    if not content:
        return Seen(_mark(about), about.st_mtime)
    try:
        if len(content) > _LARGEST:
            raise ValueError(f"has more than the {_LARGEST:,} bytes that such a file may have")
        return Seen(_mark(about), about.st_mtime, Owner.model_validate(jsonfile.parse(content)))
    except ValidationError as error:
        return Seen(_mark(about), about.st_mtime, wrong=f"is no claim ({jsonfile.told(error)})")
    except ValueError as error:
        return Seen(_mark(about), about.st_mtime, wrong=str(error))


def gone(seen: Seen, now: Callable[[], float]) -> str:
    """Why a claim holds nobody any more, in words on its owner; "" while the owner may be at work.

    Args:
        seen: the claim.
        now: the time by the clock of its file system.
    """
    state = ""
    if seen.owner is not None and seen.owner.machine == _machine(_plain(platform.node() or "unnamed")):
        process = _process(seen.owner.pid)
        if process is None or process[1] != seen.owner.started or process[0] in _ENDED:
            return f"{seen.words} has ended"
        state = " stands still (stopped by a signal) and" if process[0] in _STOPPED else ""
    age = now() - seen.renewed
    if abs(age) <= STALE_AFTER_S:
        return ""
    if age < 0:
        return f"{seen.words}{state} has a claim dated {-age:.0f} s ahead of the clock"
    return f"{seen.words}{state} has not renewed its claim for {age:.0f} s"


def make(path: Path, owner: Owner) -> None:
    """Makes a claim where there is none.

    Raises:
        FileExistsError: there is one.
        OSError: it cannot be written; nothing is left of it.
    """
    try:
        write_new(path, owner.content, durable=False)
    except FileExistsError:
        raise
    except OSError:
        with suppress(OSError):
            path.unlink()
        raise


def renew(path: Path, owner: Owner) -> bool:
    """Dates an owner's claim anew; whether it still is the owner's.

    Raises:
        OSError: it cannot be dated.
    """
    try:
        with open_regular(path) as (file, _):
            if file.read(_LARGEST) != owner.content:
                return False
            os.utime(file.fileno())
    except (FileNotFoundError, ValueError):
        return False
    return True


def give_up(path: Path, owner: Owner) -> bool:
    """Removes a claim if it still is the owner's; whether it was, as far as can be seen."""
    try:
        with open_regular(path) as (file, _):
            if file.read(_LARGEST) != owner.content:
                return False
        path.unlink()
    except (FileNotFoundError, ValueError):
        return False
    except OSError:
        pass
    return True


def take_away(path: Path, seen: Seen) -> bool:
    """Removes a claim that was seen, and no other that took its place, or its renewal, meanwhile.

    What its owner has under way is given up first, so that nothing of it appears from then on. Where the owner renewed
    the claim meanwhile, it keeps that, and finds that it has to begin the group again.

    Returns:
        Whether the place is free now; another run may be faster in taking it.

    Raises:
        OSError: it cannot be removed.
    """
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
        return True
    if seen.owner is not None and seen.owner.lease:
        lease.revoke(path.parent.parent, seen.owner.lease)
    aside = temporary(path)
    try:
        os.rename(path, aside)
    except FileNotFoundError:
        return True
    try:
        if _mark(os.lstat(aside)) == seen.mark:
            return True
        with suppress(OSError):  # no links here, or a third run was faster: its owner will see that it lost the claim
            os.link(aside, path, follow_symlinks=False)
        return False
    finally:
        aside.unlink(missing_ok=True)


def clock(folder: Path) -> float:
    """The time by the clock that dates the files in a folder, which may be another machine's; else by ours."""
    made = temporary(folder / "probe")
    try:
        write_new(made, b"", durable=False)
        return made.stat().st_mtime
    except OSError:
        return time.time()
    finally:
        with suppress(OSError):
            made.unlink()


def all_in(folder: Path) -> Iterator[tuple[Path, Seen]]:
    """Every claim in a folder."""
    for path in sorted(filter(store_folder.is_claim, folder.iterdir())) if folder.is_dir() else []:
        with suppress(FileNotFoundError):
            yield path, look(path)


def remove(path: Path) -> None:
    """Removes a claim that is damaged, or whose owner is gone, and no other.

    Raises:
        StoreBroken: it cannot be removed.
    """
    try:
        seen = look(path)
        if seen.wrong or gone(seen, lambda: clock(path.parent)):
            take_away(path, seen)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreBroken(
            f"{path}, where a run claims its work, is none and cannot be removed ({error.strerror}): "
            f"{write_remedy(path, error)}move it away"
        ) from error


def _mark(about: os.stat_result) -> tuple[int, ...]:
    return about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns


def _plain(name: str) -> str:
    return re.sub(r"[^\w.-]", "-", name, flags=re.ASCII)[:100]


def _machine(host: str) -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return _plain(f"{boot}.{os.readlink('/proc/self/ns/pid')}")
    except OSError:
        return host


def _process(pid: int) -> tuple[str, int] | None:
    """State of a process of this machine and when it started; None: there is none."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return after_name[0], int(after_name[19])
    except (OSError, IndexError, ValueError):
        pass  # it is gone, or of another user whose processes are hidden
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except OSError:
        pass
    return "R", 0
