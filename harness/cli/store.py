"""The commands that look after the store."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from harness.cli import show
from harness.cli.options import STORE, StoreOption
from harness.errors import CorruptArtifact, RequestError
from harness.execution import checkpoint as checkpoints
from harness.execution import claimfile
from harness.jobs import dvc_cache
from harness.jobs.store import Store
from harness.stages.stored import Results

app = typer.Typer(no_args_is_help=True, help="Look after the store of results.")


@app.command(epilog="Example: harness store check --remove")
def check(
    store: StoreOption = STORE,
    cache: Annotated[
        Path, typer.Option("--cache", help="DVC's cache; where there is one, it is checked too.")
    ] = dvc_cache.CACHE,
    remove: Annotated[bool, typer.Option("--remove", help="Remove what is corrupt; the next run computes it.")] = False,
) -> None:
    """Check every artifact of the store against its record, and DVC's cache against its names."""
    if not store.is_dir():
        raise RequestError(f"there is no store {store}: name another with --store")
    kept = Store(store, read_only=True)
    artifacts = dict(kept.check(Results(kept).wrong_with))
    damaged = {path: wrong for path, wrong in artifacts.items() if wrong}
    halves = {path: wrong for path, wrong in checkpoints.check(kept) if wrong}
    claims = dict(claimfile.all_in(store / "progress"))
    halves |= {path: seen.wrong for path, seen in claims.items() if seen.wrong}
    left = _left(claims)
    files = dict(dvc_cache.check(cache))
    cached = [path for path, sound in files.items() if not sound]
    none = "no cache of DVC; name another with --cache (`dvc cache dir` tells which)"
    looked = f"DVC's cache, {len(files)} files" if files else none
    show.out.print(f"{cache}: {looked}")
    for path in kept.strangers():
        show.err.print(f"{path}: is no artifact, and is left alone")
    for path, wrong in {**damaged, **halves}.items():
        show.err.print(f"{path}: {wrong}")
    for path, why in left.items():
        show.err.print(f"{path}: {why}; this holds up nobody")
    for path in cached:
        show.err.print(f"{path}: is not what its name says")
    found = f"{len(damaged)} of {len(artifacts)} artifacts"
    found += f" and {len(halves)} files of interrupted runs" if halves else ""
    found += f" and {len(cached)} files of DVC's cache" if cached else ""
    any_damaged = bool(damaged or halves or cached)
    if any_damaged and not remove:
        raise CorruptArtifact(
            f"{found} are corrupt: `harness store check --store {store} --cache {cache} --remove` removes them; "
            "the next run computes again what it needs of them"
        )
    if damaged:
        kept = Store(store)
    for path in damaged:
        kept.remove(path)
    for path in halves:
        claimfile.remove(path) if path in claims else checkpoints.remove(path)
    for path in left if remove else ():
        claimfile.remove(path)
    for path in cached:
        dvc_cache.remove(path)
    words = f"{found} were corrupt and are removed" if any_damaged else f"{len(artifacts)} artifacts are sound"
    show.out.print(f"{store}: {words}")


def _left(claims: Mapping[Path, claimfile.Seen]) -> dict[Path, str]:
    """Claims whose owners are gone: no fault, as the next run that wants their work takes it up. And why."""
    told = {
        path: claimfile.gone(seen, partial(claimfile.clock, path.parent))
        for path, seen in claims.items()
        if not seen.wrong
    }
    return {path: why for path, why in told.items() if why}
