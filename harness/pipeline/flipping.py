"""Versions of a spec with an open choice flipped, and the one plan of them all; nothing runs."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from harness.errors import RequestError
from harness.jobs.job import ancestry, canonical
from harness.jobs.plan import Plan
from harness.jobs.stages import row
from harness.pipeline.early import tables_of
from harness.pipeline.request import Request, check, prepare
from harness.printable import shown
from harness.schema import flips
from harness.schema.claims import Claim
from harness.schema.load import Loaded
from harness.schema.model import Scale
from harness.schema.sensitivity import OpenChoice

_NOT_COMPARED = ("initialisations", "first_seed")


@dataclass(frozen=True)
class Flip:
    """A field flipped to a value.

    Attributes:
        choices: of the spec: all that flip this field to this value.
        own: what the spec has there.
        request: the flipped spec, with the claims of the choices and the jobs that these need.
    """

    choices: Sequence[OpenChoice]
    own: Any
    request: Request

    @property
    def field(self) -> str:
        """Path within the scale."""
        return self.choices[0].field

    @property
    def value(self) -> Any:
        """What it is flipped to."""
        return self.choices[0].value


@dataclass(frozen=True)
class Study:
    """What is to be compared.

    Attributes:
        own: the spec as it is, with the jobs that the flipped claims need.
        flips: one a field and value.
    """

    own: Request
    flips: Sequence[Flip]

    @property
    def requests(self) -> list[Request]:
        """The spec's own, and the flipped ones."""
        return [self.own, *(flip.request for flip in self.flips)]

    @cached_property
    def plan(self) -> Plan:
        """All of them together, shared jobs once."""
        return Plan.of(target for request in self.requests for target in request.plan.targets)

    @property
    def shared(self) -> int:
        """How many jobs are spared by sharing."""
        return sum(len(request.plan.jobs) for request in self.requests) - len(self.plan.jobs)


def plan_study(
    loaded: Loaded,
    scale: str,
    data_root: Path,
    *,
    only: Sequence[str] = (),
    claims: Sequence[str] = (),
    initialisations: int | None = None,
    first_seed: int | None = None,
) -> Study:
    """Plans a spec and each of its flipped versions; runs nothing and needs no data.

    Args:
        loaded: the spec.
        scale: one of its scales.
        data_root: where imported datasets lie.
        only: fields to flip; all, where none is named.
        claims: ids of those that are judged; all of the fields' open choices, where none is named.
        initialisations: in place of the spec's.
        first_seed: in place of the spec's.

    Raises:
        RequestError: no such scale, field or claim, or a version that ``prepare`` refuses.
    """
    versions: dict[str, list[OpenChoice]] = {}
    own = prepare(loaded, scale, data_root, initialisations=initialisations, first_seed=first_seed)
    for choice in _choices(loaded, scale, only, claims):
        versions.setdefault(canonical([choice.field, choice.value]), []).append(choice)
    flipped = []
    for choices in versions.values():
        changed, value = _flipped(loaded, scale, choices, claims)
        with _told_of(loaded, loaded.spec.sensitivity.index(choices[0])):
            request = prepare(changed, scale, data_root, initialisations=initialisations, first_seed=first_seed)
        flipped.append(Flip(choices, value, _narrowed(request, {claim.id for claim in changed.spec.claims})))
    judged_claims = {claim.id for flip in flipped for claim in flip.request.loaded.spec.claims}
    return Study(_narrowed(own, judged_claims), flipped)


def check_flips(loaded: Loaded, scale: str, data_root: Path) -> None:
    """Raises RequestError where ``plan_study`` would refuse a flipped version, without naming its jobs."""
    for number, choice in enumerate(loaded.spec.sensitivity):
        if scale in flips.scales_of(choice, loaded.spec):
            with _told_of(loaded, number):
                check(_flipped(loaded, scale, [choice], claims=())[0], scale, data_root)


@contextmanager
def _told_of(loaded: Loaded, number: int) -> Iterator[None]:
    """Names the choice whose flipped version is refused."""
    try:
        yield
    except RequestError as error:
        place = loaded.place("sensitivity", number, "value")
        raise RequestError(f"{place}: the flipped version is refused: {error}") from error


def _choices(loaded: Loaded, scale: str, only: Sequence[str], claims: Sequence[str]) -> list[OpenChoice]:
    here = [choice for choice in loaded.spec.sensitivity if scale in flips.scales_of(choice, loaded.spec)]
    if not here:
        raise RequestError(
            f"{loaded.path}: no open choice is flipped at the scale {scale!r}: add entries to sensitivity "
            "(docs/sensitivity.md), or choose another --scale"
        )
    of_fields = [choice for choice in here if not only or choice.field in only]
    judged = [[claim.id for claim in flips.claims_of(choice, loaded.spec, scale)] for choice in of_fields]
    for option, kind, asked, known in (
        ("--only", "of this field", only, [choice.field for choice in here]),
        ("--claim", "of this claim", claims, [name for names in judged for name in names]),
    ):
        for name in asked:
            if name not in known:
                raise RequestError(
                    f"{loaded.path}: {option} {shown(name)}: no open choice {kind} at the scale {scale!r}; it has "
                    f"{', '.join(dict.fromkeys(known))}"
                )
    return [
        choice
        for choice, names in zip(of_fields, judged, strict=True)
        if not claims or not set(claims).isdisjoint(names)
    ]


def _flipped(loaded: Loaded, scale: str, choices: Sequence[OpenChoice], claims: Sequence[str]) -> tuple[Loaded, Any]:
    """The spec with a field flipped and these claims, and what it had there. Loading has found that it may be."""
    chosen, choice = loaded.spec.scales[scale], choices[0]
    own = flips.plain(chosen, loaded.settings[scale])
    values, before = flips.flipped(own, choice), flips.value_at(own, choice)
    settings = type(loaded.settings[scale]).model_validate(values["settings"])
    told = f"{choice.field} is {shown(choice.value)} in place of {shown(before)}"
    changed = Scale.model_validate(values)
    changed = changed.model_copy(update={"departures": (*chosen.departures, told)})
    spec = flips.of(loaded.spec, choices, scale, changed, claims)
    return replace(loaded, spec=spec, settings={**loaded.settings, scale: settings}), before


def _narrowed(request: Request, claims: set[str]) -> Request:
    """A request with the jobs that some of its claims rest on."""
    keys = {key for claim, needed in tables_of(request) if claim.id in claims for key in needed}
    return replace(request, plan=Plan.of(job for job in request.plan.targets if job.key in keys))


def stages_of(request: Request) -> Mapping[str, Mapping[str, int]]:
    """Claim -> the stages that gave what it rests on, with their versions."""
    return {
        claim.id: {
            job.stage: row(job.stage).version
            for job in ancestry([job for job in request.plan.targets if job.key in keys]).values()
        }
        for claim, keys in tables_of(request)
    }


def digest_of(loaded: Loaded, scale: str, choice: OpenChoice, claim: Claim) -> str:
    """What decides how a comparison comes out, but for the seeds: the setting, the check, the flip and its margin.

    A comparison that was kept with another digest is of another spec, and says nothing of this one.
    """
    values = flips.plain(loaded.spec.scales[scale], loaded.settings[scale])
    values.pop("departures")
    values["replicates"] = {name: n for name, n in values["replicates"].items() if name not in _NOT_COMPARED}
    check = claim.checks[scale].model_dump(mode="json", exclude={"sentence", "known"})
    decides = [loaded.spec.protocol, values, claim.quantity, check, choice.field, choice.value, choice.margin]
    return hashlib.sha256(canonical(decides).encode()).hexdigest()[:16]
