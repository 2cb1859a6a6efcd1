"""Reports to files: the only module of this room with an effect."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import BrokenError, RequestError, write_remedy
from harness.outcome import Outcome
from harness.report.html import html
from harness.report.json import json
from harness.report.junit import junit
from harness.report.markdown import markdown
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


def write(outcomes: Sequence[Outcome], folder: Path) -> Paths:
    """Writes the reports of outcomes; files of an earlier run are replaced, each in one step.

    All is rendered before anything is written, so that an error in it leaves the earlier reports alone.

    Args:
        outcomes: verified specs.
        folder: made where it is missing.

    Returns:
        The files written.

    Raises:
        RequestError: two outcomes would have the same files.
        BrokenError: a file or the folder cannot be written.
    """
    _tell_apart(outcomes)
    texts: dict[Path, str] = {}
    found: dict[str, list[Path]] = {"html": [], "md": [], "json": []}
    for outcome in outcomes:
        for suffix, render in (("html", html), ("md", markdown), ("json", json)):
            path = folder / f"{name(outcome)}.{suffix}"
            texts[path] = render(outcome)
            found[suffix].append(path)
    texts[folder / "junit.xml"] = junit(outcomes)
    for path, text in texts.items():
        replace_file(path, text)
    return Paths(tuple(found["html"]), tuple(found["md"]), tuple(found["json"]), folder / "junit.xml")


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


def write_verdicts(outcomes: Sequence[Outcome], path: Path) -> None:
    """Writes the verdicts of outcomes as data; an earlier file is replaced in one step.

    Args:
        outcomes: verified specs.
        path: of the file; its folder is made where it is missing.

    Raises:
        BrokenError: it cannot be written.
    """
    replace_file(path, verdicts(outcomes))


def require_folder(folder: Path, option: str = "--report") -> None:
    """Raises RequestError, which names the option, unless files can be written there; makes the folder."""
    probe = folder / f".{os.getpid()}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise RequestError(
            f"the folder {folder} cannot be written ({error.strerror}): "
            f"{write_remedy(folder, error)}choose another with {option}"
        ) from error


def _tell_apart(outcomes: Sequence[Outcome]) -> None:
    seen: dict[str, str] = {}
    for outcome in outcomes:
        if name(outcome) in seen:
            raise RequestError(
                f"{seen[name(outcome)]} and {outcome.spec_path} would both be reported as "
                f"{name(outcome)}.html: rename one of the specs, or verify them into different folders"
            )
        seen[name(outcome)] = outcome.spec_path


def replace_file(path: Path, text: str) -> None:
    """Writes a file in one step, so that a reader finds the whole old or the whole new one.

    Raises:
        BrokenError: it cannot be written.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            # Lone surrogates, which UTF-8 lacks, can come from file names in error messages.
            beside.write_bytes(text.encode("utf-8", errors="replace"))
            os.replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise BrokenError(
            f"{path}: the report cannot be written ({error.strerror or error}). Give "
            f"{path.parent} free space and the right to write, or choose another folder, and run the command "
            "again: finished jobs are found in the store"
        ) from error
