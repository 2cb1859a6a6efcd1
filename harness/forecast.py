"""What a plan will cost, before it starts: rough, and said to be so."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from harness.engine.networks import Network, build
from harness.job import Job, training_steps
from harness.plan import Plan
from harness.protocols.setting import Setting

_FLOPS_A_CPU_THREAD = 65e9
"""Sustained fp32 operations a second and thread: benchmarks/throughput.py measured 38e9 for the toy ResNet, 65e9 for
LeNet and 130e9 for ResNet-20, with two threads on a 2024 server."""
_FLOPS_CUDA = 6e12
"""Sustained operations a second of a present-day GPU on such small networks; not measured by us."""
_PASSES = 3
"""A training step costs about three forward passes."""
_TABLE_BYTES = 12_000
"""A record and a table, as seen."""


@dataclass(frozen=True)
class Forecast:
    """A plan's size.

    Attributes:
        jobs: stage -> (needed, found in the store).
        iterations: optimiser steps still to make, all trainings together.
        seconds: about how long they and the measurements take.
        disk_bytes: about how much the store grows.
    """

    jobs: Mapping[str, tuple[int, int]]
    iterations: int
    seconds: float
    disk_bytes: int


def forecast(plan: Plan, setting: Setting, have: Callable[[Job], bool], *, threads: int, cuda: bool) -> Forecast:
    """The cost of what is missing of a plan.

    Args:
        plan: all jobs.
        setting: of the experiment; its network and data decide the cost of a step.
        have: whether a job's result is there.
        threads: CPU threads, where the CPU computes.
        cuda: whether a GPU computes.
    """
    network = build(setting.training.network.model_dump(mode="json"), setting.data.shape, setting.data.classes)
    rate = _FLOPS_CUDA if cuda else _FLOPS_A_CPU_THREAD * threads
    forward = 2.0 * network.multiplications
    missing = plan.missing(have)
    counts: dict[str, tuple[int, int]] = {}
    for key, job in plan.jobs.items():
        needed, found = counts.get(job.stage, (0, 0))
        counts[job.stage] = (needed + 1, found + (key not in missing))
    steps = sum(training_steps(missing.values()).values())
    examples = sum(_examples(job, setting) for job in missing.values())
    return Forecast(
        jobs=counts,
        iterations=steps,
        seconds=(examples + steps * setting.training.batch * _PASSES) * forward / rate,
        disk_bytes=sum(_bytes(job, network) for job in missing.values()),
    )


def _examples(job: Job, setting: Setting) -> float:
    """Forward passes of one example that a measurement makes."""
    both = setting.data.n_train + setting.data.n_test
    if job.stage == "line":
        extra = setting.data.n_train if "recomputed" in job.params["batch_norm"] else 0
        return float(job.params["alphas"] * (both * len(job.params["batch_norm"]) + extra))
    if job.stage in ("evaluate", "compare"):
        return both * (2.0 if job.stage == "compare" else 1.0)
    return 0.0


def _bytes(job: Job, network: Network) -> int:
    if job.stage in ("prune", "shuffle"):
        return _TABLE_BYTES + network.size
    if job.stage == "init":
        return _TABLE_BYTES + 4 * network.size
    if job.stage == "train":
        held = {"sgd": 1, "adam": 2}[job.params["optimiser"]["name"]] if job.params["keep_optimiser"] else 0
        return _TABLE_BYTES + 4 * network.size * (1 + held)
    return _TABLE_BYTES
