"""``overlap``: how alike the eigenvectors of two Hessians of one network are."""

from collections.abc import Sequence

from harness.errors import HarnessError
from harness.jobs.job import Job
from harness.jobs.store import Artifact
from harness.measure.overlap import bin_overlaps, log_bins, of_equal_rank, own_bin, shift, subspace
from harness.stages.base import Context, Effort, Stage, Work


class Overlap(Stage):
    """Params: ``size`` (P), ``bands`` (as in ``concentration``, with ``top``), ``floor``, ``per_decade``, ``ranks``.

    Eigenvalues of ``b`` are put into bins after division by the shift between the spectra (of the ``ranks`` largest):
    where all curvature rises alike, an eigenvector that stays has an eigenvalue in the bin that it had.

    Inputs: ``a`` and ``b``, Hessians. Memory: the eigenvectors of both, 8 P² bytes.
    """

    def cost(self, job: Job) -> int:
        """A product of two matrices."""
        return 1 + int(job.params["size"]) // 100

    def effort(self, job: Job) -> Effort:
        """A product of two matrices."""
        return Effort(2.0 * float(job.params["size"]) ** 3)

    def run(self, work: Sequence[Work], context: Context) -> list[Artifact | HarnessError]:
        """A row a pair of bins, ``bin`` of ``a`` and ``other`` of ``b``: ``share`` (%) and ``over_null``.

        The same in every row: ``own_bin`` (%; None where no bin is occupied in both), ``subspace`` (% of the top
        bands), ``self_`` and a band (%), ``shift``.
        """
        (item,) = work
        bands = item.params["bands"]
        values, (a, b) = (
            [item.inputs[role].tensors[name].to(context.device) for role in ("a", "b")]
            for name in ("eigenvalues", "eigenvectors")
        )
        width = {"floor": item.params["floor"], "per_decade": item.params["per_decade"]}
        moved = shift(values[0], values[1], item.params["ranks"])
        overlaps = bin_overlaps(a, b, log_bins(values[0], **width), log_bins(values[1] / moved, **width))
        top = slice(*bands["top"])
        same = {
            "own_bin": own_bin(overlaps),
            "shift": moved,
            "subspace": subspace(a[top], b[top]),
            **{f"self_{band}": of_equal_rank(a, b, ranks) for band, ranks in bands.items()},
        }
        rows, columns = len(overlaps.rows), len(overlaps.columns)
        return [
            Artifact(
                table={
                    "bin": overlaps.rows.repeat_interleave(columns).tolist(),
                    "other": overlaps.columns.repeat(rows).tolist(),
                    "share": (100 * overlaps.share).flatten().tolist(),
                    "over_null": overlaps.over_null.flatten().tolist(),
                    **{name: [value] * rows * columns for name, value in same.items()},
                }
            )
        ]


STAGE = Overlap()
