"""What the lines of a journal add up to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from journal_queue.rows import read_job, write_job
from litestar_queues_core import Job
from litestar_queues_core.ids import JobId


@dataclass(frozen=True, slots=True)
class Entry:
    """A job, and the lease that holds it."""

    job: Job
    lease: str | None = None


@dataclass(frozen=True, slots=True)
class LeaseRow:
    """A lease, and the answer to its last exchange."""

    worker: str
    seconds: float
    expires_ms: int
    dead: bool = False
    last_seq: int = 0
    rejected: tuple[tuple[str, int], ...] = ()
    ended: tuple[tuple[str, int], ...] = ()


class State:
    """All jobs and leases, by id."""

    def __init__(self) -> None:
        self.jobs: dict[str, Entry] = {}
        self.leases: dict[str, LeaseRow] = {}

    def apply(self, line: dict[str, Any]) -> None:
        """Take over one change."""
        for job_id, row in line.get("jobs", {}).items():
            if row is None:
                self.jobs.pop(job_id, None)
            else:
                self.jobs[job_id] = Entry(read_job(row), row["lease"])
        for lease_id, row in line.get("leases", {}).items():
            if row is None:
                self.leases.pop(lease_id, None)
            else:
                lists = {
                    name: tuple((a, b) for a, b in row[name]) for name in ("rejected", "ended")
                }
                self.leases[lease_id] = LeaseRow(**{**row, **lists})


class Draft:
    """Changes to a state that are not kept yet."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._jobs: dict[str, Entry | None] = {}
        self._leases: dict[str, LeaseRow | None] = {}

    @property
    def changed(self) -> bool:
        """Whether there is anything to keep."""
        return bool(self._jobs or self._leases)

    def job(self, job_id: str) -> Entry | None:
        """Return a job, changed or not."""
        return self._jobs[job_id] if job_id in self._jobs else self._state.jobs.get(job_id)

    def jobs(self) -> Iterator[Entry]:
        """Return all jobs as they stand."""
        for job_id in (*self._state.jobs, *(self._jobs.keys() - self._state.jobs.keys())):
            if (entry := self.job(job_id)) is not None:
                yield entry

    def held(self, lease_id: str) -> list[Entry]:
        """Return the jobs that a lease holds."""
        return [entry for entry in self.jobs() if entry.lease == lease_id]

    def put(self, job: Job, lease: str | None = None) -> None:
        """Change or add a job."""
        self._jobs[job.id] = Entry(job, lease)

    def drop(self, job_id: JobId) -> None:
        """Forget a job."""
        self._jobs[job_id] = None

    def lease(self, lease_id: str) -> LeaseRow | None:
        """Return a lease, changed or not."""
        return (
            self._leases[lease_id] if lease_id in self._leases else self._state.leases.get(lease_id)
        )

    def leases(self) -> list[str]:
        """Return the ids of all leases."""
        return list(self._state.leases)

    def put_lease(self, lease_id: str, row: LeaseRow, **changes: Any) -> LeaseRow:
        """Change or add a lease."""
        new = self._leases[lease_id] = replace(row, **changes)
        return new

    def drop_lease(self, lease_id: str) -> None:
        """Forget a lease."""
        self._leases[lease_id] = None

    def changes(self) -> dict[str, Any]:
        """Return the line that says what has changed."""
        return {
            "jobs": {
                job_id: entry and write_job(entry.job) | {"lease": entry.lease}
                for job_id, entry in self._jobs.items()
            },
            "leases": {
                lease_id: row and {name: getattr(row, name) for name in LeaseRow.__slots__}
                for lease_id, row in self._leases.items()
            },
        }

    def keep(self) -> None:
        """Make the changes part of the state."""
        for job_id, entry in self._jobs.items():
            if entry is None:
                self._state.jobs.pop(job_id, None)
            else:
                self._state.jobs[job_id] = entry
        for lease_id, row in self._leases.items():
            if row is None:
                self._state.leases.pop(lease_id, None)
            else:
                self._state.leases[lease_id] = row
