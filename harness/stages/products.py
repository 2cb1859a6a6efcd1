"""What each stage gives: the columns of its table and the tensors of its state, by which results are checked.

A result is checked when it is committed and when it is read, so no stage and no protocol meets a column of another
type, a shorter table, or weights of another network: such a result is an error that names it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from harness.engine import optimise
from harness.engine.device import dtype_of
from harness.engine.networks import Network, build
from harness.job import Job
from harness.measure.line import alphas
from harness.stages.base import BUFFER, MASK, OPTIMISER, STEP, WEIGHT
from harness.stages.evaluate import SPLITS
from harness.store import Artifact, Store, Table

NUMBER, TEXT, FLAG, MAYBE_NUMBER, MAYBE_FLAG = "numbers", "texts", "flags", "numbers or nulls", "flags or nulls"
_TYPES: Mapping[str, frozenset[type]] = {
    NUMBER: frozenset({int, float}),
    TEXT: frozenset({str}),
    FLAG: frozenset({bool}),
    MAYBE_NUMBER: frozenset({int, float, type(None)}),
    MAYBE_FLAG: frozenset({bool, type(None)}),
}
_INTEGER = torch.int64

Form = tuple[tuple[int, ...], torch.dtype | None]
"""Shape and type of a tensor; None: any floating-point type."""


@dataclass(frozen=True)
class Product:
    """What a job gives.

    Attributes:
        columns: name -> kind, of the columns that are used; a table may have more.
        rows: how many; None: one at least.
        tensors: name -> form, all of them; None: they are not looked at.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    rows: int | None = None
    tensors: Mapping[str, Form] | None = field(default_factory=dict)


def read(store: Store, job: Job) -> Artifact:
    """A job's result from the store, as its stage gives it.

    Raises:
        CorruptArtifact: it is damaged, or is not what the stage gives.
    """
    artifact = store.read(job)
    problem = wrong_with(job, artifact)
    if problem:
        raise store.corrupt(job, problem, seen_by_check=False)
    return artifact


def read_table(store: Store, job: Job) -> Table:
    """The table of a job's result from the store, as its stage gives it; tensors, which may be large, are not read.

    Raises:
        CorruptArtifact: it is damaged, or is not what the stage gives.
    """
    table = store.read_table(job)
    for problem in _wrong_table(_product(job), table):
        raise store.corrupt(job, problem, seen_by_check=False)
    return table


def wrong_with(job: Job, artifact: Artifact) -> str:
    """How a result differs from what the job's stage gives, in words that follow its name; "" where it does not."""
    product = _product(job)
    problems = [*_wrong_table(product, artifact.table), *_wrong_tensors(product, artifact.tensors)]
    return problems[0] if problems else ""


def _product(job: Job) -> Product:
    """What the job gives; a product that asks for nothing where its stage is not known."""
    return PRODUCTS[job.stage](job) if job.stage in PRODUCTS else Product(tensors=None)


def _wrong_table(product: Product, table: Table) -> Iterator[str]:
    for name, kind in product.columns.items():
        if name not in table:
            yield f"has no column {name!r} in its table"
            continue
        column = table[name]
        if not set(map(type, column)) <= _TYPES[kind]:
            yield f"has other values than {kind} in the column {name!r} of its table"
        if product.rows is not None and len(column) != product.rows:
            yield f"has {len(column)} rows in its table, where {product.rows} are due"
        if product.rows is None and not column:
            yield "has no row in its table"
        if name == "split" and kind == TEXT and set(column) != set(SPLITS):
            yield f"has other splits than {' and '.join(SPLITS)} in its table"


def _wrong_tensors(product: Product, tensors: Mapping[str, Tensor]) -> Iterator[str]:
    if product.tensors is None:
        return
    for name, (shape, dtype) in product.tensors.items():
        if name not in tensors:
            yield f"has no tensor {name!r}"
            continue
        found = tensors[name]
        right = found.dtype == dtype if dtype is not None else found.is_floating_point()
        if tuple(found.shape) != shape or not right:
            yield (
                f"has a tensor {name!r} of {found.dtype} and shape {tuple(found.shape)}, where "
                f"{dtype or 'floating-point numbers'} and shape {shape} are due"
            )
    for name in sorted(tensors.keys() - product.tensors.keys()):
        yield f"has a tensor {name[:80]!r}, which its stage does not give"


def _network(job: Job, role: str = "state") -> Network | None:
    """The network of the state that a job rests on, as its initialisation declares it."""
    while job.stage != "init":
        if role not in job.inputs:
            return None
        job = job.inputs[role]
    return build(job.params["network"], job.params["shape"], job.params["classes"])


def _state(job: Job) -> Product:
    network = _network(job)
    if network is None:
        return Product(tensors=None)
    kept = torch.float32 if job.stage == "init" else dtype_of(job.params["precision"])
    of_buffers = None if job.stage == "descend" else kept  # those of its input
    tensors: dict[str, Form] = {WEIGHT + name: (tuple(one.shape), kept) for name, one in network.parameters.items()}
    tensors |= {BUFFER + name: ((size,), of_buffers) for name, (size, _) in network.buffers.items()}
    if job.params.get("keep_optimiser"):
        fresh = optimise.fresh_state(job.params["optimiser"], torch.empty(1, network.size, device="meta"))
        for name, value in fresh.items():
            tensors[OPTIMISER + name] = tuple(value.shape[1:]), None if value.is_floating_point() else value.dtype
    return Product(tensors={**tensors, STEP: ((), _INTEGER)})


def _pruned(job: Job) -> Mapping[str, Form]:
    """The masks of a ``prune``."""
    network = build(job.params["network"], job.params["shape"], job.params["classes"])
    names = network.prunable(output_layer=job.params["output_layer"])
    return {MASK + name: (tuple(network.parameters[name].shape), torch.bool) for name in names}


def _shuffled(job: Job) -> Product:
    mask = job.inputs.get("mask")
    return Product(tensors=_pruned(mask) if mask is not None and mask.stage == "prune" else None)


def _hessian(job: Job) -> Product:
    network = _network(job)
    columns = _named(NUMBER, "rank", "eigenvalue", "symmetry_error")
    if network is None or "mask" in job.inputs:
        return Product(columns, tensors=None)
    size = network.size
    forms: dict[str, Form] = {"eigenvalues": ((size,), torch.float64), "eigenvectors": ((size, size), torch.float32)}
    return Product(columns, size, forms)


def _line(job: Job) -> Product:
    params = job.params
    places = len(alphas(params["alphas"], params["ends"]))
    columns = {**_named(TEXT, "batch_norm", "split"), **_named(NUMBER, "alpha", "error", "loss")}
    return Product(columns, len(params["batch_norm"]) * places * len(SPLITS))


def _parabolas(job: Job) -> Product:
    numbers = ("rank", "eigenvalue", "batch", "curvature", "r2", "reach")
    losses = [f"loss_{point}" for point in range(job.params["points"])]
    rows = sum(map(len, job.params["ranks"].values())) * job.params["batches"]
    columns = _named(TEXT, "band") | _named(NUMBER, *numbers, *losses) | _named(MAYBE_NUMBER, "minimum", "lowest")
    return Product(columns, rows)


def _overlap(job: Job) -> Product:
    numbers = ("bin", "other", "share", "over_null", "own_bin", "shift", "subspace")
    return Product(_named(NUMBER, *numbers, *(f"self_{band}" for band in job.params["bands"])))


def _named(kind: str, *names: str) -> dict[str, str]:
    return dict.fromkeys(names, kind)


def _table(columns: Mapping[str, str], rows: int | Callable[[Job], int] | None = None) -> Callable[[Job], Product]:
    """A table alone."""
    return lambda job: Product(columns, rows(job) if callable(rows) else rows)


_MINIMA = (
    _named(TEXT, "band")
    | _named(NUMBER, "rank", "eigenvalue", "curvature", "spread", "r2")
    | _named(MAYBE_NUMBER, "sd", "p", "slope")
    | _named(MAYBE_FLAG, "rejected")
)
_SPECTRUM = (
    _named(TEXT, "sign")
    | _named(NUMBER, "rank", "eigenvalue", "negative_mass", "negative_share", "error")
    | _named(MAYBE_NUMBER, "orders", "exponent", "r2", "geometric_mean")
)
_PLANE: Sequence[str] = ("x", "y", "loss", "length_along", "length_across")
_WALK: Sequence[str] = ("phase", "step", "position", "square", "loss", "negative", "sharpness")

PRODUCTS: Mapping[str, Callable[[Job], Product]] = {
    "init": _state,
    "train": _state,
    "descend": lambda job: Product(_named(NUMBER, "before", "after"), 1, _state(job).tensors),
    "prune": lambda job: Product(_named(NUMBER, "kept", "total"), 1, _pruned(job)),
    "shuffle": _shuffled,
    "evaluate": _table(_named(TEXT, "split") | _named(NUMBER, "error", "loss"), len(SPLITS)),
    "line": _line,
    "compare": _table(
        _named(TEXT, "split") | _named(NUMBER, "l2", "disagreements", "loss_l2") | _named(MAYBE_NUMBER, "cosine"),
        len(SPLITS),
    ),
    "distance": _table(_named(NUMBER, "l2") | _named(MAYBE_NUMBER, "cosine"), 1),
    "loss": _table(_named(NUMBER, "loss", "gradient"), 1),
    "hessian": _hessian,
    "extremes": _table(_named(TEXT, "end") | _named(NUMBER, "eigenvalue", "residual") | _named(FLAG, "converged")),
    "displacement": _table(_named(NUMBER, "eigenvalue", "share", "transverse", "along_weights")),
    "plane": _table(_named(TEXT, "kind") | _named(NUMBER, *_PLANE)),
    "quadratic_level": _table(_named(NUMBER, "level"), lambda job: len(job.params["points"])),
    "quadratic_relaxation": _table(_named(NUMBER, "step", "mean"), lambda job: int(job.params["steps"])),
    "quadratic_staircase": _table(
        _named(NUMBER, "stair", "step", "loss"), lambda job: len(job.params["lengths"]) * int(job.params["bins"])
    ),
    "valley_walk": _table(_named(NUMBER, *_WALK), lambda job: len(job.params["lengths"]) * int(job.params["looks"])),
    "spectrum": _table(_SPECTRUM),
    "concentration": _table(_named(TEXT, "band") | _named(NUMBER, "components", "share", "null")),
    "overlap": _overlap,
    "parabolas": _parabolas,
    "minima": _table(_MINIMA),
    "newton": _table(
        _named(NUMBER, "share", "threshold", "predicted", "length", "here") | _named(MAYBE_NUMBER, "loss"),
        lambda job: int(job.params["thresholds"]),
    ),
    "gradient_noise": _table(_named(NUMBER, "rank", "eigenvalue", "mean", "sd")),
    "density": _table(_named(NUMBER, "probe", "node", "weight")),
}
"""Stage -> what a job of it gives."""
