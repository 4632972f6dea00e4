"""Which queues are compared, and how the worker of each is started."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
CONCURRENCY = 100


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A queue.

    Attributes:
        name: Of its module in this folder, and of the text file with its requirements.
        worker: The command that starts one worker process, without the folder of the program.
        how: How it enqueues, and what runs its jobs.
        server: Which it needs: ``redis`` or ``postgres``.
        times: How many times its drain ours promises, if it promises that.
    """

    name: str
    worker: tuple[str, ...]
    how: str
    server: str = "redis"
    times: float | None = None

    @property
    def requirements(self) -> Path:
        """The file with pinned versions; the queue itself comes first."""
        return HERE / f"{self.name}.txt"

    @property
    def title(self) -> str:
        """Its name and version."""
        return re.sub(r"\[.*]", "", self.requirements.read_text().split()[0]).replace("==", " ")

    def programs(self, environments: Path) -> Path:
        """Return the folder with the programs of its environment, which is made if need be."""
        pins = self.requirements.read_bytes() + sys.version.encode()
        folder = environments / f"{self.name}-{hashlib.sha256(pins).hexdigest()[:12]}"
        complete = folder / "complete"
        if not complete.exists():
            print(f"making an environment for {self.title}", file=sys.stderr)
            venv.create(folder, clear=True, with_pip=True)
            command = [folder / "bin/pip", "install", "-q", "-r", self.requirements]
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
            complete.touch()
        return folder / "bin"


@dataclass(frozen=True, kw_only=True)
class Ours(Peer):
    """What runs in the environment of the benchmark: our own queue, and floors.

    Attributes:
        title: Its name.
    """

    title: str = "ours"

    def programs(self, environments: Path) -> Path:
        """Return the folder of the running interpreter."""
        return Path(sys.executable).parent


_N = str(CONCURRENCY)

OURS = Ours(
    name="ours",
    worker=(
        *("python", "-m", "litestar_queues_core", "worker", "peers.ours:config"),
        *("--concurrency", _N, "--log-level", "warning"),
    ),
    how="enqueue_many; asyncio, concurrency 100",
)
OURS_ON_POSTGRES = Ours(
    name="ours_postgres",
    worker=(
        *("python", "-m", "litestar_queues_core", "worker", "peers.ours_postgres:config"),
        *("--concurrency", _N, "--log-level", "warning"),
    ),
    how="enqueue_many; SQLSpec with asyncpg; asyncio, concurrency 100",
    server="postgres",
)

PEERS = (
    Peer(
        name="saq",
        worker=("saq", "peers.saq.settings"),
        how="50 coroutines; asyncio, concurrency 100",
    ),
    Peer(
        name="arq",
        worker=("arq", "peers.arq.WorkerSettings", "--custom-log-dict", "peers.arq.QUIET"),
        how="50 coroutines; asyncio, max_jobs 100",
    ),
    Peer(
        name="taskiq",
        worker=(
            *("taskiq", "worker", "peers.taskiq:broker", "--workers", "1"),
            *("--max-async-tasks", _N, "--log-level", "WARNING"),
        ),
        how="50 coroutines; asyncio, 100 tasks; stream broker and result backend",
    ),
    Peer(
        name="streaq",
        worker=("streaq", "run", "peers.streaq:worker"),
        how="enqueue_many; asyncio, concurrency 100",
    ),
    Peer(
        name="dramatiq",
        worker=("dramatiq", "peers.dramatiq", "--processes", "1", "--threads", _N),
        how="send in a loop; 100 threads",
    ),
    Peer(
        name="celery",
        worker=(
            *("celery", "-A", "peers.celery", "worker"),
            *("--pool", "gevent", "--concurrency", _N),
        ),
        how="a group; gevent pool, concurrency 100; no result backend",
    ),
    Peer(
        name="huey",
        worker=("huey_consumer", "peers.huey.huey", "-q", "-k", "greenlet", "-w", _N),
        how="a loop; 100 greenlets",
    ),
    Ours(
        name="bare_postgres",
        title="bare asyncpg",
        worker=("python", "-m", "peers.bare_postgres"),
        how="one statement for each 100 jobs, nothing else",
        server="postgres",
        times=0.4,
    ),
    Peer(
        name="procrastinate",
        worker=("procrastinate", "-a", "peers.procrastinate.app", "worker", "-c", _N),
        how="batch_defer; asyncio, concurrency 100",
        server="postgres",
        times=10,
    ),
    Peer(
        name="saq_postgres",
        worker=("saq", "peers.saq_postgres.settings"),
        how="50 coroutines; asyncio, concurrency 100",
        server="postgres",
        times=10,
    ),
    Peer(
        name="pgqueuer",
        worker=(
            *("pgq", "run", "peers.pgqueuer:main"),
            *("--batch-size", _N, "--max-concurrent-tasks", str(2 * CONCURRENCY)),
        ),
        how="enqueue in bulk; asyncpg, batches of 100, at most 200 tasks; autovacuum as it advises",
        server="postgres",
        times=2,
    ),
)
