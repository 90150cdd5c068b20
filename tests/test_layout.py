"""The shape of the tree: what must lie where, and what must never lie there."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = {"sensor_host": ROOT / "sensor_host", "pelvis": ROOT / "signal" / "pelvis"}

TOP_LEVEL = {
    *("pyproject.toml", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile"),
    *("sensor_host", "signal", "tests", "hardware", "recordings", "docs", "benchmarks"),
}

# libraries whose callers see what they are made of
MADE_OF = {"aiomqtt": "paho-mqtt", "bleak": "dbus-fast"}


def modules() -> Iterator[Path]:
    for folder in PACKAGES.values():
        yield from sorted(folder.rglob("*.py"))


def tracked_files() -> list[str]:
    """Return what git keeps and what it would keep, or every visible file where there is no git."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listing.returncode == 0:
        return [line for line in listing.stdout.splitlines() if (ROOT / line).exists()]
    return [str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if path.is_file()]


def in_root(*arguments: str, **environment: str) -> str:
    """Run Python in the project's root, as a user there would, and return what it printed."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=clean | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# ---------------------------------------------------------------- the `signal` trap


def test_an_event_loop_runs_from_the_root_although_a_folder_there_is_called_signal() -> None:
    # `python -c` puts the working directory first on the path. A bare `import asyncio` would not notice a shadowed
    # `signal`; asyncio.run installs a handler with it and does.
    program = "import asyncio, signal; asyncio.run(asyncio.sleep(0)); print(signal.SIGINT.name, signal.__file__)"
    name, file = in_root("-c", program).split(maxsplit=1)
    assert name == "SIGINT"
    assert not Path(file).is_relative_to(ROOT)


def test_the_trap_stays_shut_with_the_root_and_the_source_folder_on_the_path() -> None:
    program = "import asyncio, signal, pelvis; asyncio.run(asyncio.sleep(0)); print(pelvis.__file__)"
    path = os.pathsep.join((str(ROOT), str(ROOT / "signal")))
    assert Path(in_root("-c", program, PYTHONPATH=path)) == ROOT / "signal" / "pelvis" / "__init__.py"


def test_the_folder_signal_is_no_package_and_holds_no_module_itself() -> None:
    assert not list((ROOT / "signal").glob("*.py"))
    assert [path.name for path in (ROOT / "signal").iterdir() if path.is_dir() and path.name != "__pycache__"] == [
        "pelvis"
    ]


def test_no_folder_of_tests_is_a_package() -> None:
    assert not list((ROOT / "tests").rglob("__init__.py"))


# ---------------------------------------------------------------- names and places


def test_nothing_new_lies_at_the_top() -> None:
    seen = {Path(name).parts[0] for name in tracked_files()}
    assert {name for name in seen if not name.startswith(".")} <= TOP_LEVEL


def test_no_module_is_named_like_one_of_the_standard_library() -> None:
    files = [*modules(), *(ROOT / "tests").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]
    names = {path: path.stem if path.stem != "__init__" else path.parent.name for path in files}
    assert not {str(path.relative_to(ROOT)) for path, name in names.items() if name in sys.stdlib_module_names}


@pytest.mark.parametrize("word", ["util", "helper", "common", "manager", "misc"])
def test_no_module_has_a_name_that_says_nothing(word: str) -> None:
    assert not [path.name for path in modules() if word in path.stem]


def test_every_package_is_typed() -> None:
    assert all((folder / "py.typed").is_file() for folder in PACKAGES.values())


def test_imports_are_absolute() -> None:
    relative = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.level > 0
    ]
    assert not relative


# ---------------------------------------------------------------- defaults


def test_sections_of_the_configuration_are_declared_in_one_file() -> None:
    elsewhere = [
        f"{path.relative_to(ROOT)}: {node.name}"
        for path in modules()
        if path != ROOT / "sensor_host" / "config.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base).split(".")[-1] == "Section" for base in node.bases)
    ]
    assert not elsewhere


def test_every_field_of_the_configuration_has_its_default_in_config() -> None:
    from msgspec.structs import NODEFAULT, fields

    from sensor_host import config

    required = {("CueRule", "name"), ("CueRule", "when")}
    required |= {("CueTerm", name) for name in ("metric", "direction", "threshold")}
    missing = {
        (section.__name__, field.name)
        for section in config.Section.__subclasses__()
        for field in fields(section)
        if field.default is NODEFAULT and field.default_factory is NODEFAULT
    }
    assert missing == required


# ---------------------------------------------------------------- what is shipped


def test_the_wheel_holds_the_two_packages_at_its_top_and_nothing_else(tmp_path: Path) -> None:
    pytest.importorskip("hatchling", reason="hatchling is not installed: pip install hatchling")
    in_root("-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path))
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.split("/")[0] for name in names}
    info = {top for top in tops if top.endswith(".dist-info")}
    assert tops - info == {"sensor_host", "pelvis"}
    assert len(info) == 1
    assert {"pelvis/data.py", "pelvis/py.typed", "sensor_host/cli.py", "sensor_host/py.typed"} <= set(names)
    assert "sensor_host/validation/page.md" in names


def test_the_source_archive_carries_no_environment_and_no_build_output(tmp_path: Path) -> None:
    pytest.importorskip("hatchling", reason="hatchling is not installed: pip install hatchling")
    import tarfile

    in_root("-m", "hatchling", "build", "--target", "sdist", "--directory", str(tmp_path))
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        inside = {name.split("/")[1] for name in tar.getnames() if "/" in name}
    assert not inside & {".venv", ".python", "dist", "build"}


def test_the_version_is_the_newest_of_the_changelog() -> None:
    from sensor_host import __version__

    found = re.search(r"^## \[(\d[^\]]*)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None
    assert found.group(1) == __version__


def test_every_library_the_packages_import_is_declared() -> None:
    assert undeclared(list(modules()), "sound", "voice", "virtual", "validate", "view") == set()


def test_every_library_the_tests_import_is_declared() -> None:
    tests = [*(ROOT / "tests").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py"), *(ROOT / "docs").rglob("*.py")]
    assert undeclared(tests, "sound", "test", "virtual", "validate", "view", "fuzz") == set()


def undeclared(files: list[Path], *extras: str) -> set[str]:
    """Return what these files import from libraries that pyproject.toml names neither as required nor in the extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = (project["dependencies"], *(project["optional-dependencies"][extra] for extra in extras))
    declared = {_normal(re.split(r"[^A-Za-z0-9_.-]", line)[0]) for group in groups for line in group}
    imported = {
        name.split(".")[0]
        for path in files
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for name in _names_imported(node)
    }
    declared |= {part for whole, part in MADE_OF.items() if whole in declared}
    own = {*PACKAGES, "tests", "benchmarks", *(path.stem for path in files)}
    shipped_by = packages_distributions()
    return {
        name
        for name in imported - set(sys.stdlib_module_names) - own
        if not {_normal(distribution) for distribution in shipped_by.get(name, [name])} & declared
    }


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _names_imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module:
        return [node.module]
    return []


def test_help_loads_none_of_the_heavy_libraries() -> None:
    program = (
        "import sys\n"
        "from sensor_host.cli import main\n"
        "sys.argv = ['hipdrive', '--help']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'numpy', 'bleak', 'aiomqtt', 'amqtt', 'mcap', 'rich', 'sounddevice', 'vqf', 'asyncio'}\n"
        "print('HEAVY', sorted(heavy & set(sys.modules)))\n"
    )
    assert in_root("-c", program).splitlines()[-1] == "HEAVY []"
