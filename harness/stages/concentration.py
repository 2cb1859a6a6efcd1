"""``concentration``: over how many components the eigenvectors of a Hessian are spread."""

from collections.abc import Sequence
from typing import Any

from harness.errors import HarnessError
from harness.jobs.store import Artifact
from harness.measure.concentration import cumulative, gaussian
from harness.measure.power_law import grid
from harness.stages.base import Context, Stage, Work

_POINTS = 60
"""Numbers of components that are kept, for a figure."""


class Concentration(Stage):
    """Params: ``bands`` (name -> first rank from 0, rank after the last), ``components``, ``draws``.

    Input: ``hessian``. Memory: its eigenvectors, 4 P² bytes.
    """

    def run(self, work: Sequence[Work], context: Context) -> list[Artifact | HarnessError]:
        """Columns ``band``, ``components``, ``share`` (%, mean over the band), ``null`` (%, of Gaussian vectors).

        One of the numbers of components is the one that was asked for.
        """
        (item,) = work
        vectors = item.inputs["hessian"].tensors["eigenvectors"]
        size = vectors.shape[1]
        counts = sorted({*grid(size, _POINTS), item.params["components"]})
        null = gaussian(size, item.params["draws"])
        table: dict[str, list[Any]] = {"band": [], "components": [], "share": [], "null": []}
        for band, (first, last) in item.params["bands"].items():
            shares = cumulative(vectors[first:last].to(context.device))
            table["band"] += [band] * len(counts)
            table["components"] += counts
            table["share"] += [100 * float(shares[count - 1]) for count in counts]
            table["null"] += [100 * float(null[count - 1]) for count in counts]
        return [Artifact(table=table)]


STAGE = Concentration()
