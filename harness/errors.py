"""The errors a user can meet. Each message names the object, the value found, the place and the remedy."""

import errno
import os
from pathlib import Path


class HarnessError(Exception):
    """Base of every error that is told to the user in words, without a traceback."""

    exit_code = 3


class RequestError(HarnessError):
    """The request was wrong (a spec, an option, a missing dataset): nothing was run. Exit code 2."""

    exit_code = 2


class DataMissing(RequestError):
    """A dataset is known, but not on this machine."""


class Stopped(HarnessError):
    """The user, or the machine, asked the run to stop. Exit code 130, as shells have it."""

    exit_code = 130


class Unread(HarnessError):
    """Whoever read the output stopped reading, which nobody need be told. Exit code 141, as shells have it."""

    exit_code = 141


class BrokenError(HarnessError):
    """Something broke while running: a full disk, a corrupt file, a breached invariant. Exit code 3."""


class StoreBroken(BrokenError):
    """Results cannot be kept or trusted: the run ends, whatever job met it first."""


class CorruptArtifact(StoreBroken):
    """A stored file is not what its record says."""


class LeaseLost(StoreBroken):
    """Another run, or worker, was given what was under way here: nothing more of it can be written from here."""


class InvariantBroken(BrokenError):
    """A fact that must hold on every run did not: the numbers would mean nothing, so there is no verdict."""


class TrainingDiverged(BrokenError):
    """A replica's loss stopped being a finite number."""


def write_remedy(place: Path, error: OSError) -> str:
    """What would let a place be written that could not be, for the end of an error's message.

    Args:
        place: the file or folder that was to be written.
        error: why it was not.

    Returns:
        Words that end in ", or ", as choosing another place is always a way; "" where nothing else is known.
    """
    folder = Path(error.filename or place).absolute()
    while not os.path.exists(folder):
        folder = folder.parent
    match error.errno:
        case errno.EACCES | errno.EPERM:
            me = os.geteuid()
            return (
                f"{folder} belongs to user {folder.stat().st_uid} and this runs as user {me}; give user {me} the right "
                "to write there (in a container: mount a folder of yours and run with --user $(id -u)), or "
            )
        case errno.EROFS:
            return (
                f"{folder} can only be read here; make it writable (in a container: mount a folder there, "
                f"--mount type=bind,source=FOLDER,target={place.absolute()}), or "
            )
        case errno.ENOSPC | errno.EDQUOT:
            return "make room there, or "
    return ""
