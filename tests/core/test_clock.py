from __future__ import annotations

from datetime import UTC, datetime, timedelta
from unittest import SkipTest

import pytest

from litestar_queues_core.stores.memory import MemoryStore
from litestar_queues_core.testing import FakeClock, SupportsClockShift, shift_clock


def test_a_fake_clock_stands_still_until_it_is_moved() -> None:
    clock = FakeClock(datetime(2026, 3, 29, 0, 59, 59, tzinfo=UTC))
    before = clock.now_ms

    clock.advance(1.5)
    clock.advance(timedelta(hours=1))

    assert clock.now == datetime(2026, 3, 29, 2, 0, 0, 500_000, tzinfo=UTC)
    assert clock.now_ms - before == 3_601_500
    assert clock() == clock.now_ms / 1000


async def test_the_clock_of_a_store_can_be_moved() -> None:
    store = MemoryStore()
    before = (await store.count()).now_ms

    shift_clock(store, timedelta(days=1))

    assert isinstance(store, SupportsClockShift)
    assert 86_400_000 <= (await store.count()).now_ms - before < 86_460_000


def test_a_store_without_such_a_clock_skips_the_test() -> None:
    with pytest.raises(SkipTest, match="shift_clock"):
        shift_clock(object(), timedelta(seconds=1))
