"""What hangs on open choices, as a file of ``harness sensitivity``, and in the reports of the claims that flip."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from harness import jsonfile
from harness.errors import RequestError
from harness.files import replace_file
from harness.jobs.stages import rows
from harness.judging.sensitivity import Dependence
from harness.judging.statistics import Estimate
from harness.judging.verdict import Judgement, Verdict
from harness.pipeline.flipping import digest_of
from harness.pipeline.outcome import Outcome
from harness.pipeline.request import Request
from harness.pipeline.sensitivity import Compared, Result
from harness.printable import shown
from harness.report.json import plain_value
from harness.report.numbers import estimate_text
from harness.report.record import Form
from harness.schema import flips
from harness.schema.base import Name, Version
from harness.schema.load import Loaded, local_path

SCHEMA = 1
"""Version of the file's form."""


class Row(Form):
    """A claim with a choice flipped, in the order in which it is written.

    Attributes:
        field: path within the scale.
        own: what the spec has there.
        value: what it was flipped to.
        claim: id.
        outcome: ``same conclusion``, ``flips`` or ``undecided``.
        own_verdict: of the claim as the spec has it.
        flipped_verdict: of the claim with the choice flipped.
        difference: flipped minus own, with its 90 % interval; None where nothing can be paired.
        differences: seed -> the difference of that initialisation.
        initialisations: how many have a difference wherever the claim looks.
        at: the point of a searched axis at which the difference is told, or "".
        unit: of the differences and the margin.
        margin: up to which differences do not matter.
        needed: about how many initialisations would settle it, where it is undecided and that can be said.
        why: what was compared with what.
        left_open: what the source leaves open.
        digest: of what decides the comparison; that of another spec says nothing of this one.
        stages: that gave what it rests on, with their versions; None in files of versions that did not tell.
    """

    field: str
    own: Any
    value: Any
    claim: Name
    outcome: Dependence
    own_verdict: Verdict
    flipped_verdict: Verdict
    difference: Estimate | None
    differences: dict[str, float]
    initialisations: int = 0
    at: str
    unit: str
    margin: float
    needed: int | None
    why: str
    left_open: str
    digest: str
    stages: dict[str, int] | None = None

    @classmethod
    def of(cls, compared: Compared) -> "Row":
        """The row of a comparison."""
        choice, comparison = compared.choice, compared.comparison
        return cls.model_construct(
            field=choice.field,
            own=compared.own_value,
            value=choice.value,
            claim=compared.claim.id,
            outcome=comparison.outcome,
            own_verdict=compared.own.verdict,
            flipped_verdict=compared.flipped.verdict,
            difference=comparison.difference,
            differences={str(seed): value for seed, value in comparison.by_initialisation.items()},
            initialisations=comparison.initialisations,
            at=comparison.at,
            unit=compared.unit,
            margin=choice.margin,
            needed=comparison.needed,
            why=comparison.why,
            left_open=choice.why,
            digest=compared.digest,
            stages=dict(sorted(compared.stages.items())),
        )

    @property
    def key(self) -> tuple[str, str, str]:
        """What it is about: field, claim, and the digest, which tells values of the field apart."""
        return self.field, self.claim, self.digest

    @property
    def current(self) -> bool:
        """Whether the stages that gave what it rests on are those of now."""
        now = rows()
        return self.stages is not None and all(
            name in now and now[name].version == version for name, version in self.stages.items()
        )

    @property
    def text(self) -> str:
        """The difference with its interval and n."""
        return estimate_text(self.difference, self.unit) + (f" at {self.at}" if self.at else "")


class _Document(Form):
    # `schema` is a method of BaseModel, hence another name for the field.
    version: Annotated[Version, Field(alias="schema")]
    spec: Name
    scale: Name
    comparisons: list[Row]


def path_of(folder: Path, spec: str, scale: str) -> Path:
    """The file of a spec at a scale; its name is none of a report, which ``harness index`` looks for."""
    return folder / f"{spec}.{scale}.json"


def document(result: Result, comparisons: Iterable[Row]) -> dict[str, Any]:
    """What came of a study as plain values, with comparisons of it and of earlier ones."""
    own = result.study.own
    return {
        "schema": SCHEMA,
        "spec": own.loaded.spec.id,
        "spec_path": str(local_path(own.loaded.path) or own.loaded.path),
        "scale": own.scale,
        "comparisons": [plain_value(row) for row in comparisons],
        "failures": plain_value(result.failures),
    }


def write(result: Result, folder: Path) -> tuple[Path, list[Row]]:
    """Writes what came of a study, beside what is there of fields and claims that it leaves out and that still holds.

    A comparison that is there stays in the place of the study's where it has more initialisations, whatever the
    outcomes are.

    Returns:
        The file, and the rows that stayed so.

    Raises:
        RequestError: the file that is there is none of these.
        BrokenError: it cannot be written.
    """
    own = result.study.own
    path = path_of(folder, own.loaded.spec.id, own.scale)
    now = {row.key: row for row in map(Row.of, result.compared)}
    before = {row.key: row for row in read(path, own.loaded, own.scale)}
    stayed = [row for key, row in before.items() if key in now and row.initialisations > now[key].initialisations]
    written = now | {row.key: row for row in stayed}
    written |= {key: row for key, row in before.items() if key not in now}
    content = json.dumps(document(result, written.values()), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    replace_file(path, content, "what came of the flips")
    return path, stayed


def read(path: Path, loaded: Loaded, scale: str) -> list[Row]:
    """The comparisons in a file that are about a spec, and of stages, as they are now.

    Args:
        path: of the file; where there is none, nothing is known.
        loaded: the spec.
        scale: one of its scales.

    Raises:
        RequestError: the file is none that ``write`` writes.
    """
    remedy = "Remove it; `harness sensitivity SPEC` writes it again"
    try:
        told = jsonfile.read_as(path, _Document.model_validate_json, "file of sensitivity", kind="sensitivity")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise RequestError(f"{path} cannot be read ({error.strerror}). {remedy}") from error
    except ValueError as error:
        raise RequestError(f"{path} {error}. {remedy}") from error
    spec = loaded.spec
    of_spec = {
        (choice.field, claim.id, digest_of(loaded, scale, choice, claim))
        for choice in spec.sensitivity
        if scale in flips.scales_of(choice, spec)
        for claim in flips.claims_of(choice, spec, scale)
    }
    return [row for row in told.comparisons if row.key in of_spec and row.current]


def depending(outcome: Outcome, request: Request, folder: Path) -> Outcome:
    """An outcome whose claims say on which open choices they hang, as far as that was found before.

    Args:
        outcome: the verified spec. No verdict and no count changes.
        request: of the outcome.
        folder: in which ``harness sensitivity`` wrote.

    Raises:
        RequestError: the file there is none of these.
    """
    if not request.loaded.spec.sensitivity:
        return outcome
    known = read(path_of(folder, outcome.spec.id, outcome.scale), request.loaded, outcome.scale)
    flipping: Mapping[str, list[Row]] = {
        judgement.claim.id: [row for row in known if row.claim == judgement.claim.id and row.outcome == "flips"]
        for judgement in outcome.judgements
    }
    return replace(outcome, judgements=[_told(one, flipping[one.claim.id]) for one in outcome.judgements])


def _told(judgement: Judgement, flipping: list[Row]) -> Judgement:
    fields = tuple(dict.fromkeys(row.field for row in flipping))
    words = [
        f"Depends on {row.field}: {row.own_verdict} with {shown(row.own)}, {row.flipped_verdict} with "
        f"{shown(row.value)} (n = {len(row.differences)}, same seeds). {row.left_open}"
        for row in flipping
    ]
    return replace(judgement, depends_on=fields, warnings=(*judgement.warnings, *words))
