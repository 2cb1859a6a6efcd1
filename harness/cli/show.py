"""What the commands print: progress, tables, paths."""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from rich.console import RenderableType
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from harness.cli import tables
from harness.cli.console import err, line, out
from harness.cli.pace import Pace
from harness.cli.time_left import TimeLeft
from harness.digits import fixed
from harness.execution import run
from harness.judging.verdict import Judgement, Verdict
from harness.pipeline.forecast import Forecast
from harness.pipeline.outcome import Outcome
from harness.printable import log_line, shortened_within
from harness.report.chance import in_order_again, wrong_by_chance
from harness.report.numbers import estimate_text, with_unit
from harness.report.text import bytes_text, count, seconds_text
from harness.report.view import depends, looks_lines, not_as_known

if TYPE_CHECKING:
    from harness.regress.guard import Guarded

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
_LINE_LETTERS = 72
"""Of what a group does, in a log."""
_MOST_GROUPS = 4
"""That are told of, however many are under way."""
_INDENT = "  "


class OnProgress(Protocol):
    """Is told how far a run is."""

    def __call__(self, progress: run.Progress) -> None:
        """Shows it."""


@contextmanager
def progress_of(title: str, *, quiet: bool) -> Iterator[OnProgress]:
    """A live display with time left on a terminal, a line now and then elsewhere, nothing when quiet."""
    if quiet:
        yield lambda progress: _note(title, progress)
    elif err.is_terminal:
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}", markup=False),
        )
        now = time.monotonic()
        time_left, pace = TimeLeft(now), Pace(now)
        with _Display(*columns, console=err, transient=True, expand=True) as display:
            task = display.add_task(log_line(title), total=None, left="")
            told = -_BAR_EVERY_S

            def show(progress: run.Progress) -> None:
                nonlocal told
                _note(title, progress)
                rate = _rate(pace, now := time.monotonic(), progress)
                if now - told >= _BAR_EVERY_S or progress.done == progress.total:
                    told = now
                    left = _left(time_left, now, progress)
                    display.below = [*_few(progress.now, err.width - len(_INDENT)), *filter(None, [rate])]
                    display.update(task, completed=progress.done, total=max(progress.total, 1), left=left)

            yield show
    else:
        yield _lines(title)


def compiling() -> None:
    """Why nothing is shown for a while."""
    err.print("compiling the loops for small networks, which are kept for later: some ten seconds")


class _Display(Bar):
    """A bar of progress with lines below it.

    Attributes:
        below: the lines.
    """

    below: Sequence[str] = ()

    def get_renderables(self) -> Iterable[RenderableType]:
        """The bar, and the lines."""
        yield from super().get_renderables()
        yield from (line((f"{_INDENT}{words}", "dim")) for words in self.below)


def _few(groups: Sequence[str], letters: int) -> list[str]:
    """What is under way, each in so many letters at most; of many groups the first ones."""
    words = [shortened_within(log_line(group), letters) for group in groups[:_MOST_GROUPS]]
    more = len(groups) - len(words)
    return [*words, *([f"and {count(more, 'more group')}"] if more else [])]


def verdict_of(judgement: Judgement) -> None:
    """A verdict that is there while the run goes on."""
    measured = "" if judgement.estimate is None else f" ({estimate_text(judgement.estimate, judgement.unit)})"
    by_itself = ", before Holm's correction for many claims" * (judgement.verdict is Verdict.CONTRADICTED)
    err.print(line(f"{judgement.claim.id}: ", _verdict(judgement), f"{measured}{by_itself}"))


def _note(title: str, progress: run.Progress) -> None:
    """What a user should read though nothing broke, however quiet the run."""
    if progress.note:
        err.print(f"{title}: warning: {progress.note}")


def _lines(title: str) -> OnProgress:
    shown = time.monotonic()
    time_left, pace = TimeLeft(shown), Pace(shown)

    def show(progress: run.Progress) -> None:
        nonlocal shown
        _note(title, progress)
        now = time.monotonic()
        left, rate = _left(time_left, now, progress), _rate(pace, now, progress)
        if now - shown >= _LINE_EVERY_S and progress.done:
            shown = now
            share = progress.done / max(progress.total, 1)
            words = ", ".join(filter(None, [f"{share:.0%}", left, rate]))
            err.print(f"{title}: {words} ({'; '.join(_few(progress.now, _LINE_LETTERS))})")

    return show


def _left(time_left: TimeLeft, now: float, progress: run.Progress) -> str:
    seconds = time_left.after(now, progress.done, progress.total, forecast=progress.forecast)
    return "" if seconds is None else f"about {seconds_text(seconds)} left"


def _rate(pace: Pace, now: float, progress: run.Progress) -> str:
    rate = pace.after(now, progress.iterations)
    return "" if rate is None else f"{rate:,.0f} iterations/s" if rate >= 10 else f"{fixed(rate, 1)} iterations/s"


def verdicts(outcome: Outcome) -> None:
    """The table of claims."""
    checked = [judgement for judgement in outcome.judgements if judgement.check is not None]
    left_out = len(outcome.judgements) - len(checked)
    out.print(line((f"{outcome.spec.title} ({outcome.scale} scale)", "bold")))
    tables.show(
        out,
        (("claim", "left"), ("paper, at its scale", "right"), ("measured, 95 % interval", "left"), ("verdict", "left")),
        [
            (
                f"{judgement.claim.id}{' (primary)' * judgement.claim.primary}",
                with_unit(judgement.claim.paper_value, ""),
                estimate_text(judgement.estimate, judgement.unit),
                line(_verdict(judgement), f" {words}" if (words := depends(judgement)) else ""),
            )
            for judgement in checked
        ],
    )
    if left_out:
        out.print(f"{left_out} claims have no check at this scale.")
    for words in filter(None, (wrong_by_chance(outcome.judgements), in_order_again(outcome.judgements))):
        out.print(words)
    for judgement in outcome.judgements:
        if judgement.check is not None and not judgement.verdict.good:
            out.print(line(_verdict(judgement), f" {judgement.claim.id}: {judgement.why}"))
            if judgement.check.known is not None:
                known = judgement.check.known
                out.print(
                    f"    as is known of it: {known.why}" if judgement.as_expected else f"    {not_as_known(judgement)}"
                )
    for judgement in outcome.judgements:
        for warning in judgement.warnings:
            out.print(line((f"{judgement.claim.id}: {warning}", "dim")))
    for failure in outcome.failures:
        out.print(line(("BROKE", "bold red"), f" {failure.job}: {failure.message} ({failure.lost} jobs lost)"))


def looks(outcome: Outcome) -> None:
    """What the looks of a group-sequential plan decided."""
    for text in looks_lines(outcome):
        out.print(line(text))


def _verdict(judgement: Judgement) -> tuple[str, str]:
    """With its style."""
    return str(judgement.verdict), _STYLES[judgement.verdict]


def summary(outcomes: Sequence[Outcome], reports: Sequence[Path]) -> None:
    """Where the reports are, and what the run cost."""
    for outcome, path in zip(outcomes, reports, strict=True):
        cost = outcome.cost
        out.print(
            f"{cost.jobs} jobs, {cost.cached} found in the store; {seconds_text(cost.seconds)} now, "
            f"{seconds_text(cost.computed_seconds)} of computing in all"
        )
        out.print(f"report: {path}")


def plan(title: str, forecast: Forecast, note: str) -> None:
    """The jobs of a plan and its forecast."""
    out.print(line((title, "bold")))
    tables.show(
        out,
        (("stage", "left"), ("jobs", "right"), ("in the store", "right")),
        [(stage, f"{needed:,}", f"{cached:,}") for stage, (needed, cached) in forecast.jobs.items()],
    )
    jobs = sum(needed for needed, _ in forecast.jobs.values())
    cached = sum(cached for _, cached in forecast.jobs.values())
    share = cached / jobs if jobs else 1.0
    out.print(
        f"{jobs:,} jobs, {share:.0%} cached; {forecast.iterations:,} iterations to train; "
        f"{_range(forecast)} and {bytes_text(forecast.disk_bytes)} to go; "
        f"{bytes_text(forecast.memory_bytes)} of memory a device at the peak"
    )
    if note:
        out.print(note)


def _range(forecast: Forecast) -> str:
    """How long a run takes; from nothing to do up."""
    least, most = seconds_text(forecast.least), seconds_text(forecast.most)
    return f"about {most}" if least == most else f"{least} to {most}"


def findings(guarded: "Guarded") -> None:
    """What the regression guard found of a spec, but for what is as before."""
    held = len(guarded.having("same"))
    out.print(f"{guarded.name}: {held} of {len(guarded.findings)} comparisons as before")
    for tone, style in (("error", "bold red"), ("alarm", "bold red"), ("note", "dim")):
        for finding in guarded.having(tone):
            out.print(line("  ", (tone.upper(), style), f" {finding.name}: {finding.text}"))
