"""Verdicts as data for a metrics file: short and in a stable order, so that a difference reads row by row."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from harness import jsonfile
from harness.errors import RequestError
from harness.judging.verdict import Judgement
from harness.pipeline.outcome import Outcome
from harness.report.record import JudgementRecord, Row

Verdicts = Mapping[str, Mapping[str, Row]]
"""Id of the spec -> id of the claim -> what became of it."""

_FORM: TypeAdapter[dict[str, dict[str, Row]]] = TypeAdapter(dict[str, dict[str, Row]])


def verdicts(outcomes: Sequence[Outcome]) -> str:
    """Renders the verdicts of outcomes.

    Args:
        outcomes: verified specs.

    Returns:
        A JSON object, spec id -> claim id -> fields of ``Row`` that have a value, which ends with a line end. Specs
        are sorted, claims as in the spec; claims without a check at the outcome's scale are left out.
    """
    document = {
        outcome.spec.id: {
            judgement.claim.id: _row(judgement) for judgement in outcome.judgements if judgement.check is not None
        }
        for outcome in sorted(outcomes, key=lambda outcome: outcome.spec.id)
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _row(judgement: Judgement) -> dict[str, Any]:
    return Row.of(JudgementRecord.of(judgement)).model_dump(mode="json", exclude_unset=True)


def read_verdicts(path: Path) -> Verdicts:
    """Reads what ``verdicts`` rendered.

    Args:
        path: of the file.

    Returns:
        At least one spec.

    Raises:
        RequestError: there is no such file, or it is no verdicts file.
    """
    remedy = "Write it again with `harness measure SPEC... --verdicts FILE`, or with `dvc repro`"
    try:
        by_spec = jsonfile.read_as(path, _FORM.validate_json, "verdicts file", kind="verdicts")
    except OSError as error:
        raise RequestError(f"the verdicts {path} cannot be read ({error.strerror}). {remedy}") from error
    except ValueError as error:
        raise RequestError(f"{path} {error}. {remedy}") from error
    if not by_spec:
        raise RequestError(f"{path} holds no spec. {remedy}")
    return by_spec
