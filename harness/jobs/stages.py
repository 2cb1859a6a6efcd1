"""The table of stages: each is described here once, and all that is asked of stages by name derives from it.

A row says which version a stage has, what it gives, which of its parameters name random streams, and what the
regression guard sees of it. What it does is the module of its name in ``harness.stages``. Packages outside bring rows
of their own (docs/outside.md).
"""

from collections.abc import Mapping
from types import MappingProxyType

from harness.errors import BrokenError
from harness.jobs.brought import require_counted, require_row
from harness.jobs.outside import Package, packages
from harness.jobs.stage_columns import (
    SPLITS,
    line_rows,
    overlap_columns,
    parabola_columns,
    parabola_rows,
    probe_columns,
    probe_rows,
)
from harness.jobs.stage_row import AMOUNT, FLAG, MAYBE_FLAG, MAYBE_NUMBER, NUMBER, PERCENT, TEXT, Counted, Row, named

_OF_COUNTS = named(AMOUNT, "examples", "undecided")
_MARKED = named(TEXT, "marked") | named(AMOUNT, "examples")
_CURVATURE = (
    "curvature is not part of it: a Hessian takes longer than the whole smoke run; the states it is measured at are"
)
_OF_HESSIAN = (
    "it rests on the eigenpairs of a Hessian, which takes longer than the whole smoke run; the states it is measured "
    "at are part of it"
)
_ONE_BY_ONE = "it tells one by one what evaluations, lines and comparisons count, which are part of it"
_NO_NETWORK = "it trains no network: no chaos makes its numbers vary beyond their own noise"


OWN = (
    Row(
        name="init", version=1, gives="state", seeds=("seed",), role="initialisation", fingerprint="norms of the state"
    ),
    Row(
        name="train",
        version=1,
        gives="state",
        columns=probe_columns,
        rows=probe_rows,
        seeds=("order", "augmentation"),
        snapshot=("stop", "keep_optimiser", "probes"),
        role="training",
        fingerprint="norms of the state",
        closely="norms of the state and means of columns",
    ),
    Row(
        name="prune",
        version=1,
        gives="mask",
        columns=named(AMOUNT, "kept", "total"),
        rows=1,
        role="pruning",
        fingerprint="densities of layers",
    ),
    Row(name="shuffle", version=1, gives="mask", seeds=("seed",), fingerprint="densities of layers"),
    Row(
        name="perturb",
        version=1,
        gives="state",
        columns=named(AMOUNT, "moved") | named(MAYBE_NUMBER, "hidden"),
        rows=1,
        seeds=("seed",),
        fingerprint="norms of the state",
        closely="norms of the state and means of columns",
    ),
    Row(name="transfer", version=1, gives="state", role="transfer", fingerprint="norms of the state"),
    Row(name="mask_body", version=1, gives="mask", fingerprint="densities of layers"),
    Row(
        name="evaluate",
        version=1,
        columns=named(TEXT, "split") | named(PERCENT, "error") | named(NUMBER, "loss"),
        also=_OF_COUNTS,
        rows=SPLITS,
        role="evaluation",
        counted=Counted("error", by="answers"),
        fingerprint="losses",
        closely="losses and errors",
    ),
    Row(
        name="line",
        version=1,
        columns=named(TEXT, "batch_norm", "split") | named(PERCENT, "error") | named(NUMBER, "alpha", "loss"),
        rows=line_rows,
        role="line",
        counted=Counted("error", by="answers_on_line"),
        closely="means on the line",
    ),
    Row(
        name="compare",
        version=2,
        columns=named(TEXT, "split") | named(AMOUNT, "l2", "disagreements", "loss_l2") | named(MAYBE_NUMBER, "cosine"),
        rows=SPLITS,
        role="comparison",
        counted=Counted("disagreements", by="differences"),
        fingerprint="L2 distance",
        closely="L2 distance and disagreements",
    ),
    Row(name="answers", version=1, columns=_MARKED, rows=1, unguarded=_ONE_BY_ONE),
    Row(
        name="answers_on_line",
        version=1,
        columns=_MARKED,
        rows=lambda params: line_rows(params) // SPLITS,
        unguarded=_ONE_BY_ONE,
    ),
    Row(name="differences", version=1, columns=_MARKED, rows=1, unguarded=_ONE_BY_ONE),
    Row(
        name="distance",
        version=2,
        columns=named(AMOUNT, "l2") | named(MAYBE_NUMBER, "cosine"),
        rows=1,
        fingerprint="L2 distance",
    ),
    Row(
        name="loss",
        version=1,
        columns=named(NUMBER, "loss") | named(AMOUNT, "gradient"),
        rows=1,
        unguarded="it is measured beside curvature, which is not part of it; the states it is measured at are",
    ),
    Row(
        name="hessian",
        version=1,
        gives="eigenpairs",
        columns=named(NUMBER, "rank", "eigenvalue", "symmetry_error"),
        unguarded=_CURVATURE,
    ),
    Row(
        name="extremes",
        version=2,
        columns=named(TEXT, "end") | named(NUMBER, "eigenvalue") | named(AMOUNT, "residual") | named(FLAG, "converged"),
        unguarded=_CURVATURE,
    ),
    Row(
        name="displacement",
        version=2,
        columns=named(NUMBER, "eigenvalue", "share", "transverse", "along_weights"),
        unguarded=_OF_HESSIAN,
    ),
    Row(
        name="plane",
        version=1,
        columns=named(TEXT, "kind") | named(NUMBER, "x", "y", "loss", "length_along", "length_across"),
        unguarded=_OF_HESSIAN,
    ),
    Row(
        name="descend",
        version=1,
        gives="state",
        columns=named(NUMBER, "before", "after"),
        rows=1,
        seeds=("seed",),
        unguarded=_OF_HESSIAN,
    ),
    Row(
        name="quadratic_level",
        version=1,
        columns=named(NUMBER, "level"),
        rows=lambda params: len(params["points"]),
        seeds=("noise",),
        unguarded=_NO_NETWORK,
    ),
    Row(
        name="quadratic_relaxation",
        version=1,
        columns=named(NUMBER, "step", "mean"),
        rows=lambda params: int(params["steps"]),
        seeds=("noise",),
        unguarded=_NO_NETWORK,
    ),
    Row(
        name="quadratic_staircase",
        version=1,
        columns=named(NUMBER, "stair", "step", "loss"),
        rows=lambda params: len(params["lengths"]) * int(params["bins"]),
        seeds=("noise",),
        unguarded=_NO_NETWORK,
    ),
    Row(
        name="valley_walk",
        version=1,
        columns=named(AMOUNT, "phase", "step", "square") | named(NUMBER, "position", "loss", "negative", "sharpness"),
        rows=lambda params: len(params["lengths"]) * int(params["looks"]),
        seeds=("noise",),
        unguarded=_NO_NETWORK,
    ),
    Row(
        name="spectrum",
        version=1,
        columns=named(TEXT, "sign")
        | named(NUMBER, "rank", "eigenvalue", "negative_mass", "negative_share", "error")
        | named(MAYBE_NUMBER, "orders", "exponent", "r2", "geometric_mean"),
        unguarded=_OF_HESSIAN,
    ),
    Row(
        name="concentration",
        version=1,
        columns=named(TEXT, "band") | named(NUMBER, "components", "share", "null"),
        unguarded=_OF_HESSIAN,
    ),
    Row(name="overlap", version=2, columns=overlap_columns, unguarded=_OF_HESSIAN),
    Row(
        name="parabolas",
        version=1,
        columns=parabola_columns,
        rows=parabola_rows,
        seeds=("seed",),
        unguarded=_OF_HESSIAN,
    ),
    Row(
        name="minima",
        version=1,
        columns=named(TEXT, "band")
        | named(NUMBER, "rank", "eigenvalue", "curvature", "spread", "r2")
        | named(MAYBE_NUMBER, "sd", "p", "slope")
        | named(MAYBE_FLAG, "rejected"),
        unguarded=_OF_HESSIAN,
    ),
    Row(
        name="newton",
        version=1,
        columns=named(NUMBER, "share", "threshold", "predicted", "length", "here") | named(MAYBE_NUMBER, "loss"),
        rows=lambda params: int(params["thresholds"]),
        unguarded=_OF_HESSIAN,
    ),
    Row(
        name="gradient_noise",
        version=1,
        columns=named(NUMBER, "rank", "eigenvalue", "mean", "sd"),
        seeds=("seed",),
        unguarded=_OF_HESSIAN,
    ),
    Row(
        name="density",
        version=1,
        columns=named(NUMBER, "probe", "node", "weight"),
        seeds=("seed",),
        unguarded=_CURVATURE,
    ),
)
"""The stages of the harness itself, a row each."""

_OWN_BY_NAME: Mapping[str, Row] = MappingProxyType({own.name: own for own in OWN})


def row(name: str) -> Row:
    """The row of the stage called ``name``, of the harness or of a package outside.

    Raises:
        KeyError: there is none.
        BrokenError: a package outside cannot be used.
    """
    own = _OWN_BY_NAME.get(name)  # packages outside are not asked for what is ours
    return own if own is not None else rows()[name]


def rows() -> Mapping[str, Row]:
    """Stage -> its row, those of packages outside last.

    Raises:
        BrokenError: a package outside cannot be used, or brings a stage of a name that is taken, or one that names
            what there is not.
    """
    table = dict(_OWN_BY_NAME)
    owners: dict[str, Package] = {}
    for package in packages():
        for brought in (require_row(package, value) for value in package.stages):
            if brought.name in table:
                owner = owners[brought.name].words if brought.name in owners else "the harness"
                raise BrokenError(
                    f"{package.words} brings the stage {brought.name!r}, which {owner} has already: give it another "
                    "name, or uninstall one of them"
                )
            table[brought.name] = brought
            owners[brought.name] = package
    for name, package in owners.items():
        require_counted(package, table[name], table)
    return MappingProxyType(table)
