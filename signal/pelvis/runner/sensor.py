"""What a real sensor makes of a clean motion: mounting, scale, bias, drift, noise, range, clock."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pelvis.data import STANDARD_GRAVITY_MPS2, Array

_DPS = np.pi / 180.0


@dataclass(frozen=True, slots=True)
class Slip:
    """The sensor turns on the belt by ``angle_deg`` about ``axis`` (pelvis axes), evenly for ``over_s``."""

    at_s: float
    axis: tuple[float, float, float]
    angle_deg: float
    over_s: float = 0.2

    def turn(self, t_s: Array, acc: Array, gyr_radps: Array) -> tuple[Array, Array]:
        """Return what the turned sensor feels of specific force and angular rate (n, 3), its own turning included."""
        part = (t_s - self.at_s) / self.over_s
        axis = np.array(self.axis) / np.linalg.norm(self.axis)
        angle_rad = math.radians(self.angle_deg)
        own = np.where((part > 0.0) & (part < 1.0), angle_rad / self.over_s, 0.0)[:, None] * axis
        angles = -angle_rad * np.clip(part, 0.0, 1.0)
        return _turned_about(axis, angles, acc), _turned_about(axis, angles, gyr_radps + own)


def _turned_about(axis: Array, angles_rad: Array, vectors: Array) -> Array:
    """Rodrigues' formula, one angle per row."""
    c, s = np.cos(angles_rad)[:, None], np.sin(angles_rad)[:, None]
    return np.asarray(c * vectors + s * np.cross(axis, vectors) + (1.0 - c) * (vectors @ axis)[:, None] * axis)


@dataclass(frozen=True, slots=True)
class SensorModel:
    """Faults and limits of one sensor. Triples are per sensor axis; `SensorModel.ideal` has none.

    ``mount_deg`` turns the sensor from the pelvis axes: about x, then y, then z (any angle), as seen in pelvis axes.
    ``*_noise`` are densities per square root of hertz, flat up to half the rate. ``gyro_drift_dps`` is how far
    the gyroscope's bias wanders while the sensor warms up, approached with the time constant ``warm_up_s``.
    ``clock_error_ppm`` > 0: the device's second lasts that much longer than a true one. ``slips`` turn the sensor on
    the belt, one after the other.
    """

    rate_hz: float = 208.0
    mount_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)
    acc_bias_g: tuple[float, float, float] = (0.012, -0.018, 0.021)
    gyro_bias_dps: tuple[float, float, float] = (0.8, -1.4, 0.5)
    acc_scale_error_ratio: tuple[float, float, float] = (0.006, -0.004, 0.008)
    gyro_scale_error_ratio: tuple[float, float, float] = (-0.005, 0.007, 0.003)
    acc_noise_g: float = 120e-6
    gyro_noise_dps: float = 0.007
    gyro_drift_dps: tuple[float, float, float] = (0.3, -0.2, 0.15)
    warm_up_s: float = 600.0
    acc_range_g: float = 16.0
    gyro_range_dps: float = 2000.0
    clock_error_ppm: float = 20.0
    slips: tuple[Slip, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what no sensor can be (ValueError)."""
        if not 25.0 <= self.rate_hz <= 2000.0:
            raise ValueError(f"rate_hz {self.rate_hz:g} is not between 25 and 2000")
        if self.acc_range_g <= 0 or self.gyro_range_dps <= 0 or self.warm_up_s <= 0:
            raise ValueError("acc_range_g, gyro_range_dps and warm_up_s must be greater than 0")
        if self.acc_noise_g < 0 or self.gyro_noise_dps < 0:
            raise ValueError("noise densities cannot be negative")
        if abs(self.clock_error_ppm) > 10_000:
            raise ValueError(f"clock_error_ppm {self.clock_error_ppm:g} is more than one percent")

    @classmethod
    def ideal(cls, rate_hz: float = 208.0) -> SensorModel:
        """Give a sensor without faults, on the pelvis axes, of endless range."""
        none = (0.0, 0.0, 0.0)
        return cls(
            rate_hz, none, none, none, none, none, 0.0, 0.0, none,
            acc_range_g=float("inf"), gyro_range_dps=float("inf"), clock_error_ppm=0.0,
        )  # fmt: skip

    @property
    def mounting(self) -> Array:
        """Rotation (3, 3) that takes a vector from pelvis axes into sensor axes."""
        x, y, z = np.radians(self.mount_deg)
        about_x = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
        about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
        about_z = np.array([[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]])
        return np.asarray(about_z @ about_y @ about_x, dtype=np.float64)

    def true_s(self, device_s: Array) -> Array:
        """Physical seconds at device seconds (n,)."""
        return np.asarray(device_s * (1.0 + 1e-6 * self.clock_error_ppm), dtype=np.float64)

    def measure(self, t_s: Array, acc_mps2: Array, gyr_radps: Array, noise: np.random.Generator) -> tuple[Array, Array]:
        """Turn clean specific force and angular rate (n, 3) in pelvis axes into what the device reports."""
        white = noise.standard_normal((len(t_s), 6)) * np.sqrt(self.rate_hz / 2.0)
        g = STANDARD_GRAVITY_MPS2
        for slip in self.slips:
            acc_mps2, gyr_radps = slip.turn(t_s, acc_mps2, gyr_radps)
        acc = _turned(acc_mps2, self.mounting) * (1.0 + np.array(self.acc_scale_error_ratio))
        acc += np.array(self.acc_bias_g) * g + white[:, :3] * (self.acc_noise_g * g)
        warmth = 1.0 - np.exp(-t_s / self.warm_up_s)
        gyr = _turned(gyr_radps, self.mounting) * (1.0 + np.array(self.gyro_scale_error_ratio))
        gyr += (np.array(self.gyro_bias_dps) + warmth[:, None] * np.array(self.gyro_drift_dps)) * _DPS
        gyr += white[:, 3:] * (self.gyro_noise_dps * _DPS)
        acc_limit, gyr_limit = self.acc_range_g * g, self.gyro_range_dps * _DPS
        return np.clip(acc, -acc_limit, acc_limit), np.clip(gyr, -gyr_limit, gyr_limit)


def _turned(vectors: Array, rotation: Array) -> Array:
    return np.asarray(np.einsum("ij,nj->ni", rotation, vectors), dtype=np.float64)
