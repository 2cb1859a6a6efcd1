"""A spec file to typed models, or to errors that name file, line, field, what was found and what is allowed."""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from harness.errors import RequestError
from harness.printable import one_line, shown
from harness.schema import flips
from harness.schema.base import Model
from harness.schema.claims import Claim
from harness.schema.document import Document, Location, read
from harness.schema.known import wrong_powers
from harness.schema.model import Scale, Spec
from harness.schema.papers import errata_of, near_names
from harness.schema.problems import of_model, told
from harness.schema.sensitivity import OpenChoice

_M = TypeVar("_M", bound=Model)


@dataclass(frozen=True)
class Problem:
    """Something wrong at a place of a spec."""

    location: Location
    message: str


class ExperimentSchema(Protocol):
    """What loading needs to know of an experiment."""

    @property
    def settings(self) -> type[Model]:
        """The model of a scale's ``settings``."""

    def problems(self, spec: Spec, scale: str, settings: Any) -> Sequence[Problem]:
        """What is wrong with a scale and the claims' checks at it, beyond single fields."""

    def doubts(self, spec: Spec, settings: Mapping[str, Any]) -> Sequence[Problem]:
        """What of the claims' numbers is probably mistyped."""


@dataclass(frozen=True)
class Doubt:
    """Something of a claim that is probably mistyped.

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
        document: the file as it was read.
        doubts: what is probably mistyped; a run goes on, and its report says so.
    """

    path: Path
    spec: Spec
    settings: Mapping[str, Any]
    document: Document
    doubts: tuple[Doubt, ...] = ()

    def place(self, *location: str | int) -> str:
        """File, line and field, as errors have them."""
        return self.document.place(location)


def load(path: Path, experiments: Mapping[str, ExperimentSchema]) -> Loaded:
    """Reads and checks a spec; what is wrong in one place hides no other place.

    Args:
        path: a YAML file.
        experiments: protocol name -> experiment.

    Raises:
        RequestError: every problem found, one a line.
    """
    document = read(path)
    if not isinstance(document.value, dict):
        raise RequestError(
            f"{one_line(str(path))}:1: a spec is a mapping with schema_version, id, ..., found {shown(document.value)}"
        )
    problems: list[Problem] = []
    try:
        spec = Spec.model_validate(document.value)
        numbers = list(range(len(spec.claims)))
    except ValidationError as error:
        problems = _problems(error, Spec, ())
        spec, numbers = _sound_part(document.value)
    problems += _cross_problems(spec, numbers, document, {problem.location for problem in problems})
    experiment = experiments.get(spec.protocol) if isinstance(spec.protocol, str) else None
    if experiment is None:
        if isinstance(spec.protocol, str) and all(problem.location != ("protocol",) for problem in problems):
            known = ", ".join(sorted(experiments))
            problems.append(Problem(("protocol",), f"found {spec.protocol!r}, allowed are the protocols {known}"))
        raise RequestError(_words(document, problems))
    settings: dict[str, Any] = {}
    for name, raw in _entries(document.value.get("scales")).items():
        chosen = raw.get("settings", {}) if isinstance(raw, dict) else None
        if isinstance(chosen, dict):
            more, settings[name] = _settings(experiment, spec, name, chosen)
            problems += [_renumbered(problem, numbers) for problem in more]
    if not problems:
        problems += _sensitivity_problems(experiment, spec, settings)
    if problems:
        raise RequestError(_words(document, problems))
    doubts = tuple(
        Doubt(spec.claims[int(doubt.location[1])].id, document.place(doubt.location), doubt.message)
        for doubt in (*_paper_doubts(spec), *experiment.doubts(spec, settings))
    )
    return Loaded(path, spec, settings, document, doubts)


def _paper_doubts(spec: Spec) -> Iterator[Problem]:
    """Sources that look like a short name of ``papers.yaml`` with a slip, and are taken as titles."""
    for number, claim in enumerate(spec.claims):
        alike = near_names(claim.source.paper)
        if alike:
            yield Problem(
                ("claims", number, "source", "paper"),
                f"{claim.source.paper!r} is taken as a title: did you mean {' or '.join(alike)}?",
            )


def _settings(
    experiment: ExperimentSchema, spec: Spec, name: str, chosen: Any
) -> tuple[Sequence[Problem], Model | None]:
    """A scale's settings, typed, and what is wrong with them and with what stands on them."""
    try:
        settings = experiment.settings.model_validate(chosen)
    except ValidationError as error:
        return _problems(error, experiment.settings, ("scales", name, "settings")), None
    return experiment.problems(spec, name, settings) if name in spec.scales else (), settings


def _sensitivity_problems(experiment: ExperimentSchema, spec: Spec, settings: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with the open choices of a spec that is sound without them."""
    wrong = [Problem(location, words) for location, words in flips.reference_problems(spec)]
    yield from wrong
    known = {problem.location[1] for problem in wrong}
    for number, choice in enumerate(spec.sensitivity):
        for scale in () if number in known else flips.scales_of(choice, spec):
            for field, words in _flip_problems(experiment, spec, scale, settings[scale], choice):
                yield Problem(("sensitivity", number, field), words)


def _flip_problems(
    experiment: ExperimentSchema, spec: Spec, scale: str, settings: Model, choice: OpenChoice
) -> Iterator[tuple[str, str]]:
    """What is wrong with a flip at a scale: (field of the choice, words)."""
    own, problems = flips.plain(spec.scales[scale], settings), list[Problem]()
    try:
        values = flips.flipped(own, choice)
        changed = Scale.model_validate(values)
        options = experiment.settings.model_validate(values["settings"])
        if flips.plain(changed, options) == own:
            yield "value", f"found {shown(choice.value)}, which the scale {scale!r} has itself: flip it to another"
        problems += experiment.problems(flips.of(spec, [choice], scale, changed), scale, options)
    except flips.NoSuchField as error:
        yield "field", f"at the scale {scale!r}: {error}"
    except ValidationError as error:
        model = Scale if error.title == Scale.__name__ else experiment.settings
        problems += _problems(error, model, ("scales", scale) if model is Scale else ("scales", scale, "settings"))
    for problem in problems:
        yield "value", flips.refused(choice, problem.location, problem.message)


def local_path(path: Path) -> Path | None:
    """A file's path from the working folder, which is the same on every machine; None where it lies outside."""
    whole, here = path.parent.resolve() / path.name, Path.cwd().resolve()
    return whole.relative_to(here) if whole.is_relative_to(here) else None


def schema(experiments: Mapping[str, ExperimentSchema]) -> dict[str, Any]:
    """JSON Schema of a spec file, for editors; a scale's settings are those of any protocol."""
    whole = Spec.model_json_schema()
    models = [
        experiment.settings.model_json_schema(ref_template="#/$defs/{model}") for experiment in experiments.values()
    ]
    for model in models:
        whole["$defs"].update(model.pop("$defs", {}))
    whole["$defs"]["Scale"]["properties"]["settings"] = {"anyOf": models}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **whole}


def _sound_part(value: Mapping[str, Any]) -> tuple[Spec, list[int]]:
    """The claims and scales of a bad spec that are right by themselves, and the claims' places in it."""
    raw = value.get("claims")
    claims = {number: _sound(Claim, entry) for number, entry in enumerate(raw if isinstance(raw, list) else [])}
    scales = {name: _sound(Scale, entry) for name, entry in _entries(value.get("scales")).items()}
    spec = Spec.model_construct(
        schema_version=1,
        id=value.get("id", ""),
        title="",
        protocol=value.get("protocol", ""),
        claims=tuple(claim for claim in claims.values() if claim is not None),
        scales={name: scale for name, scale in scales.items() if scale is not None},
    )
    return spec, [number for number, claim in claims.items() if claim is not None]


def _sound(model: type[_M], value: Any) -> _M | None:
    try:
        return model.model_validate(value)
    except ValidationError:
        return None


def _entries(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _renumbered(problem: Problem, numbers: Sequence[int]) -> Problem:
    """A problem of the sound part at its place in the file."""
    match problem.location:
        case ("claims", int(number), *rest):
            return Problem(("claims", numbers[number], *rest), problem.message)
    return problem


def _cross_problems(spec: Spec, numbers: Sequence[int], document: Document, known: Set[Location]) -> Iterator[Problem]:
    """What is wrong between claims, between claims and scales, and with the file's name."""
    if spec.id != document.path.stem and ("id",) not in known:
        yield Problem(("id",), f"found {spec.id!r}, but the file is called {document.path.name!r}: make them equal")
    seen: dict[str, int] = {}
    scales = _entries(document.value.get("scales"))
    for number, claim in zip(numbers, spec.claims, strict=True):
        if claim.id in seen:
            first = seen[claim.id] + 1
            yield Problem(
                ("claims", number, "id"), f"found {claim.id!r}, which claim {first} has already: give each its own id"
            )
        seen.setdefault(claim.id, number)
        for scale in claim.checks:
            if scale not in scales:
                has = ", ".join(scales) or "none"
                yield Problem(("claims", number, "checks", scale), f"the spec has no such scale; it has {has}")
        known_errata = errata_of(claim.source.paper)
        for place, name in enumerate(claim.source.errata):
            if name not in known_errata:
                has = ", ".join(known_errata) or "none"
                wrong = f"found {name!r}, but {claim.source.paper!r} has the errata {has} (harness/schema/papers.yaml)"
                yield Problem(("claims", number, "source", "errata", place), wrong)
        for field, wrong in wrong_powers(claim, spec.scales):
            yield Problem(("claims", number, *field), wrong)


def _problems(error: ValidationError, model: type[BaseModel], prefix: Location) -> list[Problem]:
    return [Problem((*prefix, *location), words) for location, words in of_model(error, model)]


def _words(document: Document, problems: Sequence[Problem]) -> str:
    return told(document, ((problem.location, problem.message) for problem in problems))
