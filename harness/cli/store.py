"""The commands that look after the store."""

from pathlib import Path
from typing import Annotated

import typer

from harness.cli import show
from harness.cli.options import STORE, StoreOption
from harness.errors import CorruptArtifact, RequestError

app = typer.Typer(no_args_is_help=True, help="Look after the store of results.")


@app.command(epilog="Example: harness store check --remove")
def check(
    store: StoreOption = STORE,
    remove: Annotated[
        bool, typer.Option("--remove", help="Remove what is corrupt; the next run computes it again.")
    ] = False,
) -> None:
    """Check every artifact of the store against its record."""
    from harness.store import Store

    if not store.is_dir():
        raise RequestError(f"there is no store {store}: name another with --store")
    kept = Store(store)
    damaged: dict[Path, str] = {}
    number = 0
    for path, wrong in kept.check():
        number += 1
        if wrong:
            damaged[path] = wrong
            show.err.print(f"{path}: {wrong}", markup=False, soft_wrap=True)
            if remove:
                kept.remove(path)
    if damaged and not remove:
        raise CorruptArtifact(
            f"{len(damaged)} of {number} artifacts are corrupt: `harness store check --store {store} --remove` "
            "removes them; the next run computes again what it needs of them"
        )
    rest = f"; {len(damaged)} corrupt ones are removed" if damaged else ", all as their records say"
    show.out.print(f"{number} artifacts in {store}{rest}", markup=False, soft_wrap=True)
