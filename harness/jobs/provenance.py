"""Where a result comes from: code, environment, hardware. Kept beside a result, never in its key."""

import hashlib
import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

import harness
from harness import jsonfile
from harness.jobs.outside import packages

PACKAGE = Path(harness.__file__)
"""What git is asked of: the package's own file."""
_ELSEWHERE = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")
_PACKAGES = ("torch", "torchvision", "numpy", "numba", "llvmlite", "scipy", "scikit-learn", "safetensors", "pydantic")


class Code(BaseModel):
    """The code that gave a result.

    Attributes:
        revision: of git, or ``unknown``.
        modified: whether it differed from that.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    revision: str
    modified: bool


class Outside(BaseModel):
    """A package outside that brings experiments.

    Attributes:
        version: of its distribution.
        digest: SHA-256 of its modules.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    version: str
    digest: str


class Made(BaseModel):
    """What is read of the provenance beside a result; more may be there. See ``describe``.

    Attributes:
        code: that gave it.
        packages: name -> version.
        outside: packages that bring experiments, which were there too: name -> version and digest.
        python: version.
        device: ``cpu`` or ``cuda:0``.
        hardware: the device as its maker calls it.
        threads: of the CPU.
        small_networks: what trains and evaluates them there, in words; "" where code without a choice did.
        container: digest of the image, "" outside one.
        lock: SHA-256 of the pinned versions.
        date: in UTC, YYYY-MM-DD.
        seconds: that it took, shared out among the jobs beside it.
        processor_seconds: of the CPU that it took, shared out in the same way, whatever else the machine did; None on
            other devices and with several threads, which also take time while they wait, after an interruption, and
            where older code ran.
        beside: jobs that ran as one with it, itself among them.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, allow_inf_nan=False)

    code: Code
    packages: dict[str, str]
    outside: dict[str, Outside] = {}
    python: str
    device: str
    hardware: str
    threads: int
    small_networks: str = ""
    container: str
    lock: str
    date: str
    seconds: Annotated[float, Field(ge=0)]
    processor_seconds: Annotated[float, Field(ge=0)] | None = None
    beside: Annotated[int, Field(ge=1)]


def read_made(provenance: Mapping[str, Any]) -> Made:
    """The provenance in an artifact's record.

    Raises:
        ValueError: it has not the form that a run writes; in words that follow the record's name.
    """
    try:
        return Made.model_validate(provenance)
    except ValidationError as error:
        raise ValueError(f"does not say how its result came about (provenance.{jsonfile.told(error)})") from None


def describe(device: str, threads: int, device_name: str) -> dict[str, Any]:
    """Facts about this machine and this code, as plain nested values.

    Args:
        device: where the experiments run, ``cpu`` or ``cuda:0``.
        threads: CPU threads in use.
        device_name: the device as its maker calls it, or "" for the CPU's own.

    Returns:
        Among them ``container``, the digest of the image as ``HARNESS_IMAGE`` gives it, "" outside one; ``code``,
        from git where it tracks this module, else from ``HARNESS_REVISION`` and ``HARNESS_MODIFIED``; ``lock``, the
        sha256 of the pinned versions.
    """
    return {
        "code": _code(PACKAGE),
        "harness": harness.__version__,
        "packages": {name: _version(name) for name in _PACKAGES},
        "outside": {
            f"{package.distribution} ({package.module})": {"version": package.version, "digest": package.digest}
            for package in packages()
        },
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "device": device,
        "hardware": device_name or processor(),
        "threads": threads,
        "container": os.environ.get("HARNESS_IMAGE", ""),
        "lock": _digest(PACKAGE.parent.parent / "constraints.txt"),
        "date": today(),
    }


def today() -> str:
    """The date in UTC, YYYY-MM-DD."""
    return datetime.now(UTC).strftime("%Y-%m-%d")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def _code(module: Path) -> dict[str, Any]:
    """What git says of a module's folder; where it does not know the module, what the image was built with.

    A checkout around an installed package may be of anything.
    """
    folder = module.parent
    revision = git(folder, "rev-parse", "HEAD")
    if revision and git(folder, "ls-files", "--error-unmatch", "--", module.name):
        return {"revision": revision, "modified": bool(git(folder, "status", "--porcelain", "--", "."))}
    return {
        "revision": os.environ.get("HARNESS_REVISION") or "unknown",
        "modified": os.environ.get("HARNESS_MODIFIED") == "true",
    }


def git(folder: Path, *words: str) -> str:
    """What git answers in a folder, without white space around it; "" where it is not there or fails."""
    # In a hook of git these name the repository that runs it, whatever the folder.
    environment = {name: value for name, value in os.environ.items() if name not in _ELSEWHERE}
    command = ["git", "-C", str(folder), *words]
    try:
        answer = subprocess.run(
            command, env=environment, capture_output=True, encoding="utf-8", errors="replace", check=False
        )
    except OSError:
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""


def processor() -> str:
    """The processor as its maker calls it, with how many cores the machine has."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return f"{line.split(':', 1)[1].strip()}, {os.cpu_count()} cores"
    except OSError:
        pass
    return platform.processor() or "unknown"


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return "absent"
