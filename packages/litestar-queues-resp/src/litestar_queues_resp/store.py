"""The store: every operation is a script that a client runs."""

from __future__ import annotations

import json
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, TypeVar

from litestar_queues_core.errors import (
    LeaseLost,
    ResultExpired,
    StoreError,
    StoreUnavailable,
)
from litestar_queues_core.ids import JobId, LeaseId
from litestar_queues_core.model import Event, Job, NewJob, Retention, WorkerInfo
from litestar_queues_core.settlements import (
    CancelOutcome,
    Enqueued,
    Exchange,
    JobQuery,
    Maintenance,
    MaintenancePolicy,
    Page,
    QueueCounts,
    Renewal,
    Settlement,
    Wants,
)
from litestar_queues_resp import browsing
from litestar_queues_resp.calling import Caller
from litestar_queues_resp.client import BlockingClient, Client, Word
from litestar_queues_resp.errors import TooLarge
from litestar_queues_resp.eventlog import EventLog
from litestar_queues_resp.exchanges import Exchanges
from litestar_queues_resp.layout import STATUSES, key_bytes, raw_id, text_id
from litestar_queues_resp.listening import Listener
from litestar_queues_resp.taking import (
    UNENCODABLE,
    batches,
    loser,
    read_taken,
    request_words,
    sorted_out,
)
from litestar_queues_resp.upkeep import Upkeep

T = TypeVar("T")

Durability = Literal["server", "aof", "replicas"]

JOBS_AT_ONCE = 500
"""More are looked at by several scripts, so that others are not kept waiting."""

DURABLE_MS = 5000
"""So long a confirmation of the disk or of a replica is waited for."""

_CONFIRM: Mapping[str, tuple[Word, ...]] = {
    "server": (),
    "aof": ("WAITAOF", 1, 0, DURABLE_MS),
    "replicas": ("WAIT", 1, DURABLE_MS),
}
_OUTCOMES = (
    CancelOutcome.NOT_FOUND,
    CancelOutcome.ALREADY_FINISHED,
    CancelOutcome.CANCELLED,
    CancelOutcome.REQUESTED,
    CancelOutcome.NOT_WAITING,
)


class RespStore:
    """Jobs in one namespace of a Redis or Valkey server.

    Args:
        client: Sends the commands.
        prefix: Of the namespace.
        durability: When an enqueue is acknowledged: as the server sees fit, once its log is on its
            disk, or once a replica has it.
        retention: How long finished jobs are kept at most, whatever :class:`QueueConfig` says.

    Attributes:
        client: Sends the commands.
    """

    def __init__(
        self,
        client: Client,
        *,
        prefix: str = "litestar-queues",
        durability: Durability = "server",
        retention: Retention = Retention(completed=3600.0, max_finished=100_000),  # noqa: B008
    ) -> None:
        self.client: Client = client
        self._caller = Caller(client, prefix)
        self._confirm = _CONFIRM[durability]
        self._durability = durability
        self._retention = retention
        self._events = EventLog(self._caller)
        self._listener = Listener(self._caller)
        self._exchanges = Exchanges(self._caller)
        self._doubtful: set[JobId] = set()

    async def start(self) -> None:
        """Check that the keys of this namespace are laid out as this library expects.

        Raises:
            SchemaError: Another version of the library has laid them out.
        """
        await self._caller.run("layout")

    async def stop(self) -> None:
        """Wait for nothing any more."""
        await self._listener.stop()

    def shift_clock(self, delta_ms: int) -> None:
        """Move the clock of this store, for tests."""
        self._caller.offset_ms += delta_ms

    async def enqueue(self, jobs: Sequence[NewJob]) -> Sequence[Enqueued]:
        """See :meth:`litestar_queues_core.protocols.Store.enqueue`, as for all that follows."""
        fit, refused = sorted_out(jobs)
        answers: list[Enqueued] = []
        for part in batches(fit):
            answers += await self._take(part)
        if len(answers) == len(jobs):
            return answers
        taken = {job.id: answer for job, answer in zip(fit, answers, strict=True)} | refused
        return [taken[job.id] for job in jobs]

    async def _take(self, jobs: Sequence[NewJob]) -> list[Enqueued]:
        """Enqueue jobs; one that cannot be kept harms no neighbour."""
        try:
            return await self._enqueue(jobs)
        except TooLarge as error:
            if len(jobs) == 1:
                return [Enqueued(jobs[0].id, False, None, error)]
        except UNENCODABLE as error:
            if len(jobs) == 1:
                refusal = StoreError(f"job {jobs[0].id} cannot be kept: {error}")
                return [Enqueued(jobs[0].id, False, None, refusal)]
        return [answer for job in jobs for answer in await self._take([job])]

    async def _enqueue(self, jobs: Sequence[NewJob]) -> list[Enqueued]:
        ordered, words = request_words(jobs)
        if not self._confirm:
            return read_taken(jobs, ordered, await self._caller.run_words("enqueue", words))
        self._doubtful.update(job.id for job in jobs)
        answer, _, confirmed = await self._caller.run_then(
            "enqueue", words, self._caller.written, self._confirm
        )
        self._check(confirmed)
        self._doubtful.difference_update(job.id for job in jobs)
        return read_taken(jobs, ordered, answer)

    def _check(self, confirmed: Any) -> None:
        number: int = confirmed[0] if self._durability == "aof" else confirmed
        if number < 1:
            who = "the server's disk" if self._durability == "aof" else "a replica"
            raise StoreUnavailable(
                f"{who} has not confirmed the jobs within {DURABLE_MS / 1000:g} s "
                f"(durability={self._durability!r}); the server itself has them"
            )

    async def open_lease(self, lease: LeaseId, worker: WorkerInfo, *, seconds: float) -> None:
        """Begin, or go on with, a lease."""
        name = worker.name.encode("utf-8", "replace")[:255].decode(errors="ignore")
        about = json.dumps(
            {
                "worker": worker.name,
                "host": worker.host,
                "pid": worker.pid,
                "queues": list(worker.queues),
                "version": worker.version,
            }
        )
        if not await self._caller.run("open_lease", lease, name, about, int(seconds * 1000)):
            raise LeaseLost(lease)

    async def exchange(
        self, lease: LeaseId, seq: int, settlements: Sequence[Settlement], wants: Wants
    ) -> Exchange:
        """Apply settlements, then claim."""
        if wants.limit <= 0:
            return await self._exchanges.exchange(lease, seq, settlements, wants)
        self._listener.looks()
        answer = await self._exchanges.exchange(lease, seq, settlements, wants)
        self._listener.found(room=len(answer.claimed) < wants.limit)
        return answer

    async def renew(self, lease: LeaseId, *, seconds: float) -> Renewal:
        """Let a lease last from now."""
        return _renewal(await self._caller.run("renew", lease, int(seconds * 1000)))

    async def close_lease(self, lease: LeaseId) -> None:
        """End a lease and give its jobs back."""
        await self._caller.run("close_lease", lease)
        self._exchanges.forget(lease)

    async def maintain(self, policy: MaintenancePolicy) -> Maintenance:
        """Do a bounded piece of what there is to do; nothing is written if there is nothing."""
        return await Upkeep(self._caller, self._retention, policy).run()

    async def get(self, ids: Sequence[JobId]) -> Sequence[Job | None]:
        """Return jobs, finished ones included."""
        doubtful = self._doubtful.intersection(ids) if self._doubtful else None
        if doubtful:
            await self._confirm_now(doubtful)
        return await browsing.get(self._caller, ids)

    async def _confirm_now(self, ids: Collection[JobId]) -> None:
        """Wait until what is written now, and so all before it, is safe."""
        _, confirmed = await self.client.together(self._caller.written, self._confirm)
        self._check(confirmed)
        self._doubtful.difference_update(ids)

    async def cancel(self, ids: Sequence[JobId], *, running: bool) -> Sequence[CancelOutcome]:
        """Cancel jobs."""
        known: list[bytes] = []
        for job_id in ids:
            try:
                known.append(raw_id(job_id))
            except ValueError:
                known.append(b"\0" * 16)
        outcomes: list[CancelOutcome] = []
        for part in _parts(known):
            codes: list[int] = await self._caller.run("cancel", int(running), b"".join(part))
            outcomes += [_OUTCOMES[code] for code in codes]
        return outcomes

    async def find(self, query: JobQuery) -> Page:
        """Return jobs that match, newest first."""
        return await browsing.find(self._caller, query)

    async def count(self) -> QueueCounts:
        """Return how many jobs stand where."""
        return await browsing.count(self._caller)

    async def revive(self, ids: Sequence[JobId]) -> Sequence[Enqueued]:
        """Make finished jobs pending again."""
        known = {job.id: job for job in await browsing.get(self._caller, ids) if job is not None}
        answers: dict[JobId, Enqueued] = {}
        for part in _parts(list(known.values())):
            words: list[Word] = [b"".join([raw_id(job.id) for job in part])]
            words += [job.task for job in part]
            told: list[Sequence[Any]] = await self._caller.run("revive", *words)
            for job, answer in zip(part, told, strict=True):
                answers[job.id] = _revival(job, answer)
        return [answers.get(job_id) or _unknown(job_id) for job_id in ids]

    async def release_keys(self, keys: Sequence[str]) -> Sequence[bool]:
        """Free keys whatever their rule."""
        held: list[bool] = []
        for part in _parts(keys):
            held += map(bool, await self._caller.run("release_keys", *map(key_bytes, part)))
        return held

    async def wait(self, topics: Collection[str], timeout: float) -> bool:
        """Rest until one of *topics* is raised (true) or the time is over (false)."""
        return await self._listener.wait(topics, timeout)

    async def notify(self, topics: Collection[str]) -> None:
        """Raise *topics*."""
        for part in _parts(list(topics)):
            await self._caller.run("notify", *part)

    async def append_events(self, events: Sequence[Event]) -> None:
        """Keep events."""
        await self._events.append(events)

    async def read_events(
        self, filters: Mapping[str, str], *, after: str | None, limit: int
    ) -> tuple[Sequence[Event], str | None]:
        """Return events that match, oldest first."""
        return await self._events.read(filters, after, limit)

    async def prune_events(self, *, older_than: float, limit: int) -> int:
        """Remove old events."""
        return await self._events.prune(older_than, limit)

    @contextmanager
    def keeper(self) -> Generator[RespKeeper]:
        """Open a connection for the calling thread, on which leases can be kept."""
        with self._caller.client.keeper() as client:
            yield RespKeeper(self._caller, client)


class RespKeeper:
    """Keeps leases on a connection of its own, blocking."""

    def __init__(self, caller: Caller, client: BlockingClient) -> None:
        self._caller = caller
        self._client = client

    def renew(self, lease: LeaseId, *, seconds: float) -> Renewal:
        """Let a lease last from now."""
        milliseconds = int(seconds * 1000)
        return _renewal(self._caller.run_blocking(self._client, "renew", lease, milliseconds))

    def close_lease(self, lease: LeaseId) -> None:
        """End a lease and give its jobs back."""
        self._caller.run_blocking(self._client, "close_lease", lease)


def _parts(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield *items* in parts that one script may take."""
    for start in range(0, len(items), JOBS_AT_ONCE):
        yield items[start : start + JOBS_AT_ONCE]


def _renewal(answer: Any) -> Renewal:
    if answer is None:
        return Renewal(alive=False)
    return Renewal(alive=True, cancelled=[text_id(raw) for raw in answer])


def _unknown(job_id: JobId) -> Enqueued:
    return Enqueued(job_id, False, None, ResultExpired(job_id))


def _revival(job: Job, answer: Sequence[Any]) -> Enqueued:
    code = answer[0]
    if code == 4:
        return Enqueued(job.id)
    if code == 3:
        key = job.new.key
        return loser(key.key if key else "", job.task, answer[1:])
    if code == 0:
        return _unknown(job.id)
    if code == 2:
        why = "kept no payload when it completed, so it cannot run again; enqueue it anew"
        return Enqueued(job.id, False, job.status, StoreError(f"job {job.id} {why}"))
    place: int = answer[1]
    status = STATUSES[place] if place >= 0 else None
    error = StoreError(f"job {job.id} is {status}; only a finished job can be revived")
    return Enqueued(job.id, False, status, error)
