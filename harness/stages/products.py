"""What a job gives by the row of its stage, with the tensors of its network, by which results are checked.

A result is checked when it is committed and when it is read, so no stage and no protocol meets a column of another
type, a shorter table, or weights of another network: such a result is an error that names it.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from harness.digits import ROUNDING
from harness.engine import optimise
from harness.engine.device import dtype_of
from harness.engine.networks.build import Network, build
from harness.engine.state import BUFFER, MASK, OPTIMISER, STEP, WEIGHT
from harness.jobs.job import Job
from harness.jobs.stage_row import AMOUNT, FLAG, MAYBE_FLAG, MAYBE_NUMBER, NUMBER, PERCENT, TEXT, Table
from harness.jobs.stages import row
from harness.jobs.store import Artifact, Store
from harness.stages.evaluate import SPLITS

_TYPES: Mapping[str, frozenset[type]] = {
    NUMBER: frozenset({int, float}),
    AMOUNT: frozenset({int, float}),
    PERCENT: frozenset({int, float}),
    TEXT: frozenset({str}),
    FLAG: frozenset({bool}),
    MAYBE_NUMBER: frozenset({int, float, type(None)}),
    MAYBE_FLAG: frozenset({bool, type(None)}),
}
_LIMITS: Mapping[str, tuple[float, float]] = {
    AMOUNT: (0, math.inf),
    PERCENT: (0, 100 * (1 + ROUNDING)),
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
        also: name -> kind, of columns that need not be there.
        with_them: name -> form, of tensors that are there all or none.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    rows: int | None = None
    tensors: Mapping[str, Form] | None = field(default_factory=dict)
    also: Mapping[str, str] = field(default_factory=dict)
    with_them: Mapping[str, Form] = field(default_factory=dict)


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
    for problem in _wrong_table(product_of(job), table):
        raise store.corrupt(job, problem, seen_by_check=False)
    return table


def wrong_with(job: Job, artifact: Artifact) -> str:
    """How a result differs from what the job's stage gives, in words that follow its name; "" where it does not."""
    product = product_of(job)
    problems = [*_wrong_table(product, artifact.table), *_wrong_tensors(product, artifact.tensors)]
    return problems[0] if problems else ""


def product_of(job: Job) -> Product:
    """What a job gives."""
    about = row(job.stage)
    columns = about.columns(job.params) if callable(about.columns) else about.columns
    count = about.rows(job.params) if callable(about.rows) else about.rows
    match about.gives:
        case "state":
            return Product(columns, count, _state(job), with_them=_carried(job))
        case "mask":
            return Product(columns, count, _mask(job))
        case "eigenpairs":
            pairs = _eigenpairs(job)
            return Product(columns, count if pairs is None else pairs["eigenvalues"][0][0], pairs)
        case "table":
            return Product(columns, count, also=about.also)


def _wrong_table(product: Product, table: Table) -> Iterator[str]:
    there = {name: kind for name, kind in product.also.items() if name in table}
    for name, kind in {**product.columns, **there}.items():
        if name not in table:
            yield f"has no column {name!r} in its table"
            continue
        column = table[name]
        low, high = _LIMITS.get(kind, (-math.inf, math.inf))
        numbers = [value for value in column if isinstance(value, float | int)]
        if not set(map(type, column)) <= _TYPES[kind] or not all(low <= value <= high for value in numbers):
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
    with_them = product.with_them if product.with_them.keys() & tensors.keys() else {}
    due = {**product.tensors, **with_them}
    for name, (shape, dtype) in due.items():
        if name not in tensors:
            yield f"has no tensor {name!r}"
            continue
        tensor = tensors[name]
        right = tensor.dtype == dtype if dtype is not None else tensor.is_floating_point()
        if tuple(tensor.shape) != shape or not right:
            yield (
                f"has a tensor {name!r} of {tensor.dtype} and shape {tuple(tensor.shape)}, where "
                f"{dtype or 'floating-point numbers'} and shape {shape} are due"
            )
    for name in sorted(tensors.keys() - due.keys()):
        yield f"has a tensor {name[:80]!r}, which its stage does not give"


def _network(job: Job) -> Network | None:
    """The network of the state that a job gives or rests on, as its initialisation declares it."""
    while row(job.stage).role != "initialisation":
        if "state" not in job.inputs:
            return None
        job = job.inputs["state"]
    return build(job.params["network"], job.params["shape"], job.params["classes"])


def _state(job: Job) -> Mapping[str, Form] | None:
    network = _network(job)
    if network is None:
        return None
    precision = _decided(job, "precision")
    kept = torch.float32 if precision is None else dtype_of(precision)
    of_buffers = kept if row(job.stage).role else None  # where a state is only moved: those of its input
    tensors: dict[str, Form] = {
        WEIGHT + name: (tuple(parameter.shape), kept) for name, parameter in network.parameters.items()
    }
    tensors |= {BUFFER + name: ((size,), of_buffers) for name, (size, _) in network.buffers.items()}
    kept_optimiser = _optimiser(job, network) if job.params.get("keep_optimiser") else {}
    return {**tensors, **kept_optimiser, STEP: ((), _INTEGER)}


def _carried(job: Job) -> Mapping[str, Form]:
    """The optimiser's tensors of the state that a job moves; it may carry them over or drop them."""
    network = _network(job)
    if network is None or "keep_optimiser" in job.params or not _decided(job, "keep_optimiser"):
        return {}
    return _optimiser(job, network)


def _optimiser(job: Job, network: Network) -> Mapping[str, Form]:
    fresh = optimise.fresh_state(_decided(job, "optimiser"), torch.empty(0, network.size))
    return {
        OPTIMISER + name: (tuple(value.shape[1:]), None if value.is_floating_point() else value.dtype)
        for name, value in fresh.items()
    }


def _decided(job: Job, name: str) -> Any:
    """A parameter of what gave a state: of the job, else of the nearest that has it up its states; None: of none."""
    while name not in job.params:
        if "state" not in job.inputs:
            return None
        job = job.inputs["state"]
    return job.params[name]


def _mask(job: Job) -> Mapping[str, Form] | None:
    """The tensors of the mask that a job gives: those of the pruning that it goes back to, or fewer."""
    whole = True
    while row(job.stage).role != "pruning":
        if "mask" not in job.inputs:
            return None
        whole = whole and job.params.get("output_layer", True)
        job = job.inputs["mask"]
    network = build(job.params["network"], job.params["shape"], job.params["classes"])
    names = network.prunable(output_layer=whole and job.params["output_layer"])
    return {MASK + name: (tuple(network.parameters[name].shape), torch.bool) for name in names}


def _eigenpairs(job: Job) -> Mapping[str, Form] | None:
    """All pairs of a matrix of the network's parameters; under a mask there are fewer."""
    network = _network(job)
    if network is None or "mask" in job.inputs:
        return None
    size = network.size
    return {"eigenvalues": ((size,), torch.float64), "eigenvectors": ((size, size), torch.float32)}
