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


def provenance_of(plan: Plan, data: DatasetInfo | None, store: Store, run: Run) -> dict[str, Any]:
    """Where the results of a plan come from, whenever they were made, and which workers the last run lost."""
    made = [store.made(job) for job in plan.jobs.values() if store.has(job)]
    outside = sorted({_outside_words(name, about) for one in made for name, about in one.outside.items()})
    return {
        "harness": harness.__version__,
        "results made by": {
            "code revisions": sorted({revision_words(one.code) for one in made}),
            "hardware": sorted({f"{one.hardware} ({one.device})" for one in made}),
            "python": sorted({one.python for one in made}),
            "torch": sorted({one.packages.get("torch", "unknown") for one in made}),
            "pinned versions (sha256)": sorted({one.lock[:12] for one in made}),
            "CPU threads": sorted({one.threads for one in made}),
            "jobs side by side": _range([one.beside for one in made]),
            "dates": sorted({one.date for one in made}),
            **({"packages outside": outside} if outside else {}),
            "container": sorted({one.container or "none: made outside the container" for one in made}),
        },
        "dataset": "none" if data is None else {"name": data.name, "digest": data.digest, "origin": data.origin},
        **({"worker processes that died": list(run.workers_lost)} if run.workers_lost else {}),
    }


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
