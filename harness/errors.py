"""The errors a user can meet. Each message names the object, the value found, the place and the remedy."""


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


class BrokenError(HarnessError):
    """Something broke while running: a full disk, a corrupt file, a breached invariant. Exit code 3."""


class StoreBroken(BrokenError):
    """Results cannot be kept or trusted: the run ends, whatever job met it first."""


class CorruptArtifact(StoreBroken):
    """A stored file is not what its record says."""


class InvariantBroken(BrokenError):
    """A fact that must hold on every run did not: the numbers would mean nothing, so there is no verdict."""


class TrainingDiverged(BrokenError):
    """A replica's loss stopped being a finite number."""
