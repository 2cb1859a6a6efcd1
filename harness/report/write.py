"""Reports to files: the only module of this room with an effect."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import RequestError
from harness.files import replace_file
from harness.pipeline.outcome import Outcome
from harness.report.html import html
from harness.report.json import json
from harness.report.junit import junit
from harness.report.markdown import markdown
from harness.report.over_specs import OverResult, over_json
from harness.report.verdicts import verdicts


@dataclass(frozen=True)
class Paths:
    """Where reports lie.

    Attributes:
        html: a page an outcome, in the order of the outcomes.
        markdown: a summary an outcome.
        json: the machine form, a file an outcome.
        junit: one file for all.
    """

    html: tuple[Path, ...]
    markdown: tuple[Path, ...]
    json: tuple[Path, ...]
    junit: Path


def name(outcome: Outcome) -> str:
    """What the files of an outcome are called, without suffix.

    Args:
        outcome: the verified spec.

    Returns:
        ``<spec id>-<scale>``.
    """
    return f"{outcome.spec.id}-{outcome.scale}"


def write(outcomes: Sequence[Outcome], folder: Path, before: Sequence[Outcome] = ()) -> Paths:
    """Writes the reports of outcomes; files of an earlier run are replaced, each in one step.

    All is rendered before anything is written, so that an error in it leaves the earlier reports alone.

    Args:
        outcomes: verified specs.
        folder: made where it is missing.
        before: outcomes of the same command whose reports are written; the JUnit file has them too.

    Returns:
        The files written.

    Raises:
        RequestError: two outcomes would have the same files.
        BrokenError: a file or the folder cannot be written.
    """
    _tell_apart([*before, *outcomes])
    texts: dict[Path, str] = {}
    paths: dict[str, list[Path]] = {"html": [], "md": [], "json": []}
    for outcome in outcomes:
        for suffix, render in (("html", html), ("md", markdown), ("json", json)):
            path = folder / f"{name(outcome)}.{suffix}"
            texts[path] = render(outcome)
            paths[suffix].append(path)
    texts[folder / "junit.xml"] = junit([*before, *outcomes])
    for path, text in texts.items():
        replace_file(path, text)
    return Paths(tuple(paths["html"]), tuple(paths["md"]), tuple(paths["json"]), folder / "junit.xml")


def write_index(page: str, folder: Path) -> Path:
    """Writes the page over all reports of a folder, in place of an earlier one.

    Args:
        page: from ``index.index``.
        folder: in which the reports lie.

    Returns:
        The file written, ``index.html``.

    Raises:
        BrokenError: it cannot be written.
    """
    path = folder / "index.html"
    replace_file(path, page)
    return path


def write_over_specs(results: Sequence[OverResult], folder: Path) -> Path:
    """Writes what reports of a folder say of claims over specs, as data, in place of an earlier file.

    Args:
        results: from ``over_results``.
        folder: in which the reports lie.

    Returns:
        The file written, ``over_specs.json``.

    Raises:
        BrokenError: it cannot be written.
    """
    path = folder / "over_specs.json"
    replace_file(path, over_json(results))
    return path


def write_verdicts(outcomes: Sequence[Outcome], path: Path) -> None:
    """Writes the verdicts of outcomes as data; an earlier file is replaced in one step.

    Args:
        outcomes: verified specs.
        path: of the file; its folder is made where it is missing.

    Raises:
        BrokenError: it cannot be written.
    """
    replace_file(path, verdicts(outcomes))


def _tell_apart(outcomes: Sequence[Outcome]) -> None:
    seen: dict[str, str] = {}
    for outcome in outcomes:
        if name(outcome) in seen:
            raise RequestError(
                f"{seen[name(outcome)]} and {outcome.spec_path} would both be reported as "
                f"{name(outcome)}.html: rename one of the specs, or verify them into different folders"
            )
        seen[name(outcome)] = outcome.spec_path
