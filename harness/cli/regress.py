"""The command of the regression guard."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from harness.cli.options import BASELINES, SETTING, BaselineOption, Options, QuietOption, takes
from harness.cli.stopping import KEPT, stoppable
from harness.errors import RequestError

GuardedSpecs = Annotated[
    list[Path] | None,
    typer.Argument(help="Spec files; left out: all that have a baseline.", metavar="[SPEC...]", show_default=False),
]
UpdateOption = Annotated[bool, typer.Option("--update", help="Measure the baselines anew; needs --reason.")]
SmokeRunOption = Annotated[
    bool,
    typer.Option("--smoke-run", "--rehearsal", help="With --update: the smoke runs only; the rest stays as it was."),
]
ReasonOption = Annotated[str, typer.Option("--reason", help="What changed and why; kept in the baseline.")]
OwnStoreOption = Annotated[
    Path | None, typer.Option("--store", help="Where results are kept; left out: a fresh one, removed afterwards.")
]


@takes(*SETTING, "device", "threads", "data", "report")
def regress(
    options: Options,
    specs: GuardedSpecs = None,
    baseline: BaselineOption = BASELINES,
    update: UpdateOption = False,
    smoke_run: SmokeRunOption = False,
    reason: ReasonOption = "",
    store: OwnStoreOption = None,
    quiet: QuietOption = False,
) -> None:
    """Compare fresh runs with committed baselines: exit 0 no alarm, 1 an alarm."""
    asked = _asked(update, smoke_run, reason)
    kept = KEPT if store else "Nothing is kept: to go on after a stop, give --store an empty folder of yours"
    with stoppable(kept), TemporaryDirectory(prefix="harness-") as fresh:
        code = asked(specs or [], replace(options, store=store or Path(fresh)), baseline, quiet=quiet)
    raise typer.Exit(code)


def _asked(update: bool, smoke_run: bool, reason: str) -> Callable[..., int]:
    """Which of the guard's commands; each takes specs, options, the folder of the baselines and ``quiet``.

    Raises:
        RequestError: what goes with ``--update`` only is given without it.
    """
    from harness.cli import guard

    if update:
        return partial(guard.update_smoke_run if smoke_run else guard.update, reason=reason)
    if reason:
        raise RequestError("--reason is the reason of a new baseline: give --update with it")
    if smoke_run:
        raise RequestError("--smoke-run says what is measured anew: give --update with it")
    return guard.check
