"""The command of the regression guard."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from harness.cli import guard
from harness.cli.options import (
    BASELINES,
    DATA,
    REPORTS,
    BaselineOption,
    DataOption,
    DeviceOption,
    Options,
    QuietOption,
    ReplicatesOption,
    ReportOption,
    ScaleOption,
    SeedOption,
    ThreadsOption,
)
from harness.cli.stopping import KEPT, stoppable
from harness.errors import RequestError


def regress(
    specs: Annotated[
        list[Path] | None,
        typer.Argument(help="Spec files; left out: all that have a baseline.", metavar="[SPEC...]", show_default=False),
    ] = None,
    baseline: BaselineOption = BASELINES,
    update: Annotated[bool, typer.Option("--update", help="Measure the baselines anew; needs --reason.")] = False,
    smoke_run: Annotated[
        bool,
        typer.Option(
            "--smoke-run", "--rehearsal", help="With --update: the smoke runs only; the rest stays as it was."
        ),
    ] = False,
    reason: Annotated[str, typer.Option("--reason", help="What changed and why; kept in the baseline.")] = "",
    scale: ScaleOption = "toy",
    replicates: ReplicatesOption = None,
    first_seed: SeedOption = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    store: Annotated[
        Path | None, typer.Option("--store", help="Where results are kept; left out: a fresh one, removed afterwards.")
    ] = None,
    data: DataOption = DATA,
    report: ReportOption = REPORTS,
    quiet: QuietOption = False,
) -> None:
    """Compare fresh runs with committed baselines: exit 0 no alarm, 1 an alarm."""
    if reason and not update:
        raise RequestError("--reason is the reason of a new baseline: give --update with it")
    if smoke_run and not update:
        raise RequestError("--smoke-run says what is measured anew: give --update with it")
    kept = KEPT if store else "Nothing is kept: to go on after a stop, give --store an empty folder of yours"
    with stoppable(kept), TemporaryDirectory(prefix="harness-") as fresh:
        options = Options(
            scale=scale,
            replicates=replicates,
            first_seed=first_seed,
            device=device,
            threads=threads,
            store=store or Path(fresh),
            data=data,
            report=report,
        )
        if update and smoke_run:
            code = guard.update_smoke_run(specs or [], options, baseline, reason, quiet=quiet)
        elif update:
            code = guard.update(specs or [], options, baseline, reason, quiet=quiet)
        else:
            code = guard.check(specs or [], options, baseline, quiet=quiet)
    raise typer.Exit(code)
