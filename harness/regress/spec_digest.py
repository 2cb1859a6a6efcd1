"""What a spec's file says of a scale, and how two such texts differ. Pure."""

import hashlib
from collections.abc import Iterator
from typing import Any

from harness.jobs.job import canonical
from harness.printable import shortened
from harness.schema.model import Spec

_NOT_COMPARED = ("initialisations", "first_seed")
_LETTERS = 80
"""Of a value that is told."""


def written(spec: Spec, scale: str) -> dict[str, Any]:
    """The part of a spec that decides a run at a scale and its verdicts, without defaults and words.

    Args:
        spec: any.
        scale: one of its scales.
    """
    chosen = spec.scales[scale].model_dump(mode="json", exclude_unset=True, exclude={"departures"})
    chosen["replicates"] = compared_replicates(chosen["replicates"])
    claims = {
        claim.id: {
            "quantity": claim.quantity,
            **claim.checks[scale].model_dump(
                mode="json", exclude_unset=True, exclude={"sentence": True, "known": {"why": True}}
            ),
        }
        for claim in spec.claims
        if scale in claim.checks
    }
    return {"protocol": spec.protocol, "setting": chosen, "claims": claims}


def compared_replicates(replicates: dict[str, Any]) -> dict[str, Any]:
    """Replicates without how many initialisations there are, which a baseline has more of."""
    return {name: value for name, value in replicates.items() if name not in _NOT_COMPARED}


def digest(value: Any) -> str:
    """SHA-256 of plain values, its beginning."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:12]


def differences(before: Any, now: Any, place: str = "") -> Iterator[str]:
    """Where plain nested values differ, a line each: ``setting.training.batch: was 60, is 64``."""
    if before == now:
        return
    if isinstance(before, dict) and isinstance(now, dict):
        for name in [*before, *(name for name in now if name not in before)]:
            inside = f"{place}.{name}" if place else str(name)
            if name not in now:
                yield f"{inside}: was {_shown(before[name])}, is gone"
            elif name not in before:
                yield f"{inside}: is new, {_shown(now[name])}"
            else:
                yield from differences(before[name], now[name], inside)
    else:
        yield f"{place}: was {_shown(before)}, is {_shown(now)}"


def _shown(value: Any) -> str:
    return shortened(canonical(value), _LETTERS)
