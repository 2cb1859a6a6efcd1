"""A row of the table of stages: how a stage is described. Packages outside write rows of their own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

NUMBER, AMOUNT, TEXT, FLAG = "numbers", "numbers of 0 or more", "texts", "flags"
PERCENT, MAYBE_NUMBER, MAYBE_FLAG = "numbers from 0 to 100", "numbers or nulls", "flags or nulls"

Params = Mapping[str, Any]
Table = Mapping[str, list[Any]]
"""Columns by name, equally long."""

Gives = Literal["state", "mask", "table", "eigenpairs"]
Role = Literal["", "initialisation", "training", "pruning", "transfer", "evaluation", "line", "comparison"]


@dataclass(frozen=True)
class Counted:
    """The column of a table that counts examples of the test set, and which stage tells them one by one.

    Attributes:
        column: its numbers in the table's rows with the split ``test`` are shares in percent (``PERCENT``), or counts.
        by: the stage that, of the same parameters and inputs, has a row for each of these, in their order: ``marked``,
            the examples that are counted (``harness.measure.marked``), and ``examples``, how many there are.
    """

    column: str
    by: str


@dataclass(frozen=True, kw_only=True)
class Row:
    """A stage.

    Attributes:
        name: of the stage, as it stands in keys.
        version: of its meaning; raise it when an edit changes results.
        gives: the tensors of its result: those of a network's ``state``, of a ``mask`` or of the ``eigenpairs`` of a
            network's matrix; a ``table`` has none.
        columns: name -> kind, of the columns that are used; the table may have more. A function of the job's
            parameters where it depends on them.
        also: name -> kind, of columns that the version's first results do not have.
        rows: how many; None: one at least.
        seeds: parameters that name a random stream. Initialisations differ in nothing else. A seed is a number, or a
            text whose parts, with ``/`` between them, begin with the name of the stream, as ``copy/3/1``. That of a job
            without inputs, of which a replicate begins, is or ends with the number of the replicate, as ``noise/3``.
        snapshot: parameters that change no bit of a run, only where it stops and what is recorded of it: jobs that
            differ in nothing else are snapshots of one run, and are run together, once.
        role: what the invariants of every run may take it for; "" where nothing is asked of it.
        fingerprint: the numbers that the guard compares of every run, a name of ``regress/fingerprints.py``; "": none.
        closely: those of the smoke run; left out: the same.
        counted: what of its table is counted over the test set and can be had for resampled ones; None: nothing.
        unguarded: why the guard's smoke run leaves it out, in words; "" where it takes part.
        module: with its ``STAGE``; left out: the one of its name in ``harness.stages``. Of a package outside: the
            package itself or a module below it, as its sources are told apart by a digest.
    """

    name: str
    version: int
    gives: Gives = "table"
    columns: Mapping[str, str] | Callable[[Params], Mapping[str, str]] = field(default_factory=dict)
    also: Mapping[str, str] = field(default_factory=dict)
    rows: int | Callable[[Params], int] | None = None
    seeds: tuple[str, ...] = ()
    snapshot: tuple[str, ...] = ()
    role: Role = ""
    fingerprint: str = ""
    closely: str = ""
    counted: Counted | None = None
    unguarded: str = ""
    module: str = ""

    def __post_init__(self) -> None:
        """Raises ValueError unless the smoke run sees the stage, or the row says why it does not."""
        if bool(self.seen_closely) == bool(self.unguarded):
            raise ValueError(
                f"stage {self.name!r}: give either fingerprint or closely, by which the guard's smoke run sees it, or "
                "unguarded, the reason why it is left out"
            )

    @property
    def seen_closely(self) -> str:
        """The numbers of the smoke run."""
        return self.closely or self.fingerprint

    @property
    def place(self) -> str:
        """The module that has its ``STAGE``."""
        return self.module or f"harness.stages.{self.name}"


def named(kind: str, *names: str) -> dict[str, str]:
    """Columns of one kind."""
    return dict.fromkeys(names, kind)
