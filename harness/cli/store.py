"""The commands that look after the store."""

from pathlib import Path
from typing import Annotated

import typer

from harness.cli import console
from harness.cli.options import STORE, StoreOption
from harness.errors import CorruptArtifact, RequestError
from harness.jobs.dvc_cache import CACHE

app = typer.Typer(no_args_is_help=True, help="Look after the store of results.")

CacheOption = Annotated[Path, typer.Option("--cache", help="DVC's cache; where there is one, it is checked too.")]
RemoveOption = Annotated[bool, typer.Option("--remove", help="Remove what is corrupt; the next run computes it.")]


@app.command(epilog="Example: harness store check --remove")
def check(store: StoreOption = STORE, cache: CacheOption = CACHE, remove: RemoveOption = False) -> None:
    """Check every artifact of the store against its record, and DVC's cache against its names."""
    from harness.cli.survey import Survey

    if not store.is_dir():
        raise RequestError(f"there is no store {store}: name another with --store")
    survey = Survey.of(store, cache)
    survey.tell(cache)
    if survey.corrupt and not remove:
        raise CorruptArtifact(
            f"{survey.words} are corrupt: `harness store check --store {store} --cache {cache} --remove` removes them; "
            "the next run computes again what it needs of them"
        )
    if remove:
        survey.remove(store)
    words = f"{survey.artifacts} artifacts are sound"
    if survey.corrupt:
        words = f"{survey.words} were corrupt and are removed"
    console.out.print(f"{store}: {words}")
