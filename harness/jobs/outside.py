"""Packages outside that bring experiments: found by their entry points, imported once, named wherever they break.

An entry point of the group ``harness.protocols`` names a package with a ``PROTOCOL`` and, where it has stages of its
own, their rows as ``STAGES``. See docs/outside.md.
"""

import hashlib
import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from harness.errors import BrokenError

GROUP = "harness.protocols"


@dataclass(frozen=True)
class Package:
    """A package outside.

    Attributes:
        module: its name, as it is imported.
        distribution: that installed it, with its version.
        version: of the distribution.
        folder: where it lies.
        protocol: its ``PROTOCOL``; checked by ``harness.protocols``.
        stages: rows of its own stages; checked by ``harness.jobs.brought``.
    """

    module: str
    distribution: str
    version: str
    folder: Path
    protocol: Any
    stages: Sequence[Any]

    @property
    def words(self) -> str:
        """The package, for a message."""
        return f"the package {self.module} ({self.distribution} {self.version})"

    @property
    def digest(self) -> str:
        """SHA-256 over the names and the text of its modules."""
        total = hashlib.sha256()
        for path in sorted(self.folder.rglob("*.py")):
            total.update(f"{path.relative_to(self.folder).as_posix()}\n".encode() + path.read_bytes() + b"\n")
        return total.hexdigest()


@cache
def packages() -> tuple[Package, ...]:
    """All of them, in the order of their names.

    Raises:
        BrokenError: one cannot be imported, or exports no ``PROTOCOL``.
    """
    points = {(point.name, point.value): point for point in entry_points(group=GROUP)}
    return tuple(_opened(points[name]) for name in sorted(points))


def _opened(point: EntryPoint) -> Package:
    distribution = point.dist.name if point.dist is not None else "of no distribution"
    version = point.dist.version if point.dist is not None else ""
    words = f"the package {point.value} ({distribution} {version})"
    try:
        module = importlib.import_module(point.value)
    except Exception as error:  # whatever a stranger's module raises
        raise BrokenError(
            f"{words}, an experiment by its entry point {point.name!r} in {GROUP}, cannot be imported: "
            f"{type(error).__name__}: {error}. Mend or uninstall it"
        ) from error
    for name in ("PROTOCOL", "__path__"):
        if getattr(module, name, None) is None:
            raise BrokenError(
                f"{words}, an experiment by its entry point {point.name!r} in {GROUP}, has no {name}: it must be a "
                "folder, a package, that exports its experiment as PROTOCOL. Mend or uninstall it"
            )
    return Package(
        module=module.__name__,
        distribution=distribution,
        version=version,
        folder=Path(str(module.__file__)).parent,
        protocol=module.PROTOCOL,
        stages=tuple(getattr(module, "STAGES", ())),
    )
