"""Accounts of a run: what its results took, where they come from, what broke."""

from collections.abc import Sequence
from typing import Any

import harness
from harness.datainfo import DatasetInfo
from harness.execution.run import Run
from harness.jobs.job import descendants, training_steps
from harness.jobs.plan import Plan
from harness.jobs.provenance import Code, Outside
from harness.jobs.store import Store
from harness.pipeline.outcome import Cost, Failure


def provenance_of(plan: Plan, datasets: Sequence[DatasetInfo], store: Store, run: Run) -> dict[str, Any]:
    """Where the results of a plan come from, whenever they were made, and which workers the last run lost."""
    origins = [store.made(job) for job in plan.jobs.values() if store.has(job)]
    outside = sorted({_outside_words(name, about) for origin in origins for name, about in origin.outside.items()})
    kinds = sorted({origin.small_networks for origin in origins} - {""})
    return {
        "harness": harness.__version__,
        "results made by": {
            "code revisions": sorted({revision_words(origin.code) for origin in origins}),
            "hardware": sorted({f"{origin.hardware} ({origin.device})" for origin in origins}),
            "python": sorted({origin.python for origin in origins}),
            "torch": sorted({origin.packages.get("torch", "unknown") for origin in origins}),
            "pinned versions (sha256)": sorted({origin.lock[:12] for origin in origins}),
            "CPU threads": sorted({origin.threads for origin in origins}),
            **({"small networks": kinds} if kinds else {}),
            "jobs side by side": _range([origin.beside for origin in origins]),
            "dates": sorted({origin.date for origin in origins}),
            **({"packages outside": outside} if outside else {}),
            "container": sorted({origin.container or "none: made outside the container" for origin in origins}),
        },
        "dataset": _dataset_words(datasets[0]) if datasets else "none",
        **{f"dataset {data.name}": _dataset_words(data) for data in datasets[1:]},
        **({"worker processes that died": list(run.workers_lost)} if run.workers_lost else {}),
    }


def _dataset_words(data: DatasetInfo) -> dict[str, str]:
    return {"name": data.name, "digest": data.digest, "origin": data.origin}


def _range(counts: Sequence[int]) -> str:
    least, most = min(counts, default=0), max(counts, default=0)
    return f"{least} to {most}" if least < most else f"{least}"


def revision_words(code: Code) -> str:
    """A revision for readers: its beginning, and whether the code was modified since."""
    return f"{code.revision[:12]}{' (modified)' if code.modified else ''}"


def _outside_words(name: str, about: Outside) -> str:
    return f"{name} {about.version}, sources {about.digest[:12]}"


def cost(plan: Plan, store: Store, run: Run) -> Cost:
    """What the results of a plan took."""
    jobs = plan.jobs.values()
    here = [job for job in jobs if store.has(job)]
    trainings = training_steps(jobs)
    return Cost(
        jobs=len(jobs),
        cached=sum(job.key not in run.executed for job in here),
        trainings=len(trainings),
        iterations=sum(trainings.values()),
        seconds=run.seconds,
        computed_seconds=sum(store.made(job).seconds for job in here),
        disk_bytes=sum(store.size(job) for job in here),
    )


def failures(plan: Plan, run: Run) -> list[Failure]:
    """The jobs that broke, each with how many rested on it."""
    broken = ((plan.jobs[key], error) for key, error in run.failed.items() if key in plan.jobs)
    return [Failure(repr(job), str(error), len(descendants(plan.jobs, job)) - 1) for job, error in broken]
