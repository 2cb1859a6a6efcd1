"""The command that flips the open choices of a spec."""

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import COMPUTING, SETTING, JsonOption, Options, QuietOption, takes

SpecArgument = Annotated[Path, typer.Argument(help="Spec file.", metavar="SPEC", show_default=False)]
OnlyOption = Annotated[
    list[str] | None, typer.Option("--only", help="A field to flip, as the spec writes it; may be given several times.")
]
ClaimOption = Annotated[
    list[str] | None,
    typer.Option("--claim", help="Id of a claim to judge; may be given several times. Only jobs of these claims run."),
]


@takes(*SETTING, *COMPUTING, "store", "data", "sensitivity")
def sensitivity(
    spec: SpecArgument,
    options: Options,
    only: OnlyOption = None,
    claim: ClaimOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Flip the choices that a source leaves open, one at a time on the same seeds: which claims hang on them?"""
    from harness.cli import flipping

    raise typer.Exit(
        flipping.sensitivity(spec, options, only or [], claim or [], quiet=quiet or as_json, as_json=as_json)
    )
