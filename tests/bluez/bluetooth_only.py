"""For pytest -p: of all tests those that need Bluetooth, and a place for what they measured."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import pytest
from bluetoothd import ENDED, LOG

MEASURED: list[str] = []

# what a test may have the stand-in answer and no real service
CHOSEN_ANSWERS = "refuse_connects"

# the files of which every test is to hold over the real service. The others lean on the stand-in's speed (watchdogs of
# 0.2 s, searches of 0.3 s) or on what it can be told to do; `--every-file` shows how far they hold.
HELD = ("scenarios.py", "test_connection.py", "test_doctor.py", "test_link_bench.py", "test_virtual_board.py")

# enough to see what bluetoothd complained of last
LOG_LINES = 30


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--every-file", action="store_true", help="also the tests that lean on the stand-in's speed")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what does not use the fixture that a real bluetoothd can stand behind."""
    fit = [
        item
        for item in items
        if isinstance(item, pytest.Function)
        and "open_bluetooth" in item.fixturenames
        and CHOSEN_ANSWERS not in inspect.getsource(item.function)
        and (item.path.name in HELD or config.getoption("--every-file"))
    ]
    config.hook.pytest_deselected(items=[item for item in items if item not in fit])
    items[:] = fit


@pytest.fixture(autouse=True)
def only_the_real_one(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test behind which the stand-in stood."""
    before = LOG.stat().st_size if LOG.exists() else 0
    yield
    if "open_bluetooth" in request.node.fixturenames:
        assert LOG.exists(), "bluetoothd was never started: this test proves nothing"
        assert LOG.stat().st_size > before, "bluetoothd was not started: this test proves nothing"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what the scenarios measured, and what bluetoothd said where something failed."""
    log = LOG.read_text(encoding="utf-8", errors="replace").splitlines() if LOG.exists() else []
    if terminalreporter.stats.get("failed"):
        terminalreporter.section("bluetoothd said last")
        for line in log[-LOG_LINES:]:
            terminalreporter.write_line(line)
    terminalreporter.section("what was measured")
    for line in (*MEASURED, f"bluetoothd ended by itself: {sum(ENDED in line for line in log)} times"):
        terminalreporter.write_line(line)
