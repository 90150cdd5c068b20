"""One hour of running through `hipdrive analyze`, recording in, tables out, process start included."""

from __future__ import annotations

import tempfile
from pathlib import Path

from measure import HIPDRIVE, hour, median_cost_of, table


def main() -> None:
    source = str(hour())
    with tempfile.TemporaryDirectory() as folder:
        steps = ["--steps", str(Path(folder, "steps.csv"))]
        samples = ["--samples", str(Path(folder, "samples.csv"))]
        for what, tables in (("steps", steps), ("steps and samples", steps + samples)):
            cost = median_cost_of([HIPDRIVE, "analyze", source, *tables], times=3)
            table(
                (
                    f"analyze one hour, {what}",
                    f"{cost.wall_s:.2f} s ({cost.cpu_s:.2f} s of processor), {cost.peak_mb:.0f} MB",
                )
            )


if __name__ == "__main__":
    main()
