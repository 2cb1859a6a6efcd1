"""The commands."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from typer.exceptions import TyperException

from harness import __version__
from harness.cli import console
from harness.cli import data as data_commands
from harness.cli import store as store_commands
from harness.cli.claims import claims
from harness.cli.index import index
from harness.cli.measure import gate, measure
from harness.cli.options import (
    DATA,
    REPORTS,
    SENSITIVITY,
    STORE,
    BudgetOption,
    DataOption,
    DeviceOption,
    ExitZeroOption,
    JsonOption,
    MostOption,
    Options,
    QuietOption,
    ReplicatesOption,
    ReportOption,
    ScaleOption,
    SeedOption,
    SensitivityOption,
    Specs,
    StoreOption,
    ThreadsOption,
    UntilDecidedOption,
    WorkersOption,
)
from harness.cli.regress import regress
from harness.cli.sensitivity import sensitivity
from harness.errors import HarnessError, RequestError, Unread

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Checks the claims of training-dynamics papers: a claim in, a verdict with evidence out.",
    epilog="Exit codes: 0 every verdict is as expected, 1 some are not, 2 the request was wrong, 3 something broke, "
    "130 stopped, 141 nobody read the output to its end.",
)
app.add_typer(data_commands.app, name="data")
app.command(epilog="Example: harness claims specs/resnet20_imp.yaml --history")(claims)
app.command(epilog="Example: harness index reports")(index)
app.command(epilog="Example: harness regress --store $(mktemp -d)")(regress)
app.add_typer(store_commands.app, name="store")
app.command(epilog="Example: harness sensitivity specs/lenet_stability.yaml")(sensitivity)
app.command(epilog="Example: harness measure specs/*.yaml --verdicts verdicts/toy.json")(measure)
app.command(epilog="Example: harness gate verdicts/toy.json")(gate)


def _version(asked: bool) -> None:
    if asked:
        console.out.print(f"harness {__version__}")
        raise typer.Exit


@app.callback()
def _about(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Takes the options of the program itself."""


@app.command(epilog="Example: harness verify specs/resnet20_imp.yaml --replicates 5")
def verify(
    specs: Specs,
    scale: ScaleOption = "toy",
    replicates: ReplicatesOption = None,
    first_seed: SeedOption = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    workers: WorkersOption = None,
    until_decided: UntilDecidedOption = False,
    budget: BudgetOption = None,
    most: MostOption = None,
    store: StoreOption = STORE,
    data: DataOption = DATA,
    report: ReportOption = REPORTS,
    flips: SensitivityOption = SENSITIVITY,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
    exit_zero: ExitZeroOption = False,
) -> None:
    """Run what is missing, judge every claim, write the report."""
    options = Options(
        scale=scale,
        replicates=replicates,
        first_seed=first_seed,
        device=device,
        threads=threads,
        workers=workers,
        store=store,
        data=data,
        report=report,
        until_decided=until_decided,
        budget=budget,
        most=most,
        sensitivity=flips,
    )
    from harness.cli import session

    code = session.verify(specs, options, quiet=quiet or as_json, as_json=as_json, run=True)
    _exit(0 if exit_zero and code == 1 else code)


@app.command(epilog="Example: harness report specs/resnet20_imp.yaml --report reports/mine")
def report(
    specs: Specs,
    scale: ScaleOption = "toy",
    replicates: ReplicatesOption = None,
    first_seed: SeedOption = None,
    store: StoreOption = STORE,
    data: DataOption = DATA,
    report: ReportOption = REPORTS,
    flips: SensitivityOption = SENSITIVITY,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
    exit_zero: ExitZeroOption = False,
) -> None:
    """Write the report again from the store; run nothing."""
    options = Options(
        scale=scale,
        replicates=replicates,
        first_seed=first_seed,
        device="cpu",
        threads=None,
        store=store,
        data=data,
        report=report,
        sensitivity=flips,
    )
    from harness.cli import session

    code = session.verify(specs, options, quiet=quiet or as_json, as_json=as_json, run=False)
    _exit(0 if exit_zero and code == 1 else code)


@app.command(epilog="Example: harness plan specs/resnet20_imp.yaml --scale paper")
def plan(
    specs: Specs,
    scale: ScaleOption = "toy",
    replicates: ReplicatesOption = None,
    first_seed: SeedOption = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    workers: WorkersOption = None,
    store: StoreOption = STORE,
    data: DataOption = DATA,
    as_json: JsonOption = False,
) -> None:
    """Show the jobs, what of them is cached, and a rough forecast of time, disk and memory."""
    from harness.cli import session

    session.plan(
        specs,
        Options(
            scale=scale,
            replicates=replicates,
            first_seed=first_seed,
            device=device,
            threads=threads,
            workers=workers,
            store=store,
            data=data,
            report=REPORTS,
        ),
        as_json,
    )


@app.command(epilog="Example: harness validate specs/*.yaml")
def validate(specs: Specs) -> None:
    """Check spec files; report every problem with file, line and field."""
    from harness.pipeline.flipping import check_flips
    from harness.pipeline.request import check
    from harness.protocols import protocols
    from harness.schema import load as loading

    problems = []
    for path in specs:
        try:
            loaded = loading.load(path, protocols())
            for scale in loaded.spec.scales:
                check(loaded, scale, DATA)
                check_flips(loaded, scale, DATA)
        except RequestError as error:
            problems.append(str(error))
        else:
            count = len(loaded.spec.claims)
            claims = "1 claim" if count == 1 else f"{count} claims"
            console.out.print(f"{path}: {claims}, scales {', '.join(loaded.spec.scales)}")
            for doubt in loaded.doubts:
                console.out.print(f"warning: {doubt.place}: {doubt.message}")
    if problems:
        raise RequestError("\n".join(problems))


@app.command(name="list", epilog="Example: harness list specs")
def list_specs(
    folder: Annotated[Path, typer.Argument(help="Folder of specs.")] = Path("specs"),
    as_json: JsonOption = False,
) -> None:
    """List the specs of a folder with their claims, and the protocols there are."""
    from harness.protocols import protocols
    from harness.schema import load as loading

    paths = sorted(folder.glob("*.yaml"))
    if folder.is_file():
        raise RequestError(f"{folder} is a file: name a folder of specs, or `harness validate {folder}`")
    if not paths:
        raise RequestError(f"no spec files (*.yaml) in {folder}: name another folder")
    specs, problems = [], []
    for path in paths:
        try:
            specs.append(loading.load(path, protocols()))
        except RequestError as error:
            problems.append(str(error))
    if as_json:
        rows = [
            {
                "path": str(loaded.path),
                "title": loaded.spec.title,
                "protocol": loaded.spec.protocol,
                "scales": list(loaded.spec.scales),
                "claims": {claim.id: claim.sentence for claim in loaded.spec.claims},
            }
            for loaded in specs
        ]
        console.machine(rows)
    for loaded in specs if not as_json else ():
        console.out.print(
            f"{loaded.path}  {loaded.spec.title}  ({loaded.spec.protocol}; {', '.join(loaded.spec.scales)})",
            markup=False,
        )
        for claim in loaded.spec.claims:
            console.out.print(f"    {claim.id}: {claim.sentence}")
    if not as_json:
        console.out.print(f"protocols: {', '.join(sorted(protocols()))}")
    if problems:
        raise RequestError("\n".join(problems))


@app.command(epilog="Example: harness schema > spec.schema.json")
def schema() -> None:
    """Print the JSON Schema of spec files, for editors."""
    from harness.protocols import protocols
    from harness.schema import load as loading

    console.machine(loading.schema(protocols()))


@app.command(epilog="Example: harness doctor")
def doctor(store: StoreOption = STORE, data: DataOption = DATA) -> None:
    """Tell what this machine offers: versions, devices, datasets, room in the store."""
    from harness.cli import doctor as machine

    machine.tell(store, data)


def _exit(code: int) -> NoReturn:
    raise typer.Exit(code)


def run(arguments: Sequence[str]) -> int:
    """Runs a command; errors are told in words.

    Args:
        arguments: of the command line.

    Returns:
        The exit code.
    """
    try:
        return app(args=list(arguments), standalone_mode=False) or 0
    except TyperException as error:
        if type(error).__name__ != "NoArgsIsHelpError":  # which has printed the help
            context = getattr(error, "ctx", None)
            console.error(
                f"{error.format_message()} ({context.command_path if context else 'harness'} --help tells more)"
            )
        return error.exit_code
    except Unread as error:
        return error.exit_code
    except HarnessError as error:
        console.error(str(error))
        return error.exit_code
    except Exception:
        console.bug()
        return 3
