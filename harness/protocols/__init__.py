"""Experiments, a folder each, found by themselves; and those of packages outside. Pure: they name jobs and read tables.

A package outside is found by its entry point in the group ``harness.protocols`` (docs/outside.md).
"""

import importlib
import pkgutil
from functools import cache
from pathlib import Path
from typing import Any

from harness.errors import BrokenError
from harness.jobs.outside import Package, packages
from harness.jobs.stages import rows
from harness.protocols.common.base import Experiment


@cache
def protocols() -> dict[str, Experiment[Any]]:
    """Name -> experiment, from every folder here that has a ``PROTOCOL`` and from every package outside.

    Raises:
        BrokenError: a package outside cannot be used, or brings an experiment or a stage of a name that is taken.
    """
    experiments = {name: protocol for name, (protocol, _) in _own().items()}
    owners: dict[str, Package] = {}
    for package in packages():
        protocol = package.protocol
        if not isinstance(protocol, Experiment) or not isinstance(getattr(protocol, "name", None), str):
            raise BrokenError(
                f"{package.words}: its PROTOCOL is {protocol!r:.80}, where an instance of a named subclass of "
                "harness.protocols.common.base.Experiment is due. Mend or uninstall the package"
            )
        if protocol.name in experiments:
            owner = owners[protocol.name].words if protocol.name in owners else "the harness"
            raise BrokenError(
                f"{package.words} brings the experiment {protocol.name!r}, which {owner} has already: give it another "
                "name, or uninstall one of them"
            )
        experiments[protocol.name] = protocol
        owners[protocol.name] = package
    rows()  # a stage that cannot be used is told before anything is planned
    return experiments


def folder_of(name: str) -> Path:
    """The folder of an experiment, where its ``tiny.yaml`` lies.

    Raises:
        KeyError: there is no experiment of this name; those there are are named.
        BrokenError: a package outside cannot be used.
    """
    folders = {own: folder for own, (_, folder) in _own().items()}
    if name not in folders:
        folders |= {package.protocol.name: package.folder for package in packages()}
    if name not in folders:
        raise KeyError(f"there is no experiment {name!r}: known are {', '.join(sorted(folders))}")
    return folders[name]


@cache
def _own() -> dict[str, tuple[Experiment[Any], Path]]:
    experiments: dict[str, tuple[Experiment[Any], Path]] = {}
    for folder in pkgutil.iter_modules(__path__):
        protocol = getattr(importlib.import_module(f"{__name__}.{folder.name}"), "PROTOCOL", None)
        if protocol is not None:
            experiments[protocol.name] = protocol, Path(__path__[0]) / folder.name
    return experiments
