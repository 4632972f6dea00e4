"""What the comparisons with other Python queues share: running them, in turns, on one server.

Each queue runs in an environment of its own, made when it is first needed.  Every measurement has a
fresh server: the jobs are enqueued, then one worker process starts and drains them.  The rate is
taken from the first job done to the last.  The queues take turns.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from types import ModuleType

from measuring import Figure, report
from peers.catalogue import CONCURRENCY, Peer

HERE = Path(__file__).parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


class PeerError(Exception):
    """A queue did not enqueue or did not drain; says why in one line."""


@dataclass(kw_only=True)
class Outcome:
    """What one queue did: jobs per second in each turn, or why it failed."""

    enqueued: list[float] = field(default_factory=list)
    drained: list[float] = field(default_factory=list)
    failure: str = ""


def measure(peer: Peer, given: argparse.Namespace) -> tuple[float, float]:
    """Return jobs per second of the enqueue and of the drain.

    Raises:
        PeerError: It failed, or took too long.
    """
    try:
        programs = peer.programs(given.environments)
    except subprocess.CalledProcessError as error:
        raise PeerError(f"cannot be installed: {last_line(error.stderr)}") from error
    with given.servers.server(given.server) as url, tempfile.TemporaryDirectory() as directory:
        finished = Path(directory, "finished")
        environment = os.environ | {
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "PEERS_CONCURRENCY": str(CONCURRENCY),
            "PEERS_JOBS": str(given.jobs),
            "PEERS_REPORT": str(finished),
            "PEERS_URL": url,
            "PYTHONPATH": str(HERE),
        }
        enqueued = enqueue(peer, programs, environment, given.timeout)
        drained = drain(peer, programs, environment, given.timeout, finished)
        return given.jobs / enqueued, (given.jobs - 1) / drained


def enqueue(peer: Peer, programs: Path, environment: dict[str, str], timeout: float) -> float:
    """Return the seconds to enqueue all jobs."""
    command = [programs / "python", "-m", "peers", peer.name]
    try:
        ended = subprocess.run(
            command, env=environment, timeout=timeout, check=True, capture_output=True, text=True
        )
    except subprocess.TimeoutExpired as error:
        raise PeerError(f"was still enqueueing after {timeout} s") from error
    except subprocess.CalledProcessError as error:
        raise PeerError(f"cannot enqueue: {last_line(error.stderr)}") from error
    return float(ended.stdout.split()[-1])


def drain(
    peer: Peer, programs: Path, environment: dict[str, str], timeout: float, finished: Path
) -> float:
    """Start a worker; return the seconds from the first job done to the last."""
    output = finished.with_name("output")
    command = [programs / peer.worker[0], *peer.worker[1:]]
    with output.open("wb") as file:
        worker = subprocess.Popen(
            command, env=environment, stdout=file, stderr=file, start_new_session=True
        )
    deadline = time.monotonic() + timeout
    try:
        while not finished.exists():
            if worker.poll() is not None:
                raise PeerError(f"its worker ended: {last_line(output.read_text())}")
            if time.monotonic() > deadline:
                told = last_line(output.read_text())
                raise PeerError(f"had not drained after {timeout} s; its last line: {told}")
            time.sleep(0.05)
    finally:
        end(worker)
    return float(finished.read_text())


def end(worker: subprocess.Popen[bytes]) -> None:
    """Kill the worker and its children; the server goes as well, so nothing needs to be settled."""
    with suppress(ProcessLookupError):  # it has ended, with all its children
        os.killpg(worker.pid, signal.SIGKILL)
    worker.wait(timeout=30)


def last_line(text: str) -> str:
    """Return the last line that says something."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "(no output)"


def take_turns(chosen: Sequence[Peer], given: argparse.Namespace) -> dict[str, Outcome]:
    """Measure all, in turns; one that failed takes no further turn."""
    outcomes = {peer.title: Outcome() for peer in chosen}
    for _ in range(given.repeat):
        for peer in chosen:
            outcome = outcomes[peer.title]
            if outcome.failure:
                continue
            try:
                enqueued, drained = measure(peer, given)
            except PeerError as error:
                outcome.failure = str(error)
                continue
            outcome.enqueued.append(enqueued)
            outcome.drained.append(drained)
    return outcomes


def rates(outcomes: dict[str, Outcome]) -> list[Figure]:
    """Return both rates of each queue."""
    good = {title: outcome for title, outcome in outcomes.items() if not outcome.failure}
    return [
        Figure(what=f"{title}: {what}", value=median(getattr(outcome, rate)), unit="jobs/s")
        for what, rate in (("drain", "drained"), ("enqueue", "enqueued"))
        for title, outcome in good.items()
    ]


def drains(outcomes: dict[str, Outcome]) -> dict[str, float]:
    """Return the rate at which each queue drained, of those that did."""
    return {
        title: median(outcome.drained) for title, outcome in outcomes.items() if not outcome.failure
    }


def choose(parser: argparse.ArgumentParser, peers: Sequence[Peer], only: str) -> list[Peer]:
    """Return the queues named, or all."""
    known = {peer.name: peer for peer in peers}
    names = only.split(",") if only else list(known)
    unknown = [name for name in names if name not in known]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(known)}")
    return [known[name] for name in names]


def main(
    description: str | None,
    servers: ModuleType,
    peers: Sequence[Peer],
    compare: Callable[[dict[str, float]], list[Figure]],
) -> None:
    """Measure and print.

    Args:
        description: Of the command.
        servers: The module that runs a server: with ``program``, ``version`` and ``server``.
        peers: The queues, which all need that server.
        compare: Gives the last lines of the table, from the rates of those that drained.
    """
    parser = argparse.ArgumentParser(description=description)
    add = parser.add_argument
    add("--jobs", type=int, default=5000, help="default: 5000")
    add("--repeat", type=int, default=3, help="default: 3")
    add("--only", default="", help="which queues, separated by commas")
    add("--timeout", type=float, default=90, help="seconds for each step; default: 90")
    add("--server", help=f"where the server is; default: {servers.WHERE}")
    add("--json", type=Path, help="write the figures to this file too")
    where = CACHE / "litestar-queues" / "peers"
    add("--environments", type=Path, default=where, help="where the queues are installed")
    given = parser.parse_args()
    given.servers = servers
    given.server = servers.program(given.server)
    chosen = choose(parser, peers, given.only)
    outcomes = take_turns(chosen, given)

    title = f"{given.jobs} no-op jobs, one worker process, {servers.version(given.server)}"
    report(title, [*rates(outcomes), *compare(drains(outcomes))], given.json)
    print()
    for peer in chosen:
        print(f"  {peer.title}: {peer.how}")
    failures = {title: outcome.failure for title, outcome in outcomes.items() if outcome.failure}
    for name, why in failures.items():
        print(f"  FAILED {name} {why}")
    if given.json is not None:
        written = json.loads(given.json.read_text())
        written |= {"how": {peer.title: peer.how for peer in chosen}, "failed": failures}
        given.json.write_text(json.dumps(written, indent=2) + "\n")
    sys.exit(1 if failures else 0)
