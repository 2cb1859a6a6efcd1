"""What the commands print: progress, tables, paths."""

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, Protocol

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from harness.cli.time_left import TimeLeft
from harness.errors import Unread
from harness.execution import run
from harness.forecast import Forecast
from harness.outcome import Outcome
from harness.regress.guard import Guarded
from harness.report.numbers import estimate_text, with_unit
from harness.report.text import bytes_text, seconds_text
from harness.verdict import Verdict


class _Output(Console):
    """A console whose reader may leave; rich and typer would exit with 1, which is an answer of ours."""

    def on_broken_pipe(self) -> None:
        _unread()


def _unread() -> NoReturn:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise Unread("the output was not read to its end; what was finished is kept")


out = _Output(highlight=False)
err = Console(stderr=True, highlight=False)
_STYLES = {
    Verdict.REPRODUCED: "bold green",
    Verdict.HOLDS: "bold green",
    Verdict.FAILS: "bold red",
    Verdict.CONTRADICTED: "bold red",
    Verdict.INCONCLUSIVE: "bold yellow",
    Verdict.NOT_RUN: "dim",
}
_BAR_EVERY_S = 0.1  # it is told of every step, which takes a GPU less time than drawing takes
_LINE_EVERY_S = 20.0


class OnProgress(Protocol):
    """Is told how far a run is."""

    def __call__(self, progress: run.Progress) -> None:
        """Shows it."""


@contextmanager
def progress_of(title: str, *, quiet: bool) -> Iterator[OnProgress]:
    """A live bar with time left on a terminal, a line now and then elsewhere, nothing when quiet."""
    if quiet:
        yield lambda progress: _note(title, progress)
    elif err.is_terminal:
        columns = (
            TextColumn(f"{escape(title)}  {{task.fields[now]}}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
        )
        time_left = TimeLeft(time.monotonic())
        with Progress(*columns, console=err, transient=True) as bar:
            task = bar.add_task("", total=None, now="", left="")
            told = -_BAR_EVERY_S

            def show(progress: run.Progress) -> None:
                nonlocal told
                _note(title, progress)
                if (now := time.monotonic()) - told >= _BAR_EVERY_S or progress.done == progress.total:
                    told = now
                    left = _left(time_left, now, progress)
                    total = max(progress.total, 1)
                    bar.update(task, completed=progress.done, total=total, now=escape(progress.now), left=left)

            yield show
    else:
        yield _lines(title)


def _note(title: str, progress: run.Progress) -> None:
    """What a user should read though nothing broke, however quiet the run."""
    if progress.note:
        err.print(f"{title}: warning: {progress.note}", markup=False, soft_wrap=True)


def _lines(title: str) -> OnProgress:
    shown = time.monotonic()
    time_left = TimeLeft(shown)

    def show(progress: run.Progress) -> None:
        nonlocal shown
        _note(title, progress)
        now = time.monotonic()
        left = _left(time_left, now, progress)
        if now - shown >= _LINE_EVERY_S and progress.done:
            shown = now
            share = progress.done / max(progress.total, 1)
            words = ", ".join(filter(None, [f"{share:.0%}", left]))
            err.print(f"{escape(title)}: {words} ({escape(progress.now)})", soft_wrap=True)

    return show


def _left(time_left: TimeLeft, now: float, progress: run.Progress) -> str:
    seconds = time_left.after(now, progress.done, progress.total)
    return "" if seconds is None else f"about {seconds_text(seconds)} left"


def verdicts(outcome: Outcome) -> None:
    """The table of claims."""
    table = Table(
        title=escape(f"{outcome.spec.title} ({outcome.scale} scale)"), title_justify="left", title_style="bold"
    )
    for name, justify in (
        ("claim", "left"),
        ("paper, at its scale", "right"),
        ("measured, 95 % interval", "left"),
        ("verdict", "left"),
    ):
        table.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]
    left_out = 0
    for one in outcome.judgements:
        if one.check is None:
            left_out += 1
            continue
        table.add_row(
            escape(one.claim.id),
            with_unit(one.claim.paper_value, ""),
            escape(estimate_text(one.estimate, one.unit)),
            f"[{_STYLES[one.verdict]}]{one.verdict}[/]",
        )
    out.print(table)
    if left_out:
        out.print(f"{left_out} claims have no check at this scale.")
    for one in outcome.judgements:
        if one.check is not None and not one.verdict.good:
            out.print(f"[{_STYLES[one.verdict]}]{one.verdict}[/] {escape(one.claim.id)}: {escape(one.why)}")
            if one.check.known is not None and one.in_order:
                out.print(f"    as is known of it: {escape(one.check.known.why)}")
    for one in outcome.judgements:
        for warning in one.warnings:
            out.print(f"[dim]{escape(one.claim.id)}: {escape(warning)}[/]")
    for failure in outcome.failures:
        out.print(f"[bold red]BROKE[/] {escape(failure.job)}: {escape(failure.message)} ({failure.lost} jobs lost)")


def summary(outcomes: Sequence[Outcome], reports: Sequence[Path]) -> None:
    """Where the reports are, and what the run cost."""
    for outcome, path in zip(outcomes, reports, strict=True):
        cost = outcome.cost
        out.print(
            f"{cost.jobs} jobs, {cost.cached} found in the store; {seconds_text(cost.seconds)} now, "
            f"{seconds_text(cost.computed_seconds)} of computing in all"
        )
        out.print(f"report: {escape(str(path))}", soft_wrap=True)


def plan(title: str, forecast: Forecast, note: str) -> None:
    """The jobs of a plan and its forecast."""
    table = Table(title=escape(title), title_justify="left", title_style="bold")
    for name in ("stage", "jobs", "in the store"):
        table.add_column(name, justify="left" if name == "stage" else "right")
    for stage, (needed, found) in forecast.jobs.items():
        table.add_row(stage, f"{needed:,}", f"{found:,}")
    out.print(table)
    jobs = sum(needed for needed, _ in forecast.jobs.values())
    found = sum(found for _, found in forecast.jobs.values())
    share = found / jobs if jobs else 1.0
    out.print(
        f"{jobs:,} jobs, {share:.0%} cached; {forecast.iterations:,} iterations to train; roughly "
        f"{seconds_text(forecast.seconds)} and {bytes_text(forecast.disk_bytes)} to go; "
        f"{bytes_text(forecast.memory_bytes)} of memory a device at the peak"
    )
    if note:
        out.print(escape(note), soft_wrap=True)


def findings(guarded: Guarded) -> None:
    """What the regression guard found of a spec, but for what is as before."""
    held = len(guarded.having("same"))
    out.print(f"{guarded.name}: {held} of {len(guarded.findings)} comparisons as before", markup=False)
    for tone, style in (("error", "bold red"), ("alarm", "bold red"), ("note", "dim")):
        for one in guarded.having(tone):
            out.print(f"  [{style}]{tone.upper()}[/] {escape(one.name)}: {escape(one.text)}", soft_wrap=True)


def machine(value: Any) -> None:
    """Plain values as JSON, for programs."""
    try:
        print(json.dumps(value, indent=1, allow_nan=False), flush=True)
    except BrokenPipeError:
        _unread()


def error(message: str) -> None:
    """An error, in words."""
    err.print(f"[bold red]error:[/] {escape(message)}", soft_wrap=True)
