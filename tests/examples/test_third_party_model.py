"""The example for authors of backends agrees with the model, as far as its abilities go."""

from __future__ import annotations

import itertools
from pathlib import Path

from journal_queue import JournalBackendConfig

from litestar_queues_core.testing.model import check_model


async def test_seeded_scripts_agree(tmp_path: Path) -> None:
    numbers = itertools.count()

    report = await check_model(
        lambda: JournalBackendConfig(path=tmp_path / f"{next(numbers)}.journal").open(),
        scripts=50,
    )

    assert report.steps.total() == 50 * 60
    assert str(report).endswith("without SupportsBrowse, SupportsKeys, SupportsEventLog")
