"""The pictures, and the tables between markers in the pages of hardware/, as docs/generate.py writes them.

A table's place on a page:  <!-- pages.py: NAME -->  and  <!-- pages.py: end -->
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from pelvis.data import STANDARD_GRAVITY_MPS2
from sensor_host.boards import BOARDS
from sensor_host.boards.board import TimeBase

HARDWARE = Path(__file__).resolve().parent
sys.path.append(str(HARDWARE))

import drawings  # noqa: E402 - beside this file, which is run and not imported
import power  # noqa: E402

# as in docs/accuracy.md, Place on the body
STIFFNESS_HZ = (8.0, 12.0, 20.0, 30.0)
MASSES_G = (8.0, 12.0, 20.0)


def stiffness_table() -> str:
    """Return how far a sensor may give way under the weight of 100 g."""
    head = " | ".join(f"{mass:g} g" for mass in MASSES_G)
    rows = []
    for natural_hz in STIFFNESS_HZ:
        give_mm = [100e-3 * 9.81 / power.stiffness_n_per_mm(mass, natural_hz) for mass in MASSES_G]
        rows.append(f"| {natural_hz:g} Hz | " + " | ".join(f"{mm:.1f} mm" for mm in give_mm) + " |")
    return "\n".join([f"| Swings at | {head} |", "|---|" + "---:|" * len(MASSES_G), *rows])


# columns of docs/accuracy.md -> as mounting.md names them
PLACE_COLUMNS = {
    "contact, ms": "contact time, ms",
    "run mean, ms": "mean of a run, ms",
    "drop, deg": "pelvic drop, deg",
    "VO, mm": "vertical oscillation, mm",
    "sway, mm": "sway, mm",
    "side": "side right",
}


def places_table() -> str:
    """Return what docs/accuracy.md says of places."""
    rows = [
        f"| {row['place']} | " + " | ".join(row[name] for name in PLACE_COLUMNS) + " |" for row in drawings.places()
    ]
    head = f"| Place | {' | '.join(PLACE_COLUMNS.values())} |"
    return "\n".join([head, "|---|" + "---:|" * len(PLACE_COLUMNS), *rows])


def case_table() -> str:
    """Return the sizes of the case and what they follow from."""
    case = drawings.CASE
    rows = [
        ("inside, length", case.inner_length, "the longer of board and cell with the antenna's share, and the gaps"),
        ("inside, width", case.inner_width, "the wider of board and cell, and the gaps"),
        ("inside, height", case.inner_height, "cell, its swelling, foam, board, gap"),
        ("outside", 0.0, f"{case.length:.1f} × {case.width:.1f} × {case.height:.1f}, walls of {case.wall:g}"),
    ]
    shown = [f"| {what} | {f'{size:.1f}' if size else ''} | {why} |" for what, size, why in rows]
    return "\n".join(["| | mm | |", "|---|---:|---|", *shown])


LOSS_KNOWN = {TimeBase.COUNTED: "exactly", TimeBase.STAMPED: "by its clock", TimeBase.ARRIVAL: "by arrival"}


def devices_table() -> str:
    """Return what BOARDS declares."""
    head = "| Board | Device | rate | range | samples a packet | what was lost is known | runs |"
    rows = []
    for board in BOARDS.values():
        if board.motion is None:
            rows.append(f"| `{board.key}` | {board.title} | | | | | no motion |")
            continue
        motion = board.motion
        ranges = (
            f"±{motion.acc_range_mps2 / STANDARD_GRAVITY_MPS2:.0f} g, ±{math.degrees(motion.gyr_range_radps):.0f} °/s"
        )
        rows.append(
            f"| `{board.key}` | {board.title} | {motion.rate_hz:g} Hz | {ranges} | {motion.samples_per_notification} | "
            f"{LOSS_KNOWN[motion.time_base]} | {f'refused: {board.refusal}' if board.refusal else 'yes'} |"
        )
    return "\n".join([head, "|---|---|---:|---|---:|---|---|", *rows])


TABLES: Mapping[str, Mapping[str, Callable[[], str]]] = {
    "devices.md": {"devices": devices_table},
    "power.md": {"hours": power.hours_table, "parts": power.parts_table},
    "mounting.md": {"places": places_table},
    "enclosure.md": {"case": case_table, "stiffness": stiffness_table},
}


def page(name: str) -> str:
    """Return a page with its tables written anew."""
    text = (HARDWARE / name).read_text(encoding="utf-8")
    for table, make in TABLES[name].items():
        start, end = f"<!-- pages.py: {table} -->\n", "\n<!-- pages.py: end -->"
        before, found, rest = text.partition(start)
        _, ended, after = rest.partition(end)
        if not (found and ended):
            sys.exit(f"hardware/{name} lacks the lines of its table '{table}'")
        text = f"{before}{start}{make()}{end}{after}"
    return text


PAGES: dict[Path, Callable[[], str]] = {
    **drawings.PICTURES,
    **{HARDWARE / name: (lambda name=name: page(name)) for name in TABLES},  # type: ignore[misc]
}
