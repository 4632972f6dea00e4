from __future__ import annotations

import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("default", deadline=None, print_blob=True)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def short() -> Generator[Path]:
    """A directory whose path leaves room for the name of a Unix socket."""
    with tempfile.TemporaryDirectory(prefix="lq-") as directory:
        yield Path(directory)
