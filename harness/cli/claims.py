"""The command that lists a spec's claims, and how they changed."""

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from harness.cli import console
from harness.cli.options import JsonOption

_REVISION = 10
"""Letters of a revision that are shown."""
_NOTHING = "–"


def claims(
    spec: Annotated[Path, typer.Argument(help="A spec file.", show_default=False)],
    history: Annotated[
        bool, typer.Option("--history", help="How the claims changed from commit to commit, as git has them.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List the claims of SPEC with what is expected at each scale, or how they changed since earlier commits."""
    if history:
        _tell_history(spec, as_json)
    else:
        _tell_claims(spec, as_json)


def _tell_history(spec: Path, as_json: bool) -> None:
    from harness.pipeline.history import history

    changes = history(spec)
    if as_json:
        console.machine([dataclasses.asdict(change) for change in changes])
        return
    for change in changes:
        head = " ".join(filter(None, (change.revision[:_REVISION], change.date, change.claim, change.field)))
        console.out.print(f"{head}: {change.before or _NOTHING} -> {change.after or _NOTHING}")


def _tell_claims(spec: Path, as_json: bool) -> None:
    from harness.judging.verdict import in_words
    from harness.protocols import protocols
    from harness.schema.load import load

    loaded = load(spec, protocols())
    quantities = protocols()[loaded.spec.protocol].quantities
    rows = []
    for claim in loaded.spec.claims:
        scales = {
            scale: {
                "sentence": check.sentence,
                "expected": in_words(claim.quantity, check.expect, quantities[claim.quantity], [check.at]),
                "known": check.known and check.known.model_dump(mode="json", exclude_none=True),
            }
            for scale, check in claim.checks.items()
        }
        rows.append({"id": claim.id, "primary": claim.primary, "sentence": claim.sentence, "scales": scales})
        if as_json:
            continue
        console.out.print(f"{claim.id}{' (primary)' * claim.primary}: {claim.sentence}")
        for scale, check in claim.checks.items():
            known = "" if check.known is None else f"; known: {check.known.verdict}"
            own = "" if check.sentence is None else f" ({check.sentence})"
            console.out.print(f"    {scale}: {scales[scale]['expected']}{known}{own}")
    if as_json:
        console.machine(rows)
