"""A look at a store and at DVC's cache: what is damaged, and its removal."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

from harness.cli import console
from harness.execution import checkpoint as checkpoints
from harness.execution import claimfile
from harness.jobs import dvc_cache
from harness.jobs.store import Store
from harness.stages.stored import Results


@dataclass(frozen=True)
class Survey:
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

    @classmethod
    def of(cls, store: Path, cache: Path) -> Self:
        """Reads all, and changes nothing."""
        kept = Store(store, make=False)
        artifacts = dict(kept.check(Results(kept).wrong_with))
        halves = {path: wrong for path, wrong in checkpoints.check(kept) if wrong}
        claims = dict(claimfile.all_in(store / "progress"))
        left = _left(claims)
        files = dict(dvc_cache.check(cache))
        return cls(
            artifacts=len(artifacts),
            damaged={path: wrong for path, wrong in artifacts.items() if wrong},
            halves=halves | {path: seen.wrong for path, seen in claims.items() if seen.wrong},
            claims=claims.keys(),
            left=left,
            files=len(files),
            cached=[path for path, sound in files.items() if not sound],
            strangers=list(kept.strangers()),
        )

    def tell(self, cache: Path) -> None:
        """Prints what was found."""
        none = "no cache of DVC; name another with --cache (`dvc cache dir` tells which)"
        looked = f"DVC's cache, {self.files} files" if self.files else none
        console.out.print(f"{cache}: {looked}")
        for path in self.strangers:
            console.err.print(f"{path}: is no artifact, and is left alone")
        for path, wrong in {**self.damaged, **self.halves}.items():
            console.err.print(f"{path}: {wrong}")
        for path, why in self.left.items():
            console.err.print(f"{path}: {why}; this holds up nobody")
        for path in self.cached:
            console.err.print(f"{path}: is not what its name says")

    def remove(self, store: Path) -> None:
        """Removes what is corrupt, and claims that hold up nobody."""
        if self.damaged:
            kept = Store(store)
            for path in self.damaged:
                kept.remove(path)
        for path in self.halves:
            claimfile.remove(path) if path in self.claims else checkpoints.remove(path)
        for path in self.left:
            claimfile.remove(path)
        for path in self.cached:
            dvc_cache.remove(path)


def _left(claims: Mapping[Path, claimfile.Seen]) -> dict[Path, str]:
    """Claims whose owners are gone: no fault, as the next run that wants their work takes it up. And why."""
    told = {
        path: claimfile.gone(seen, partial(claimfile.clock, path.parent))
        for path, seen in claims.items()
        if not seen.wrong
    }
    return {path: why for path, why in told.items() if why}
