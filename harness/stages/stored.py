"""Results in a store that are sound as files, and are not what their stage gives or a run writes of them."""

from harness.errors import HarnessError
from harness.jobs.artifact import RECORD, Artifact, Described, Record
from harness.jobs.job import Job
from harness.jobs.provenance import read_made
from harness.jobs.stages import rows
from harness.jobs.store import Store
from harness.stages import products

_ABSENT = "absent"
"""In place of the stage of an input that is in the store no more, or is of other code: nothing is known of it."""

_UNKNOWN = (HarnessError, LookupError, TypeError, ValueError, AttributeError)
"""What comes of parameters that this code does not have."""


class Results:
    """The results of a store, their jobs known by their records."""

    def __init__(self, store: Store) -> None:
        """Reads nothing yet."""
        self._store = store
        self._jobs: dict[str, Job] = {}

    def wrong_with(self, record: Record, artifact: Artifact) -> str:
        """How an artifact differs from what its stage gives, or its provenance from what a run writes.

        Nothing is said of stages, versions of stages and parameters that this code does not have.

        Returns:
            Words that follow the artifact's name; "" where nothing is wrong.
        """
        if not _is_known(record.job):
            return ""
        job = self._with_inputs(record.job)
        try:
            problem = products.wrong_with(job, artifact)
        except _UNKNOWN:
            return ""
        if problem:
            return f"is a result of {job.stage} and {problem}"
        try:
            read_made(record.provenance)
        except ValueError as error:
            return f"{RECORD} {error}"
        return ""

    def _with_inputs(self, described: Described) -> Job:
        waiting = list(described.inputs.values())
        while waiting:
            entry = self._store.described(waiting[-1]) if waiting[-1] not in self._jobs else None
            rest = [key for key in entry.inputs.values() if key not in self._jobs] if entry else []
            if rest:
                waiting += rest
                continue
            key = waiting.pop()
            if key not in self._jobs:
                known = entry is not None and _is_known(entry)
                self._jobs[key] = self._job(entry) if known and entry is not None else Job(_ABSENT, {})
        return self._job(described)

    def _job(self, described: Described) -> Job:
        return Job(described.stage, described.params, {role: self._jobs[key] for role, key in described.inputs.items()})


def _is_known(described: Described) -> bool:
    known = rows().get(described.stage)
    return known is not None and known.version == described.version
