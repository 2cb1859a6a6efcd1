"""The command that writes what of the sources is checked."""

from pathlib import Path
from typing import Annotated

import typer

from harness.cli import console
from harness.cli.options import STATEMENTS
from harness.errors import RequestError


def coverage(
    page: Annotated[Path, typer.Argument(help="The page to write.")] = Path("docs/coverage.md"),
    statements: Annotated[
        Path, typer.Option("--statements", help="Folder of the sources' statements.", file_okay=False)
    ] = STATEMENTS,
    specs: Annotated[Path, typer.Option("--specs", help="Folder of specs.", file_okay=False)] = Path("specs"),
) -> None:
    """Write PAGE: every statement of the sources, with the claims that check it or the reason why none does."""
    from harness.files import replace_file
    from harness.report import coverage as report
    from harness.schema.coverage import load_claims, mismatches
    from harness.schema.statements import load_statements

    said, claims = load_statements(statements), load_claims(specs)
    wrong = list(mismatches(said, claims))
    if wrong:
        raise RequestError("\n".join(wrong))
    replace_file(page, report.coverage(said, claims))
    console.out.print(f"{report.in_short(said)}: {page}")
