"""What the benchmarks share: run hipdrive as a child and see what it took; print rows of a table."""

from __future__ import annotations

import hashlib
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".benchmarks"

# the very program a user calls, of the Python that runs this
HIPDRIVE = str(Path(sys.executable).with_name("hipdrive"))


@dataclass(frozen=True, slots=True)
class Cost:
    """What a child took: ``wall_s`` from its start to its end, ``cpu_s`` of it busy, ``peak_mb`` resident at most."""

    wall_s: float
    cpu_s: float
    peak_mb: float


def cost_of(arguments: Sequence[str]) -> Cost:
    """Run a program to its end; its output is shown only when it fails."""
    start_s = time.perf_counter()
    child = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert child.stdout is not None
    output = child.stdout.read()
    _, status, used = os.wait4(child.pid, 0)  # of this child and the grandchildren it waited for
    wall_s = time.perf_counter() - start_s
    child.returncode = os.waitstatus_to_exitcode(status)
    child.stdout.close()
    if child.returncode != 0:
        sys.exit(f"{' '.join(arguments)}: exit code {child.returncode}\n{output.decode(errors='replace')}")
    return Cost(wall_s, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def median_cost_of(arguments: Sequence[str], times: int) -> Cost:
    """Run it several times; the median of each figure, the largest peak."""
    costs = [cost_of(arguments) for _ in range(times)]
    return Cost(
        statistics.median(cost.wall_s for cost in costs),
        statistics.median(cost.cpu_s for cost in costs),
        max(cost.peak_mb for cost in costs),
    )


def hour() -> Path:
    """Return a recording of one hour of a simulated runner, made once for each state of what writes recordings."""
    writers = sorted((ROOT / "sensor_host" / "recording").glob("*.py"))
    mark = hashlib.sha256(b"".join(path.read_bytes() for path in writers)).hexdigest()[:8]
    path = CACHE / f"hour-{mark}.mcap"
    if not path.exists():
        CACHE.mkdir(exist_ok=True)
        # a folder for whoever is interrupted: a half-made recording never passes for a whole one
        partial = CACHE / "unfinished-hour.mcap"
        partial.unlink(missing_ok=True)
        print("making a recording of one hour ...", file=sys.stderr)
        cost_of([HIPDRIVE, "simulate", "-o", str(partial), "--minutes", "60"])
        partial.rename(path)
    return path


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least this share of them does not exceed."""
    ordered = sorted(values)
    return ordered[math.ceil(share * len(ordered)) - 1]


def table(*rows: tuple[str, str]) -> None:
    """Print rows of a markdown table: what, and how much."""
    for what, how_much in rows:
        print(f"| {what} | {how_much} |")
    sys.stdout.flush()
