"""Golden files of versions, sources and keys: what must not change unseen. ``make bless`` rewrites them.

- ``stages.json``: stage -> its version, and a digest of the sources that it rests on.
- ``samples.json``: stage -> the key of one job.
- ``keys.json``: spec.scale -> stage -> number of its jobs, and SHA-256 over their sorted keys, without imported data.

Read the diff that it prints, as a reviewer will: other sources under the same version say that results are as before;
other keys make every store forget its results.
"""

import difflib
import hashlib
import json
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from harness.jobs.stages import OWN
from tests.golden.sources import digest_of
from tests.jobs.samples import jobs_of_every_stage
from tests.support import SPECS, loaded, request

HERE = Path(__file__).parent


def golden(name: str) -> dict[str, Any]:
    """A golden file."""
    found: dict[str, Any] = json.loads((HERE / name).read_text())
    return found


def stages() -> dict[str, Any]:
    return {
        one.name: {"version": one.version, "sources": digest_of(one.name)}
        for one in sorted(OWN, key=lambda one: one.name)
    }


def samples() -> dict[str, Any]:
    return {stage: job.key for stage, job in sorted(jobs_of_every_stage().items())}


def keys() -> dict[str, Any]:
    return {name: value for path in SPECS for name, value in keys_of(path).items()}


def keys_of(path: Path) -> dict[str, Any]:
    """The part of ``keys.json`` of one spec."""
    with tempfile.TemporaryDirectory() as empty:
        return {f"{path.stem}.{scale}": _digests(path, scale, Path(empty)) for scale in loaded(path).spec.scales}


def _digests(path: Path, scale: str, data: Path) -> dict[str, Any]:
    by_stage: dict[str, list[str]] = {}
    for job in request(path, scale, data).plan.jobs.values():
        by_stage.setdefault(job.stage, []).append(job.key)
    return {
        stage: {"jobs": len(found), "sha256": hashlib.sha256("\n".join(sorted(found)).encode()).hexdigest()}
        for stage, found in sorted(by_stage.items())
    }


FILES: Mapping[str, Callable[[], dict[str, Any]]] = {
    "stages.json": stages,
    "samples.json": samples,
    "keys.json": keys,
}


def main() -> None:
    """Rewrites the golden files; prints what of them changes."""
    for name, make in FILES.items():
        path = HERE / name
        before = path.read_text() if path.exists() else ""
        now = json.dumps(make(), indent=1) + "\n"
        lines = (text.splitlines(keepends=True) for text in (before, now))
        sys.stdout.writelines(difflib.unified_diff(*lines, f"{name}, before", f"{name}, now"))
        path.write_text(now)
        sys.stdout.write(f"{path.relative_to(HERE.parent.parent)}: {'changed' if now != before else 'as before'}\n")


if __name__ == "__main__":
    main()
