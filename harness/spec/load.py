"""A spec file to typed models, or to errors that name file, line, field, what was found and what is allowed."""

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from harness.errors import RequestError
from harness.spec.base import Model
from harness.spec.document import Document, Location, read
from harness.spec.model import Spec


@dataclass(frozen=True)
class Problem:
    """Something wrong at a place of a spec."""

    location: Location
    message: str


class Family(Protocol):
    """What loading needs to know of an experiment family."""

    @property
    def settings(self) -> type[Model]:
        """The model of a scale's ``settings``."""

    def problems(self, spec: Spec, scale: str, settings: Any) -> Sequence[Problem]:
        """What is wrong with a scale and the claims' checks at it, beyond single fields."""

    def doubts(self, spec: Spec, settings: Mapping[str, Any]) -> Sequence[Problem]:
        """What of the claims' numbers is probably mistyped."""


@dataclass(frozen=True)
class Doubt:
    """A number of a claim that is probably mistyped.

    Attributes:
        claim: id of the claim.
        place: file, line and field.
        message: what is to say of it.
    """

    claim: str
    place: str
    message: str


@dataclass(frozen=True)
class Loaded:
    """A valid spec.

    Attributes:
        path: its file.
        spec: the models.
        settings: scale -> the protocol's typed settings.
        doubts: numbers that are probably mistyped; a run goes on, and its report says so.
    """

    path: Path
    spec: Spec
    settings: Mapping[str, Any]
    doubts: tuple[Doubt, ...] = ()


def load(path: Path, families: Mapping[str, Family]) -> Loaded:
    """Reads and checks a spec.

    Args:
        path: a YAML file.
        families: protocol name -> experiment family.

    Raises:
        RequestError: every problem found, one a line.
    """
    document = read(path)
    if not isinstance(document.value, dict):
        raise RequestError(f"{path}:1: a spec is a mapping with schema_version, id, ..., found {_show(document.value)}")
    try:
        spec = Spec.model_validate(document.value)
    except ValidationError as error:
        raise _request_error(document, _problems(error, Spec, ())) from error
    problems = list(_cross_problems(spec))
    family = families.get(spec.protocol)
    if family is None:
        known = ", ".join(sorted(families))
        raise _request_error(
            document, [Problem(("protocol",), f"found {spec.protocol!r}, allowed are the protocols {known}")]
        )
    if spec.id != path.stem:
        problems.append(Problem(("id",), f"found {spec.id!r}, but the file is called {path.name!r}: make them equal"))
    settings: dict[str, Model] = {}
    for name, scale in spec.scales.items():
        try:
            settings[name] = family.settings.model_validate(scale.settings)
        except ValidationError as error:
            problems += _problems(error, family.settings, ("scales", name, "settings"))
        else:
            problems += family.problems(spec, name, settings[name])
    if problems:
        raise _request_error(document, problems)
    doubts = tuple(
        Doubt(spec.claims[int(one.location[1])].id, _place(document, one.location), one.message)
        for one in family.doubts(spec, settings)
    )
    return Loaded(path, spec, settings, doubts)


def local_path(path: Path) -> Path | None:
    """A file's path from the working folder, which is the same on every machine; None where it lies outside."""
    whole, here = path.parent.resolve() / path.name, Path.cwd().resolve()
    return whole.relative_to(here) if whole.is_relative_to(here) else None


def schema(families: Mapping[str, Family]) -> dict[str, Any]:
    """JSON Schema of a spec file, for editors; a scale's settings are those of any protocol."""
    whole = Spec.model_json_schema()
    models = [family.settings.model_json_schema(ref_template="#/$defs/{model}") for family in families.values()]
    for model in models:
        whole["$defs"].update(model.pop("$defs", {}))
    whole["$defs"]["Scale"]["properties"]["settings"] = {"anyOf": models}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **whole}


def _cross_problems(spec: Spec) -> Iterator[Problem]:
    """What is wrong between claims, and between claims and scales."""
    seen: dict[str, int] = {}
    for number, claim in enumerate(spec.claims):
        if claim.id in seen:
            first = seen[claim.id] + 1
            yield Problem(
                ("claims", number, "id"), f"found {claim.id!r}, which claim {first} has already: give each its own id"
            )
        seen.setdefault(claim.id, number)
        for scale in claim.checks:
            if scale not in spec.scales:
                yield Problem(
                    ("claims", number, "checks", scale), f"the spec has no such scale; it has {', '.join(spec.scales)}"
                )


def _problems(error: ValidationError, model: type[BaseModel], prefix: Location) -> list[Problem]:
    details = error.errors()
    places = [tuple(detail["loc"]) for detail in details]
    found = []
    for detail, location in zip(details, places, strict=True):
        follows = any(other[: len(location)] == location and other != location for other in places)
        if detail["type"] == "too_short" and follows:
            continue  # a list whose items are wrong seems empty
        found.append(Problem((*prefix, *location), _message(detail, model)))
    return found


def _message(detail: ErrorDetails, model: type[BaseModel]) -> str:
    location, kind, context = tuple(detail["loc"]), detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        allowed = _fields_at(model, location[:-1])
        close = difflib.get_close_matches(str(location[-1]), allowed, 1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        return f"unknown field{hint}; allowed here: {', '.join(allowed)}"
    if kind == "missing":
        return "this field is missing"
    if kind == "union_tag_not_found":
        return f"the field {context['discriminator']} is missing here"
    if kind == "union_tag_invalid":
        return f"found {context['discriminator']} {context['tag']!r}; allowed: {context['expected_tags']}"
    message = (
        detail["msg"].removeprefix("Value error, ").replace("a valid tuple", "a list").replace("Tuple", "The list")
    )
    shown = isinstance(detail["input"], dict | list | BaseModel)
    return message if shown else f"found {_show(detail['input'])}: {message}"


def _fields_at(model: type[BaseModel], location: Location) -> list[str]:
    whole = model.model_json_schema()
    node: dict[str, Any] = whole
    for part in location:
        node = _enter(whole, node, part)
    return sorted(_resolve(whole, node).get("properties", {}))


def _resolve(whole: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    allowed = [one for one in node.get("anyOf", ()) if one.get("type") != "null"]
    node = allowed[0] if len(allowed) == 1 else node  # a field that may be left out
    return whole["$defs"][node["$ref"].rsplit("/", 1)[-1]] if "$ref" in node else node


def _enter(whole: dict[str, Any], node: dict[str, Any], part: str | int) -> dict[str, Any]:
    node = _resolve(whole, node)
    if "discriminator" in node:
        return (
            {"$ref": node["discriminator"]["mapping"].get(part, "")} if part in node["discriminator"]["mapping"] else {}
        )
    if isinstance(part, int):
        return dict(node.get("items", {}))
    patterns = list(node.get("patternProperties", {}).values())
    extra = patterns[0] if patterns else node.get("additionalProperties")
    return dict(node.get("properties", {}).get(part) or (extra if isinstance(extra, dict) else {}))


def _show(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def _request_error(document: Document, problems: Sequence[Problem]) -> RequestError:
    lines = []
    for one in dict.fromkeys(problems):  # what concerns all scales is found at each
        lines.append(f"{_place(document, one.location)}: {one.message}")
    return RequestError("\n".join(lines))


def _place(document: Document, location: Location) -> str:
    return f"{document.path}:{document.line(location)}: {_dotted(document, location)}"


def _dotted(document: Document, location: Location) -> str:
    """The place as a reader writes it, without the names that Pydantic gives to the members of a union."""
    text = ""
    known: Location = ()
    for number, part in enumerate(location, start=1):
        here: Location = (*known, part)
        if here in document.lines:
            known = here
        elif number < len(location):
            continue
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "spec"
