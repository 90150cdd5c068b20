"""What a live run takes of the computer: processor and memory of the main process of `hipdrive demo`.

Children (broker, player) are shown apart. The start is left out: what counts is an hour of running.
Reads /proc, so it runs on Linux only.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from measure import HIPDRIVE, table

SETTLE_S = 10.0
MEASURE_S = 50.0
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def peak_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


def children(pid: int) -> list[int]:
    found: list[int] = []
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        found += [int(child), *children(int(child))]
    return found


def main() -> None:
    arguments = [HIPDRIVE, "demo", "--for", f"{SETTLE_S + MEASURE_S + 30:.0f}s", "--no-console"]
    demo = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        time.sleep(SETTLE_S)
        if demo.poll() is not None:
            assert demo.stderr is not None
            sys.exit(f"hipdrive demo ended: {demo.stderr.read().decode(errors='replace')}")
        pids = [demo.pid, *children(demo.pid)]
        before = {pid: cpu_s(pid) for pid in pids}
        time.sleep(MEASURE_S)
        shares = {pid: (cpu_s(pid) - before[pid]) / MEASURE_S for pid in pids}
        table(
            ("demo, main process", f"{100 * shares[demo.pid]:.1f} % of one core, {peak_mb(demo.pid):.0f} MB at most"),
            *(
                (f"demo, child {name(pid)}", f"{100 * shares[pid]:.1f} % of one core, {peak_mb(pid):.0f} MB at most")
                for pid in pids[1:]
            ),
        )
    finally:
        demo.send_signal(signal.SIGINT)
        demo.wait(timeout=30)


def name(pid: int) -> str:
    words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    module = words[words.index("-m") + 1] if "-m" in words else Path(words[0]).name
    return f"`{module}`"


if __name__ == "__main__":
    main()
