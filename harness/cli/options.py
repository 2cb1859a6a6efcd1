"""The options that several commands share, and what a user chose."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

Specs = Annotated[list[Path], typer.Argument(help="Spec files.", metavar="SPEC...", show_default=False)]
ScaleOption = Annotated[str, typer.Option("--scale", help="Which of the spec's settings to run: toy, paper, ...")]
StoreOption = Annotated[
    Path, typer.Option("--store", envvar="HARNESS_STORE", help="Where results of jobs are kept and found.")
]
DataOption = Annotated[
    Path, typer.Option("--data", envvar="HARNESS_DATA", help="Where imported datasets lie.", file_okay=False)
]
DeviceOption = Annotated[
    str, typer.Option("--device", help="auto (every GPU, else the CPU), cpu, cuda (every GPU) or cuda:N (one).")
]
ThreadsOption = Annotated[
    int | None,
    typer.Option("--threads", min=1, max=1024, help="CPU threads, of all processes together; all cores by default."),
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=1,
        max=256,
        help="Processes that share the CPU and its threads; by default one for each core where networks are small.",
    ),
]
ReplicatesOption = Annotated[
    int | None, typer.Option("--replicates", min=1, max=1000, help="Initialisations, in place of the spec's number.")
]
SeedOption = Annotated[
    int | None, typer.Option("--first-seed", min=0, max=10**15, help="First seed: another one gives fresh replicates.")
]
ReportOption = Annotated[Path, typer.Option("--report", help="Folder for the reports.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no tables: exit code and reports only.")]
JsonOption = Annotated[bool, typer.Option("--json", help="The outcome as JSON on standard output.")]

ExitZeroOption = Annotated[
    bool, typer.Option("--exit-zero", help="Exit with 0 whatever the verdicts: they are data. Errors still show.")
]

UntilDecidedOption = Annotated[
    bool,
    typer.Option(
        "--until-decided",
        help="Add initialisations, in looks, until each primary claim is decided; error rates stay as they are.",
    ),
]
BudgetOption = Annotated[
    str | None,
    typer.Option(
        "--budget",
        help='With --until-decided: what this command may spend, 30min, 2h or "500 trainings".',
        metavar="TEXT",
    ),
]
MostOption = Annotated[
    int | None,
    typer.Option(
        "--most", min=1, max=1000, help="With --until-decided: initialisations of the last look; 4 times the first's."
    ),
]

ResampleOption = Annotated[
    bool,
    typer.Option(
        "--resample",
        help="Draw the test set anew from itself: verdicts on rates tell what of their spread is the test set's.",
    ),
]

BaselineOption = Annotated[Path, typer.Option("--baseline", help="Folder of the baselines.")]

SensitivityOption = Annotated[
    Path, typer.Option("--sensitivity", help="Folder of what harness sensitivity found: which claims hang on a choice.")
]
SENSITIVITY = Path("reports/sensitivity")

STATEMENTS = Path("statements")
OVER_SPECS = Path("over_specs")
STORE, DATA, REPORTS, BASELINES = Path(".harness"), Path("data"), Path("reports/local"), Path("reports/baseline")


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a user may choose, beside the specs: a field for each option that several commands share."""

    scale: ScaleOption = "toy"
    replicates: ReplicatesOption = None
    first_seed: SeedOption = None
    device: DeviceOption = "auto"
    threads: ThreadsOption = None
    workers: WorkersOption = None
    until_decided: UntilDecidedOption = False
    budget: BudgetOption = None
    most: MostOption = None
    store: StoreOption = STORE
    data: DataOption = DATA
    report: ReportOption = REPORTS
    sensitivity: SensitivityOption = SENSITIVITY
    resample: ResampleOption = False


SETTING = ("scale", "replicates", "first_seed")
"""Fields that say which of a spec's settings is meant, and with which replicates."""
COMPUTING = ("device", "threads", "workers")
"""Fields that say on what is computed."""


def takes(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Makes a command of a function: its parameter ``options`` is an option on the command line for each field named.

    Args:
        *names: fields of ``Options``; the others keep their defaults.
    """
    hints, defaults = get_type_hints(Options, include_extras=True), {one.name: one.default for one in fields(Options)}
    shared = [Parameter(name, Parameter.KEYWORD_ONLY, default=defaults[name], annotation=hints[name]) for name in names]

    def decorated(command: Callable[..., None]) -> Callable[..., None]:
        parameters: list[Parameter] = []
        for parameter in signature(command).parameters.values():
            own = parameter.replace(kind=Parameter.KEYWORD_ONLY)
            parameters += shared if parameter.name == "options" else [own]

        @wraps(command)
        def run(**given: Any) -> None:
            options = Options(**{name: given.pop(name) for name in names})
            command(**given, options=options)

        vars(run)["__signature__"] = Signature(parameters)
        return run

    return decorated
