"""Experiment families, one module each, found by themselves. Pure: they name jobs and read tables."""

import importlib
import pkgutil
from functools import cache
from typing import Any

from harness.protocols.base import Protocol


@cache
def families() -> dict[str, Protocol[Any]]:
    """Protocol name -> protocol, from every module of this package that has a ``PROTOCOL``."""
    found: dict[str, Protocol[Any]] = {}
    for module in pkgutil.iter_modules(__path__):
        protocol = getattr(importlib.import_module(f"{__name__}.{module.name}"), "PROTOCOL", None)
        if protocol is not None:
            found[protocol.name] = protocol
    return found
