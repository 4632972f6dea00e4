from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from litestar_queues_core.coalescer import Coalescer
from litestar_queues_core.errors import StoreUnavailable
from litestar_queues_core.ids import new_job_id
from litestar_queues_core.model import NewJob, TaskSpec
from litestar_queues_core.settlements import Enqueued

SPEC = TaskSpec(task="t")


def job() -> NewJob:
    return NewJob(id=new_job_id(), spec=SPEC, payload=b"")


class Recorder:
    """Takes batches, each only when it is let go."""

    def __init__(self) -> None:
        self.batches: list[list[NewJob]] = []
        self.gate = asyncio.Event()
        self.asked = asyncio.Event()

    async def send(self, jobs: Sequence[NewJob]) -> Sequence[Enqueued]:
        self.batches.append(list(jobs))
        self.asked.set()
        await self.gate.wait()
        return [Enqueued(id=one.id) for one in jobs]


async def test_what_gathers_during_a_send_goes_in_one_batch() -> None:
    recorder = Recorder()
    coalescer = Coalescer(recorder.send)
    jobs = [job() for _ in range(10)]
    first = asyncio.create_task(coalescer.enqueue(jobs[0]))
    await recorder.asked.wait()
    others = [asyncio.create_task(coalescer.enqueue(one)) for one in jobs[1:]]
    await asyncio.sleep(0)
    recorder.gate.set()

    answers = await asyncio.gather(first, *others)

    assert [answer.id for answer in answers] == [one.id for one in jobs]
    assert [len(batch) for batch in recorder.batches] == [1, 9]


async def test_a_cancelled_caller_does_not_disturb_its_neighbours() -> None:
    recorder = Recorder()
    coalescer = Coalescer(recorder.send)
    doomed = asyncio.create_task(coalescer.enqueue(job()))
    neighbour = asyncio.create_task(coalescer.enqueue(job()))
    await recorder.asked.wait()
    doomed.cancel()
    recorder.gate.set()

    answer = await neighbour

    assert answer.created
    with pytest.raises(asyncio.CancelledError):
        await doomed


async def test_a_failed_send_fails_its_callers_and_not_the_next() -> None:
    failures = [StoreUnavailable("gone")]

    async def send(jobs: Sequence[NewJob]) -> Sequence[Enqueued]:
        if failures:
            raise failures.pop()
        return [Enqueued(id=one.id) for one in jobs]

    coalescer = Coalescer(send)

    with pytest.raises(StoreUnavailable, match="gone"):
        await coalescer.enqueue(job())
    assert (await coalescer.enqueue(job())).created
