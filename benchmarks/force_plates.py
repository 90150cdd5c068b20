"""Public data sets with ground truth, and how well the core measures them.

Every trial of a treadmill is made what a device would have measured (mount, bias, noise, scale, words of 16 bits,
lost packets, a still lead-in) and handed to the core as it would come. Truth: vertical force over 50 N.

Fukuchi    rbds/       Fukuchi, Fukuchi and Duarte 2017, doi:10.7717/peerj.3298: six axes from pelvis markers, 200 Hz
Alcantara  alcantara/  Alcantara et al. 2022, doi:10.7717/peerj.12752: a real sacral accelerometer, two axes, slopes
SisFall    sisfall/    Sucerquia et al. 2017, doi:10.3390/s17010198: a real waist sensor in daily life and falls
Voisard    walking/    Voisard et al. 2023 (IPOL): a real lumbar sensor, walking
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from pelvis.data import STANDARD_GRAVITY_MPS2, Array, CoreOutput, Motion, ProvisionalContact, Samples, Step, Stride
from pelvis.metrics import METRICS
from pelvis.pipeline import Pipeline, Settings
from pelvis.simulate import Slip

ACC_LSB_G, GYR_LSB_DPS = 16.0 / 32768.0, 2000.0 / 32768.0
# nothing in the first seconds of running is scored, the misses after them are
SETTLE_S = 4.0
# the last step is not reported before its toe-off has been seen
TAIL_S = 0.6
MATCH_S = 0.08
BEND_S = 14.0


@dataclass(frozen=True, slots=True)
class Device:
    """What a device adds: everything that is drawn is drawn per trial from ``seed``.

    ``mount_deg`` per axis at most, None: any rotation; ``loss_ratio`` of bursts of ``burst_s``; ``still_s`` of standing
    before the run (0: none); a ``slip`` on the belt, its time counted from the beginning of the run. From `BEND_S` of
    the run on the treadmill is laid into a bend of radius ``bend_m`` (to the left; < 0: right) by what a body on a
    circle feels; truth is what the optical pelvis did all the same.
    """

    rate_hz: float = 200.0
    mount_deg: float | None = 15.0
    loss_ratio: float = 0.0
    burst_s: float = 0.04
    still_s: float = 5.0
    clock_ppm: float = 50.0
    acc_bias_g: float = 0.02
    gyro_bias_dps: float = 1.5
    scale_ratio: float = 0.01
    acc_noise_g: float = 150e-6
    gyro_noise_dps: float = 0.008
    slip: Slip | None = None
    bend_m: float = math.inf
    seed: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """One trial: what the device says, and what was true in its time. Waves are those of the optical pelvis."""

    name: str
    samples: Samples
    lead_s: float
    contact_s: Array
    toe_off_s: Array
    sides: tuple[str, ...] = ()
    truth: dict[str, Array] = field(default_factory=dict)
    wave_s: Array = field(default_factory=lambda: np.empty(0))
    waves: dict[str, Array] = field(default_factory=dict)


# ---------------------------------------------------------------- reading


def fukuchi(folder: Path, device: Device | None = None) -> Iterator[Run]:
    """Yield treadmill runs, each behind a device of its own; 16 runners at 2.5, 3.5 and 4.5 m/s in the whole set."""
    device = device or Device()
    for path in sorted((folder / "rbds").glob("*.npz")):
        with np.load(path) as d:
            yield _fukuchi_run(path.stem, dict(d), device)


def _fukuchi_run(name: str, d: dict[str, Array], device: Device) -> Run:
    rng = np.random.default_rng([device.seed, *name.encode()])
    still_s = device.still_s + rng.uniform(0.0, 2.0) if device.still_s else 0.0
    acc, gyr = d["acc_g"].astype(np.float64), d["gyr_dps"].astype(np.float64)
    if math.isfinite(device.bend_m):
        acc, gyr = _in_a_bend(acc, gyr, d, device.bend_m)
    t_s, acc, lead_s, gyr = _stand_first(acc, gyr, float(d["fs"]), still_s, d)
    true_s = np.arange(0.0, t_s[-1], 1.0 / device.rate_hz)
    at_s = np.minimum(true_s * (1.0 + 1e-6 * device.clock_ppm), t_s[-1])
    rows = np.column_stack([np.interp(at_s, t_s, x) for x in (*acc.T, *gyr.T)])
    samples = _measured(true_s, rows, lead_s, device, rng)
    shift_s, slow = lead_s - float(d["t"][0]), 1.0 + 1e-6 * device.clock_ppm

    def device_s(x: Array) -> Array:
        return np.asarray((x + shift_s) / slow)

    names = {
        "pelvic_drop_deg": "drop_from_ic_deg",
        "peak_drop_deg": "drop_abs_deg",
        "vertical_oscillation_m": "vert_osc_per_step_m",
        "sway_m": "ml_range_per_stride_m",
        "pelvis_sway_m": "ml_center_range_per_stride_m",
    }
    waves = {
        "obliquity_deg": "obliquity_rightup_deg",
        "tilt_deg": "tilt_ant_deg",
        "rotation_deg": "rotation_ccw_deg",
    }
    return Run(
        name,
        samples,
        lead_s,
        device_s(d["ic"]),
        device_s(d["to"]),
        tuple("left" if str(s) == "L" else "right" for s in d["side"]),
        {ours: d[theirs] for ours, theirs in names.items()},
        device_s(d["t"]),
        {ours: d[theirs] for ours, theirs in waves.items()},
    )


def _in_a_bend(acc: Array, gyr: Array, d: dict[str, Array], radius_m: float) -> tuple[Array, Array]:
    attitude = Rotation.from_quat(d["quat_WS_xyzw"])
    ahead = attitude.apply([1.0, 0.0, 0.0]).mean(axis=0)
    left = np.array([-ahead[1], ahead[0], 0.0]) / math.hypot(ahead[0], ahead[1])
    # a second to lean into it
    yaw_radps = float(d["speed_mps"]) / radius_m * np.clip(d["t"] - d["t"][0] - BEND_S, 0.0, 1.0)[:, np.newaxis]
    pull_g = float(d["speed_mps"]) * yaw_radps / STANDARD_GRAVITY_MPS2
    back = attitude.inv()
    return acc + back.apply(pull_g * left), gyr + np.degrees(back.apply(yaw_radps * np.array([0.0, 0.0, 1.0])))


def _stand_first(
    acc: Array, gyr: Array, rate_hz: float, still_s: float, d: dict[str, Array]
) -> tuple[Array, Array, float, Array]:
    """Put a still stance before the run, and half a second in which gravity turns into the first attitude."""
    lead_s = 0.0
    if still_s:
        up = np.array([0.0, 0.0, 1.0])
        first = Rotation.from_quat(d["quat_WS_xyzw"][0])
        forward = first.apply([1.0, 0.0, 0.0])
        _, obliquity, tilt = d["static_rot_obl_tilt_deg"]
        heading = math.degrees(math.atan2(forward[1], forward[0]))
        standing = Rotation.from_euler("ZXY", [heading, -obliquity, tilt], degrees=True)
        still, blend = int(still_s * rate_hz), int(0.5 * rate_hz)
        turn = (standing.inv() * first).as_rotvec()
        part = ((np.arange(blend) + 0.5) / blend)[:, np.newaxis]
        turning = standing * Rotation.from_rotvec(part * turn)
        acc = np.vstack([np.tile(standing.inv().apply(up), (still, 1)), turning.inv().apply(up), acc])
        gyr = np.vstack([np.zeros((still, 3)), np.tile(np.degrees(turn) / 0.5, (blend, 1)), gyr])
        lead_s = (still + blend) / rate_hz
    return np.arange(len(acc)) / rate_hz, acc, lead_s, gyr


def _measured(t_s: Array, rows: Array, lead_s: float, device: Device, rng: np.random.Generator) -> Samples:
    if device.mount_deg is None:
        mounting = Rotation.random(random_state=rng)
    else:
        mounting = Rotation.from_euler("xyz", rng.uniform(-device.mount_deg, device.mount_deg, 3), degrees=True)
    acc, gyr = rows[:, :3], rows[:, 3:]
    if device.slip is not None:
        acc, gyr = device.slip.turn(t_s - lead_s, acc, np.radians(gyr))
        gyr = np.degrees(gyr)
    acc, gyr = mounting.apply(acc), mounting.apply(gyr)
    n, band = len(t_s), math.sqrt(device.rate_hz / 2.0)
    acc = acc * (1.0 + rng.normal(0.0, device.scale_ratio, 3)) + rng.normal(0.0, device.acc_bias_g, 3)
    gyr = gyr * (1.0 + rng.normal(0.0, device.scale_ratio, 3)) + rng.normal(0.0, device.gyro_bias_dps, 3)
    acc = acc + rng.normal(0.0, device.acc_noise_g * band, (n, 3))
    gyr = gyr + rng.normal(0.0, device.gyro_noise_dps * band, (n, 3))
    acc = np.clip(np.round(acc / ACC_LSB_G), -32768, 32767) * ACC_LSB_G
    gyr = np.clip(np.round(gyr / GYR_LSB_DPS), -32768, 32767) * GYR_LSB_DPS
    kept = np.ones(n, dtype=bool)
    burst = max(1, round(device.burst_s * device.rate_hz))
    # nothing is lost while the runner stands
    starts = np.arange(int(lead_s * device.rate_hz) + int(device.rate_hz), n - burst, burst)
    for start in starts[rng.random(len(starts)) < device.loss_ratio]:
        kept[start : start + burst] = False
    return Samples(t_s[kept], acc[kept] * STANDARD_GRAVITY_MPS2, np.radians(gyr[kept]), device.rate_hz)


def alcantara(folder: Path) -> Iterator[tuple[Run, float]]:
    """Yield (run, slope in degrees): vertical and fore-aft acceleration of a real sensor; no gyroscope."""
    for path in sorted((folder / "alcantara").glob("*.npz")):
        with np.load(path) as d:
            n = int(len(d["acc_v_g"]) * 200.0 / float(d["fs"]))
            at_s = np.arange(n) / 200.0
            vertical, fore_aft = (np.interp(at_s, d["t"], d[name]) for name in ("acc_v_g", "acc_ap_g"))
            acc = np.column_stack([fore_aft, np.zeros(n), vertical])
            rest = acc.mean(axis=0) / np.linalg.norm(acc.mean(axis=0))
            acc = np.vstack([np.tile(rest, (600, 1)), acc]) * STANDARD_GRAVITY_MPS2
            t_s = np.arange(len(acc)) / 200.0
            samples = Samples(t_s, acc, np.zeros_like(acc), 200.0)
            yield Run(path.stem, samples, 3.0, d["ic"] + 3.0, d["to"] + 3.0), float(d["slope_deg"])


@dataclass(frozen=True, slots=True, eq=False)
class Life:
    """Daily life without force plates: an activity, and the counted cadence in windows where it is jogging."""

    name: str
    activity: str
    samples: Samples
    window_s: float = 0.0
    cadence_spm: Array = field(default_factory=lambda: np.empty(0))
    counted: Array = field(default_factory=lambda: np.empty(0))

    @property
    def seconds(self) -> float:
        return len(self.samples.t_s) / self.samples.rate_hz


def sisfall(folder: Path) -> Iterator[Life]:
    """Yield daily life, jogging and falls of a real waist sensor."""
    for path in sorted((folder / "sisfall").glob("*.npz")):
        if ".cadence" in path.name:
            continue
        with np.load(path) as d:
            rate_hz = float(d["fs"])
            acc = d["acc_raw"] * (float(d["acc_lsb_g"]) * STANDARD_GRAVITY_MPS2)
            gyr = np.radians(d["gyr_raw"] * float(d["gyr_lsb_dps"]))
            samples, activity = Samples(np.arange(len(acc)) / rate_hz, acc, gyr, rate_hz), str(d["activity"])
        counts = path.with_name(f"{path.stem}.cadence.npz")
        if counts.exists():
            with np.load(counts) as c:
                yield Life(path.stem, activity, samples, float(c["win_s"]), c["cadence_spm"], c["ok"])
        else:
            yield Life(path.stem, activity, samples)


def voisard(folder: Path) -> Iterator[Life]:
    """Yield walks of a real lumbar sensor."""
    for path in sorted((folder / "walking").glob("*.npz")):
        with np.load(path) as d:
            acc, rate_hz = d["acc_mps2"].astype(np.float64), float(d["fs"])
            gyr = d["gyr_radps"].astype(np.float64)
            yield Life(path.stem, "walking", Samples(np.arange(len(acc)) / rate_hz, acc, gyr, rate_hz))


# ---------------------------------------------------------------- running the core


def said_of(samples: Samples, *, motion: bool = False) -> list[CoreOutput]:
    """Return everything the core says about a whole recording."""
    pipeline = Pipeline(Settings(motion=motion))
    return [*pipeline.feed(samples), *pipeline.finish()]


def contacts_of(said: list[CoreOutput]) -> Array:
    """Initial contacts of all steps, s."""
    return np.array([item.initial_contact_s for item in said if isinstance(item, Step)])


def match(true_s: Array, said_s: Array, within_s: float = MATCH_S) -> list[tuple[int, int]]:
    """Pair each true time with the nearest one said, each used once."""
    pairs: list[tuple[int, int]] = []
    used: set[int] = set()
    for i, t_s in enumerate(true_s):
        if len(said_s) == 0:
            break
        j = int(np.argmin(np.abs(said_s - t_s)))
        if abs(said_s[j] - t_s) <= within_s and j not in used:
            used.add(j)
            pairs.append((i, j))
    return pairs


# ---------------------------------------------------------------- scoring


@dataclass(slots=True)
class Score:
    """What became of a set of runs. ``errors`` by name, in the units of the name; ``trial_means`` of them by run."""

    runs: int = 0
    contacts: int = 0
    missed: int = 0
    extra: int = 0
    side_right: int = 0
    side_said: int = 0
    filled: dict[str, list[int]] = field(default_factory=dict)
    errors: dict[str, list[float]] = field(default_factory=dict)
    trial_means: dict[str, list[float]] = field(default_factory=dict)
    quality: list[tuple[float, float, float]] = field(default_factory=list)
    """(quality, contact time error in ms, drop error in degrees) of every step."""
    touches: int = 0
    withdrawn: int = 0
    confirmed: int = 0

    @property
    def f1(self) -> float:
        hit = self.contacts - self.missed
        return 2.0 * hit / max(1, 2 * hit + self.missed + self.extra)

    @property
    def side_ratio(self) -> float:
        return self.side_right / max(1, self.side_said)

    def rmse(self, name: str) -> float:
        return float(np.sqrt(np.mean(np.square(self.errors[name]))))

    def bias(self, name: str) -> float:
        return float(np.mean(self.errors[name]))

    def sd(self, name: str) -> float:
        return float(np.std(self.errors[name]))

    def add(self, name: str, errors: Array) -> None:
        errors = errors[np.isfinite(errors)]
        if len(errors):
            self.errors.setdefault(name, []).extend(errors.tolist())
            self.trial_means.setdefault(name, []).append(float(errors.mean()))


def score_run(
    run: Run, said: list[CoreOutput], score: Score, *, settle_s: float = SETTLE_S, tail_s: float = TAIL_S
) -> None:
    """Add a run to a score: steps, sides, metrics, delays, provisional contacts, waves."""
    steps = [item for item in said if isinstance(item, Step)]
    strides = {item.step_index: item for item in said if isinstance(item, Stride)}
    contact_s = contacts_of(said)
    start_s = run.lead_s + settle_s
    last_s = min(float(run.contact_s[-1]), float(run.samples.t_s[-1]) - tail_s)
    wanted = (run.contact_s > start_s) & (run.contact_s <= last_s)
    pairs = match(run.contact_s, contact_s)
    paired = {j for _, j in pairs}
    pairs = [(i, j) for i, j in pairs if wanted[i]]
    score.runs += 1
    score.contacts += int(wanted.sum())
    score.missed += int(wanted.sum()) - len(pairs)
    score.extra += sum(j not in paired and start_s < t_s <= last_s for j, t_s in enumerate(contact_s))
    if not pairs:
        return
    true = np.array([i for i, _ in pairs])
    found = [steps[j] for _, j in pairs]
    done = [strides.get(step.step_index) for step in found]

    def said_values(name: str) -> Array:
        return np.array(
            [
                s.metrics[name] if name in s.metrics else (d.metrics[name] if d is not None else math.nan)
                for s, d in zip(found, done, strict=True)
            ]
        )

    for name in METRICS:
        counts = score.filled.setdefault(name, [0, 0])
        counts[0] += int(np.isfinite(said_values(name)).sum())
        counts[1] += len(found)
    if run.sides:
        right = [step.side == run.sides[i] for step, i in zip(found, true, strict=True)][10:]
        score.side_right += sum(right)
        score.side_said += len(right)
    contact = run.contact_s[true]
    toe_off = run.toe_off_s[true]
    score.add("initial_contact_ms", 1e3 * (np.array([s.initial_contact_s for s in found]) - contact))
    score.add("toe_off_ms", 1e3 * (np.array([s.toe_off_s for s in found]) - toe_off))
    contact_time_ms = 1e3 * (said_values("contact_time_s") - (toe_off - contact))
    score.add("contact_time_ms", contact_time_ms)
    flight_s = np.append(run.contact_s[1:] - run.toe_off_s[:-1], math.nan)[true]
    score.add("flight_time_ms", 1e3 * (said_values("flight_time_s") - np.where(flight_s < 0.4, flight_s, math.nan)))
    score.add("reported_ms", 1e3 * (np.array([s.reported_at_s for s in found]) - toe_off))
    score.add(
        "completed_ms", 1e3 * (np.array([d.completed_at_s if d is not None else math.nan for d in done]) - toe_off)
    )
    for name, values in run.truth.items():
        known = np.append(values, np.full(max(0, len(run.contact_s) - len(values)), math.nan))
        scale = 1e3 if name.endswith("_m") else 1.0
        score.add(name, scale * (said_values(name) - known[true]))
    drop = (
        said_values("pelvic_drop_deg") - run.truth["pelvic_drop_deg"][true] if run.truth else np.full(len(true), np.nan)
    )
    score.quality += zip([s.quality for s in found], contact_time_ms.tolist(), drop.tolist(), strict=True)
    _score_touches(run, said, score, start_s, last_s)
    _score_waves(run, said, score, start_s)


def _score_touches(run: Run, said: list[CoreOutput], score: Score, start_s: float, last_s: float) -> None:
    confirmed = {item.contact_id for item in said if isinstance(item, Step)}
    for item in said:
        if isinstance(item, ProvisionalContact) and start_s < item.initial_contact_s <= last_s:
            k = int(np.argmin(np.abs(run.contact_s - item.initial_contact_s)))
            score.touches += 1
            if item.contact_id not in confirmed:
                score.withdrawn += 1
                continue
            score.confirmed += 1
            score.add("touch_error_ms", np.array([1e3 * (item.initial_contact_s - run.contact_s[k])]))
            score.add("touch_delay_ms", np.array([1e3 * (item.decided_at_s - run.contact_s[k])]))
            if run.sides:
                score.add("touch_side_wrong", np.array([float(item.side != run.sides[k])]))


def _score_waves(run: Run, said: list[CoreOutput], score: Score, start_s: float) -> None:
    motion = [item for item in said if isinstance(item, Motion)]
    if not motion or not run.waves:
        return
    t_s = np.concatenate([m.t_s for m in motion])
    part = (run.wave_s > start_s + 4.0) & (run.wave_s < t_s[-1])
    if part.sum() <= 100:
        return
    for name, wave in run.waves.items():
        values = np.concatenate([getattr(m, name) for m in motion])
        known = np.isfinite(values)
        error = np.interp(run.wave_s[part], t_s[known], values[known]) - wave[part]
        # about its own mean: what stays the same all the time is a matter of where the markers sit
        score.add(f"{name} wave", np.array([float(np.std(error))]))
