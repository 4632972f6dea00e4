"""Counting, after a run, which promises were kept."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from litestar_queues_core.model import AttemptRecord, Job, Status
from litestar_queues_core.requests import decode_result
from litestar_queues_core.serializer import JsonSerializer
from litestar_queues_core.testing.chaos.evidence import Evidence, Run
from litestar_queues_core.testing.chaos.ledger import BOOK, disagreements
from litestar_queues_core.testing.chaos.notes import What
from litestar_queues_core.testing.chaos.targets import Ledger
from litestar_queues_core.testing.chaos.work import work
from litestar_queues_core.testing.chaos.worker import NAME

RESCUED = "rescued"


@dataclass(kw_only=True, slots=True)
class Figures:
    """What was counted.  Those in :data:`PROMISES` must be zero.

    Attributes:
        enqueued: Jobs whose producer was told that they are kept.
        unanswered: Jobs that were kept though their producer never heard of it.
        completed: Jobs whose record says completed.
        booked: How many of them have completed themselves, with data of an application.
        ledger: Disagreements of that data with the jobs.
        lost: Acknowledged jobs that the store does not know.
        stuck: Jobs that have not ended.
        ended_otherwise: Jobs that ended in another way than by completing.
        settled_twice: Endings recorded or announced more than once for a job or a delivery.
        wrong_result: Completed jobs with the result of another delivery, or of none.
        started_twice: Deliveries whose code was started more than once.
        run_again: Times that the code of a job was run which had been run before, by cause.
        unexplained: Such times without a cause on record.
        overlaps_dead: Runs that began while code of a dead lease still ran.
        overlaps_dead_seconds: How long the longest of these lasted.
        overlaps: Runs of one job, or of one key, that began while code of a live lease ran.
        taken_from_healthy: Jobs that were taken from a process with which nothing was wrong.
        unstopped: Processes that had to be killed, since they did not stop when told to.
        broken: Each broken promise by its name, and what broke it.
    """

    enqueued: int = 0
    unanswered: int = 0
    completed: int = 0
    booked: int = 0
    ledger: int = 0
    lost: int = 0
    stuck: int = 0
    ended_otherwise: int = 0
    settled_twice: int = 0
    wrong_result: int = 0
    started_twice: int = 0
    run_again: dict[str, int] = field(default_factory=dict[str, int])
    unexplained: int = 0
    overlaps_dead: int = 0
    overlaps_dead_seconds: float = 0.0
    overlaps: int = 0
    taken_from_healthy: int = 0
    unstopped: int = 0
    broken: list[str] = field(default_factory=list[str])


PROMISES = {
    "lost": "an acknowledged job is not lost",
    "stuck": "no job is stuck",
    "ended_otherwise": "every job completes",
    "settled_twice": "one recorded ending per attempt",
    "wrong_result": "the result is that of the delivery which ended the job",
    "ledger": "jobs and data are committed together, or neither is",
    "started_twice": "a delivery is run once",
    "unexplained": "a job is run again for a reason",
    "overlaps": "while a lease lives, nobody else runs its jobs",
    "taken_from_healthy": "no healthy job is taken away",
    "unstopped": "who is told to stop does so",
}


class Audit:
    """Compares what the store says with what was seen.

    Args:
        evidence: What was seen.
        records: What the store says of each job.
        keeper: Whether a blocked event loop must not lose the lease.
        ledger: What an application has committed along with jobs, if there is one.
    """

    def __init__(
        self,
        evidence: Evidence,
        records: Mapping[str, Job | None],
        *,
        keeper: bool,
        ledger: Ledger | None = None,
    ) -> None:
        self.figures = Figures(enqueued=len(evidence.acknowledged))
        self._evidence = evidence
        self._records = records
        self._keeper = keeper
        self._ledger = ledger

    def run(self) -> Figures:
        """Count."""
        for job_id in self._evidence.jobs:
            record = self._records.get(job_id)
            if record is None:
                self._missing(job_id)
            else:
                self._look(record)
        self._look_at_keys()
        for pid, death in self._evidence.deaths.items():
            if death.late:
                self._object("unstopped", f"{death.late}, process {pid}; its log says at what")
        if self._ledger is not None:
            for what in disagreements(self._ledger, self._records):
                self._object("ledger", what)
        return self.figures

    def _object(self, promise: str, what: str) -> None:
        setattr(self.figures, promise, getattr(self.figures, promise) + 1)
        self.figures.broken.append(f"{promise}: {what}")

    def _missing(self, job_id: str) -> None:
        if job_id in self._evidence.acknowledged or self._evidence.runs.get(job_id):
            self._object("lost", f"job {job_id} is not known")

    def _look(self, job: Job) -> None:
        self.figures.unanswered += job.id not in self._evidence.acknowledged
        self.figures.completed += job.status is Status.COMPLETED
        if not job.status.finished:
            self._object("stuck", f"job {job.id} is {job.status}, delivery {job.delivery}")
        elif job.status is not Status.COMPLETED:
            self._object("ended_otherwise", f"job {job.id} has {job.status}: {job.error}")
        else:
            self._look_at_result(job)
        self._look_at_endings(job)
        self._look_at_runs(job)
        for record in job.details.errors:
            self._look_at_rescue(job, record)

    def _look_at_result(self, job: Job) -> None:
        result = decode_result(work, job.details.result, JsonSerializer())
        returned = {run.delivery for run in self._evidence.runs[job.id] if run.how is What.RETURNED}
        booked = job.task == BOOK
        self.figures.booked += booked
        # What has completed itself may be killed before it returns.
        if result != job.delivery or not (booked or job.delivery in returned):
            self._object(
                "wrong_result",
                f"job {job.id} ended by delivery {job.delivery} has the result {result}; "
                f"the code of {sorted(returned)} has returned",
            )

    def _look_at_endings(self, job: Job) -> None:
        endings = Counter(record.delivery for record in job.details.errors)
        endings[job.delivery] += job.status is Status.COMPLETED
        twice = sorted(delivery for delivery, number in endings.items() if number > 1)
        if twice:
            self._object("settled_twice", f"job {job.id}: deliveries {twice} have two endings")
        if self._evidence.announced[job.id] > 1:
            self._object("settled_twice", f"job {job.id} was announced as completed twice")

    def _look_at_runs(self, job: Job) -> None:
        runs = sorted(self._evidence.runs[job.id], key=lambda run: run.began)
        outcomes = {record.delivery: record.outcome for record in job.details.errors}
        for delivery, number in Counter(run.delivery for run in runs).items():
            if number > 1:
                self._object("started_twice", f"job {job.id}, delivery {delivery}: {number} times")
        for run, later in itertools.pairwise(runs):
            cause = outcomes.get(run.delivery)
            if cause is not None:
                again = self.figures.run_again
                again[cause] = again.get(cause, 0) + 1
            else:
                self._object(
                    "unexplained",
                    f"job {job.id}: delivery {later.delivery} ran after {run.delivery}, of which "
                    f"no ending is on record",
                )
        self._look_for_overlaps(runs)

    def _look_at_rescue(self, job: Job, record: AttemptRecord) -> None:
        if record.outcome != RESCUED or not record.worker.startswith(NAME):
            return
        pid = int(record.worker.removeprefix(NAME))
        times = (record.started_ms, record.finished_ms)
        if not self._evidence.excuse(pid, *times, blocked=not self._keeper):
            self._object(
                "taken_from_healthy",
                f"job {job.id}, delivery {record.delivery}, was taken from process {pid}",
            )

    def _look_at_keys(self) -> None:
        by_key: defaultdict[str, list[Run]] = defaultdict(list)
        for job_id, key in self._evidence.keys.items():
            by_key[key] += self._evidence.runs[job_id]
        for runs in by_key.values():
            self._look_for_overlaps(sorted(runs, key=lambda run: run.began), same_job=False)

    def _look_for_overlaps(self, runs: Iterable[Run], *, same_job: bool = True) -> None:
        open_: list[Run] = []
        for run in runs:
            open_ = [one for one in open_ if one.until() > run.began]
            for other in open_:
                if (other.job == run.job) is same_job:
                    self._overlap(other, run)
            open_.append(run)

    def _overlap(self, earlier: Run, later: Run) -> None:
        record = self._records.get(earlier.job)
        orphaned = record is not None and any(
            one.delivery == earlier.delivery and one.outcome == RESCUED
            for one in record.details.errors
        )
        if orphaned:
            seconds = min(earlier.until(), later.until()) - later.began
            self.figures.overlaps_dead += 1
            self.figures.overlaps_dead_seconds = max(
                self.figures.overlaps_dead_seconds, round(seconds, 2)
            )
        else:
            self._object(
                "overlaps",
                f"job {later.job}, delivery {later.delivery}, began in process {later.pid} while "
                f"job {earlier.job}, delivery {earlier.delivery}, ran in process {earlier.pid}",
            )
