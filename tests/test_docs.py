"""What the documentation says is tried here."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from tests.databases.fixtures import database, database_of, postgres_of  # noqa: F401
from tests.databases.postgres import Database

import litestar_queues
import litestar_queues_core
from litestar_queues.cli import queues
from litestar_queues.cli.work import ENDING
from litestar_queues_core import asking, errors, lifecycle, options
from litestar_queues_core.command import CODES
from litestar_queues_core.worker import fetcher
from litestar_queues_core.worker.keeper import RENEWED_EVERY
from litestar_queues_core.worker.watchdog import STALLED

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(DOCS.glob("*.md"))
EXAMPLES = sorted(DOCS.glob("examples/*.py"))
PROGRAMS = [
    path
    for path in EXAMPLES
    if path.stem not in {"getting_started_litestar", "shop", "transactions"}
]

# Importing Litestar imports Advanced Alchemy where it is installed; SQLAlchemy 2.1 frowns at that.
STRICT = ["-W", "error", "-W", "ignore:The declarative_mixin decorator:DeprecationWarning"]


pytestmark = pytest.mark.timeout(150)


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def environment(folder: Path) -> dict[str, str]:
    """Return what a command finds that looks for modules and files in *folder* only."""
    ours = {name: value for name, value in os.environ.items() if "LITESTAR" not in name}
    return ours | {"PYTHONPATH": str(folder), "COLUMNS": "200"}


def run(
    arguments: Sequence[str | Path],
    folder: Path,
    *,
    code: int = 0,
    timeout: float = 120,
    **variables: str,
) -> subprocess.CompletedProcess[str]:
    """Run Python in *folder* and expect it to end with *code*."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment(folder) | variables,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done


def first_column(table: str) -> list[str]:
    """Return every code word in the first column of the tables in *table*."""
    rows = (line.split("|")[1] for line in table.splitlines() if line.startswith("|"))
    return [word for row in rows for word in re.findall(r"`([^`]+)`", row)]


def section(text: str, heading: str) -> str:
    """Return what stands between *heading* and the next one."""
    found = re.search(rf"(?ms)^#+ {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", text)
    assert found, f"no heading {heading!r}"
    return found[1]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_an_example_runs(program: Path, tmp_path: Path) -> None:
    done = run([*STRICT, program], tmp_path)

    assert "Exception ignored" not in done.stderr


def test_orders_and_their_jobs_share_transactions(database: Database, tmp_path: Path) -> None:  # noqa: F811
    program = DOCS / "examples/transactions.py"

    done = run([*STRICT, program], tmp_path, DATABASE_URL=database.url)

    assert done.stdout == "we do not take that many\npacked\npacked\n"


def test_every_example_is_shown() -> None:
    shown = {
        name
        for path in PAGES
        for name in re.findall(r"\{literalinclude\} examples/(\w+\.py)", path.read_text("utf-8"))
    }

    assert shown == {path.name for path in EXAMPLES}


def test_examples_begin_where_pages_show_them() -> None:
    for path in EXAMPLES:
        lines = path.read_text(encoding="utf-8").splitlines()
        assert lines[2:4] == ["from __future__ import annotations", ""], path.name
        assert lines[4], path.name


FENCED = [
    (path.name, inspect.cleandoc(block))
    for path in PAGES
    for block in re.findall(r"```python\n(.*?)```", path.read_text("utf-8"), re.DOTALL)
]


@pytest.mark.parametrize(("name", "code"), FENCED)
def test_code_in_a_page_is_python_and_imports_what_exists(name: str, code: str) -> None:
    compile(code, name, "exec", flags=0x2000)  # top-level await

    for module, names in re.findall(r"^from (litestar_queues\S*) import (.+)$", code, re.MULTILINE):
        found = importlib.import_module(module)
        assert not [one for one in names.split(", ") if not hasattr(found, one)]


def test_the_options_of_a_task_are_all_described() -> None:
    described = first_column(section(page("tasks.md"), "Options"))

    assert set(described) == options.TASK_OPTIONS - options.SCHEDULE_OPTIONS
    for option in options.SCHEDULE_OPTIONS:
        assert f"`{option}`" in section(page("tasks.md"), "Options")


def test_the_options_of_an_enqueue_exist() -> None:
    (listed,) = re.findall(r"They are (.*?)\. \*\*If", page("enqueueing.md"), re.DOTALL)

    assert set(re.findall(r"`(\w+)`", listed)) < options.CALL_OPTIONS


def test_every_error_is_described() -> None:
    described = re.findall(r"autoexception:: (?:[\w.]+\.)?(\w+)", page("errors.md"))

    assert sorted(described) == sorted(
        name
        for name, error in vars(errors).items()
        if isinstance(error, type) and issubclass(error, errors.QueueError)
    )


def test_every_public_name_has_a_reference() -> None:
    pages = page("reference.md") + page("configuration.md") + page("errors.md")
    directives = re.findall(r"auto(?:class|exception|function):: (?:[\w.]+\.)?(\w+)", pages)

    assert set(litestar_queues.__all__) - {"__version__"} <= set(directives)
    assert set(litestar_queues_core.__all__) <= set(litestar_queues.__all__)


def test_every_setting_is_described_where_it_is_defined() -> None:
    for settings in (
        litestar_queues.QueueConfig,
        litestar_queues.WorkerConfig,
        litestar_queues.QueueEventConfig,
        litestar_queues.Retention,
        litestar_queues.RetryPolicy,
    ):
        text = settings.__doc__ or ""
        for field in dataclasses.fields(settings):
            assert f"    {field.name}: " in text, f"{settings.__name__}.{field.name}"


def test_numbers_are_those_of_the_code() -> None:
    worker, kept = litestar_queues.WorkerConfig(), litestar_queues.Retention()
    table = section(page("reliability.md"), "Numbers")
    workers = page("workers.md")

    assert (worker.lease, RENEWED_EVERY, worker.grace) == (30, 5, 30)
    assert "| lease | 30 s," in table
    assert "at most 5 s" in table
    assert "`grace` (30 s)" in workers
    assert (asking.CALL_DEADLINE, asking.ENQUEUE_DEADLINE) == (10, 30)
    assert "| 10 s, and for a renewal at most a third of the lease; `enqueue` goes on" in table
    assert "goes on for 30 s |" in table
    assert fetcher.STALE == 2
    assert "not started goes back after | 2 s |" in table
    assert lifecycle.KEPT_ATTEMPTS == 10
    assert "| the last 10 |" in table
    assert (kept.completed, kept.failed, kept.max_finished) == (86_400, 7 * 86_400, 1_000_000)
    assert "| completed 1 day, failed 7 days, at most 1,000,000 |" in table
    assert (lifecycle.PUT_BACK_FIRST, lifecycle.PUT_BACK_TOTAL) == (5, 3600)
    assert (worker.stall_limit, STALLED, worker.concurrency) == (600, 70, 10)
    assert "`stall_limit` (600 s)" in workers
    assert "code 70" in workers
    assert "**`concurrency`** (10)" in workers


def test_the_commands_and_the_options_of_the_worker_are_all_described() -> None:
    text = page("command-line.md")
    described = first_column(section(text, "`litestar queues`"))
    names = {word.split()[0] for word in described}

    assert names == set(queues.commands)
    flags = set(re.findall(r"--[a-z][a-z-]+", section(text, "`worker`")))
    worker = {flag for one in queues.commands["worker"].params for flag in one.opts}
    assert {flag for flag in worker if flag.startswith("--")} - flags == {"--queues"}
    assert flags <= worker


def application(folder: Path, changes: Mapping[str, str]) -> None:
    """Write the application of the first page into *folder*, with other settings perhaps."""
    app = (DOCS / "examples/getting_started_litestar.py").read_text(encoding="utf-8")
    for old, new in changes.items():
        assert old in app
        app = app.replace(old, new)
    (folder / "app.py").write_text(app, encoding="utf-8")


ORDER = """
from app import app
from litestar.testing import TestClient

with TestClient(app) as client:
    job = client.post("/reports/2026").json()["job"]
    app.state.queue_service.sync.wait(app.state.queue_service.sync.get(job), timeout=30)
    print(client.get(f"/jobs/{job}").json())
"""


def test_the_first_application_answers(tmp_path: Path) -> None:
    application(tmp_path, {})

    done = run([*STRICT, "-c", ORDER], tmp_path)

    assert done.stdout == "{'status': 'completed', 'result': 'the report of 2026'}\n"
    assert (tmp_path / ".litestar-queues/queue.db").exists()


COMMANDS = """
import json, shlex
from app import app
from click.testing import CliRunner
from litestar.cli.main import litestar_group
from litestar.testing import TestClient

with TestClient(app) as client:
    job = client.post("/reports/2026").json()["job"]
    print(json.dumps([0, client.get(f"/jobs/{job}").text]))
for command in COMMANDS:
    arguments = shlex.split(command.format(job=job))
    result = CliRunner().invoke(litestar_group, arguments, catch_exceptions=False)
    print(json.dumps([result.exit_code, result.stdout]))
"""


def test_commands_do_and_answer_what_is_described(tmp_path: Path) -> None:
    external = "QueueConfig(worker=WorkerConfig(placement='external'))"
    imports = "from litestar_queues import WorkerConfig, "
    application(tmp_path, {"QueueConfig()": external, "from litestar_queues import ": imports})
    (tmp_path / "text.py").write_text(
        "from litestar import Litestar\n"
        "from litestar_queues import QueueConfig, QueuePlugin\n"
        "from litestar_queues.backends.sqlite import SQLiteBackendConfig\n"
        "backend = SQLiteBackendConfig(path=__file__)\n"
        "app = Litestar(plugins=[QueuePlugin(QueueConfig(queue_backend=backend))])\n",
        encoding="utf-8",
    )
    expected = {
        "--app app:app queues check": 1,
        "--app app:app queues cancel": 2,
        "--app text:app queues status": 3,
        "--app app:app queues schedules": 4,
        "--app app:app queues worker --burst": 0,
        "--app app:app queues show {job} --json": 0,
    }

    done = run(["-c", COMMANDS.replace("COMMANDS", repr([*expected]))], tmp_path)

    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert "pending" in answers[0][1]
    assert [code for code, _ in answers[1:]] == [*expected.values()]
    shown = json.loads(answers[-1][1])
    assert (shown["status"], shown["result"]) == ("completed", "the report of 2026")
    for code in expected.values():
        assert f"| {code} |" in section(page("command-line.md"), "Exit codes")


def test_every_help_tells_the_exit_codes_of_the_page() -> None:
    codes = set(
        re.findall(r"^\| (\d+) \|", section(page("command-line.md"), "Exit codes"), re.MULTILINE)
    )

    assert set(re.findall(r"^  (\d+) ", CODES, re.MULTILINE)) == codes
    assert set(re.findall(r"[:;]\s(\d+) ", ENDING)) == codes
    assert codes == {"0", "1", "2", "3", "4", "70", "130"}


def test_the_core_answers_in_another_process(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_bytes((DOCS / "examples/shop.py").read_bytes())
    command = "-m litestar_queues_core worker shop:config --concurrency 20"
    assert "python -m litestar_queues_core worker shop:config" in page("getting-started.md")
    assert f"python {command}" in page("command-line.md")

    worker = subprocess.Popen(
        [sys.executable, *command.split()],
        cwd=tmp_path,
        env=environment(tmp_path),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        done = run(["shop.py"], tmp_path)
        worker.terminate()
        _, log = worker.communicate(timeout=30)
    finally:
        worker.kill()

    assert done.stdout == "order 7 is packed\n"
    assert worker.returncode == 0
    assert f"jobs are kept in {tmp_path / 'shop.db'}" in log
