"""What a user writes to choose this backend."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from journal_queue.journal import Journal
from journal_queue.store import JournalStore
from litestar_queues_core import ConfigError


@dataclass(kw_only=True, slots=True)
class JournalBackendConfig:
    """Keep jobs in a file that any editor can show.

    Attributes:
        path: The file; made if it is missing.  Its directory must exist.
    """

    path: str | Path = "jobs.journal"

    def __post_init__(self) -> None:
        self.path = Path(self.path).absolute()
        if not self.path.parent.is_dir():
            raise ConfigError(
                f"JournalBackendConfig.path: the directory {self.path.parent} does not exist; "
                f"make it"
            )

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[JournalStore]:
        """Open the file."""
        journal = Journal(Path(self.path))
        try:
            yield JournalStore(journal)
        finally:
            journal.close()
