"""The pages of hardware/: their sums by hand, their drawings well-formed, their devices those of BOARDS."""

from __future__ import annotations

import re
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from sensor_host.boards import BOARDS

HARDWARE = Path(__file__).resolve().parent.parent / "hardware"
PICTURES = sorted((HARDWARE / "img").glob("*.svg"))
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def pages() -> Iterator[dict[str, Any]]:
    """The names of hardware/pages.py; run, since the folder is no package."""
    path, modules = sys.path[:], set(sys.modules)
    yield runpy.run_path(str(HARDWARE / "pages.py"))
    sys.path[:] = path
    for name in {"drawings", "power"} - modules:
        sys.modules.pop(name, None)


# ---------------------------------------------------------------- power


def test_the_budget_of_the_c_firmware_is_what_its_parts_come_to_by_hand(pages: dict[str, Any]) -> None:
    """At 15 ms there are 66.67 events a second, at 208 Hz and 8 samples 26 packets."""
    events, packets = 1000 / 15, 208 / 8
    by_hand_ma = (
        0.90  # sensor
        + 4.6 * events * 0.30e-3  # receive
        + 4.8 * events * (0.04e-3 + 80e-6)  # an empty packet: 10 bytes of 8 us, and the ramp
        + 4.8 * packets * (7 + 104) * 8e-6  # L2CAP 4, ATT 3, the notification
        + 3.3 * events * 1.0e-3
        + 0.25 * events * 1.5e-3
        + 3.3 * packets * 3.0e-3
        + 0.023
    )
    budget = pages["power"].BUDGETS[0]
    assert budget.total_ma == pytest.approx(by_hand_ma, rel=1e-9)
    assert by_hand_ma == pytest.approx(1.67, abs=0.01)
    assert budget.hours(100) == pytest.approx(48.0, abs=0.3)


def test_a_cell_of_twice_the_size_lasts_twice_as_long_and_a_fifth_of_it_is_not_counted(pages: dict[str, Any]) -> None:
    for budget in pages["power"].BUDGETS:
        assert budget.hours(100) == pytest.approx(2 * budget.hours(50))
        assert budget.hours(100) * budget.total_ma == pytest.approx(80.0)


def test_every_part_of_a_budget_says_where_it_comes_from(pages: dict[str, Any]) -> None:
    assert all(part.source for budget in pages["power"].BUDGETS for part in budget.parts)


def test_a_mass_on_a_spring_is_as_stiff_as_physics_says(pages: dict[str, Any]) -> None:
    """10 g at 15.915 Hz (100 rad/s): 0.010 x 100^2 = 100 N/m."""
    assert pages["power"].stiffness_n_per_mm(10.0, 15.9155) == pytest.approx(0.1, rel=1e-4)


def test_the_page_asks_of_a_clip_what_the_table_of_accuracy_asks(pages: dict[str, Any]) -> None:
    """At the stiffness that enclosure.md asks for, contact time is at most 2 % worse than it is anyhow."""
    rows = {row["place"]: float(row["contact, ms"]) for row in pages["drawings"].places()}
    assert "**30 Hz or more is what a clip must reach**" in (HARDWARE / "enclosure.md").read_text(encoding="utf-8")
    assert rows["on soft tissue that swings at 30 Hz"] <= 1.02 * rows["where it should be"]
    assert rows["on soft tissue that swings at 12 Hz"] > 1.7 * rows["where it should be"]


# ---------------------------------------------------------------- drawings


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.stem)
def test_a_drawing_has_a_title_a_ground_and_both_themes(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    root = ET.fromstring(text)
    assert root.findtext(f"{SVG}title")
    ground = root.find(f"{SVG}rect")
    assert ground is not None
    assert (ground.get("class"), ground.get("width"), ground.get("height")) == (
        "paper",
        root.get("width"),
        root.get("height"),
    )
    assert "prefers-color-scheme:dark" in text


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.stem)
def test_the_words_of_a_drawing_stay_within_it_and_are_none_too_small(path: Path) -> None:
    root = ET.fromstring(path.read_text(encoding="utf-8"))
    width = float(root.get("width", "0"))
    shifted = [(0.0, text) for text in root.findall(f"{SVG}text")]
    for group in root.findall(f"{SVG}g"):
        moved = re.match(r"translate\(([\d.]+) 0\)", group.get("transform", ""))
        shifted += [(float(moved[1]) if moved else 0.0, text) for text in group.findall(f"{SVG}text")]
    for shift, text in shifted:
        # 0.62 of the size a letter: wider than any of the fonts named, on average
        length = 0.62 * (13 if text.get("class") == "small" else 15) * len(text.text or "")
        at = float(text.get("x", "0")) + shift
        start = {"start": at, "middle": at - length / 2, "end": at - length}[text.get("text-anchor", "start")]
        assert start >= 0, text.text
        assert start + length <= width, text.text


def test_the_case_holds_board_and_cell_and_keeps_the_cell_from_the_antenna(pages: dict[str, Any]) -> None:
    case = pages["drawings"].CASE
    assert case.inner_length >= 21.0
    assert case.inner_width >= 20.0
    assert case.inner_height >= 4.0 + 4.5
    assert case.cell_length <= case.board_length - case.keep_out


# ---------------------------------------------------------------- devices


def test_every_board_has_its_row_and_its_part_of_the_page() -> None:
    page = (HARDWARE / "devices.md").read_text(encoding="utf-8")
    for key in BOARDS:
        assert f"| `{key}` |" in page
        assert f"<!-- board: {key} -->" in page
