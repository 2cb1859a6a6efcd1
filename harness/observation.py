"""What an experiment observed: one value of one quantity under named conditions, in one replicate."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

Condition = str | int


@dataclass(frozen=True)
class Quantity:
    """Something that a protocol measures and a claim can be about.

    Attributes:
        unit: of its values, as shown to a reader ("points" are percentage points).
        axes: the conditions that tell its observations apart.
        meaning: one sentence.
    """

    unit: str
    axes: tuple[str, ...]
    meaning: str

    def along(self, *axes: str) -> "Quantity":
        """The same quantity with further axes in front."""
        return replace(self, axes=(*axes, *self.axes))


@dataclass(frozen=True)
class Gap:
    """An observation that is missing, or rests on fewer replicates than planned, because a job broke.

    Attributes:
        quantity: its name; None where only the measurement is known: then every quantity that has nothing there.
        at: axis -> condition.
        initialisation: seed.
        why: what broke, in words.
    """

    quantity: str | None
    at: Mapping[str, Condition]
    initialisation: int
    why: str


@dataclass(frozen=True)
class Observation:
    """One value.

    Attributes:
        quantity: its name.
        at: axis -> condition; times are in iterations.
        initialisation: seed of the initialisation, the unit of replication.
        within: number of the replicate inside the initialisation (an order, or a pair of orders).
        value: in the quantity's unit.
    """

    quantity: str
    at: Mapping[str, Condition]
    initialisation: int
    within: int
    value: float
