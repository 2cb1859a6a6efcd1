"""Machine reports back to judgements: what ``json.py`` wrote, now or by an earlier version, checked on the way in."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError
from pydantic_core import ErrorDetails

from harness import jsonfile
from harness.errors import BrokenError, RequestError
from harness.files import read_regular
from harness.judging.verdict import Judgement
from harness.printable import shown
from harness.report.json import SCHEMA
from harness.report.record import Form, JudgementRecord, with_estimands
from harness.schema.base import Name, Version
from harness.schema.claims import Claim

PATTERN = "*-*.json"
"""What a machine report is called: ``<spec id>-<scale>.json``."""

_TOLD = 4
"""How many problems of a file are told."""


@dataclass(frozen=True)
class Report:
    """A verified spec at a scale, as far as its machine report tells it.

    Attributes:
        place: of the machine report below the folder that was searched, with slashes: ``paper/lenet_imp-paper.json``.
        spec: id of the spec.
        title: of the spec.
        spec_path: the spec's file, from the working folder if it lies below, else as the user gave it.
        protocol: the experiment.
        scale: which setting.
        summary: one line without its full stop.
        judgements: one a claim, in the spec's order.
        failures: how many jobs broke.
        departures: every way in which the run departed from the paper.
    """

    place: str
    spec: str
    title: str
    spec_path: str
    protocol: str
    scale: str
    summary: str
    judgements: tuple[Judgement, ...]
    failures: int
    departures: tuple[str, ...]


class _Spec(Form):
    protocol: Name
    claims: list[Claim]


class _Document(Form):
    # `schema` is a method of BaseModel, hence another name for the field.
    version: Annotated[Version, Field(alias="schema")]
    id: Name
    title: str
    spec_path: str
    scale: Name
    summary: str
    claims: list[JudgementRecord]
    failures: list[dict[str, Any]]
    departures: list[str]
    spec: _Spec


def read_all(folder: Path, left_out: Path | None = None) -> list[Report]:
    """Reads every machine report below a folder.

    Args:
        folder: searched with all that is below it.
        left_out: a folder below it that is not searched.

    Returns:
        The reports, by the names of their places.

    Raises:
        RequestError: the folder is missing or has no reports, or files are not what their names say: all problems
            together, each with file, field, what was found and what to do.
        BrokenError: a file cannot be read.
    """
    if not folder.is_dir():
        raise RequestError(f"{folder} is no folder: name the one in which reports lie, as harness index reports")
    paths = _paths(folder, left_out)
    if not paths:
        raise RequestError(
            f"no machine reports ({PATTERN}) in {folder} or below: write some with harness verify --report "
            f"{folder / 'toy'}, or name another folder"
        )
    reports, problems = [], []
    for path in paths:
        try:
            reports.append(read(path, path.relative_to(folder).as_posix()))
        except RequestError as error:
            problems.append(str(error))
    if problems:
        raise RequestError("\n".join(problems))
    return reports


def read(path: Path, place: str) -> Report:
    """Reads a machine report.

    Args:
        path: the file.
        place: what the report calls itself in an index.

    Returns:
        The report.

    Raises:
        RequestError: the file is no machine report, is damaged, of another version, or was renamed, or its page
            is missing.
        BrokenError: it cannot be read.
    """
    try:
        content = read_regular(path, jsonfile.LARGEST)
        value = jsonfile.parse(content)  # is stricter than the library's own reading of JSON
        document = _Document.model_validate_json(json.dumps(with_estimands(value)))
    except ValidationError as error:
        found = jsonfile.unlike(value, "report")
        raise _wrong(path, [f"the file {found}"] if found else _problems(error)) from None
    except ValueError as error:
        raise _wrong(path, [f"the file {error}"]) from None
    except OSError as error:
        raise BrokenError(f"{path}: the report cannot be read ({error.strerror or error})") from error
    if path.stem != f"{document.id}-{document.scale}":
        raise _wrong(path, [f"id, scale: found {document.id!r} and {document.scale!r}, which are not the file's name"])
    if not path.with_suffix(".html").is_file():
        raise _wrong(path, [f"its page {path.with_suffix('.html').name} is missing beside it"])
    return Report(
        place=place,
        spec=document.id,
        title=document.title,
        spec_path=document.spec_path,
        protocol=document.spec.protocol,
        scale=document.scale,
        summary=document.summary,
        judgements=_judgements(path, document),
        failures=len(document.failures),
        departures=tuple(document.departures),
    )


def _paths(folder: Path, left_out: Path | None) -> list[Path]:
    beyond = left_out.resolve() if left_out is not None else None
    inside = beyond is not None and folder.resolve() in beyond.parents
    paths = (path for path in folder.rglob(PATTERN) if path.is_file())
    return sorted(path for path in paths if not (inside and beyond in path.resolve().parents))


def _judgements(path: Path, document: _Document) -> tuple[Judgement, ...]:
    claims = {claim.id: claim for claim in document.spec.claims}
    told = [record.id for record in document.claims]
    if told != list(claims):
        raise _wrong(path, [f"claims: found {shown(told)}, but spec.claims has {shown(list(claims))}"])
    return tuple(record.judgement(claims[record.id]) for record in document.claims)


def _wrong(path: Path, problems: Iterable[str]) -> RequestError:
    remedy = (
        f"{path}: an index reads what harness verify and harness report write (schema {SCHEMA}), beside its page: "
        "write it again, or move it out of the folder"
    )
    return RequestError("\n".join([*(f"{path}: {problem}" for problem in problems), remedy]))


def _problems(error: ValidationError) -> Iterator[str]:
    details = error.errors()
    for detail in details[:_TOLD]:
        yield _problem(detail)
    if len(details) > _TOLD:
        yield f"and {len(details) - _TOLD} more problems"


def _problem(detail: ErrorDetails) -> str:
    field = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in detail["loc"]).removeprefix(".")
    if detail["type"] == "missing":
        return f"{field}: this field is missing"
    if detail["type"] == "json_invalid":
        return detail["msg"]
    return f"{field or 'the whole file'}: found {shown(detail['input'])}: {detail['msg']}"
