"""Which eigenvectors are meant by the top ones, the middle ones and the low ones."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Self

from pydantic import Field, model_validator

from harness.digits import plain
from harness.observation import NoValue
from harness.schema.base import Count, Model
from harness.schema.load import Problem


class BandOptions(Model):
    """Bands of eigenvectors by the rank of their eigenvalue; the source says "top", "high λ" and "low λ" only.

    Attributes:
        top: so many of the largest eigenvalues [open].
        middle: those after them, up to this rank [open].
        low: between these shares of all ranks, where eigenvalues are near zero [open].
    """

    top: Count = 10
    middle: Count = 100
    low: tuple[Annotated[float, Field(ge=0, le=1)], Annotated[float, Field(ge=0, le=1)]] = Field(
        (0.25, 0.75), strict=False
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.middle <= self.top:
            raise ValueError(f"found middle {self.middle} and top {self.top}: the middle band ends after the top one")
        if self.low[0] >= self.low[1]:
            raise ValueError(f"found low {list(self.low)}: give the smaller share first")
        return self

    def ranks(self, size: int) -> Mapping[str, list[int]]:
        """Band -> its first rank, counted from 0, and the one after its last, among ``size`` eigenvalues."""
        low = [round(share * size) for share in self.low]
        return {"top": [0, self.top], "middle": [self.top, self.middle], "low": low}

    def problems(self, size: int) -> Iterable[Problem]:
        """Bands that a network of ``size`` parameters does not have."""
        place = ("settings", "bands")
        if self.middle > size:
            yield Problem((*place, "middle"), f"found {self.middle}, but there are {size} eigenvectors: choose fewer")
        first, last = self.ranks(size)["low"]
        if first >= last:
            yield Problem((*place, "low"), f"found {list(self.low)}: no rank of {size} is between these; widen it")


def no_vectors(values: Sequence[float], ranks: Sequence[int], error: float) -> NoValue | None:
    """Why the eigenvectors of some ranks are any basis of their span; None where eigenvalues tell them apart.

    Args:
        values: all eigenvalues, the largest first.
        ranks: the first, from 0, and the one after the last.
        error: of an eigenvalue.
    """
    some = values[ranks[0] : ranks[1]]
    beside = [*values[max(ranks[0] - 1, 0) : ranks[0]], *values[ranks[1] : ranks[1] + 1]]
    apart = min((abs(one - other) for other in beside for one in (some[0], some[-1])), default=math.inf)
    spread = some[0] - some[-1]
    if (len(some) > 1 and spread <= error) or (len(some) == 1 and apart <= error):
        return NoValue(
            f"the eigenvalues of ranks {ranks[0] + 1} to {ranks[1]} are equal within their error of "
            f"{plain(error, 3)} ({plain(some[0], 3)} to {plain(some[-1], 3)}), so that any vectors of their span are "
            "eigenvectors"
        )
    return None
