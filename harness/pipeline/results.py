"""The results of a plan, as invariants look at them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from harness.datainfo import DatasetInfo
from harness.jobs.job import Job
from harness.jobs.stage_row import Role, Table
from harness.jobs.stages import row
from harness.jobs.store import Store
from harness.stages import products


@dataclass(frozen=True)
class Results:
    """The results of a plan.

    Attributes:
        jobs: those that gave one, inputs first.
        store: holds them.
        datasets: the facts of the setting's datasets.
    """

    jobs: Sequence[Job]
    store: Store
    datasets: Sequence[DatasetInfo]
    _tables: dict[str, Table] = field(default_factory=dict)

    def of(self, *roles: Role) -> list[Job]:
        """The jobs of stages with some roles."""
        return [job for job in self.jobs if row(job.stage).role in roles]

    def table(self, job: Job) -> Table:
        """The job's table, read once."""
        if job.key not in self._tables:
            self._tables[job.key] = products.read_table(self.store, job)
        return self._tables[job.key]

    def witness(self, job: Job) -> Mapping[str, str]:
        """What a training was fed, as far as it was recorded."""
        seen = self.store.record(job)["provenance"].get("witness")
        return seen if isinstance(seen, dict) else {}

    def digest(self, job: Job) -> str:
        """SHA-256 of the job's tensors, as its record has it."""
        return str(self.store.record(job)["files"].get("tensors.safetensors", ""))
