from __future__ import annotations

import pytest
from hypothesis import settings

settings.register_profile("default", deadline=None, print_blob=True)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"
