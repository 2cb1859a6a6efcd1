"""The commands that a pipeline calls: verdicts as data, and the gate that looks at them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import console
from harness.cli.options import COMPUTING, SETTING, Options, QuietOption, Specs, takes

if TYPE_CHECKING:
    from harness.report.record import Row

VerdictsOption = Annotated[
    Path, typer.Option("--verdicts", help="File for the verdicts, as JSON.", dir_okay=False, show_default=False)
]


@takes(*SETTING, *COMPUTING, "store", "data")
def measure(specs: Specs, verdicts: VerdictsOption, options: Options, quiet: QuietOption = False) -> None:
    """Run what is missing, judge every claim, write the verdicts as data; they are no error."""
    from harness.cli import session

    session.measure(specs, options, verdicts, quiet=quiet)


def gate(
    file: Annotated[Path, typer.Argument(help="Verdicts that `harness measure` wrote.", show_default=False)],
) -> None:
    """Fail when a claim of FILE is not in order: it does not stand, and that is not what is known of it."""
    from harness.report.verdicts import read_verdicts

    specs = read_verdicts(file)
    wrong = [f"{spec}: no claim is checked at this scale" for spec, claims in specs.items() if not claims]
    for spec, claims in specs.items():
        wrong += [f"{spec}.{claim}: {row.words}" for claim, row in claims.items() if not row.in_order]
    console.out.print(f"{file}: {_wrong_by_chance([row for claims in specs.values() for row in claims.values()])}")
    if wrong:
        console.err.print(f"{file}: not in order:")
        for line in wrong:
            console.err.print(f"    {line}")
        raise typer.Exit(1)
    checked = sum(map(len, specs.values()))
    console.out.print(f"{file}: all {checked} claims of {len(specs)} specs are in order")


def _wrong_by_chance(rows: "Sequence[Row]") -> str:
    from harness.report.chance import wrong_words
    from harness.schema.power import LEVEL

    decided = [row for row in rows if row.verdict.decided]
    tested = [row for row in decided if row.estimand is not None]  # a crossing has none
    primary = sum(row.primary for row in tested)
    return wrong_words([LEVEL] * primary, [LEVEL] * (len(tested) - primary), len(decided) - len(tested))
