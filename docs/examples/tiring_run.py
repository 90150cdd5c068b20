"""Write a recording of a simulated runner who tires, for the other examples.

python docs/examples/tiring_run.py RUN.mcap [MINUTES]
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

from pelvis.data import Marker
from pelvis.simulate import Drift, Scenario
from sensor_host.config import Config, CuesConfig
from sensor_host.ports import Injected, SessionInfo
from sensor_host.recording.writer import RecordingWriter
from sensor_host.runners import Profile
from sensor_host.runners import encode as encode_profile
from sensor_host.settings import encode as encode_config
from sensor_host.sources.simulated import SimulatedSource


def write_run(path: Path, minutes: float) -> None:
    """Write a run whose contacts grow longer and whose left side drops from a third on, with four laps and a coach."""
    duration_s = 60.0 * minutes
    fatigue = Drift(0.35 * duration_s, 0.8 * duration_s, drop_left_deg=2.5, drop_right_deg=0.6, contact_time_s=0.02)
    source = SimulatedSource(Scenario(speed_mps=3.2, drifts=(fatigue,), duration_s=duration_s), seed=7, paced=False)
    coach = CuesConfig(warm_up_s=0.1 * duration_s, learn_s=0.2 * duration_s)
    info = SessionInfo("tiring", "ada", source.mode, f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}Z", 0, source.sensors)
    laps_s = [0.25 * duration_s, 0.5 * duration_s, 0.75 * duration_s]
    with RecordingWriter(
        path,
        info,
        encode_config(Config(cues=coach)),
        encode_profile(Profile(runner=info.runner)),
        config_type="application/json",
        profile_type="application/json",
    ) as writer:
        begin_s = None
        for arrival in source.arrivals():
            begin_s = arrival.t_host_s if begin_s is None else begin_s
            if laps_s and arrival.t_host_s - begin_s >= laps_s[0]:
                writer.write(Injected(Marker(laps_s.pop(0), "", "lap"), arrival.t_host_s))
            writer.write(arrival)


if __name__ == "__main__":
    write_run(Path(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 20.0)
