"""Holding a store against the model."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path
from tempfile import TemporaryDirectory

from litestar_queues_core.testing.model import check_model
from litestar_queues_sql import SQLiteBackendConfig


async def main(folder: Path) -> None:
    numbers = itertools.count()

    def empty_store():
        return SQLiteBackendConfig(path=folder / f"{next(numbers)}.db").open()

    print(await check_model(empty_store, seed=1, scripts=10))


with TemporaryDirectory() as name:
    asyncio.run(main(Path(name)))
