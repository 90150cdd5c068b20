"""One example of everything a session can say, with numbers that can be told apart."""

from __future__ import annotations

import numpy as np

from pelvis.data import (
    Activity,
    ActivityState,
    Command,
    ContactWithdrawn,
    Cue,
    CueOutcome,
    Evidence,
    Gap,
    HeartRate,
    Marker,
    Motion,
    Notice,
    ProvisionalContact,
    Reference,
    References,
    Retention,
    RunBaseline,
    Side,
    Speed,
    Step,
    Stride,
)
from pelvis.metrics import STEP_METRICS, STRIDE_METRICS
from sensor_host.ports import LinkHealth, Mode, Said, SensorInfo, SessionInfo, SessionState, SinkState


def session(mode: Mode = Mode.LIVE, session_id: str = "20250601-070000-abcd", runner: str = "ada") -> SessionInfo:
    return SessionInfo(
        session_id=session_id,
        runner=runner,
        mode=mode,
        start_utc="2025-06-01T07:00:00Z",
        utc_offset_s=7200,
        sensors=(SensorInfo("pelvis", "rimu", rate_hz=200.0),),
        replay_of="20250531-070000-abcd" if mode is Mode.REPLAY else "",
    )


# a step that nothing disturbs, long into a run
IDEAL = Evidence(
    strangeness=1.0,
    run_steps=10_000,
    period_ratio=1.0,
    filled_ratio=0.0,
    filled_stance=0.0,
    filled_before=0.0,
    filled_lately=0.0,
    clipped_ratio=0.0,
    axis_confidence=1.0,
    disagrees=False,
    yaw_radps=0.0,
    has_gyroscope=True,
    from_standing=True,
)


def step(index: int = 0, quality: float = 0.9) -> Step:
    contact_s = 10.0 + 0.35 * index
    return Step(
        step_index=index,
        stride_index=index // 2,
        contact_id=index + 100,
        initial_contact_s=contact_s,
        toe_off_s=contact_s + 0.24,
        side=(Side.LEFT, Side.RIGHT)[index % 2],
        side_confidence=0.97,
        metrics={metric.name: 1.25 + i for i, metric in enumerate(STEP_METRICS)},
        errors={metric.name: 0.05 + i for i, metric in enumerate(STEP_METRICS)},
        common_errors={metric.name: 0.03 + i for i, metric in enumerate(STEP_METRICS)},
        initial_contact_se_s=0.006,
        toe_off_se_s=0.007,
        quality=quality,
        flags=("clipped",),
        reported_at_s=contact_s + 0.3,
    )


def stride(index: int = 0) -> Stride:
    contact_s = 10.0 + 0.35 * index
    return Stride(
        step_index=index,
        stride_index=index // 2,
        initial_contact_s=contact_s,
        side=(Side.LEFT, Side.RIGHT)[index % 2],
        metrics={metric.name: 2.5 + i for i, metric in enumerate(STRIDE_METRICS)},
        errors={metric.name: 0.05 + i for i, metric in enumerate(STRIDE_METRICS)},
        common_errors={metric.name: 0.03 + i for i, metric in enumerate(STRIDE_METRICS)},
        completed_at_s=contact_s + 0.8,
    )


def motion(rows: int = 8, first_s: float = 10.0) -> Motion:
    ramp = np.arange(rows, dtype=np.float64)
    return Motion(
        t_s=first_s + ramp * 0.005,
        acc_g=np.stack((0.1 + ramp, 0.2 + ramp, 0.3 + ramp), axis=1),
        obliquity_deg=0.4 + ramp,
        tilt_deg=0.5 + ramp,
        rotation_deg=np.full(rows, np.nan),
        activity=np.full(rows, 3, dtype=np.int8),
    )


def cue() -> Cue:
    why = {"metric": "pelvic_drop_deg", "value": 7.5, "baseline": 5.0, "z": 2.6, "seconds": 20.0}
    return Cue(3, "drop", "phrase", "drop", Side.LEFT, 5, 11.0, 4.0, why)


def everything() -> tuple[Said, ...]:
    return (
        SessionState("online"),
        ProvisionalContact(100, 10.0, Side.LEFT, 10.06),
        ContactWithdrawn(99, 10.1),
        step(),
        stride(),
        Activity(9.0, ActivityState.RUNNING, 9.5),
        Notice(9.6, "heading_found", "The forward direction has been found.", 9.6),
        cue(),
        CueOutcome(3, "drop", "pelvic_drop_deg", 7.5, 5.2, 2.6, 0.2, True, 71.0),
        References((Reference("cadence_spm", Side.UNKNOWN, 174.0, 3.0, 5),), 3.25, 820.0),
        Retention(1, 0.75, 110.0, 840.0),
        RunBaseline("pelvic_drop_deg", Side.LEFT, 3.25, 2.5, 0.4, 812, 24, "profile", 5, 1480.0),
        motion(),
        Gap(12.0, 0.5, "link lost"),
        Speed(12.0, 3.2, "treadmill"),
        HeartRate(12.0, 151.0, (0.4, 0.398)),
        Marker(12.5, "hill", "lap"),
        Command(12.6, "focus", "drop"),
        LinkHealth("pelvis", "connected", 13.0, 1000, 8000, 16, 0, 1, 12.5, -60, 0.8),
        SinkState("sound", "failed", "no audio device"),
        SessionState("offline", "stopped"),
    )
