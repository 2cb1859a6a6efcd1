"""Says to other runs on the same store which trainings and measurements are under way here, so that they do others.

A claim is advice: a file whose time of change is renewed while its run lives. Where it fails, work is done twice, with
the same result; nothing waits for a run that is gone.
"""

import contextlib
import json
import os
import platform
import threading
import time
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from types import TracebackType

from harness.job import Job
from harness.store import Store

RENEWED_EVERY_S = 10.0
STALE_AFTER_S = 60.0
_LONGEST = 1000


class Claims:
    """The claims of one run, a file under ``progress/`` for each of its runs under way; given up with the block."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._held: set[Path] = set()
        self._over = threading.Event()
        self._renewing = threading.Thread(target=self._renew, daemon=True)

    def __enter__(self) -> "Claims":
        """Removes what runs that are gone have left, and begins to renew what will be held."""
        for path in (self._store.root / "progress").glob("*.claim"):
            if not _lives(path):
                with contextlib.suppress(OSError):
                    path.unlink()
        self._renewing.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Gives all up."""
        self._over.set()
        self._renewing.join()
        self._give_up(self._held)

    def take(self, group: Sequence[Job]) -> bool:
        """Claims all of a group, or nothing where another run holds a part of it.

        The files are made in the order of their names, each only where there is none. So of two runs that want the
        same at the same time one gets it all.
        """
        taken: set[Path] = set()
        for path in self._paths(group):
            if path in self._held:
                continue
            if not self._make(path):
                self._give_up(taken)
                return False
            taken.add(path)
            self._held.add(path)
        return True

    def release(self, group: Sequence[Job]) -> None:
        """The group is done with; its results are committed."""
        self._give_up(set(self._paths(group)))

    def _paths(self, group: Sequence[Job]) -> list[Path]:
        names = {sha256(job.lineage.encode()).hexdigest()[:32] for job in group}
        return [self._store.progress_path(f"{name}.claim") for name in sorted(names)]

    def _make(self, path: Path) -> bool:
        """Whether the claim is ours now. One that cannot be written counts so, too: the store tells what is wrong."""
        for _ in range(2):
            try:
                with path.open("x") as file:
                    json.dump(_me(), file)
                return True
            except FileExistsError:
                if _lives(path):
                    return False
                with contextlib.suppress(OSError):
                    path.unlink()
            except OSError:
                return True
        return False

    def _give_up(self, paths: set[Path]) -> None:
        for path in list(paths):
            if path in self._held:
                self._held.discard(path)
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)

    def _renew(self) -> None:
        while not self._over.wait(RENEWED_EVERY_S):
            for path in self._held.copy():
                with contextlib.suppress(OSError):
                    os.utime(path)


def _me() -> dict[str, str | int]:
    """This process, and where its number means something."""
    try:
        space = os.readlink("/proc/self/ns/pid")
    except OSError:
        space = ""
    return {"host": platform.node(), "space": space, "pid": os.getpid()}


def _lives(path: Path) -> bool:
    """Whether the run that made a claim may still be at work."""
    try:
        if time.time() - path.stat().st_mtime > STALE_AFTER_S:
            return False
        with path.open() as file:
            found = json.loads(file.read(_LONGEST))
        me = _me()
        if not isinstance(found, dict) or any(found.get(name) != me[name] for name in ("host", "space")):
            return True
        if found["pid"] == me["pid"]:
            return False  # of a process before this one, as in a container that was started again
        os.kill(int(found["pid"]), 0)
    except FileNotFoundError:
        return False
    except ProcessLookupError:
        return False
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return True  # until it is stale
    return True
