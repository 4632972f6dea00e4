"""What a configuration refuses before there is a server."""

from __future__ import annotations

from typing import Any

import pytest
from tests.resp.matrix import CLIENTS

from litestar_queues_core.discovery import load_backend
from litestar_queues_core.errors import ConfigError
from litestar_queues_core.model import Retention

PASSWORD = "s3cret"  # noqa: S105
ADDRESS = ("localhost", 26379)

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"url": 6379}, r"url must be a URL such as redis://localhost:6379/0, not 6379"),
    ({"url": "localhost:6379"}, r"url must begin with redis://, .*not with 'localhost'"),
    ({"url": "http://localhost"}, r"url must begin with .*not with 'http'"),
    ({"url": f"redis://u:{PASSWORD}@host:port/0"}, r"url is no URL: the port is not a number"),
    ({"url": f"redis://u:{PASSWORD}@host:99999/0"}, r"url is no URL: the port is not a number"),
    ({"url": f"redis://u:{PASSWORD}@[::1/0"}, r"url is no URL: it is malformed"),
    ({"url": f"redis://u:{PASSWORD}@host/zero"}, r"the number of a database.*not with '/zero'"),
    ({"url": f"redis://u:{PASSWORD}@host/0?db=x"}, r"url: Invalid value for '?`?db"),
    ({"url": "unix://?db=0"}, r"url must name a socket: unix:///path"),
    ({"url": "redis://localhost/0?ssl_verify=no"}, r"does not take it: .*ssl_verify"),
    ({"url": "redis://localhost/0?speed=high"}, r"url: speed would have no effect; there may be"),
    ({"options": {"retry": 3}}, r"options: retry would have no effect"),
    ({"url": "rediss://h", "options": {"ssl_nothing": 1}}, r"options: .*ssl_nothing"),
    ({"prefix": ""}, r"prefix must be 1 to 100 letters"),
    ({"prefix": "{mine}"}, r"prefix must be 1 to 100 letters"),
    ({"protocol": 1}, r"protocol must be one of 2, 3, not 1"),
    ({"durability": "disk"}, r"durability must be one of 'server', 'aof', 'replicas'"),
    ({"cluster": "yes"}, r"cluster must be of type bool"),
    ({"retention": 3600}, r"retention must be of type Retention"),
    ({"sentinels": [ADDRESS]}, r"sentinels: say what they call the primary"),
    ({"service_name": "main"}, r"service_name is what sentinels call .*sentinels=\["),
    ({"sentinels": "host:1", "service_name": "main"}, r"sentinels must be a list of addresses"),
    (
        {"sentinels": [26379], "service_name": "main"},
        r"must hold \(host, port\) or URLs, not",
    ),
    ({"sentinels": ["host:1"], "service_name": "main"}, r"sentinels must begin with redis://"),
    (
        {"sentinels": [ADDRESS], "service_name": "main", "cluster": True},
        r"a cluster needs no sentinels",
    ),
    ({"url": "unix:///socket", "cluster": True}, r"cannot have a Unix socket"),
]


@pytest.mark.parametrize(("fields", "message"), WRONG, ids=[message for _, message in WRONG])
def test_what_cannot_work_is_refused_and_no_password_told(
    client: str, fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as refused:
        CLIENTS[client](**fields)

    assert str(refused.value).startswith(CLIENTS[client].__name__)
    assert PASSWORD not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost",
        "redis://localhost:6379/",
        "valkey://user:word@localhost:6379/15",
        "rediss://:word@localhost/0?ssl_cert_reqs=none&client_name=queue",
        "valkeys://localhost/0?ssl_check_hostname=false",
        "unix:///run/server.sock?db=3",
        "unix://user:word@/run/server.sock",
        "redis://[::1]:6379/0?health_check_interval=5&socket_timeout=3&protocol=3",
    ],
)
def test_urls_that_are_right(client: str, url: str) -> None:
    assert CLIENTS[client](url=url).url == url


def test_a_configuration_may_be_shown(client: str) -> None:
    config = CLIENTS[client](
        url=f"redis://user:{PASSWORD}@localhost/0",
        sentinels=[f"redis://:{PASSWORD}@localhost"],
        service_name="main",
        options={"credential_provider": None, "client_name": PASSWORD},
    )

    assert PASSWORD not in repr(config)


def test_the_defaults(client: str) -> None:
    config = CLIENTS[client]()

    assert config.prefix == "litestar-queues"
    assert config.durability == "server"
    assert config.retention == Retention(completed=3600, max_finished=100_000)


def test_both_are_found_by_name_and_where_the_front_offers_them() -> None:
    from litestar_queues.backends.redis import RedisBackendConfig
    from litestar_queues.backends.valkey import ValkeyBackendConfig

    assert load_backend("redis") is RedisBackendConfig is CLIENTS["redis-py"]
    assert load_backend("valkey") is ValkeyBackendConfig is CLIENTS["valkey-py"]
