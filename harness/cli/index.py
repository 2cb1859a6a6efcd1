"""The command that writes the page over all reports."""

from pathlib import Path
from typing import Annotated

import typer

from harness.cli import console
from harness.cli.options import REPORTS, STATEMENTS


def index(
    folder: Annotated[Path, typer.Argument(help="Folder of reports, searched with all that is below it.")] = (
        REPORTS.parent
    ),
    leave_out: Annotated[
        Path, typer.Option("--leave-out", help="Folder below it to leave out: by default, what stays on this machine.")
    ] = REPORTS,
    statements: Annotated[
        Path,
        typer.Option(
            "--statements", help="Folder of what the sources say, for a map of it; without the folder, no map."
        ),
    ] = STATEMENTS,
) -> None:
    """Write FOLDER/index.html: every claim of every report below FOLDER on one page."""
    from harness.report.index import index as page
    from harness.report.read import read_all
    from harness.report.write import write_index
    from harness.schema.statements import load_statements

    reports = read_all(folder, leave_out)
    said = load_statements(statements) if statements.is_dir() else None
    path = write_index(page(reports, said), folder)
    console.out.print(f"{len(reports)} reports on one page: {path}")
