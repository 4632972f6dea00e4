"""A task that is killed wherever it waits."""

from __future__ import annotations

import asyncio

from litestar_queues_core import task
from litestar_queues_core.testing import CrashTestFailure, crashtest

charged: dict[int, int] = {}
letters: list[int] = []


@task("orders.pay")
async def pay(order: int) -> None:
    charged[order] = 100  # the same, however often it is done
    await asyncio.sleep(0)


@task("orders.confirm")
async def confirm(order: int) -> None:
    letters.append(order)  # one more each time
    await asyncio.sleep(0)


def fresh() -> None:
    charged.clear()
    letters.clear()


def one_letter() -> None:
    assert letters == [7]


async def test_an_order_is_charged_once() -> None:
    report = await crashtest(pay.call(7), check=lambda: charged == {7: 100}, before=fresh)
    assert len(report.points) == 2


async def test_a_second_letter_is_noticed() -> None:
    try:
        await crashtest(confirm.call(7), check=one_letter, before=fresh)
    except CrashTestFailure as failure:
        assert "await asyncio.sleep(0)" in str(failure)
    else:
        raise AssertionError("nobody has noticed")


asyncio.run(test_an_order_is_charged_once())
asyncio.run(test_a_second_letter_is_noticed())
