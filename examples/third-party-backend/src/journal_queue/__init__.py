"""Jobs in a text file, one line per change."""

from __future__ import annotations

from journal_queue.config import JournalBackendConfig
from journal_queue.store import JournalStore

__all__ = ["JournalBackendConfig", "JournalStore"]
