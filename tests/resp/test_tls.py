"""TLS, spoken by the server itself or by something in front of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from tests.databases.program import HOST, free_port
from tests.resp.certificates import TLS, Authority, TLSServer
from tests.resp.matrix import make_config
from tests.resp.passing import a_job_passes
from tests.resp.servers import Server, binaries

from litestar_queues_core.errors import ConfigError, QueueError, StoreUnavailable
from litestar_queues_core.ids import new_lease_id
from litestar_queues_core.protocols import SupportsKeeper
from litestar_queues_core.testing.chaos.proxy import Proxy
from litestar_queues_resp import connecting

Encrypted = Callable[..., AbstractAsyncContextManager[int]]


@pytest.fixture(params=["proxy", *binaries()])
def encrypted(
    request: pytest.FixtureRequest, server: Server, short: Path, authority: Authority
) -> Encrypted:
    """Opens a port where TLS is spoken: by a proxy, or by one of the servers there are here."""
    shown = authority.sign("server", HOST)

    @asynccontextmanager
    async def open_(*, wants: bool = False) -> AsyncGenerator[int]:
        trusted = authority.certificate
        if request.param == "proxy":
            async with TLS(server.port, shown, authority=trusted if wants else None) as proxy:
                yield proxy.port
        else:
            binary = binaries()[request.param]
            with TLSServer(binary, short / "tls", shown, trusted, wants=wants) as native:
                yield native.tls_port

    return open_


@pytest.mark.parametrize("scheme", ["rediss", "valkeys"])
async def test_the_certificate_of_the_server_has_to_be_trusted(
    client: str, scheme: str, encrypted: Encrypted, authority: Authority, short: Path
) -> None:
    others = Authority(short).certificate
    async with encrypted() as port:
        url = f"{scheme}://{HOST}:{port}/0"
        trust = {"ssl_ca_certs": str(authority.certificate)}

        await a_job_passes(make_config(client, url, options=trust))
        await a_job_passes(make_config(client, f"{url}?ssl_ca_certs={authority.certificate}"))
        for wrong in ({}, {"ssl_ca_certs": str(others)}):
            with pytest.raises(ConfigError, match=r"certificate verify failed.*ssl_ca_certs"):
                await a_job_passes(make_config(client, url, options=wrong))
        with pytest.raises(ConfigError, match=r"ssl_ca_certs: there is no .*nowhere"):
            await a_job_passes(make_config(client, url, options={"ssl_ca_certs": "nowhere.pem"}))


async def test_the_server_may_want_a_certificate_from_us(
    client: str, encrypted: Encrypted, authority: Authority, short: Path
) -> None:
    ours, strange = authority.sign("queue", HOST), Authority(short).sign("strange", HOST)
    async with encrypted(wants=True) as port:
        url, trust = f"rediss://{HOST}:{port}", {"ssl_ca_certs": str(authority.certificate)}

        await a_job_passes(make_config(client, url, options={**trust, **ours.options}))
        with pytest.raises(QueueError, match="name yours: ssl_certfile and ssl_keyfile"):
            await a_job_passes(make_config(client, url, options=trust))
        with pytest.raises(QueueError, match=r"trust whoever has signed.*ssl_certfile"):
            await a_job_passes(make_config(client, url, options={**trust, **strange.options}))


@pytest.mark.parametrize("protocol", [2, 3])
async def test_tls_where_there_is_none_and_none_where_there_is(
    client: str,
    protocol: int,
    server: Server,
    encrypted: Encrypted,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connecting, "CONNECT_SECONDS", 0.3)
    async with encrypted() as port:
        url = f"redis://{HOST}:{port}"
        with pytest.raises(StoreUnavailable, match=r"Then use rediss://"):
            await a_job_passes(make_config(client, url, protocol=protocol))
    url = server.url.replace("redis://", "rediss://")
    with pytest.raises(QueueError, match=r"does it speak TLS.*redis://"):
        await a_job_passes(make_config(client, url, protocol=protocol))


async def failure(call: Callable[[], Awaitable[object]]) -> str:
    with pytest.raises(StoreUnavailable) as raised:
        await call()
    return str(raised.value)


async def test_who_hangs_up_before_the_first_answer_may_want_tls(
    client: str, server: Server
) -> None:
    async with Proxy(HOST, server.port) as proxy:
        url = f"redis://{HOST}:{proxy.address[1]}"
        with proxy.dropping():
            assert "does it want TLS?" in await failure(lambda: opened(client, url))


async def test_who_hangs_up_after_it_has_let_us_in_does_not(client: str, server: Server) -> None:
    async with (
        Proxy(HOST, server.port) as proxy,
        make_config(client, f"redis://{HOST}:{proxy.address[1]}").open() as store,
    ):
        assert isinstance(store, SupportsKeeper)
        lease = new_lease_id()
        with store.keeper() as keeper:

            async def renew() -> object:
                return await asyncio.to_thread(keeper.renew, lease, seconds=30)

            await renew()
            with proxy.dropping():
                for call in (store.count, renew):
                    for _ in range(2):  # on a connection that was there, and on a new one
                        error = await failure(call)
                        assert "reset" in error
                        assert "TLS" not in error


async def test_who_does_not_even_listen_does_not(client: str) -> None:
    error = await failure(lambda: opened(client, f"redis://{HOST}:{free_port()}"))

    assert "Connect call failed" in error
    assert "TLS" not in error


async def opened(client: str, url: str) -> None:
    async with make_config(client, url).open():
        pass
