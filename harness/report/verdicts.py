"""Verdicts as data for a metrics file: short and in a stable order, so that a difference reads row by row."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from harness import jsonfile
from harness.digits import plain
from harness.errors import RequestError
from harness.files import read_regular
from harness.judging.verdict import Judgement, Verdict
from harness.pipeline.outcome import Outcome
from harness.schema.base import Model

_DIGITS = 5
"""Significant digits of a number that is no count."""


class Row(Model):
    """What became of a claim.

    Attributes:
        verdict: the outcome.
        in_order: whether that is the verdict to expect.
        value: the measured number; None where there is none.
        low: lower end of its 95 % interval.
        high: upper end.
        n: initialisations.
        unit: of the numbers.
    """

    verdict: Verdict
    in_order: bool
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    unit: str = ""

    @property
    def words(self) -> str:
        """Verdict and numbers in one line: "FAILS, 2.6 [1.9, 3.3] points, n = 5"."""
        if self.n is None:
            return str(self.verdict)
        value, low, high = ("none" if one is None else plain(one) for one in (self.value, self.low, self.high))
        interval = "" if self.low is None and self.high is None else f" [{low}, {high}]"
        return f"{self.verdict}, {value}{interval}{' ' if self.unit else ''}{self.unit}, n = {self.n}"


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
        outcome.spec.id: {one.claim.id: _fields(one) for one in outcome.judgements if one.check is not None}
        for outcome in sorted(outcomes, key=lambda outcome: outcome.spec.id)
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


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
        content = read_regular(path, jsonfile.LARGEST)
        jsonfile.parse(content)  # is stricter than the library's own reading, which knows enumerations by their values
        found = _FORM.validate_json(content)
    except OSError as error:
        raise RequestError(f"the verdicts {path} cannot be read ({error.strerror}). {remedy}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise RequestError(
            f"{path} is no verdicts file: {place}: {first['msg']}, found {str(first['input'])[:60]!r}. {remedy}"
        ) from error
    except ValueError as error:
        raise RequestError(f"{path} is no verdicts file: the file {error}. {remedy}") from error
    if not found:
        raise RequestError(f"{path} holds no spec. {remedy}")
    return found


def _fields(judgement: Judgement) -> dict[str, Any]:
    estimate = judgement.estimate
    fields: dict[str, Any] = {"verdict": judgement.verdict.value, "in_order": judgement.in_order}
    if estimate is not None:
        numbers = {"value": estimate.value, "low": estimate.low, "high": estimate.high}
        fields |= {name: _short(number) for name, number in numbers.items() if number is not None}
        fields |= {"n": estimate.n, "unit": judgement.unit}
    return fields


def _short(number: float) -> float:
    """Counts and times as they are, other numbers without the digits that nobody compares."""
    return number if float(number).is_integer() else float(f"{number:.{_DIGITS}g}")
