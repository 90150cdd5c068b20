"""What a device makes of an ideal trial: clip, bias, noise, scale, 16-bit words, lost packets, a clock of its own."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from scipy.signal import bilinear, lfilter
from scipy.spatial.transform import Rotation

from pelvis.data import STANDARD_GRAVITY_MPS2, Array, Samples
from pelvis.simulate import Slip
from sensor_host.validation.sources import Run, Trial

GYRO_RANGE_DPS = 2000.0
TURN_S = 0.5
BEND_S = 14.0


@dataclass(frozen=True, slots=True)
class Device:
    """What a device adds; everything that is drawn is drawn per trial from ``seed``.

    ``mount_deg`` per axis at most, None: any rotation. ``loss_ratio`` of bursts of ``burst_s``. ``still_s`` of standing
    (and up to 2 s more) before the run, 0: none. ``gyro_drift_dps``: how far the gyroscope's bias drifts over the
    trial. ``slip``: the sensor turns on the belt, at a time counted from where running begins. ``lever_m``: where it
    sits, seen from where it should (forward, left, up). ``wobble_hz`` and ``wobble_damping``: it rides on soft tissue,
    a mass on a spring (0 Hz: it does not). From `BEND_S` of the run on the treadmill is laid into a bend of radius
    ``bend_m`` (to the left; < 0: right) by what a body on a circle feels; the truth is what the optical pelvis did.
    """

    seed: int = 1
    rate_hz: float = 200.0
    mount_deg: float | None = 15.0
    loss_ratio: float = 0.0
    burst_s: float = 0.04
    still_s: float = 5.0
    clock_ppm: float = 50.0
    acc_range_g: float = 16.0
    acc_bias_g: float = 0.02
    gyro_bias_dps: float = 1.5
    gyro_drift_dps: float = 0.0
    scale_ratio: float = 0.01
    acc_noise_g: float = 150e-6
    gyro_noise_dps: float = 0.008
    lever_m: tuple[float, float, float] = (0.0, 0.0, 0.0)
    wobble_hz: float = 0.0
    wobble_damping: float = 0.3
    gyroscope: bool = True
    slip: Slip | None = None
    bend_m: float = math.inf


def wear(trial: Trial, device: Device) -> Run:
    """Return the trial as this device measures it. The same device and trial give the same run."""
    rng = np.random.default_rng([device.seed, *trial.name.encode()])
    still_s = device.still_s + rng.uniform(0.0, 2.0) if device.still_s else 0.0
    if math.isfinite(device.bend_m):
        trial = _in_a_bend(trial, device.bend_m)
    acc, gyr, lead_s = _stand_first(trial, _move_acc(trial, device), still_s)
    end_s = (len(acc) - 1) / trial.rate_hz
    clock_ratio = 1.0 + 1e-6 * device.clock_ppm
    mounting = _mounting(device, rng)
    t_s = np.arange(0.0, end_s, 1.0 / device.rate_hz)
    at_s, ideal_s = np.minimum(t_s * clock_ratio, end_s), np.arange(len(acc)) / trial.rate_hz
    rows = np.column_stack([np.interp(at_s, ideal_s, body[:, k]) for body in (acc, gyr) for k in range(3)])
    acc, gyr = rows[:, :3], rows[:, 3:]
    if device.slip is not None:
        acc, gyr = device.slip.turn(t_s - lead_s, acc, np.radians(gyr))
        gyr = np.degrees(gyr)
    samples = _measured(t_s, mounting.apply(acc), mounting.apply(gyr), lead_s, device, rng)

    def device_s(x: Array) -> Array:
        return np.asarray((x - trial.start_s + lead_s) / clock_ratio)

    truth = replace(
        trial.truth,
        contact_s=device_s(trial.truth.contact_s),
        toe_off_s=device_s(trial.truth.toe_off_s),
        wave_s=device_s(trial.truth.wave_s),
    )
    return Run(trial.name, trial.runner, trial.speed_mps, samples, lead_s, truth, trial.foot_strike)


def _mounting(device: Device, rng: np.random.Generator) -> Rotation:
    if device.mount_deg is None:
        # four normal numbers are the quaternion of a rotation like any other
        return Rotation.from_quat(np.random.RandomState(int(rng.integers(2**31))).normal(size=4))
    return Rotation.from_euler("xyz", rng.uniform(-device.mount_deg, device.mount_deg, 3), degrees=True)


def _in_a_bend(trial: Trial, radius_m: float) -> Trial:
    attitude = Rotation.from_quat(trial.attitude_xyzw)
    ahead = np.asarray(attitude.apply([1.0, 0.0, 0.0])).mean(axis=0)
    left = np.array([-ahead[1], ahead[0], 0.0]) / math.hypot(ahead[0], ahead[1])
    # a second to lean into it
    into = np.clip(np.arange(len(trial.acc_g)) / trial.rate_hz - BEND_S, 0.0, 1.0)[:, np.newaxis]
    yaw_radps = trial.speed_mps / radius_m * into
    pull_g = trial.speed_mps * yaw_radps / STANDARD_GRAVITY_MPS2
    back = attitude.inv()
    return replace(
        trial,
        acc_g=trial.acc_g + back.apply(pull_g * left),
        gyr_dps=trial.gyr_dps + np.degrees(back.apply(yaw_radps * np.array([0.0, 0.0, 1.0]))),
    )


def _move_acc(trial: Trial, device: Device) -> Array:
    """Return the force (n, 3) in g where the sensor sits, and as its soft ground lets it through."""
    acc = trial.acc_g
    if any(device.lever_m):
        acc = at_arm(acc, trial.gyr_dps, np.array(device.lever_m), trial.rate_hz)
    if device.wobble_hz:
        acc = through_tissue(acc, device.wobble_hz, device.wobble_damping, trial.rate_hz)
    return acc


def at_arm(acc_g: Array, gyr_dps: Array, arm_m: Array, rate_hz: float) -> Array:
    """Return the force (n, 3) in g at the end of an arm (3,) on the same rigid body: a + w' x r + w x (w x r)."""
    rate = np.radians(gyr_dps)
    turning = np.cross(np.gradient(rate, 1.0 / rate_hz, axis=0), arm_m)
    return np.asarray(acc_g + (turning + np.cross(rate, np.cross(rate, arm_m))) / STANDARD_GRAVITY_MPS2)


def through_tissue(rows: Array, natural_hz: float, damping: float, rate_hz: float) -> Array:
    """Return what a mass on spring and damper makes of the motion (n, k) it sits on, at rest in the first sample."""
    natural = 2.0 * math.pi * natural_hz
    b, a = bilinear([2.0 * damping * natural, natural**2], [1.0, 2.0 * damping * natural, natural**2], rate_hz)
    moved: Array = rows[0] + np.asarray(lfilter(b, a, rows - rows[0], axis=0), dtype=np.float64)
    return moved


def _stand_first(trial: Trial, acc: Array, still_s: float) -> tuple[Array, Array, float]:
    """Put a still stance before the run, and half a second in which gravity turns into the first attitude."""
    gyr = trial.gyr_dps
    still, blend = int(still_s * trial.rate_hz), int(TURN_S * trial.rate_hz)
    if not still:
        return acc, gyr, 0.0
    up = np.array([0.0, 0.0, 1.0])
    standing, first = Rotation.from_quat(trial.standing_xyzw), Rotation.from_quat(trial.attitude_xyzw[0])
    turn = (standing.inv() * first).as_rotvec()
    part = ((np.arange(blend) + 0.5) / blend)[:, np.newaxis]
    turning = standing * Rotation.from_rotvec(part * turn)
    acc = np.vstack([np.tile(standing.inv().apply(up), (still, 1)), turning.inv().apply(up), acc])
    gyr = np.vstack([np.zeros((still, 3)), np.tile(np.degrees(turn) / TURN_S, (blend, 1)), gyr])
    return acc, gyr, (still + blend) / trial.rate_hz


def _measured(t_s: Array, acc: Array, gyr: Array, lead_s: float, device: Device, rng: np.random.Generator) -> Samples:
    n, band = len(t_s), math.sqrt(device.rate_hz / 2.0)
    acc = acc * (1.0 + rng.normal(0.0, device.scale_ratio, 3)) + rng.normal(0.0, device.acc_bias_g, 3)
    acc = acc + rng.normal(0.0, device.acc_noise_g * band, (n, 3))
    gyr = gyr * (1.0 + rng.normal(0.0, device.scale_ratio, 3)) + rng.normal(0.0, device.gyro_bias_dps, 3)
    gyr = gyr + rng.normal(0.0, device.gyro_noise_dps * band, (n, 3))
    kept = np.ones(n, dtype=bool)
    if device.loss_ratio:
        burst = max(1, round(device.burst_s * device.rate_hz))
        # nothing is lost while the runner stands
        starts = np.arange(int(lead_s * device.rate_hz) + int(device.rate_hz), n - burst, burst)
        for start in starts[rng.random(len(starts)) < device.loss_ratio]:
            kept[start : start + burst] = False
    if device.gyro_drift_dps:
        gyr = gyr + np.linspace(0.0, device.gyro_drift_dps, n)[:, np.newaxis] * rng.choice((-1.0, 1.0), 3)
    acc = _words(acc, device.acc_range_g)
    gyr = _words(gyr, GYRO_RANGE_DPS) if device.gyroscope else np.zeros_like(gyr)
    return Samples(t_s[kept], acc[kept] * STANDARD_GRAVITY_MPS2, np.radians(gyr[kept]), device.rate_hz)


def _words(values: Array, full_range: float) -> Array:
    """Return values as words of 16 bits hold them."""
    lsb = full_range / 32768.0
    return np.asarray(np.clip(np.round(values / lsb), -32768, 32767) * lsb)


def portions(samples: Samples, acc_range_g: float, size: int = 8) -> list[Samples]:
    """Return samples as a board sends them: portions of ``size``, each saying whether it reached its range's end."""
    limit = 0.999 * acc_range_g * STANDARD_GRAVITY_MPS2
    starts = np.arange(0, len(samples.t_s), size)
    at_end = np.maximum.reduceat(np.abs(samples.acc_mps2).max(axis=1), starts) >= limit
    # neighbours that say the same are handed on as one: how samples are cut changes nothing
    cuts = np.concatenate(([0], starts[np.flatnonzero(np.diff(at_end)) + 1], [len(samples.t_s)]))
    return [
        Samples(
            samples.t_s[i:j], samples.acc_mps2[i:j], samples.gyr_radps[i:j], samples.rate_hz, bool(at_end[i // size])
        )
        for i, j in pairwise(cuts.tolist())
    ]


def without(run: Run, start_s: float, end_s: float) -> Run:
    """Return the run with everything lost from ``start_s`` to ``end_s``."""
    s = run.samples
    kept = (s.t_s < start_s) | (s.t_s >= end_s)
    return replace(run, samples=Samples(s.t_s[kept], s.acc_mps2[kept], s.gyr_radps[kept], s.rate_hz))
