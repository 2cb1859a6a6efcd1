"""The command that writes the page over all reports."""

from pathlib import Path
from typing import Annotated

import typer

from harness.cli import console
from harness.cli.options import REPORTS


def index(
    folder: Annotated[Path, typer.Argument(help="Folder of reports, searched with all that is below it.")] = (
        REPORTS.parent
    ),
    leave_out: Annotated[
        Path, typer.Option("--leave-out", help="Folder below it to leave out: by default, what stays on this machine.")
    ] = REPORTS,
) -> None:
    """Write FOLDER/index.html: every claim of every report below FOLDER on one page."""
    from harness.report.index import index as page
    from harness.report.read import read_all
    from harness.report.write import write_index

    reports = read_all(folder, leave_out)
    path = write_index(page(reports), folder)
    console.out.print(f"{len(reports)} reports on one page: {path}")
