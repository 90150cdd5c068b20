"""What is asked of the accuracy, and what is reached: one row per demand."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from sensor_host.validation.device import Device
from sensor_host.validation.measured import HOLE_STEPS, Measured
from sensor_host.validation.score import SIDE_STEPS, Score, rms
from sensor_host.validation.sources import ALCANTARA, FUKUCHI, SISFALL, VOISARD
from sensor_host.validation.table import Table, number, percent
from sensor_host.validation.uncertainty import stated_names, unmet

LOSSY = Device(loss_ratio=0.05)
# columns of the step table; those known only when the stride is complete are missing at the end of a run
STEP_COLUMNS = ("toe_off_s", "reported_at_s", "contact_time_s", "cadence_spm", "pelvic_drop_deg", "peak_drop_deg")
STRIDE_COLUMNS = ("completed_at_s", "flight_time_s", "sway_m", "pelvis_sway_m", "vertical_oscillation_m")


@dataclass(frozen=True, slots=True)
class Bound:
    """A demand: ``value`` must lie between ``low`` and ``high``. ``shipped``: the same with the shipped models,
    NaN where these were used anyway.
    """

    what: str
    low: float
    high: float
    value: float
    shipped: float
    unit: str = ""
    decimals: int = 1

    @property
    def met(self) -> bool:
        return self.low <= self.value <= self.high

    @property
    def asked(self) -> str:
        if math.isinf(self.low):
            return f"<= {self._text(self.high)}"
        if math.isinf(self.high):
            return f">= {self._text(self.low)}"
        if self.low == self.high:
            return self._text(self.low)
        if self.low == -self.high:
            return f"within {self._text(self.high)}"
        return f"{self.low:g} to {self._text(self.high)}"

    def text(self, value: float) -> str:
        """Return a value as it is shown."""
        if self.unit == "%":
            return percent(value / 100.0, self.decimals)
        return f"{number(value, self.decimals)} {self.unit}".strip() if value == value else ""

    def _text(self, value: float) -> str:
        return f"{value:g} {self.unit}".strip()


def at_most(what: str, high: float, value: float, shipped: float, unit: str, decimals: int = 1) -> Bound:
    """Return a demand with an upper limit."""
    return Bound(what, -math.inf, high, value, shipped, unit, decimals)


def at_least(what: str, low: float, value: float, shipped: float, unit: str = "", decimals: int = 1) -> Bound:
    """Return a demand with a lower limit."""
    return Bound(what, low, math.inf, value, shipped, unit, decimals)


def bounds(measured: Measured) -> list[Bound]:
    """Return every demand on the data sets that are there."""
    found: list[Bound] = []
    if FUKUCHI in measured.sets:
        found += _treadmill(measured)
        found += _robust(measured)
        found += _stated(measured)
    if ALCANTARA in measured.sets:
        slopes = measured.slopes.whole
        found += [
            Bound("slopes: contacts missed or extra", 0, 0, slopes.missed + slopes.extra, math.nan, decimals=0),
            at_most("slopes: contact time, RMSE", 15.0, slopes.rmse("contact_time_s"), math.nan, "ms", 2),
            Bound("slopes: contact time, bias", -5.0, 5.0, slopes.bias("contact_time_s"), math.nan, "ms", 2),
        ]
    if SISFALL in measured.sets:
        living = measured.living
        share = 100.0 * living.jogging_found / max(1, living.jogging_windows)
        sd_spm = float(np.std(living.cadence_errors_spm))
        found += [
            at_least("jogging: windows with steps", 98.0, share, math.nan, "%"),
            at_most("jogging: cadence, SD", 1.2, sd_spm, math.nan, "spm", 2),
            Bound("daily life: false steps", 0, 0, living.daily_steps, math.nan, decimals=0),
            at_most("falls: false steps", 5, living.fall_steps, math.nan, "", 0),
        ]
    if VOISARD in measured.sets:
        found.append(Bound("walking: false steps", 0, 0, measured.living.walking_steps, math.nan, decimals=0))
    return found


def bounds_table(found: list[Bound]) -> Table:
    """Return the demands as a table."""
    return Table(
        ("what", "asked", "reached", "with the shipped models", "met"),
        [(b.what, b.asked, b.text(b.value), b.text(b.shipped), "yes" if b.met else "**no**") for b in found],
    )


def _treadmill(measured: Measured) -> Iterator[Bound]:
    left_out, shipped = measured.score(), measured.score(shipped=True)

    def both(of: Callable[[Score], float]) -> tuple[float, float]:
        return of(left_out), of(shipped)

    yield at_least("F1 of ground contacts", 0.999, *both(lambda s: s.f1), decimals=4)
    yield Bound("steps while standing", 0, 0, *both(lambda s: s.while_standing), decimals=0)
    for title, name, high in (("initial contact", "initial_contact_s", 6.5), ("toe-off", "toe_off_s", 8.0)):
        yield at_most(f"{title}, RMSE", high, *both(_rmse(name)), "ms", 2)
        yield Bound(f"{title}, bias", -2.0, 2.0, *both(_bias(name)), "ms", 2)
    yield at_most("contact time per step, RMSE", 10.0, *both(lambda s: s.rmse("contact_time_s")), "ms", 2)
    yield at_most(
        "contact time, mean of a run, RMSE", 8.0, *both(lambda s: rms(s.trial_means("contact_time_s"))), "ms", 2
    )
    yield Bound(
        "contact time, means of runs, slope", 0.9, 1.1, *both(lambda s: slope(*s.trial_pairs("contact_time_s"))), "", 3
    )
    yield at_most("flight time per step, RMSE", 10.5, *both(lambda s: s.rmse("flight_time_s")), "ms", 2)
    yield at_most("cadence, mean of a run, SD", 0.15, *both(_cadence_sd), "spm", 2)
    yield at_most("pelvic drop per step, RMSE", 0.40, *both(lambda s: s.rmse("pelvic_drop_deg")), "deg", 2)
    yield at_least("pelvic drop, means of runs, r", 0.98, *both(lambda s: _r(*s.trial_pairs("pelvic_drop_deg"))), "", 3)
    yield at_most(
        "vertical oscillation, mean of a run, RMSE", 3.5,
        *both(lambda s: rms(s.trial_means("vertical_oscillation_m"))), "mm",
    )  # fmt: skip
    yield at_most("sway of the sensor, mean of a run, RMSE", 4.0, *both(lambda s: rms(s.trial_means("sway_m"))), "mm")
    yield Bound("sway of the pelvis, bias", -1.0, 1.0, *both(lambda s: s.bias("pelvis_sway_m")), "mm")
    yield at_most("sway of the pelvis per stride, RMSE", 3.3, *both(lambda s: s.rmse("pelvis_sway_m")), "mm")
    for angle in ("obliquity", "tilt"):
        wave = f"{angle}_deg"
        yield at_most(f"{angle} all the time, RMSE", 0.40, *both(_wave(wave)), "deg", 2)
    yield at_most("a step is reported after its toe-off, 99 %", 108.0, *both(_reported), "ms", 0)
    yield at_least("columns of steps, filled at least", 99.0, *both(lambda s: _filled(s, STEP_COLUMNS)), "%")
    yield at_least("columns of strides, filled at least", 90.0, *both(lambda s: _filled(s, STRIDE_COLUMNS)), "%")


def _robust(measured: Measured) -> Iterator[Bound]:
    def sides(title: str, score: Score) -> Bound:
        # one wrong step in thousands is no 100 %, however it is rounded
        return at_least(f"side right {title}", 100.0, 100.0 * float(score.sides.mean()), math.nan, "%", 2)

    yield sides(f"after {SIDE_STEPS} steps, askew up to 30 deg", measured.score(Device(mount_deg=30.0)))
    yield sides(f"after {SIDE_STEPS} steps, mounted anyhow", measured.score(Device(mount_deg=None)))
    yield sides(f"after {SIDE_STEPS} steps, no standing", measured.score(Device(still_s=0.0)))
    for odd in (False, True):
        title = f"{HOLE_STEPS} contacts after a hole of 3 s over an {'odd' if odd else 'even'} number of them"
        yield sides(title, measured.hole(odd=odd))
    usual = measured.score()
    for title, device in (("50 Hz", Device(rate_hz=50.0)), ("100 Hz", Device(rate_hz=100.0)), ("5 % lost", LOSSY)):
        score = measured.score(device)
        contact, drop = (score.rmse(n) - usual.rmse(n) for n in ("contact_time_s", "pelvic_drop_deg"))
        yield at_most(f"{title}: contact time loses", 1.0, contact, math.nan, "ms", 2)
        yield at_most(f"{title}: pelvic drop loses", 0.1, drop, math.nan, "deg", 3)


def _stated(measured: Measured) -> Iterator[Bound]:
    usual = measured.score()
    if stated_names(usual):
        count, bad = unmet(usual, measured.score(LOSSY))
        yield at_least("stated standard errors: shares as asked", 100.0, 100.0 * (1.0 - bad / count), math.nan, "%")


def slope(true: np.ndarray, said: np.ndarray) -> float:
    """Return by how much what is said grows with what is true."""
    return float(np.polyfit(true, said, 1)[0]) if len(true) > 1 else math.nan


def _r(true: np.ndarray, said: np.ndarray) -> float:
    return float(np.corrcoef(true, said)[0, 1]) if len(true) > 1 else math.nan


def _rmse(name: str) -> Callable[[Score], float]:
    return lambda score: score.rmse(name)


def _bias(name: str) -> Callable[[Score], float]:
    return lambda score: score.bias(name)


def _wave(name: str) -> Callable[[Score], float]:
    return lambda score: float(score.waves_deg(name).mean())


def _cadence_sd(score: Score) -> float:
    return float(np.nanstd([run.cadence_spm for run in score.runs]))


def _reported(score: Score) -> float:
    return float(np.percentile(score.delays_ms("reported_at_s"), 99))


def _filled(score: Score, columns: tuple[str, ...]) -> float:
    return 100.0 * min(score.coverage(column) for column in columns)
