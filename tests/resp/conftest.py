from __future__ import annotations

import functools
import tempfile
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.resp.certificates import Authority
from tests.resp.matrix import CLIENTS, NEWEST, make_config
from tests.resp.servers import Server, binaries

from litestar_queues_core.protocols import BackendConfig, Store

ServerOf = Callable[[str], Server]


@pytest.fixture(scope="session")
def started() -> Generator[ServerOf]:
    """Servers by name, each started when it is first asked for, which nobody else uses."""
    with tempfile.TemporaryDirectory(prefix="lq-") as directory, ExitStack() as running:

        @functools.cache
        def server_of(kind: str) -> Server:
            fast = ("--appendfsync", "everysec")
            return running.enter_context(Server(binaries()[kind], Path(directory, kind), *fast))

        yield server_of


@pytest.fixture
def emptied(started: ServerOf) -> Generator[ServerOf]:
    """The same, and nothing is left behind in them."""
    used = set[str]()

    def server_of(kind: str) -> Server:
        used.add(kind)
        return started(kind)

    yield server_of
    for kind in used:
        started(kind).ask("FLUSHALL")


@pytest.fixture
def server(emptied: ServerOf) -> Server:
    """A server that runs as long as the tests do, and must not be harmed."""
    return emptied(NEWEST)


@pytest.fixture
def own(short: Path) -> Generator[Server]:
    """A server of one test, which may do with it what it likes."""
    with Server(binaries()[NEWEST], short / "own") as server:
        yield server


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def backend(server: Server) -> BackendConfig:
    return make_config("valkey-py", server.url)


@pytest.fixture
async def store(backend: BackendConfig) -> AsyncGenerator[Store]:
    async with backend.open() as store:
        yield store
