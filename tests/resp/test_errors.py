"""What servers and networks say, and what a queue makes of it."""

from __future__ import annotations

import pytest

from litestar_queues_core.errors import ConfigError, QueueError, StoreError, StoreUnavailable
from litestar_queues_resp import ScriptMissing
from litestar_queues_resp.errors import translated

PLACE = "host:6379"

SAID = {
    "LOADING Redis is loading the dataset in memory": (StoreUnavailable, "loading its data"),
    "READONLY You can't write against a read only replica.": (StoreUnavailable, "replica"),
    "MASTERDOWN Link with MASTER is down": (StoreUnavailable, "lost its primary"),
    "CLUSTERDOWN Hash slot not served": (StoreUnavailable, "CLUSTER INFO"),
    "TRYAGAIN Multiple keys request during rehashing of slot": (StoreUnavailable, "being moved"),
    "MOVED 3999 127.0.0.1:6381": (StoreUnavailable, "cluster=True"),
    "ASK 3999 127.0.0.1:6381": (StoreUnavailable, "being moved"),
    "BUSY Redis is busy running a script.": (StoreUnavailable, "SCRIPT KILL"),
    "UNKILLABLE Sorry the script already executed writes": (
        StoreUnavailable,
        "has written",
    ),
    "NOREPLICAS Not enough good replicas to write.": (StoreUnavailable, "min-replicas-to-write"),
    "MISCONF Redis is configured to save RDB snapshots": (StoreUnavailable, "its disk"),
    "UNBLOCKED force unblock from blocking operation": (StoreUnavailable, "become a replica"),
    "ERR max number of clients reached": (StoreUnavailable, "max number of clients"),
    "OOM command not allowed when used memory > 'maxmemory'.": (StoreError, "out of memory"),
    "NOSCRIPT No matching script. Please use EVAL.": (ScriptMissing, "No matching script"),
    "NOAUTH Authentication required.": (ConfigError, "the password"),
    "WRONGPASS invalid username-password pair": (ConfigError, "the password"),
    "NOPERM this user has no permissions": (ConfigError, "ACL SETUSER"),
    "DENIED Redis is running in protected mode": (ConfigError, "set a password"),
    "ERR DB index is out of range": (ConfigError, "no database of that number"),
    "ERR SELECT is not allowed in cluster mode": (ConfigError, "cluster=True"),
    "ERR unknown command 'NOSUCH'": (StoreError, "unknown command"),
    "ERR Error running script (call to f_1): @user_script:1: @user_script: 1: "
    "-OOM command not allowed when used memory > 'maxmemory'. ": (StoreError, "out of memory"),
    "ERR Error running script (call to f_1): @user_script:1: @user_script: 1: "
    "-READONLY You can't write against a read only replica. ": (StoreUnavailable, "replica"),
}


@pytest.mark.parametrize("line", SAID)
def test_what_a_server_says_is_understood_from_either_library(client: str, line: str) -> None:
    kind, fix = SAID[line]

    error = translated(raised(client, line), PLACE)

    assert type(error) is kind
    assert str(error).startswith(PLACE)
    assert fix in str(error)


def raised(client: str, line: str) -> Exception:
    """Return what the library makes of the line."""
    if client == "redis-py":
        from redis._parsers.base import BaseParser as Parser
    else:
        from valkey._parsers.base import BaseParser as Parser  # type: ignore[assignment]
    error = Parser.parse_error(line)
    assert isinstance(error, Exception)
    return error


def test_what_is_ours_passes_unchanged() -> None:
    error = QueueError("ours")

    assert translated(error, PLACE) is error


@pytest.mark.parametrize("error", [OSError("gone"), EOFError(), ValueError("not the protocol")])
def test_what_no_server_has_said_leaves_it_open_what_happened(error: Exception) -> None:
    assert isinstance(translated(error, PLACE), StoreUnavailable)
