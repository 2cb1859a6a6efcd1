"""Baselines as files: read with every problem named, written in one step."""

import json
from pathlib import Path

from pydantic import ValidationError

from harness import jsonfile
from harness.errors import RequestError
from harness.files import replace_file
from harness.regress.model import Baseline

_SHOWN = 5
"""Problems of one file that are told."""


def path_of(folder: Path, spec: str, scale: str) -> Path:
    """Where a spec's baseline lies."""
    return folder / f"{spec}.{scale}.json"


def find(folder: Path, scale: str) -> list[Baseline]:
    """Every baseline of a scale in a folder, by name.

    Raises:
        RequestError: there is none, or one is malformed.
    """
    paths = sorted(folder.glob(f"*.{scale}.json")) if folder.is_dir() else []
    if not paths:
        raise RequestError(
            f"no baseline of the scale {scale!r} in {folder}: make one with "
            '`harness regress specs/SPEC.yaml --update --reason "first baseline"`'
        )
    return [read(path) for path in paths]


def read(path: Path) -> Baseline:
    """A baseline.

    Raises:
        RequestError: missing, not JSON, or not a baseline; each problem with its field.
    """
    remedy = "restore the file from version control, or remove it and measure anew with --update --reason"
    try:
        value = jsonfile.read(path)
    except OSError as error:
        raise RequestError(f"{path}: the baseline cannot be read ({error.strerror}): {remedy}") from error
    except ValueError as error:
        raise RequestError(f"{path}: the baseline {error}: {remedy}") from error
    try:
        baseline = Baseline.model_validate(value)
    except ValidationError as error:
        if found := jsonfile.unlike(value, "baseline"):
            raise RequestError(f"{path}: the file {found}: {remedy}") from error
        problems = error.errors()
        lines = [
            f"{path}: {'.'.join(map(str, problem['loc'])) or 'the file'}: {problem['msg']}"
            for problem in problems[:_SHOWN]
        ]
        lines += [f"{path}: and {len(problems) - _SHOWN} more problems"] if len(problems) > _SHOWN else []
        raise RequestError("\n".join([*lines, remedy])) from error
    if path.stem != baseline.name:
        raise RequestError(f"{path}: it is the baseline of {baseline.name}: call it {baseline.name}.json")
    return baseline


def write(baseline: Baseline, folder: Path) -> Path:
    """Writes a baseline, replacing the one before.

    Raises:
        BrokenError: the folder cannot be written.
    """
    path = path_of(folder, baseline.spec, baseline.scale)
    text = json.dumps(baseline.model_dump(mode="json"), indent=1, ensure_ascii=False) + "\n"
    replace_file(path, text, "the baseline")
    return path
