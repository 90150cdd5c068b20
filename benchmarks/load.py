"""What a live run takes of the computer: the main processes of `hipdrive run` and `hipdrive demo`.

`run` has its sensor behind a Bluetooth service on a private D-Bus (tests/bluetooth.py) that notifies at the real
pace; `demo` computes its runner as well. Children (broker, player) are shown apart. The start is left out: what counts
is an hour of running. Reads /proc, so it runs on Linux only.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, Process
from pathlib import Path

from measure import HIPDRIVE, ROOT, table

sys.path.append(str(ROOT / "tests"))

from bluetooth import Bluetooth, Spec

SETTLE_S = 15.0
MEASURE_S = 45.0
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


async def run(folder: Path) -> None:
    daemon = shutil.which("dbus-daemon")
    if daemon is None:
        print("| run | not measured: dbus-daemon is not installed |")
        return
    async with Bluetooth(folder, daemon, Spec("RIMU bench", runs=True, standing_s=5.0)) as bluetooth:
        arguments = (HIPDRIVE, "run", "--no-console", "--no-record", "--for", "10m")
        environment = os.environ | {"DBUS_SYSTEM_BUS_ADDRESS": bluetooth.address}
        child = await asyncio.create_subprocess_exec(*arguments, env=environment, stdout=DEVNULL, stderr=PIPE)
        async with asyncio.timeout(30.0):
            await bluetooth.until(0, "streaming")
        await watch("run", child)


async def demo() -> None:
    arguments = (HIPDRIVE, "demo", "--no-console", "--no-record", "--for", "10m")
    await watch("demo", await asyncio.create_subprocess_exec(*arguments, stdout=DEVNULL, stderr=PIPE))


async def watch(what: str, child: Process) -> None:
    """Print what a running child takes, then end it as Ctrl-C does."""
    try:
        await asyncio.sleep(SETTLE_S)
        if child.returncode is not None:
            assert child.stderr is not None
            sys.exit(f"hipdrive {what} ended: {(await child.stderr.read()).decode(errors='replace')}")
        pids = [child.pid, *children(child.pid)]
        before = {pid: cpu_s(pid) for pid in pids}
        await asyncio.sleep(MEASURE_S)
        for pid in pids:
            share = (cpu_s(pid) - before[pid]) / MEASURE_S
            process = "main process" if pid == child.pid else f"child `{name(pid)}`"
            table((f"{what}, {process}", f"{100 * share:.1f} % of one core, {peak_mb(pid):.0f} MB at most"))
    finally:
        if child.returncode is None:
            child.send_signal(signal.SIGINT)
        await child.wait()


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


def name(pid: int) -> str:
    words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    return words[words.index("-m") + 1] if "-m" in words else Path(words[0]).name


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder)))
    asyncio.run(demo())


if __name__ == "__main__":
    main()
