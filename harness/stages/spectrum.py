"""``spectrum``: what the eigenvalues of a Hessian amount to."""

from collections.abc import Sequence

from harness.errors import BrokenError, HarnessError
from harness.jobs.store import Artifact
from harness.measure.power_law import (
    geometric_mean,
    grid,
    negative_mass,
    negative_share,
    orders_of_magnitude,
    power_law,
)
from harness.stages.base import Context, Stage, Work

_POINTS = 80
"""Ranks that are kept of each sign, for a figure."""


class Spectrum(Stage):
    """Params: ``ranks`` (of the power law), ``tolerance`` (numerical error over the largest |λ|).

    Input: ``hessian``.
    """

    def run(self, work: Sequence[Work], context: Context) -> list[Artifact | HarnessError]:
        """Columns ``sign``, ``rank``, ``eigenvalue``: magnitudes beyond the error, largest first, thinned out evenly.

        The same in every row: ``orders``, ``exponent``, ``r2``, ``geometric_mean`` of the ``ranks`` largest, None where
        not all of these are positive; ``negative_mass`` (of all that are negative) and ``negative_share`` (%);
        ``error``.
        """
        (item,) = work
        values: list[float] = item.inputs["hessian"].tensors["eigenvalues"].tolist()
        largest = values[: item.params["ranks"]]
        error = item.params["tolerance"] * max(abs(values[0]), abs(values[-1]))
        sides = {"positive": values, "negative": [-value for value in reversed(values)]}
        kept = [
            (sign, rank, side[rank - 1])
            for sign, side in sides.items()
            for rank in grid(len(values), _POINTS)
            if side[rank - 1] > error
        ]
        if not kept:
            return [BrokenError(f"{item.job!r}: no eigenvalue is beyond the numerical error of {error:g}")]
        law = power_law(largest) if largest[-1] > 0 else None
        same = {
            "orders": orders_of_magnitude(largest) if law else None,
            "exponent": law.exponent if law else None,
            "r2": law.r2 if law else None,
            "geometric_mean": geometric_mean(largest) if law else None,
            "negative_mass": negative_mass(values),
            "negative_share": negative_share(values, error),
            "error": error,
        }
        columns = dict(zip(("sign", "rank", "eigenvalue"), map(list, zip(*kept, strict=True)), strict=True))
        return [Artifact(table={**columns, **{name: [value] * len(kept) for name, value in same.items()}})]


STAGE = Spectrum()
