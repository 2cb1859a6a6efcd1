"""An outcome in machine form: everything, and only what JSON can say."""

import dataclasses
import json as codec
import math
from collections.abc import Mapping, Sequence, Set
from enum import Enum
from numbers import Integral, Real
from typing import Any

from pydantic import BaseModel

from harness.pipeline.outcome import Outcome
from harness.report.chance import chance_document
from harness.report.record import JudgementRecord
from harness.report.view import summary

SCHEMA = 1
"""Version of the form; it grows when a reader of the old one would go wrong."""


def json(outcome: Outcome) -> str:
    """Renders an outcome as JSON.

    Args:
        outcome: the verified spec.

    Returns:
        An indented object that ends with a line end. A number that is not finite is null.
    """
    return codec.dumps(document(outcome), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def document(outcome: Outcome) -> dict[str, Any]:
    """The object that ``json`` writes.

    Args:
        outcome: the verified spec.

    Returns:
        Dictionaries, lists, texts, finite numbers, booleans and None. ``setting`` is what ran, with every
        default; ``spec`` is the file as it was read.
    """
    return {
        "schema": SCHEMA,
        "spec_path": outcome.spec_path,
        "id": outcome.spec.id,
        "title": outcome.spec.title,
        "scale": outcome.scale,
        "summary": summary(outcome),
        "by_chance": plain_value(chance_document(outcome.judgements)),
        "exit_code": outcome.exit_code,
        "counts": {verdict.value: number for verdict, number in outcome.counts.items()},
        "claims": [plain_value(JudgementRecord.of(judgement)) for judgement in outcome.judgements],
        "failures": plain_value(outcome.failures),
        "departures": plain_value(outcome.departures),
        **({"looks": plain_value(outcome.looks)} if outcome.looks else {}),
        "cost": _cost(outcome),
        "provenance": plain_value(outcome.provenance),
        "setting": plain_value(outcome.setting),
        "figures": plain_value(outcome.figures),
        "spec": plain_value(outcome.spec),
    }


def _cost(outcome: Outcome) -> dict[str, Any]:
    """What the results took; not what this run did, so that rendering again gives the same bytes."""
    cost = plain_value(outcome.cost)
    return {name: value for name, value in cost.items() if name not in ("cached", "seconds")}


_DIGITS = 12
"""Significant ones of a number: later ones differ when the same results are summed at another place in memory."""


def plain_value(value: Any) -> Any:
    """Any value of an outcome as plain JSON.

    Args:
        value: models, dataclasses, mappings, sequences, numbers (NumPy's too), texts, paths, dates.

    Returns:
        Its plain form; None for a number that is not finite.
    """
    match value:
        case None | bool() | str() if not isinstance(value, Enum):
            return value
        case Enum():
            return plain_value(value.value)
        case BaseModel():
            return plain_value(value.model_dump(mode="json"))
        case Mapping():
            return {str(key): plain_value(item) for key, item in value.items()}
        case Set():
            return sorted((plain_value(item) for item in value), key=str)
        case bytes():
            return value.hex()
        case Sequence():
            return [plain_value(item) for item in value]
        case Integral():
            return int(value)
        case Real():
            return float(f"{float(value):.{_DIGITS}g}") if math.isfinite(value) else None
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain_value(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if hasattr(value, "tolist"):  # arrays, which are no sequences
        return plain_value(value.tolist())
    return str(value)
