"""The journal as a target of chaos: what ``--store journal_queue.chaos:JournalTarget`` means."""

from __future__ import annotations

from pathlib import Path

from journal_queue.config import JournalBackendConfig
from litestar_queues_core.testing.chaos import SmallDisk


class JournalTarget:
    """A journal in a directory, which may be a small disk of its own."""

    def __init__(self, workspace: Path) -> None:
        self._disk = SmallDisk(workspace / "data")
        self._disk.directory.mkdir(exist_ok=True)

    def config(self, data: str) -> JournalBackendConfig:
        """Return the configuration of one file."""
        return JournalBackendConfig(path=self._disk.directory / f"{data}.journal")

    def make_disk(self) -> None:
        """Mount the disk."""
        self._disk.mount(mebibytes=64)

    def fill_disk(self) -> None:
        """Leave no room on it."""
        self._disk.fill()

    def free_disk(self) -> None:
        """Let there be room again."""
        self._disk.free()
