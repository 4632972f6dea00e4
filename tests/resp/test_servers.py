"""The servers that the tests start do what the tests think they do."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from tests.databases import program
from tests.databases.program import HOST, ServerError, free_port, runs, until
from tests.resp.servers import (
    Cluster,
    SentinelPair,
    Server,
    binaries,
    redis6_binary,
    valkey_binary,
)

BOTH = [
    pytest.param(valkey_binary(), id="valkey", marks=pytest.mark.service),
    pytest.param(redis6_binary(), id="redis-6.2", marks=pytest.mark.service),
]
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("binary", binaries().values(), ids=binaries())
def test_what_was_acknowledged_is_there_after_a_kill(binary: Path, short: Path) -> None:
    with Server(binary, short) as server:
        port = server.port
        server.ask("SET", "a", "b")
        server.kill()
        with pytest.raises(OSError, match="refused"):
            server.ask("PING")

        server.restart()

        assert server.port == port
        assert server.ask("GET", "a") == "b"
        assert server.socket.is_socket()


def test_another_port_is_taken_if_the_first_is_not_free(
    short: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Server(valkey_binary(), short / "a") as first:
        chosen = iter([first.port, free_port()])
        monkeypatch.setattr(program, "free_port", lambda: next(chosen))

        with Server(valkey_binary(), short / "b") as second:
            assert second.port != first.port
            assert second.ask("PING") == first.ask("PING") == "PONG"


def test_an_option_that_is_wrong_is_told(short: Path) -> None:
    with pytest.raises(ServerError, match="appendfsync"):
        Server(valkey_binary(), short, "--appendfsync", "sometimes").start()


def test_two_free_ports_are_not_where_clients_are() -> None:
    assert {free_port() in range(12_000, 22_000) for _ in range(50)} == {True}


def test_a_server_dies_with_whoever_started_it(short: Path) -> None:
    script = (
        "import pathlib, sys, signal\nfrom tests.resp.servers import *\n"
        f"server = Server(valkey_binary(), pathlib.Path({str(short)!r}))\nserver.start()\n"
        "print(server.pid, flush=True)\nsignal.pause()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        assert runs(child)

        parent.send_signal(signal.SIGKILL)

    assert until(lambda: not runs(child))


@pytest.mark.parametrize("binary", BOTH)
def test_a_cluster_has_all_slots_also_after_a_restart(binary: Path, short: Path) -> None:
    with Cluster(binary, short) as cluster:
        cluster.ask("SET", "a", "b")
        cluster.kill()
        cluster.restart()

        ((first, last, (host, port, *_)),) = cluster.ask("CLUSTER", "SLOTS")

        assert (first, last, host, port) == (0, 16_383, HOST, cluster.port)
        assert cluster.ask("GET", "a") == "b"


@pytest.mark.parametrize("binary", BOTH)
def test_a_replica_takes_over_and_the_old_primary_follows_it(binary: Path, short: Path) -> None:
    with SentinelPair(binary, short) as pair:
        pair.primary.ask("SET", "a", "b")
        until(lambda: pair.replica.ask("GET", "a") == "b")
        before = pair.primary

        pair.fail_over()

        assert pair.replica is before
        assert pair.primary.ask("GET", "a") == "b"
        pair.primary.ask("SET", "a", "c")
        pair.rejoin()
        assert pair.replica.ask("GET", "a") == "c"
