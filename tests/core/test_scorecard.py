"""The scorecard names what a store keeps, what it breaks, and what could not be checked."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.broken.stores import RescuesLiveLeases

from litestar_queues_core.stores.memory import MemoryBackendConfig, MemoryStore
from litestar_queues_core.testing import BackendConformance, StoreConformance
from litestar_queues_core.testing.scorecard import (
    BROKEN,
    COUNTED,
    KEPT,
    PROMISES,
    SKIPPED,
    Scorecard,
    main,
)


def test_every_part_of_the_suite_is_about_a_promise() -> None:
    parts = [*StoreConformance.__bases__, BackendConformance]

    assert sorted(part.__name__ for part in parts) == sorted(PROMISES)
    assert set(COUNTED) <= set(PROMISES.values())


def test_the_memory_store_keeps_what_one_process_can_see(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--store", "memory", "--scripts", "3", "--json"]) == 0

    rows = json.loads(capsys.readouterr().out)["rows"]
    verdicts = {(row["check"], row["verdict"]) for row in rows}
    assert verdicts == {("conformance", KEPT), ("model", KEPT), ("chaos", SKIPPED)}
    assert {row["promise"] for row in rows} > set(PROMISES.values())


class BrokenConfig(MemoryBackendConfig):
    def __init__(self) -> None:
        super().__init__()
        self._broken = RescuesLiveLeases()

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[MemoryStore]:
        yield self._broken


class BrokenTarget:
    def __init__(self, workspace: Path) -> None:
        pass

    def config(self, data: str) -> BrokenConfig:
        return BrokenConfig()


BROKEN_STORE = f"{__name__}:BrokenTarget"


def test_a_broken_promise_is_named_with_the_test_that_it_fails(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--store", BROKEN_STORE, "--scripts", "50"]) == 1

    shown = capsys.readouterr().out
    assert "BROKEN no healthy job is taken away: test_a_late_renewal_revives_a_lease: " in shown
    assert "BROKEN every answer is as a plain model says: only the rescue of a dead lease" in shown


async def test_what_was_not_checked_is_not_called_kept(tmp_path: Path) -> None:
    rows = await Scorecard("journal_queue.chaos:JournalTarget", tmp_path, scripts=1)._conformance()

    (keys,) = [row for row in rows if row.promise == PROMISES["Keys"]]
    assert (keys.verdict, keys.figures) == (SKIPPED, "-")
    assert keys.why == ["JournalStore lacks the ability SupportsKeys"]
    assert BROKEN not in {row.verdict for row in rows}
