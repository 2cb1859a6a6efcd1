"""What must hold of every run's results: a breach is an error, never a verdict (docs/invariants.md).

One function an invariant, those of ``MEASURED``; also where all results were found in the store.
"""

import hashlib
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from harness.datainfo import DatasetInfo
from harness.engine.optimise import learning_rates
from harness.engine.prune import kept_after
from harness.engine.state import Mask, State
from harness.engine.witness import CHANCE_BITS
from harness.errors import InvariantBroken
from harness.jobs.job import Job, canonical
from harness.jobs.plan import Plan
from harness.jobs.stage_row import Role, Table
from harness.jobs.stages import row
from harness.jobs.store import Store
from harness.pipeline.results import Results
from harness.stages import products
from harness.stages.base import network_of

_ROUNDING_POINTS = 0.3
"""Points of error that rounding may move in results that do not tell how many examples it can move."""
_AFRESH = "Mend what made them, then run in a fresh --store: results that are there are not made again"


def check_results(plan: Plan, store: Store, absent: Collection[str], datasets: Sequence[DatasetInfo]) -> None:
    """Raises InvariantBroken unless the results of a plan are what they are taken for.

    Args:
        plan: the jobs.
        store: with their results.
        absent: keys of the jobs that gave none.
        datasets: of the setting.
    """
    jobs = [job for key, job in plan.jobs.items() if key not in absent and store.has(job)]
    results = Results(jobs, store, datasets)
    for invariant in MEASURED:
        invariant(results)


def initial_states_differ(results: Results) -> None:
    """No tensor of a draw is that of another seed's, as far as it is random: constant ones are left out."""
    owners: dict[tuple[str, str], Job] = {}
    for job in results.of("initialisation"):
        for name, value in State.of(products.read(results.store, job).tensors).weights.items():
            if bool((value == value.flatten()[0]).all()):
                continue
            first = owners.setdefault((name, _digest(value)), job)
            if first.params["seed"] != job.params["seed"]:
                raise InvariantBroken(
                    f"{job!r}, seed {job.params['seed']!r}, and {first!r}, seed {first.params['seed']!r}, have the "
                    f"same {name}: the seed was not used. {_AFRESH}"
                )


def shuffled_masks_differ(results: Results) -> None:
    """A shuffled mask is another than its mask, unless they have too few arrangements to tell."""
    for job in results.jobs:
        mask = job.inputs.get("mask")
        if mask is None or row(job.stage).gives != "mask" or not job.seeds:
            continue
        if results.store.has(mask) and results.digest(job) == results.digest(mask):
            bits = sum(_log2_choices(value.numel(), int(value.sum())) for value in _masks(results, mask))
            if bits >= CHANCE_BITS:
                raise InvariantBroken(f"{job!r} is its own mask {mask!r}: nothing was shuffled. {_AFRESH}")


def masks_keep_exact_counts(results: Results) -> None:
    """After L times of pruning, a mask keeps of the prunable weights what repeated rounding leaves, on the nose.

    The counts are those of the network and of the jobs' amounts alone, whatever earlier tables say.
    """
    for job in results.of("pruning"):
        counts = _counts(job)
        if counts is None:
            continue
        table = results.table(job)
        if (table["kept"][0], table["total"][0]) != counts:
            raise InvariantBroken(
                f"{job!r} kept {table['kept'][0]:,} of {table['total'][0]:,} weights, but its network and its levels "
                f"of pruning leave {counts[0]:,} of {counts[1]:,}. {_AFRESH}"
            )


def orders_lead_apart(results: Results) -> None:
    """Two trainings from one state under one mask with different noise end in different states, if they moved."""
    ends: dict[str, Job] = {}
    for job in results.of("training"):
        if job.params["start"] == job.params["stop"]:
            continue
        alike = {name: value for name, value in job.params.items() if name not in row(job.stage).seeds}
        inputs = {role: given.key for role, given in job.inputs.items()}
        first = ends.setdefault(canonical([alike, inputs, results.digest(job)]), job)
        if first.seeds != job.seeds and _moves(job):
            raise InvariantBroken(
                f"{_seeded(first)}, and {_seeded(job)}, end in the same state bit by bit: they share their data order "
                f"and augmentation, or no step moved them. {_AFRESH}"
            )


def trainings_without_a_rate_stand_still(results: Results) -> None:
    """A training whose learning rate is 0 ends in the weights that it began with; running statistics may move."""
    for job in results.of("training"):
        if _moves(job) or job.params["start"] == job.params["stop"]:
            continue
        before, after = (State.of(products.read(results.store, one).tensors) for one in (job.inputs["state"], job))
        mask = job.inputs.get("mask")
        kept = Mask() if mask is None else Mask.of(products.read(results.store, mask).tensors)
        for name, value in kept.applied(before.weights).items():
            if not torch.equal(value.to(after.weights[name]), after.weights[name]):
                raise InvariantBroken(f"{job!r} has a learning rate of 0, but moved {name}. {_AFRESH}")


def orders_differ(results: Results) -> None:
    """The batches that trainings were really fed differ between all orders, and their augmentations between theirs.

    Copies that differ in one of the two share the other's seed. Of trainings without a witness nothing is said.
    """
    owners: dict[tuple[str, str], Job] = {}
    for job in results.of("training"):
        for what, seen in results.witness(job).items():
            first = owners.setdefault((what, str(seen)), job)
            if _seed_of(first, what) != _seed_of(job, what):
                told = f"{_seeded(first)}, and {_seeded(job)}, were fed with the same {what}"
                raise InvariantBroken(f"{told}: they are no independent replicates. {_AFRESH}")


def evaluations_are_of_whole_splits(results: Results) -> None:
    """Errors are counted over all examples of the split that they name, and of no other."""
    for job, sizes in _over_splits(results, "evaluation", "line"):
        table = results.table(job)
        counted = table.get("examples") or [sizes[split] for split in table["split"]]
        for split, error, examples in zip(table["split"], table["error"], counted, strict=True):
            wrong = error * sizes[split] / 100
            if examples != sizes[split] or abs(wrong - round(wrong)) > 1e-6:
                raise InvariantBroken(
                    f"{job!r}: the {split} error {error:.6g} % of {examples} examples is no number of the "
                    f"{sizes[split]} that this split has: it was counted over other examples. {_AFRESH}"
                )


def counts_are_of_whole_splits(results: Results) -> None:
    """Examples that were counted are a whole number, and no more than the split has."""
    for job, sizes in _over_splits(results, "evaluation", "comparison"):
        table = results.table(job)
        for column in ("disagreements", "undecided"):
            for split, count in zip(table["split"], table.get(column, []), strict=False):
                if count > sizes[split] or count != round(count):
                    raise InvariantBroken(
                        f"{job!r}: {column} {count:,} of the {split} split are no number of its {sizes[split]:,} "
                        f"examples. {_AFRESH}"
                    )


def lines_end_in_their_copies(results: Results) -> None:
    """A line holds both ends, whose errors are those of the copies evaluated by themselves, where they were."""
    evaluations: dict[str, list[Job]] = {}
    for job in results.of("evaluation"):
        if set(job.inputs) == {"state"}:
            evaluations.setdefault(job.inputs["state"].key, []).append(job)
    for job in results.of("line"):
        table = results.table(job)
        for (mode, split), points in _lines(table).items():
            for alpha, role in ((0.0, "a"), (1.0, "b")):
                if alpha not in points:
                    raise InvariantBroken(
                        f"{job!r}: the line ({mode}, {split}) has no point at alpha = {alpha:g}, but from "
                        f"{min(points):g} to {max(points):g}: instability needs both ends. {_AFRESH}"
                    )
                for evaluation in evaluations.get(job.inputs[role].key, []):
                    if mode != "interpolated" or not _alike(evaluation, job):
                        continue
                    error, rounding = _error(results, evaluation, split)
                    if abs(points[alpha] - error) > rounding + 1e-9:
                        raise InvariantBroken(
                            f"{job!r}: the {split} error at alpha = {alpha:g} is {points[alpha]:.6g} %, but "
                            f"{job.inputs[role]!r} evaluated by itself has {error:.6g} % ({evaluation!r}). {_AFRESH}"
                        )


MEASURED: Sequence[Callable[[Results], None]] = (
    initial_states_differ,
    shuffled_masks_differ,
    masks_keep_exact_counts,
    orders_lead_apart,
    trainings_without_a_rate_stand_still,
    orders_differ,
    evaluations_are_of_whole_splits,
    counts_are_of_whole_splits,
    lines_end_in_their_copies,
)


def _seed_of(job: Job, what: str) -> Any:
    return job.params.get("augmentation" if what == "augmentation" else "order", job.params["order"])


def _seeded(job: Job) -> str:
    return ", ".join([repr(job), *(f"{name} {seed!r}" for name, seed in job.seeds.items())])


def _lines(table: Table) -> dict[tuple[str, str], dict[float, float]]:
    """(mode, split) -> alpha -> error."""
    lines: dict[tuple[str, str], dict[float, float]] = {}
    for mode, split, alpha, error in zip(
        table["batch_norm"], table["split"], table["alpha"], table["error"], strict=True
    ):
        lines.setdefault((mode, split), {})[alpha] = error
    return lines


def _over_splits(results: Results, *roles: Role) -> Iterator[tuple[Job, Mapping[str, int]]]:
    """Jobs of some roles, each with the sizes of the splits of its dataset, where these are known."""
    known = {data.digest: {"test": data.n_test, "train": data.n_train} for data in results.datasets}
    for job in results.of(*roles):
        sizes = known.get(job.params["data"]["digest"])
        if sizes is not None:
            yield job, sizes


def _alike(evaluation: Job, line: Job) -> bool:
    """Whether both count errors over the same data, with numbers of the same format."""
    return all(evaluation.params.get(name) == line.params.get(name) for name in ("data", "precision"))


def _error(results: Results, evaluation: Job, split: str) -> tuple[float, float]:
    """The error by an evaluation, and by how much rounding can move it."""
    table = results.table(evaluation)
    place = table["split"].index(split)
    if not {"undecided", "examples"} <= table.keys():
        return table["error"][place], _ROUNDING_POINTS
    return table["error"][place], 100 * table["undecided"][place] / table["examples"][place]


def _moves(job: Job) -> bool:
    """Whether a training has a step with a learning rate."""
    first, last = (job.params[end] - job.params["schedule_start"] for end in ("start", "stop"))
    # A rate is zero at the first iteration of a warmup only.
    return bool(
        learning_rates(job.params["schedule"], torch.device("cpu"))(torch.arange(first, min(last, first + 2))).any()
    )


def _counts(job: Job) -> tuple[int, int] | None:
    """Weights that a pruning keeps, and those that may be pruned; None where its parameters do not tell."""
    params = job.params
    if not {"network", "shape", "classes", "output_layer"} <= params.keys():
        return None
    network = network_of(params)
    names = network.prunable(output_layer=params["output_layer"])
    total = sum(math.prod(network.parameters[name].shape) for name in names)
    if "density" in params:
        return round(params["density"] * total), total
    mask = job.inputs.get("mask")
    before = (total, total) if mask is None else _counts(mask)
    return None if before is None else (kept_after(before[0], params["fraction"], 1), total)


def _masks(results: Results, job: Job) -> Sequence[Tensor]:
    return list(Mask.of(products.read(results.store, job).tensors).kept.values())


def _log2_choices(count: int, chosen: int) -> float:
    """Bits of a choice of some out of a number of places."""
    ways = math.lgamma(count + 1) - math.lgamma(chosen + 1) - math.lgamma(count - chosen + 1)
    return ways / math.log(2)


def _digest(value: Tensor) -> str:
    return hashlib.sha256(value.contiguous().numpy().tobytes()).hexdigest()
