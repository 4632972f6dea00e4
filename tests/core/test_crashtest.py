"""Tasks that are killed wherever they wait."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from litestar_queues_core import (
    Discard,
    Retry,
    Snooze,
    Status,
    TaskExecutionContext,
    get_current_task_context,
    task,
)
from litestar_queues_core.testing import CrashTestFailure, SimulatedCrash, crashing, crashtest

world: list[str] = []


def forget() -> None:
    world.clear()


async def test_a_task_that_sets_values_gets_over_every_crash() -> None:
    total: dict[int, int] = {}

    @task
    async def pay(order: int) -> None:
        total[order] = 1
        await asyncio.sleep(0)
        total[order] = 2
        await asyncio.sleep(0.001)

    def paid_once() -> None:
        assert total == {7: 2}

    report = await crashtest(pay.call(7), check=paid_once, before=total.clear)

    assert [point.source for point in report.points] == [
        "await asyncio.sleep(0)",
        "await asyncio.sleep(0.001)",
        "",
    ]
    assert [point.status for point in report.points] == [Status.COMPLETED] * 3
    assert report.complete
    assert "3. after it had returned, before that was recorded" in str(report)


async def test_what_is_done_before_a_wait_is_caught_when_it_is_done_twice() -> None:
    @task
    async def pay() -> None:
        await asyncio.sleep(0)
        world.append("paid")
        await asyncio.sleep(0.001)
        if "receipt" not in world:
            world.append("receipt")

    async def once_each() -> bool:
        return sorted(world) == ["paid", "receipt"]

    with pytest.raises(CrashTestFailure, match=r"check\(\) returned False") as caught:
        await crashtest(pay.call(), check=once_each, before=forget)

    point = caught.value.point
    assert point is not None
    assert (point.number, point.source) == (2, "await asyncio.sleep(0.001)")
    assert point.where.startswith(__file__)
    assert len(caught.value.report.points) == 2
    assert f"run 2. {point.where}: await asyncio.sleep(0.001)" in str(caught.value)


async def test_the_last_crash_catches_what_is_not_idempotent_as_a_whole() -> None:
    @task
    async def count() -> None:
        await asyncio.sleep(0)
        world.append("counted")

    def counted_once() -> None:
        assert world == ["counted"], "counted twice"

    with pytest.raises(CrashTestFailure, match="AssertionError: counted twice") as caught:
        await crashtest(count.call(), check=counted_once, before=forget)

    point = caught.value.point
    assert point is not None
    assert (point.number, point.source) == (2, "")
    assert point.where == "after it had returned, before that was recorded"


async def test_an_invariant_that_never_holds_needs_no_crash() -> None:
    @task
    async def nothing() -> None: ...

    with pytest.raises(CrashTestFailure, match="without any crash") as caught:
        await crashtest(nothing.call(), check=lambda: False)

    assert caught.value.point is None
    assert caught.value.report.points == []


async def test_a_failure_in_the_words_of_a_test_framework_tells_the_run_too() -> None:
    @task
    async def count() -> None:
        world.append("counted")

    def once() -> None:
        if len(world) > 1:
            pytest.fail("counted twice")

    with pytest.raises(pytest.fail.Exception, match="counted twice") as caught:
        await crashtest(count.call(), check=once, before=forget)

    assert "after a crash in run 1. after it had returned" in caught.value.__notes__[0]


async def test_a_kill_runs_no_finally_before_the_check_and_a_crash_that_unwinds_does() -> None:
    seen: list[list[str]] = []
    raised: list[type[BaseException]] = []

    @task
    async def tidy() -> None:
        try:
            await asyncio.sleep(0.001)
        except BaseException as error:
            raised.append(type(error))
            raise
        finally:
            await asyncio.sleep(0)
            world.append("tidied")

    def look() -> None:
        seen.append(list(world))

    await crashtest(tidy.call(), check=look, before=forget, max_points=1)
    assert seen == [["tidied"], ["tidied"], ["tidied", "tidied"]]
    seen.clear()
    raised.clear()
    await crashtest(tidy.call(), check=look, before=forget, max_points=1, unwind=True)

    assert seen == [["tidied"], ["tidied", "tidied"], ["tidied", "tidied"]]
    assert raised == [SimulatedCrash]


async def test_a_transaction_is_rolled_back_when_its_client_dies(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"

    @task
    async def pay(order: int) -> None:
        with closing(sqlite3.connect(path)) as database, database:
            if database.execute("SELECT 1 FROM paid WHERE id = ?", [order]).fetchone():
                return
            database.execute("INSERT INTO paid VALUES (?)", [order])
            await asyncio.sleep(0)
            database.execute("INSERT INTO ledger VALUES (?)", [order])

    def fresh() -> None:
        path.unlink(missing_ok=True)
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("CREATE TABLE paid (id)")
            database.execute("CREATE TABLE ledger (id)")

    def balanced() -> bool:
        with closing(sqlite3.connect(path)) as database:
            paid, ledger = (
                database.execute(f"SELECT id FROM {table}").fetchall()  # noqa: S608
                for table in ("paid", "ledger")
            )
        return paid == ledger == [(7,)]

    report = await crashtest(pay.call(7), check=balanced, before=fresh, unwind=True)

    assert len(report.points) == 2


async def test_a_sync_task_is_refused_with_what_to_do() -> None:
    @task
    def thread() -> None: ...

    with pytest.raises(TypeError, match=r"async tasks only.*Make it 'async def'"):
        await crashtest(thread.call(), check=lambda: None)
    with pytest.raises(TypeError, match="takes a call of a task"):
        await crashtest(thread, check=lambda: None)  # type: ignore[arg-type]


class Provider:
    """Provides ``session``, and tells when it is open and closed."""

    def names(self, task: Any) -> frozenset[str]:
        return frozenset({"session"})

    @asynccontextmanager
    async def open(
        self, task: Any, context: TaskExecutionContext
    ) -> AsyncGenerator[Mapping[str, object]]:
        await asyncio.sleep(0)
        try:
            yield {"session": world}
        finally:
            await asyncio.sleep(0)
            world.append("closed")


@pytest.mark.parametrize("unwind", [False, True])
async def test_dependencies_are_provided_and_crash_with_their_task(unwind: bool) -> None:
    closed: list[int] = []

    @task
    async def note(session: list[str]) -> None:
        await asyncio.sleep(0)
        session.append("noted")

    await crashtest(
        note.call(),  # type: ignore[call-arg]
        check=lambda: closed.append(world.count("closed")),
        before=forget,
        dependencies=Provider(),
        unwind=unwind,
    )

    assert closed == ([1, 1, 2, 1, 2] if unwind else [1, 1, 1, 1, 2])


@pytest.mark.parametrize("unwind", [False, True])
async def test_what_a_task_starts_dies_with_it_and_its_points_count(unwind: bool) -> None:
    @task
    async def fan_out() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(part("a"))
            group.create_task(part("b"))

    async def part(name: str) -> None:
        await asyncio.sleep(0)
        world.append(name)
        await asyncio.sleep(0)

    together: list[str] = []

    def look() -> None:
        together.append("".join(world))

    report = await crashtest(fan_out.call(), check=look, before=forget, unwind=unwind)

    assert together == ["ab", "ab", "ab", "ab", "aab", "abab", "abab"]
    assert [point.source for point in report.points[:3]] == [
        "async with asyncio.TaskGroup() as group:",
        "await asyncio.sleep(0)",
        "await asyncio.sleep(0)",
    ]


async def test_retries_snoozes_and_what_is_enqueued_are_followed_to_their_end() -> None:
    @task
    async def child() -> None:
        if "child" not in world:
            world.append("child")

    @task(retries=1)
    async def parent() -> None:
        context = get_current_task_context()
        if context.attempt == 1:
            raise Retry("again", after=3600)
        if context.job.snoozes == 0:
            raise Snooze(3600)
        await child.using(key=f"child of {context.id}").enqueue()
        world.append("parent")

    def done() -> None:
        assert sorted(world) == ["child", "parent"]

    report = await crashtest(parent.using(run_after=60).call(), check=done, before=forget)

    assert "after it had raised Retry" in report.points[0].where


async def test_a_task_may_wait_for_what_it_enqueues() -> None:
    @task
    async def double(number: int) -> int:
        return 2 * number

    @task
    async def ask() -> None:
        result = await double.enqueue(4)
        world.append(f"{(await result.wait(timeout=30)).result}")

    await crashtest(ask.call(), check=lambda: set(world) == {"8"}, before=forget)


async def test_code_that_fails_when_it_is_run_again_is_caught() -> None:
    @task
    async def claim() -> None:
        if world:
            raise FileExistsError("somebody was here")
        world.append("here")
        await asyncio.sleep(0)

    with pytest.raises(CrashTestFailure, match="the job failed: FileExistsError: somebody"):
        await crashtest(claim.call(), check=lambda: None, before=forget)


async def test_a_task_may_give_up_what_is_done_or_cannot_be_done_twice() -> None:
    @task
    async def once() -> None:
        if world:
            raise Discard("done before")
        world.append("done")

    @task(max_rescues=0)
    async def at_most_once() -> None:
        world.append("done")

    for one in (once, at_most_once):
        report = await crashtest(one.call(), check=lambda: world == ["done"], before=forget)
        assert [point.status for point in report.points] == [Status.FAILED]


async def test_a_negative_limit_is_refused() -> None:
    @task
    async def nothing() -> None: ...

    with pytest.raises(ValueError, match="max_points must be 0 or more"):
        await crashtest(nothing.call(), check=lambda: None, max_points=-1)


async def test_the_limit_of_points_is_told_and_the_end_is_tried_all_the_same() -> None:
    @task
    async def long() -> None:
        for _ in range(5):
            await asyncio.sleep(0)

    limited = await crashtest(long.call(), check=lambda: None, max_points=2)
    whole = await crashtest(long.call(), check=lambda: None, max_points=5)

    assert [len(limited.points), limited.complete] == [3, False]
    assert limited.points[-1].where.startswith("after")
    assert "raise max_points" in str(limited)
    assert [len(whole.points), whole.complete] == [6, True]


async def test_a_lock_that_dies_with_its_holder_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crashing, "PATIENCE", 0.2)
    monkeypatch.setattr(crashing, "GRACE", 0.1)

    @task
    async def locked() -> None:
        async with lock:
            await asyncio.sleep(0)

    lock = asyncio.Lock()
    await crashtest(locked.call(), check=lambda: None, unwind=True)
    with pytest.raises(CrashTestFailure, match=r"did not end in time(.|\n)*run 1\.") as caught:
        await crashtest(locked.call(), check=lambda: None)

    assert caught.value.point is not None
    assert caught.value.point.source == "await asyncio.sleep(0)"


@pytest.mark.parametrize("unwind", [False, True])
async def test_nothing_is_heard_of_the_killed(
    unwind: bool, caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    unraisable: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, told: unraisable.append(told))

    @asynccontextmanager
    async def opened() -> AsyncGenerator[None]:
        await asyncio.sleep(0)
        try:
            yield
        finally:
            await asyncio.sleep(0)

    @task
    async def stubborn() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(0))
            group.create_task(asyncio.sleep(0.001))
        failing = asyncio.ensure_future(fails())
        async with opened():
            try:
                await asyncio.sleep(0)
            finally:
                await asyncio.gather(asyncio.sleep(0), failing, return_exceptions=True)
                await asyncio.sleep(0)

    async def fails() -> None:
        await asyncio.sleep(0)
        raise ValueError("nobody listens")

    before = asyncio.all_tasks()
    try:
        report = await crashtest(stubborn.call(), check=lambda: None, unwind=unwind)
    finally:
        asyncio.get_running_loop().set_exception_handler(None)
    gc.collect()

    assert len(report.points) > 8
    assert all(point.where.startswith(__file__) for point in report.points[:-1])
    assert asyncio.all_tasks() == before
    assert asyncio.get_running_loop().get_task_factory() is None
    assert not [*recwarn, *unraisable]
    assert not [record for record in caplog.records if record.levelname != "WARNING"]


async def test_an_interrupted_test_leaves_nothing_behind() -> None:
    reached = asyncio.Event()

    @task
    async def quick() -> None:
        await asyncio.sleep(0)

    async def slow() -> None:
        if quick_points:
            reached.set()
            await asyncio.sleep(3600)
        quick_points.append(1)

    quick_points: list[int] = []
    before = asyncio.all_tasks()
    running = asyncio.create_task(crashtest(quick.call(), check=slow))
    await reached.wait()
    running.cancel()

    with pytest.raises(asyncio.CancelledError):
        await running
    assert asyncio.all_tasks() == before
