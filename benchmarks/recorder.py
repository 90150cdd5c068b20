"""What it costs to keep a notification: encoded, compressed, handed to the operating system every second."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from measure import hour, table

from sensor_host.recording.reader import read
from sensor_host.recording.writer import RecordingWriter


def main() -> None:
    recording = read(hour())
    arrivals = list(recording.arrivals())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "copy.mcap")
        writer = RecordingWriter(path, recording.session)
        start_s, start_cpu_s = time.perf_counter(), time.process_time()
        for arrival in arrivals:
            writer.write(arrival)
        writer.flush()
        wall_s, cpu_s = time.perf_counter() - start_s, time.process_time() - start_cpu_s
        writer.close()
        size_mb = path.stat().st_size / 1e6
    wall_us, cpu_us = wall_s / len(arrivals) * 1e6, cpu_s / len(arrivals) * 1e6
    table(
        ("recorder, per notification", f"{wall_us:.1f} us ({cpu_us:.1f} us of processor)"),
        ("one hour on disk", f"{size_mb:.1f} MB"),
    )


if __name__ == "__main__":
    main()
