"""What a store on Redis or Valkey must do without Litestar; run by ``nox -s adapters_alone``.

Its arguments: ``redis`` or ``valkey``, and the program of a server.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path

from tests.resp.servers import Server

EXAMPLE = Path(__file__).parents[1] / "examples" / "redis"
ANSWER = (EXAMPLE / "README.md").read_text(encoding="utf-8").split("```\n")[-2]
COMMAND = ["-m", "litestar_queues_core", "worker", "tasks:config"]
OTHER = {"redis": "valkey", "valkey": "redis"}


def write_example(adapter: str, folder: Path) -> None:
    """Write the program of the example, for one of the two libraries."""
    for source in EXAMPLE.glob("*.py"):
        text = source.read_text(encoding="utf-8")
        text = text.replace("litestar_queues_redis", f"litestar_queues_{adapter}")
        text = text.replace("RedisBackendConfig", f"{adapter.title()}BackendConfig")
        (folder / source.name).write_text(text, encoding="utf-8")


@contextmanager
def worker(folder: Path, environment: dict[str, str]) -> Generator[None]:
    """Run a worker; it must have stopped in order at the end."""
    process = subprocess.Popen([sys.executable, *COMMAND], cwd=folder, env=environment)
    try:
        yield
        process.terminate()
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()


def shop(folder: Path, environment: dict[str, str]) -> str:
    """Run the shop, and return what it prints."""
    command = [sys.executable, "shop.py"]
    done = subprocess.run(
        command, cwd=folder, env=environment, check=True, timeout=60, stdout=subprocess.PIPE
    )
    return done.stdout.decode()


def main(adapter: str, binary: Path) -> None:
    ours = {d.name for d in distributions() if d.name.startswith("litestar")}
    assert ours == {f"litestar-queues-{part}" for part in ("core", "resp", adapter)}, ours
    for other in ("litestar", "msgspec", OTHER[adapter]):
        assert find_spec(other) is None, f"{other} is here"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_example(adapter, folder)
        with Server(binary, folder / "server") as server:
            environment = {"SHOP_SERVER": server.url}
            with worker(folder, environment):
                printed = shop(folder, environment)
    assert printed == ANSWER, printed
    print(printed + f"{', '.join(sorted(ours))}, {binary.name}, Python {sys.version.split()[0]}")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
