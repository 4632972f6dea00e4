"""What every backend configuration must do; the stores it opens share their data."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from litestar_queues_core.model import Job, Status
from litestar_queues_core.protocols import (
    BackendConfig,
)
from litestar_queues_core.settlements import CancelOutcome, Kind
from litestar_queues_core.testing.claimer import Claimer
from litestar_queues_core.testing.conformance.abilities import with_keys, with_signals
from litestar_queues_core.testing.conformance.signals import waiting, woken
from litestar_queues_core.testing.conformance.steps import look, running_job
from litestar_queues_core.testing.jobs import make_job, make_jobs


class BackendConformance:
    """The contract of :class:`~litestar_queues_core.protocols.BackendConfig`.

    Subclass it and provide a ``backend`` fixture: a configuration whose data set is empty.
    """

    async def test_jobs_are_known_after_closing_and_opening_again(
        self, backend: BackendConfig
    ) -> None:
        job = make_job(payload=b"kept", queue="mail")
        async with backend.open() as store:
            await store.enqueue([job])

        async with backend.open() as store:
            claimed = await (await Claimer(store).open()).claim_one()

        assert (claimed.id, claimed.new.payload, claimed.queue) == (job.id, b"kept", "mail")

    async def test_a_lease_outlives_the_store_it_was_opened_with(
        self, backend: BackendConfig
    ) -> None:
        async with backend.open() as store:
            claimer = await Claimer(store).open()
            job = await running_job(store, claimer)

        async with backend.open() as store:
            claimer.store = store
            again = await claimer.replay()
            end = await claimer.settle(job, Kind.COMPLETE)

        assert [one.id for one in again.claimed] == [job.id]
        assert not end.rejected

    async def test_two_stores_open_at_once_see_the_same_jobs(self, backend: BackendConfig) -> None:
        async with backend.open() as here, backend.open() as there:
            job = make_job()
            await here.enqueue([job])
            claimer = await Claimer(there).open()

            claimed = await claimer.claim_one()
            (outcome,) = await here.cancel([job.id], running=True)
            answer = await claimer.settle(claimed, Kind.RETRY)

            assert outcome is CancelOutcome.REQUESTED
            assert list(answer.ended) == [(job.id, 1)]
            assert (await look(here, job.id)).status is Status.CANCELLED

    async def test_closing_one_store_leaves_the_other_open(self, backend: BackendConfig) -> None:
        async with backend.open() as here:
            async with backend.open() as there:
                await there.enqueue([make_job()])
            claimer = await Claimer(here).open()

            assert len(await claimer.claim()) == 1

    async def test_an_id_is_taken_once_by_all_stores_together(self, backend: BackendConfig) -> None:
        async with backend.open() as here, backend.open() as there:
            job = make_job()

            answers = await asyncio.gather(*(one.enqueue([job]) for one in (here, there) * 5))
            claimer = await Claimer(here).open()

            assert {one.created for (one,) in answers} == {True}
            assert len(await claimer.claim()) == 1

    async def test_claimers_of_two_stores_never_share_a_job(self, backend: BackendConfig) -> None:
        async with backend.open() as here, backend.open() as there:
            jobs = make_jobs(200)
            await here.enqueue(jobs[:100])
            await there.enqueue(jobs[100:])
            claimers = [await Claimer(one).open() for one in (here, there) * 3]

            async def drain(claimer: Claimer) -> list[str]:
                mine: list[Job] = []
                while claimed := await claimer.claim(7):
                    mine += claimed
                return [one.id for one in mine]

            shares: Sequence[list[str]] = await asyncio.gather(*map(drain, claimers))

            assert sorted(one for share in shares for one in share) == [job.id for job in jobs]

    async def test_a_key_has_one_holder_in_all_stores(self, backend: BackendConfig) -> None:
        async with backend.open() as here, backend.open() as there:
            with_keys(here)

            answers = await asyncio.gather(
                *(one.enqueue([make_job(key="file:7")]) for one in (here, there) * 5)
            )

            assert sum(one.created for (one,) in answers) == 1
            assert len({one.id for (one,) in answers}) == 1

    async def test_a_signal_reaches_the_other_store(self, backend: BackendConfig) -> None:
        async with backend.open() as here, backend.open() as there:
            signals = with_signals(there)
            claimer = await Claimer(here).open()
            lane = await waiting(signals, "lane:default")

            job = await running_job(here, claimer)
            arrived = await woken(lane)
            end = await waiting(signals, f"job:{job.id}")
            lease = await waiting(signals, f"lease:{claimer.lease}")
            await here.cancel([job.id], running=True)
            requested = await woken(lease)
            await claimer.settle(job, Kind.CANCEL)

            assert arrived
            assert requested
            assert await woken(end)
