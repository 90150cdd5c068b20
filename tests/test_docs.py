"""The documents: current, and pointing at things that exist."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from pelvis import quality
from sensor_host.cli import COMMANDS

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + [
    page for folder in ("docs", "hardware", "recordings") for page in sorted((ROOT / folder).rglob("*.md"))
]


def names(pages: list[Path]) -> list[str]:
    return [str(page.relative_to(ROOT)) for page in pages]


def test_the_generated_pages_are_current() -> None:
    done = subprocess.run(
        [sys.executable, "docs/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    local = [target.partition("#")[0] for target in targets if not re.match(r"[a-z]+:|#", target)]
    assert [target for target in local if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_every_command_a_page_shows_exists(page: Path) -> None:
    shown = re.findall(r"(?:^ {4,}|`)hipdrive ([a-z][a-z-]*)\b", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert set(shown) <= set(COMMANDS)


def test_every_option_the_readme_shows_exists() -> None:
    from click.testing import CliRunner

    from sensor_host.cli import cli

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for command, rest in re.findall(r"^ +hipdrive ([a-z][a-z-]*)([^\n#]*)", readme, flags=re.MULTILINE):
        help_text = CliRunner().invoke(cli, [command, "--help"]).output
        for option in re.findall(r"--[a-z-]+", rest):
            assert option in help_text, f"hipdrive {command} {option}"


def test_the_readme_names_every_library_that_is_required() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    required = {re.split(r"[^A-Za-z0-9_.-]", requirement)[0] for requirement in project["dependencies"]}
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert {library for library in required if library not in readme} == set()


def test_the_architecture_names_stages_that_exist() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    files = set(re.findall(r"(?:sensor_host|sources|sinks|boards|pelvis|signal)/[a-z_/]+\.py", text))
    places = [ROOT, ROOT / "sensor_host", ROOT / "signal"]
    assert {file for file in files if not any((place / file).is_file() for place in places)} == set()


def test_the_page_about_quality_names_every_flag() -> None:
    page = (ROOT / "docs" / "quality.md").read_text(encoding="utf-8")
    assert [flag for flag in (*quality.FLAGS.values(), quality.UNLIKE) if f"`{flag}`" not in page] == []


def test_every_block_of_the_page_about_python_runs_and_says_what_it_claims(monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    assert len(blocks) > 5
    claimed: list[tuple[object, str]] = []
    # a line `expression  # -> what it is` becomes a call that keeps both
    code = re.sub(
        r"^(\S.*?)  # -> (.+)$",
        lambda found: f"claim(({found[1]}), {found[2]!r})",
        "\n".join(blocks),
        flags=re.MULTILINE,
    )
    monkeypatch.chdir(ROOT)
    exec(compile(code, "docs/python.md", "exec"), {"claim": lambda value, said: claimed.append((value, said))})
    assert len(claimed) == page.count("# -> ")
    assert [(str(value), said) for value, said in claimed if str(value) != said] == []
