"""docs/accuracy.md, written from scratch: the text of page.md with the tables in their places, and the plots."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from pelvis.pipeline import ALGORITHM_VERSION
from sensor_host.tables import WholeFile
from sensor_host.validation.bounds import bounds
from sensor_host.validation.measured import Measured
from sensor_host.validation.plots import plots
from sensor_host.validation.table import Table
from sensor_host.validation.tables import SECTIONS

TEMPLATE = Path(__file__).with_name("page.md")
# beside the page
IMAGES = Path("img") / "accuracy"

_UNCERTAINTY_PLOT = """\
![Standard errors stated and found](img/accuracy/uncertainty.svg)

Steps without loss and with 5 % lost together, each dot a tenth of them; on the line, what is stated holds."""


def write_page(path: Path, measured: Measured, tables: Mapping[str, Table]) -> list[Path]:
    """Write the page with these tables, and its plots beside it; return everything written.

    Raises
    ------
    OutputError
        When a file cannot be written.
    """
    drawn = plots(measured)
    places = dict.fromkeys(SECTIONS, "The data for this table were not there.")
    places |= {name: table.markdown() for name, table in tables.items()}
    places["version"] = f"`{ALGORITHM_VERSION}`"
    places["unmet"] = _unmet(measured)
    places["uncertainty plot"] = _UNCERTAINTY_PLOT if "uncertainty.svg" in drawn else ""
    text = re.sub(r"\{\{([a-z ]+)\}\}", lambda place: places[place[1]], TEMPLATE.read_text(encoding="utf-8"))
    folder = path.parent / IMAGES
    folder.mkdir(parents=True, exist_ok=True)
    files = {path: re.sub(r"\n{3,}", "\n\n", text).encode()}
    files |= {folder / name: image for name, image in drawn.items()}
    for target, content in files.items():
        with WholeFile(target) as file:
            file.write(content)
    return list(files)


def _unmet(measured: Measured) -> str:
    missed = [bound.what for bound in bounds(measured) if not bound.met]
    if not missed:
        return "All of them are met."
    return f"**Not met:** {'; '.join(missed)}."
