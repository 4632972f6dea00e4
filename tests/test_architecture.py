"""The shape of the code: what may import what, how long things are, what no file may say."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = sorted(ROOT.glob("packages/*"))
MODULES = sorted(ROOT.glob("packages/*/src/**/*.py"))
CORE = [path for path in MODULES if "litestar_queues_core" in path.parts]

LONGEST_MODULE = 400
LONGEST_FUNCTION = 60
HEAVY = {
    "argparse",
    "concurrent.futures.process",
    "difflib",
    "email",
    "http",
    "importlib.metadata",
    "multiprocessing",
    "pydoc",
    "sqlite3",
    "tomllib",
    "unittest",
    "urllib.request",
    "xml",
    "zoneinfo",
}

# Written so that this file does not hold what it looks for.
MACHINE_PATH = re.compile(r"(?<![\w.])/(root|home/\w+|Users/\w+|opt|tmp|work/(main|shared))/")
REGISTRY = re.compile(r"pypi\.(org|python)|python[h]osted|registry\.npm|deb\.debian|crates\.i[o]")
UNFINISHED = re.compile(r"\b(TO[D]O|FIXM[E]|XX[X]|HAC[K])\b")


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def parsed(path: Path) -> ast.Module:
    return ast.parse(text(path))


def imports(path: Path) -> Iterator[str]:
    """Yield the top-level name of every import in a module, wherever it stands."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


def declared(package: Path) -> set[str]:
    """Return the import names of what a distribution requires, extras included."""
    project = tomllib.loads(text(package / "pyproject.toml"))["project"]
    extras = project.get("optional-dependencies", {}).values()
    requirements = [*project["dependencies"], *(item for extra in extras for item in extra)]
    names = (re.match(r"[\w.-]+", requirement) for requirement in requirements)
    return {match.group().replace("-", "_") for match in names if match}


def modules_after(code: str) -> set[str]:
    """Return what a fresh interpreter has imported once it has run *code*."""
    command = f"{code}\nimport sys\nprint(*sys.modules, sep='\\n')"
    result = subprocess.run(
        [sys.executable, "-c", command], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return set(result.stdout.split())


def files_of_the_project() -> list[Path]:
    """Return every file that git has or would take."""
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        found = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [ROOT / name for name in found.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_there_is_something_to_look_at() -> None:
    assert len(PACKAGES) >= 3
    assert len(CORE) >= 10


def test_the_core_imports_only_the_standard_library() -> None:
    allowed = sys.stdlib_module_names | {"litestar_queues_core"}

    foreign = {shown(path): set(imports(path)) - allowed for path in CORE}

    assert not {name: names for name, names in foreign.items() if names}


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_a_distribution_imports_only_what_it_requires(package: Path) -> None:
    own = package.name.replace("-", "_")
    allowed = sys.stdlib_module_names | declared(package) | {own}

    foreign = {shown(path): set(imports(path)) - allowed for path in package.rglob("src/**/*.py")}

    assert not {name: names for name, names in foreign.items() if names}


def test_importing_the_core_loads_nothing_heavy() -> None:
    loaded = modules_after("import litestar_queues_core") - modules_after("import asyncio")

    assert "litestar_queues_core" in loaded
    assert not loaded & HEAVY


def test_importing_task_loads_neither_litestar_nor_a_driver() -> None:
    loaded = modules_after("from litestar_queues import task")

    assert not loaded & {"litestar", "sqlite3", "sqlalchemy", "litestar_queues_sql"}


def test_every_module_says_what_it_is_for() -> None:
    assert not [shown(path) for path in MODULES if not ast.get_docstring(parsed(path))]


def test_no_module_is_long() -> None:
    lengths = {shown(path): len(text(path).splitlines()) for path in MODULES}

    assert not {name: length for name, length in lengths.items() if length > LONGEST_MODULE}


def test_no_function_is_longer_than_a_screen() -> None:
    lengths = {
        f"{shown(path)}:{node.lineno} {node.name}": (node.end_lineno or 0) - node.lineno + 1
        for path in MODULES
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }

    assert lengths
    assert not {name: length for name, length in lengths.items() if length > LONGEST_FUNCTION}


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_a_distribution_owns_one_typed_package(package: Path) -> None:
    name = package.name.replace("-", "_")

    assert [p.name for p in (package / "src").iterdir() if p.is_dir()] == [name]
    assert (package / "src" / name / "py.typed").is_file()


def test_no_file_names_a_machine_or_a_registry_or_is_unfinished() -> None:
    found: list[str] = []
    for path in files_of_the_project():
        content = path.read_bytes().decode("utf-8", errors="replace")
        for pattern in (MACHINE_PATH, REGISTRY, UNFINISHED):
            found += [f"{shown(path)}: {match.group()}" for match in pattern.finditer(content)]

    assert not found


def test_no_lock_file_is_kept() -> None:
    assert "uv.lock" not in {path.name for path in files_of_the_project()}


def test_every_public_name_of_the_core_has_the_home_that_type_checkers_see() -> None:
    import litestar_queues_core as core

    tree = ast.parse(Path(core.__file__ or "").read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {
        alias.name: str(node.module).removeprefix("litestar_queues_core.")
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }

    assert seen == core._HOMES
    assert set(seen) | {"Task", "TaskCall", "__version__", "task"} == set(core.__all__)
    assert all(hasattr(core, name) for name in seen)
