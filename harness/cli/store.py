"""The commands that look after the store."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
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


CacheOption = Annotated[Path, typer.Option("--cache", help="DVC's cache; where there is one, it is checked too.")]
RemoveOption = Annotated[bool, typer.Option("--remove", help="Remove what is corrupt; the next run computes it.")]


@dataclass(frozen=True)
class _Survey:
    """What a look at a store and at DVC's cache found.

    Attributes:
        artifacts: how many there are.
        damaged: artifact -> what is wrong with it.
        halves: a file of an interrupted run -> what is wrong with it.
        claims: every claim.
        left: a claim that holds up nobody -> why.
        files: how many the cache has.
        cached: those of them that are not what their names say.
        strangers: what lies among the artifacts and is none.
    """

    artifacts: int
    damaged: Mapping[Path, str]
    halves: Mapping[Path, str]
    claims: Collection[Path]
    left: Mapping[Path, str]
    files: int
    cached: Sequence[Path]
    strangers: Sequence[Path]

    @property
    def corrupt(self) -> bool:
        """Whether anything is."""
        return bool(self.damaged or self.halves or self.cached)

    @property
    def words(self) -> str:
        """How many are corrupt."""
        words = f"{len(self.damaged)} of {self.artifacts} artifacts"
        words += f" and {len(self.halves)} files of interrupted runs" if self.halves else ""
        return words + (f" and {len(self.cached)} files of DVC's cache" if self.cached else "")


@app.command(epilog="Example: harness store check --remove")
def check(store: StoreOption = STORE, cache: CacheOption = dvc_cache.CACHE, remove: RemoveOption = False) -> None:
    """Check every artifact of the store against its record, and DVC's cache against its names."""
    if not store.is_dir():
        raise RequestError(f"there is no store {store}: name another with --store")
    survey = _look(store, cache)
    _tell(survey, cache)
    if survey.corrupt and not remove:
        raise CorruptArtifact(
            f"{survey.words} are corrupt: `harness store check --store {store} --cache {cache} --remove` removes them; "
            "the next run computes again what it needs of them"
        )
    if remove:
        _remove(survey, store)
    words = f"{survey.artifacts} artifacts are sound"
    if survey.corrupt:
        words = f"{survey.words} were corrupt and are removed"
    show.out.print(f"{store}: {words}")


def _look(store: Path, cache: Path) -> _Survey:
    """Reads all, and changes nothing."""
    kept = Store(store, read_only=True)
    artifacts = dict(kept.check(Results(kept).wrong_with))
    halves = {path: wrong for path, wrong in checkpoints.check(kept) if wrong}
    claims = dict(claimfile.all_in(store / "progress"))
    left = _left(claims)
    files = dict(dvc_cache.check(cache))
    return _Survey(
        artifacts=len(artifacts),
        damaged={path: wrong for path, wrong in artifacts.items() if wrong},
        halves=halves | {path: seen.wrong for path, seen in claims.items() if seen.wrong},
        claims=claims.keys(),
        left=left,
        files=len(files),
        cached=[path for path, sound in files.items() if not sound],
        strangers=list(kept.strangers()),
    )


def _tell(survey: _Survey, cache: Path) -> None:
    none = "no cache of DVC; name another with --cache (`dvc cache dir` tells which)"
    looked = f"DVC's cache, {survey.files} files" if survey.files else none
    show.out.print(f"{cache}: {looked}")
    for path in survey.strangers:
        show.err.print(f"{path}: is no artifact, and is left alone")
    for path, wrong in {**survey.damaged, **survey.halves}.items():
        show.err.print(f"{path}: {wrong}")
    for path, why in survey.left.items():
        show.err.print(f"{path}: {why}; this holds up nobody")
    for path in survey.cached:
        show.err.print(f"{path}: is not what its name says")


def _remove(survey: _Survey, store: Path) -> None:
    """Removes what is corrupt, and claims that hold up nobody."""
    if survey.damaged:
        kept = Store(store)
        for path in survey.damaged:
            kept.remove(path)
    for path in survey.halves:
        claimfile.remove(path) if path in survey.claims else checkpoints.remove(path)
    for path in survey.left:
        claimfile.remove(path)
    for path in survey.cached:
        dvc_cache.remove(path)


def _left(claims: Mapping[Path, claimfile.Seen]) -> dict[Path, str]:
    """Claims whose owners are gone: no fault, as the next run that wants their work takes it up. And why."""
    told = {
        path: claimfile.gone(seen, partial(claimfile.clock, path.parent))
        for path, seen in claims.items()
        if not seen.wrong
    }
    return {path: why for path, why in told.items() if why}
