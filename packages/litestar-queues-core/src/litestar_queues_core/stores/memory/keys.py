"""Uniqueness keys: who holds them, and until when."""

from __future__ import annotations

from litestar_queues_core.ids import JobId
from litestar_queues_core.model import KeyRule, NewJob
from litestar_queues_core.stores.memory.line import Line


class Holder:
    """The job that a key belongs to."""

    __slots__ = ("frees_ms", "job_id", "task")

    def __init__(self, job_id: JobId, task: str, frees_ms: int | None) -> None:
        self.job_id: JobId = job_id
        self.task: str = task
        self.frees_ms: int | None = frees_ms


class Keys:
    """All keys that are held.  They live apart from jobs, and some of them longer."""

    __slots__ = ("_held", "_timed")

    def __init__(self) -> None:
        self._held: dict[str, Holder] = {}
        self._timed = Line()

    def holder(self, key: str, now_ms: int) -> Holder | None:
        """Return who holds *key*."""
        holder = self._held.get(key)
        if holder is not None and holder.frees_ms is not None and holder.frees_ms <= now_ms:
            self.release(key)
            return None
        return holder

    def acquire(self, rule: KeyRule, new: NewJob, now_ms: int) -> Holder | None:
        """Give the key to *new*, or return the other job that holds it.

        What *new* holds still, after its end, it goes on holding until the same instant.
        """
        holder = self.holder(rule.key, now_ms)
        if holder is not None:
            return None if holder.job_id == new.id else holder
        frees_ms = now_ms + rule.until if isinstance(rule.until, int) else None
        self._held[rule.key] = Holder(new.id, new.spec.task, frees_ms)
        if frees_ms is not None:
            self._timed.push((0, frees_ms, rule.key))
        return None

    def started(self, rule: KeyRule, job_id: JobId) -> None:
        """Free the key if the first claim of its job does so."""
        if rule.until == "started":
            self._free(rule.key, job_id)

    def finished(self, rule: KeyRule, job_id: JobId) -> None:
        """Free the key if the end of its job does so."""
        if rule.until in {"started", "finished"}:
            self._free(rule.key, job_id)

    def release(self, key: str) -> bool:
        """Free *key* whatever its rule; return whether it was held."""
        self._timed.discard(key)
        return self._held.pop(key, None) is not None

    def free_due(self, now_ms: int, limit: int) -> list[str]:
        """Free at most *limit* keys whose instant has passed; return them."""
        due = self._timed.pop_due(now_ms, limit)
        for key in due:
            del self._held[key]
        return due

    def _free(self, key: str, job_id: JobId) -> None:
        holder = self._held.get(key)
        if holder is not None and holder.job_id == job_id:
            self.release(key)
