"""Looking for what is wrong."""

from __future__ import annotations

from litestar_queues_core.protocols import Store
from litestar_queues_core.testing.claimer import Claimer
from litestar_queues_core.testing.conformance.abilities import with_check
from litestar_queues_core.testing.jobs import make_jobs


class Checking:
    """Tests of ``SupportsCheck.check``."""

    async def test_a_store_at_work_has_no_problem_and_is_left_as_it_was(self, store: Store) -> None:
        checked = with_check(store)
        jobs = make_jobs(3)
        await store.enqueue(jobs)
        await (await Claimer(store).open()).claim(1)
        before = await store.get([job.id for job in jobs])

        found = await checked.check()

        assert found
        assert {one.level for one in found} <= {"ok", "warning"}
        assert all(one.about and one.message for one in found)
        assert all(one.fix for one in found if one.level == "warning")
        assert await store.get([job.id for job in jobs]) == before
