"""The command that writes the page over all reports."""

from pathlib import Path
from typing import Annotated

import typer

from harness.cli import console
from harness.cli.options import OVER_SPECS, REPORTS, STATEMENTS


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
    over_specs: Annotated[
        Path, typer.Option("--over-specs", help="Folder of claims over several specs; without the folder, none.")
    ] = OVER_SPECS,
) -> None:
    """Write FOLDER/index.html: every claim of every report below FOLDER on one page.

    What the reports say of claims over several specs is told there and in FOLDER/over_specs.json.
    """
    from harness.report.counting import that_count
    from harness.report.index import index as page
    from harness.report.over_specs import over_results
    from harness.report.read import read_all
    from harness.report.write import write_index, write_over_specs
    from harness.schema.over_specs import load_over_specs
    from harness.schema.statements import load_statements

    reports = read_all(folder, leave_out)
    said = load_statements(statements) if statements.is_dir() else None
    over = over_results(load_over_specs(over_specs), that_count(reports))
    path = write_index(page(reports, said, over), folder)
    write_over_specs(over, folder)
    console.out.print(f"{len(reports)} reports on one page: {path}")
