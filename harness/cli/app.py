"""The commands."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, NoReturn

import typer
from typer.exceptions import TyperException

from harness import __version__
from harness.cli import console
from harness.cli import data as data_commands
from harness.cli import specs as spec_commands
from harness.cli import store as store_commands
from harness.cli.claims import claims
from harness.cli.coverage import coverage
from harness.cli.index import index
from harness.cli.measure import gate, measure
from harness.cli.options import (
    COMPUTING,
    DATA,
    SETTING,
    STORE,
    DataOption,
    ExitZeroOption,
    JsonOption,
    Options,
    QuietOption,
    Specs,
    StoreOption,
    takes,
)
from harness.cli.regress import regress
from harness.cli.sensitivity import sensitivity
from harness.errors import HarnessError, Unread

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
app.command(epilog="Example: harness validate specs/*.yaml")(spec_commands.validate)
app.command(name="list", epilog="Example: harness list specs")(spec_commands.list_specs)
app.command(epilog="Example: harness schema > spec.schema.json")(spec_commands.schema)
app.command(epilog="Example: harness claims specs/resnet20_imp.yaml --history")(claims)
app.command(epilog="Example: harness coverage docs/coverage.md")(coverage)
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
@takes(*SETTING, *COMPUTING, "until_decided", "budget", "most", "resample", "store", "data", "report", "sensitivity")
def verify(
    specs: Specs,
    options: Options,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
    exit_zero: ExitZeroOption = False,
) -> None:
    """Run what is missing, judge every claim, write the report."""
    from harness.cli import session

    code = session.verify(specs, options, quiet=quiet or as_json, as_json=as_json, run=True)
    _exit(0 if exit_zero and code == 1 else code)


@app.command(epilog="Example: harness report specs/resnet20_imp.yaml --report reports/mine")
@takes(*SETTING, "resample", "store", "data", "report", "sensitivity")
def report(
    specs: Specs,
    options: Options,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
    exit_zero: ExitZeroOption = False,
) -> None:
    """Write the report again from the store; run nothing."""
    from harness.cli import session

    on_cpu = replace(options, device="cpu")
    code = session.verify(specs, on_cpu, quiet=quiet or as_json, as_json=as_json, run=False)
    _exit(0 if exit_zero and code == 1 else code)


@app.command(epilog="Example: harness plan specs/resnet20_imp.yaml --scale paper")
@takes(*SETTING, *COMPUTING, "resample", "store", "data")
def plan(specs: Specs, options: Options, as_json: JsonOption = False) -> None:
    """Show the jobs, what of them is cached, and a rough forecast of time, disk and memory."""
    from harness.cli import planning

    planning.plan(specs, options, as_json)


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
