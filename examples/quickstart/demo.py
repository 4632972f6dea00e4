"""Runs the picture service, kills its worker in the middle, and counts what became of the work.

``python demo.py [--pictures 300]`` starts real processes in a temporary directory, prints what
happens, and leaves nothing behind.  It exits with 0 only if every picture was processed.
"""

from __future__ import annotations

import argparse
import io
import re
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from pictures import draw, name_of
from PIL import Image
from processes import Process

PATIENCE = 60.0
FINISHED = ("completed", "failed", "cancelled", "expired")
ADDRESS = re.compile(r"running on (http://[\w.:]+)")


class DemoError(Exception):
    """Something did not happen as it should."""


@dataclass(frozen=True)
class Tally:
    """What became of the jobs.

    Attributes:
        retried: Jobs that failed at first and were tried again.
        rescued: Jobs that were taken back from a dead worker.
        lost: Jobs that have not ended, or that nobody knows.
    """

    enqueued: int
    completed: int
    retried: int
    rescued: int
    lost: int

    @classmethod
    def of(cls, jobs: Sequence[dict[str, Any] | None]) -> Tally:
        """Count jobs, as the service shows them; ``None`` is one it does not know."""
        known = [job for job in jobs if job]
        return cls(
            enqueued=len(jobs),
            completed=sum(job["status"] == "completed" for job in known),
            retried=sum(job["failures"] > 0 for job in known),
            rescued=sum(job["rescues"] > 0 for job in known),
            lost=len(jobs) - sum(job["status"] in FINISHED for job in known),
        )

    @property
    def good(self) -> bool:
        """Whether every job was done."""
        return self.completed == self.enqueued and self.lost == 0

    def __str__(self) -> str:
        return ", ".join(f"{name} {number}" for name, number in vars(self).items())


class Demo:
    """The service, its workers, and a client that watches them.

    Args:
        folder: Where everything is kept: pictures, jobs, and what the processes print.
        pictures: How many to upload.
    """

    def __init__(self, folder: Path, pictures: int) -> None:
        self.folder = folder
        self.pictures = pictures
        self.processes: list[Process] = []
        self.client = httpx.Client(timeout=10)
        self.jobs: dict[str, str] = {}
        self._began = time.monotonic()

    def play(self) -> Tally:
        """Play the whole story."""
        half, third = self.pictures // 2, self.pictures // 3
        server = self.start_server()
        self.upload(range(half))
        server = self.restart(server)
        self.upload(range(half, self.pictures))

        worker = self.start_worker()
        self.wait_for_jobs(third)
        self.kill(worker)
        worker = self.start_worker()
        self.wait_for_jobs(self.pictures)
        tally = self.read_results()
        self.stop(worker, server)
        return tally

    def start_server(self) -> Process:
        """Start the application, and wait until it says where it listens."""
        server = self.start("server", "litestar", "run", "--port", "0")
        self.wait(lambda: ADDRESS.search(server.output()), "the server was up")
        (address,) = ADDRESS.findall(server.output())
        self.client.base_url = httpx.URL(address)
        self.say(f"server started: pid {server.pid}, {address}")
        return server

    def restart(self, server: Process) -> Process:
        """Kill the server and start another; what it has accepted must still be there."""
        server.kill()
        self.say(f"server killed with {len(self.jobs)} jobs waiting and nobody working; once more:")
        server = self.start_server()
        if (waiting := self.count("pending")) != len(self.jobs):
            raise DemoError(f"{waiting} jobs are waiting, {len(self.jobs)} were accepted")
        self.say(f"{waiting} jobs are still waiting")
        return server

    def upload(self, numbers: Sequence[int]) -> None:
        """Draw pictures and upload them; every answer names a job."""
        for number in numbers:
            answer = self.client.put(f"/pictures/{name_of(number)}", content=draw(number))
            self.jobs[name_of(number)] = answer.raise_for_status().json()["job"]
        self.say(f"{len(numbers)} pictures drawn and uploaded, {len(self.jobs)} jobs enqueued")

    def start_worker(self) -> Process:
        """Start a worker process."""
        worker = self.start("worker", "litestar", "queues", "worker")
        self.say(f"worker started: pid {worker.pid}")
        return worker

    def kill(self, worker: Process) -> None:
        """Kill the worker while it has its hands full."""
        self.wait(lambda: self.count("running"), "the worker was busy")
        worker.kill()
        self.say(f"worker killed (SIGKILL): {self.done} of {self.pictures} done")
        held = [(name, job) for name, job in self.look() if job and job["status"] == "running"]
        if not held:
            raise DemoError("the worker held no jobs when it was killed")
        told = [f", {name}: {job['progress']['message']}" for name, job in held if job["progress"]]
        self.say(f"{len(held)} jobs were in its hands{''.join(told[:3])}")

    def read_results(self) -> Tally:
        """Read back what became of each picture."""
        jobs = dict(self.look())
        done = {name: job for name, job in jobs.items() if job and job["status"] == "completed"}
        self.say(f"{len(done)} of {len(jobs)} done, for example")
        for one in ({"failures": 0, "rescues": 0}, {"failures": 1}, {"rescues": 1}):
            names = [name for name, job in done.items() if one.items() <= job.items()]
            for name in names[:1]:
                self.say(f"  {name}: {describe(done[name])}")
        for name in done:
            self.check_thumbnail(name)
        for name in [name for name in jobs if name not in done][:5]:
            self.say(f"  {name} is not done: {jobs[name]}")
        return Tally.of(list(jobs.values()))

    def check_thumbnail(self, name: str) -> None:
        """Check that the picture has a thumbnail, and that it is whole."""
        answer = self.client.get(f"/thumbnails/{name}").raise_for_status()
        with Image.open(io.BytesIO(answer.content)) as picture:
            picture.load()

    def stop(self, *processes: Process) -> None:
        """Stop processes the polite way, and check that nothing is left of any."""
        for process in processes:
            if not process.stop(patience=15):
                raise DemoError(f"{process.title} {process.pid} has not stopped within 15 s")
            if process.exit_code not in (0, -signal.SIGTERM):
                raise DemoError(f"{process.title} ended with {process.exit_code}")
        left = [process.pid for process in self.processes if not process.gone()]
        if left:
            raise DemoError(f"processes of these groups are still running: {left}")
        self.say("server and worker stopped, no process is left")

    def start(self, title: str, *arguments: str) -> Process:
        """Start a process that belongs to the demo."""
        process = Process(
            title,
            arguments,
            log=self.folder / f"{len(self.processes)}-{title}.log",
            variables={"LITESTAR_APP": "app:app", "QUICKSTART_DATA": str(self.folder)},
        )
        self.processes.append(process)
        return process

    def wait(self, condition: Callable[[], object], what: str) -> None:
        """Wait until *condition* holds, as long as patience lasts."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > deadline:
                raise DemoError(f"it took more than {PATIENCE:g} s until {what}")
            self.rest(what)

    def wait_for_jobs(self, number: int) -> None:
        """Wait until so many jobs have ended; give up once none has for too long."""
        done, since = self.done, time.monotonic()
        while done < number and time.monotonic() - since < PATIENCE:
            self.rest(f"{number} jobs had ended")
            if (now := self.done) > done:
                done, since = now, time.monotonic()

    def rest(self, what: str) -> None:
        """Let the others work for a moment, provided that the latest process still runs."""
        latest = self.processes[-1]
        if not latest.running:
            raise DemoError(f"{latest.title} ended with {latest.exit_code} before {what}")
        time.sleep(0.05)

    def count(self, *statuses: str) -> int:
        """Return how many jobs have one of these statuses."""
        counts = self.client.get("/summary").raise_for_status().json()
        return sum(counts.get(status, 0) for status in statuses)

    @property
    def done(self) -> int:
        """How many jobs have ended."""
        return self.count(*FINISHED)

    def look(self) -> Iterator[tuple[str, dict[str, Any] | None]]:
        """Yield each picture's name and job."""
        for name, job_id in self.jobs.items():
            answer = self.client.get(f"/jobs/{job_id}")
            yield name, None if answer.status_code == 404 else answer.raise_for_status().json()

    def say(self, line: str) -> None:
        """Print a line of the story, with the seconds since it began."""
        print(f"{time.monotonic() - self._began:5.1f} s  {line}", flush=True)

    def show_logs(self) -> None:
        """Print how the output of each process ends."""
        for process in self.processes:
            print(f"\n--- {process.log.name}, pid {process.pid}, exit code {process.exit_code}")
            print("\n".join(process.output().splitlines()[-20:]))


def describe(job: dict[str, Any]) -> str:
    """Return what came of a job in a few words."""
    report = job["report"]
    how = "failed at first" if job["failures"] else "done at the first attempt"
    how += ", rescued from the dead worker" if job["rescues"] else ""
    colours = " ".join(report["palette"][:3])
    return f"{report['width']}x{report['height']}, mostly {colours}; {how}"


@contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGTERM interrupt as Ctrl-C does; once out of the block, nothing interrupts any more."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)


def run(demo: Demo) -> int:
    """Play the demo and end whatever it has started; return the exit code."""
    try:
        with demo.client, interruptible():
            tally = demo.play()
    except KeyboardInterrupt:
        print("\ninterrupted")
        return 130
    except (DemoError, httpx.HTTPError) as error:
        print(f"\nthe demo failed: {error}")
        demo.show_logs()
        return 1
    finally:
        for process in demo.processes:
            process.kill()
    print(f"\n{tally}")
    if not tally.good:
        demo.show_logs()
    return 0 if tally.good else 1


def main() -> int:
    """Read the command line, and run the demo in a temporary directory."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pictures", type=int, default=300, help="how many (default: 300)")
    pictures = parser.parse_args().pictures
    if pictures < 10:
        parser.error("--pictures must be at least 10")
    print(f"{pictures} pictures for a picture service, and two workers, one of which is killed\n")
    with tempfile.TemporaryDirectory(prefix="quickstart-") as folder:
        return run(Demo(Path(folder), pictures))


if __name__ == "__main__":
    sys.exit(main())
