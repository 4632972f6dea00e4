"""What is installed is ours, and its parts fit each other."""

from __future__ import annotations

import json
import re
import tomllib
from importlib.metadata import Distribution, distribution, entry_points
from itertools import combinations
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from litestar_queues_core import __version__
from litestar_queues_core.errors import MissingAdapterError, adapter

ROOT = Path(__file__).parents[1]
NAMES = sorted(path.name for path in ROOT.glob("packages/*"))
WORKSPACE = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PIN = re.compile(r"(?P<name>[a-z0-9-]+)==[\w.!+]+( ; [\w.' <>=!*]+)?")

every_distribution = pytest.mark.parametrize("name", NAMES)


def origin(installed: Distribution) -> str:
    """Return the path an installed distribution came from; from an index there is none."""
    record = json.loads(installed.read_text("direct_url.json") or "{}")
    return unquote(urlsplit(record.get("url", "")).path)


def command(ending: str) -> str:
    """Return the one line of the README that ends so."""
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    (line,) = {line.strip() for line in lines if line.strip().endswith(f"nox -s {ending}")}
    return line


@every_distribution
def test_the_installed_distribution_is_ours(name: str) -> None:
    installed = distribution(name)
    path = Path(origin(installed))

    assert installed.version == __version__
    wheel = f"{name.replace('-', '_')}-{__version__}-py3-none-any.whl"
    assert path == ROOT / "packages" / name or path.name == wheel


@every_distribution
def test_siblings_are_required_in_the_version_that_is_built(name: str) -> None:
    siblings = [r for r in distribution(name).requires or [] if r.startswith("litestar-queues")]
    minor = re.escape(__version__.rpartition(".")[0])

    assert bool(siblings) is (name != "litestar-queues-core")
    for requirement in siblings:
        assert re.search(rf"~={minor}\.0(;|$)", requirement), requirement


@every_distribution
def test_the_metadata_says_what_a_reader_of_the_index_needs(name: str) -> None:
    metadata = distribution(name).metadata

    assert metadata["License-Expression"] == "MIT"
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["Summary"]
    assert metadata["Description-Content-Type"] == "text/markdown"
    licence = (ROOT / "packages" / name / "LICENSE").read_text(encoding="utf-8")
    assert licence == (ROOT / "LICENSE").read_text(encoding="utf-8")


def test_no_file_belongs_to_two_distributions() -> None:
    owned = {name: set(map(str, distribution(name).files or [])) for name in NAMES}

    for one, other in combinations(NAMES, 2):
        assert owned[one]
        assert not owned[one] & owned[other]


@pytest.mark.parametrize("name", ["advanced_alchemy", "memory", "sqlite"])
def test_a_backend_is_found_by_its_name(name: str) -> None:
    (found,) = entry_points(group="litestar_queues.backends", name=name)

    assert hasattr(found.load(), "open")


def test_a_missing_adapter_is_named() -> None:
    message = "^the 'not-there' adapter is not in this version of litestar-queues"

    with pytest.raises(MissingAdapterError, match=message), adapter("not_there"):
        import litestar_queues_not_there  # noqa: F401


def test_a_missing_driver_is_not_taken_for_a_missing_adapter() -> None:
    with pytest.raises(ModuleNotFoundError, match="some_driver"), adapter("redis"):
        import some_driver  # noqa: F401


def test_every_member_is_named_where_the_workspace_lists_them() -> None:
    modules = {name.replace("-", "_") for name in NAMES}
    tool = WORKSPACE["tool"]
    layers, *_ = tool["importlinter"]["contracts"]

    assert set(tool["uv"]["sources"]) == set(NAMES)
    assert set(tool["coverage"]["run"]["source_pkgs"]) == modules
    assert set(tool["importlinter"]["root_packages"]) == modules
    assert {part.strip() for line in layers["layers"] for part in line.split("|")} == modules
    published = (ROOT / ".github" / "workflows" / "publish.yml").read_text(encoding="utf-8")
    assert set(re.findall(r"dist/(\w+)-\*", published)) == modules


def test_constraints_hold_versions_and_nothing_else() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {match["name"] for line in lines if (match := PIN.fullmatch(line))}
    groups = WORKSPACE["dependency-groups"].values()
    wanted = [item for group in groups for item in group if isinstance(item, str)]

    assert [line for line in lines if not PIN.fullmatch(line)] == []
    assert {re.split(r"[\[>=]", requirement)[0] for requirement in wanted} <= pinned
    assert not pinned & set(NAMES)


def test_pre_commit_runs_the_pinned_versions() -> None:
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").split()
    used = set(re.findall(r"[\w-]+==[\w.]+", hooks))

    assert used
    assert used <= set(pins)


def test_the_readme_has_the_two_commands_and_ci_runs_the_second() -> None:
    demo, tests = command("demo"), command("tests")
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()

    assert demo.removesuffix("demo") == tests.removesuffix("tests")
    assert f"readme='{tests}'" in script
