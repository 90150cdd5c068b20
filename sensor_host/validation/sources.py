"""The public data sets with ground truth, as they are published: no device in between.

Fukuchi    rbds/       Fukuchi, Fukuchi and Duarte 2017, doi:10.7717/peerj.3298: six axes from pelvis markers, 200 Hz
Alcantara  alcantara/  Alcantara et al. 2022, doi:10.7717/peerj.12752: a real sacral accelerometer, two axes, slopes
SisFall    sisfall/    Sucerquia et al. 2017, doi:10.3390/s17010198: a real waist sensor in daily life and falls
Voisard    walking/    Voisard et al. 2023 (IPOL): a real lumbar sensor, walking
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pelvis.data import STANDARD_GRAVITY_MPS2, Array, Samples, Side
from sensor_host.errors import InputError
from sensor_host.validation.derived import derived

FUKUCHI, ALCANTARA, SISFALL, VOISARD = "rbds", "alcantara", "sisfall", "walking"
SETS = (FUKUCHI, ALCANTARA, SISFALL, VOISARD)


def _nothing() -> Array:
    return np.empty(0)


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """What was true of one run: contacts by vertical force over 50 N, and what is known besides.

    Times are in the time base of whoever measured with it. ``metrics`` (n,) by their names in METRICS, NaN where
    unknown; ``waves`` are continuous angles at ``wave_s``.
    """

    contact_s: Array
    toe_off_s: Array
    sides: tuple[Side, ...] = ()
    metrics: Mapping[str, Array] = field(default_factory=dict[str, Array])
    wave_s: Array = field(default_factory=_nothing)
    waves: Mapping[str, Array] = field(default_factory=dict[str, Array])


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """One run on Fukuchi's treadmill: an ideal sensor in pelvis axes, and the truth.

    ``acc_g`` and ``gyr_dps`` (n, 3) at ``rate_hz`` from ``start_s`` on. ``attitude_xyzw`` (n, 4) are the attitudes
    (quaternions, sensor to earth), ``standing_xyzw`` that of standing.
    """

    name: str
    runner: str
    speed_mps: float
    foot_strike: str
    rate_hz: float
    start_s: float
    acc_g: Array
    gyr_dps: Array
    standing_xyzw: Array
    attitude_xyzw: Array
    truth: Truth


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """One run behind a device: what the device says, and what was true in its time. Running begins at ``lead_s``."""

    name: str
    runner: str
    speed_mps: float
    samples: Samples
    lead_s: float
    truth: Truth
    foot_strike: str = ""
    slope_deg: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Life:
    """Daily life without force plates: an activity, and the counted cadence in windows where it is jogging."""

    name: str
    activity: str
    samples: Samples
    window_s: float = 0.0
    cadence_spm: Array = field(default_factory=_nothing)
    counted: Array = field(default_factory=_nothing)

    @property
    def seconds(self) -> float:
        return len(self.samples.t_s) / self.samples.rate_hz


def present(folder: Path) -> tuple[str, ...]:
    """Return which of the data sets a folder holds."""
    return tuple(name for name in SETS if any((folder / name).glob("*.npz")))


def _load(path: Path) -> dict[str, Array]:
    try:
        with np.load(path) as archive:
            return dict(archive)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: cannot be read; fetch this file again", path=str(path)) from error


def _lacks(path: Path, key: KeyError) -> InputError:
    return InputError(f"{path}: has no {key}; is it of this data set?", path=str(path))


# ---------------------------------------------------------------- Fukuchi

_METRICS = {
    "pelvic_drop_deg": "drop_from_ic_deg",
    "peak_drop_deg": "drop_abs_deg",
    "vertical_oscillation_m": "vert_osc_per_step_m",
    "sway_m": "ml_range_per_stride_m",
    "pelvis_sway_m": "ml_center_range_per_stride_m",
}
_WAVES = {
    "obliquity_deg": "obliquity_rightup_deg",
    "tilt_deg": "tilt_ant_deg",
    "rotation_deg": "rotation_ccw_deg",
}
# longer flights are contacts beside the force plate
LONGEST_FLIGHT_S = 0.4


def fukuchi(folder: Path) -> list[Trial]:
    """Return the treadmill runs of the set; 16 runners at 2.5, 3.5 and 4.5 m/s in the whole one.

    Raises
    ------
    InputError
        When a file cannot be used.
    """
    return [_trial(path) for path in sorted((folder / FUKUCHI).glob("*.npz"))]


def _trial(path: Path) -> Trial:
    d = _load(path)
    try:
        meta = json.loads(str(d["meta"]))
        contact_s, toe_off_s = d["ic"], d["to"]
        n = len(contact_s)
        metrics = {
            ours: np.append(d[theirs], np.full(n - len(d[theirs]), np.nan)).astype(np.float64)
            for ours, theirs in _METRICS.items()
        }
        flight_s = np.append(contact_s[1:] - toe_off_s[:-1], np.nan)
        metrics["contact_time_s"] = toe_off_s - contact_s
        metrics |= derived(d)
        metrics["flight_time_s"] = np.where(flight_s < LONGEST_FLIGHT_S, flight_s, np.nan)
        truth = Truth(
            contact_s,
            toe_off_s,
            tuple(Side.LEFT if str(side) == "L" else Side.RIGHT for side in d["side"]),
            metrics,
            d["t"],
            {ours: d[theirs].astype(np.float64) for ours, theirs in _WAVES.items()},
        )
        return Trial(
            name=path.stem,
            runner=path.stem.partition("_")[0],
            speed_mps=float(d["speed_mps"]),
            foot_strike=_foot_strike(str(meta.get("footstrike_L", "")), str(meta.get("footstrike_R", ""))),
            rate_hz=float(d["fs"]),
            start_s=float(d["t"][0]),
            acc_g=d["acc_g"].astype(np.float64),
            gyr_dps=d["gyr_dps"].astype(np.float64),
            standing_xyzw=_standing(d["quat_WS_xyzw"][0], d["static_rot_obl_tilt_deg"]),
            attitude_xyzw=d["quat_WS_xyzw"].astype(np.float64),
            truth=truth,
        )
    except KeyError as key:
        raise _lacks(path, key) from key


def _foot_strike(left: str, right: str) -> str:
    kinds = {left.strip().lower(), right.strip().lower()} - {""}
    return kinds.pop() if len(kinds) == 1 else "differs" if kinds else "unknown"


def _standing(first_xyzw: Array, static_deg: Array) -> Array:
    """Return the attitude of standing, turned to where the runner looks in the first sample."""
    from scipy.spatial.transform import Rotation

    forward = Rotation.from_quat(first_xyzw).apply([1.0, 0.0, 0.0])
    heading_deg = np.degrees(np.arctan2(forward[1], forward[0]))
    _, obliquity_deg, tilt_deg = static_deg
    standing = Rotation.from_euler("ZXY", [heading_deg, -obliquity_deg, tilt_deg], degrees=True)
    return np.asarray(standing.as_quat())


# ---------------------------------------------------------------- Alcantara

_STILL_S = 3.0


def alcantara(folder: Path) -> Iterator[Run]:
    """Yield the runs of a real sacral sensor: vertical and fore-aft acceleration, no gyroscope, after 3 s of rest."""
    for path in sorted((folder / ALCANTARA).glob("*.npz")):
        d = _load(path)
        try:
            n = int(len(d["acc_v_g"]) * 200.0 / float(d["fs"]))
            at_s = np.arange(n) / 200.0
            vertical, fore_aft = (np.interp(at_s, d["t"], d[name]) for name in ("acc_v_g", "acc_ap_g"))
            truth = Truth(d["ic"] + _STILL_S, d["to"] + _STILL_S)
            speed_mps, slope_deg = float(d["speed_mps"]), float(d["slope_deg"])
        except KeyError as key:
            raise _lacks(path, key) from key
        acc = np.column_stack([fore_aft, np.zeros(n), vertical])
        mean = acc.mean(axis=0)
        acc = np.vstack([np.tile(mean / np.linalg.norm(mean), (int(_STILL_S * 200.0), 1)), acc])
        samples = Samples(np.arange(len(acc)) / 200.0, acc * STANDARD_GRAVITY_MPS2, np.zeros_like(acc), 200.0)
        truth = Truth(truth.contact_s, truth.toe_off_s, metrics={"contact_time_s": truth.toe_off_s - truth.contact_s})
        yield Run(path.stem, path.stem, speed_mps, samples, _STILL_S, truth, slope_deg=slope_deg)


# ---------------------------------------------------------------- SisFall, Voisard


def sisfall(folder: Path) -> Iterator[Life]:
    """Yield daily life, jogging and falls of a real waist sensor."""
    for path in sorted((folder / SISFALL).glob("*.npz")):
        if ".cadence" in path.name:
            continue
        d = _load(path)
        try:
            rate_hz = float(d["fs"])
            acc = d["acc_raw"] * (float(d["acc_lsb_g"]) * STANDARD_GRAVITY_MPS2)
            gyr = np.radians(d["gyr_raw"] * float(d["gyr_lsb_dps"]))
            samples, activity = Samples(np.arange(len(acc)) / rate_hz, acc, gyr, rate_hz), str(d["activity"])
            counts = path.with_name(f"{path.stem}.cadence.npz")
            if counts.exists():
                c = _load(counts)
                yield Life(path.stem, activity, samples, float(c["win_s"]), c["cadence_spm"], c["ok"])
            else:
                yield Life(path.stem, activity, samples)
        except KeyError as key:
            raise _lacks(path, key) from key


def voisard(folder: Path) -> Iterator[Life]:
    """Yield walks of a real lumbar sensor."""
    for path in sorted((folder / VOISARD).glob("*.npz")):
        d = _load(path)
        try:
            acc, rate_hz = d["acc_mps2"].astype(np.float64), float(d["fs"])
            gyr = d["gyr_radps"].astype(np.float64)
        except KeyError as key:
            raise _lacks(path, key) from key
        yield Life(path.stem, "walking", Samples(np.arange(len(acc)) / rate_hz, acc, gyr, rate_hz))
