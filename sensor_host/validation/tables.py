"""The tables of accuracy, each by its name, each made from what is `Measured`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from pelvis.data import Array
from pelvis.personal import REACH, SPREAD_S
from pelvis.speed import EXPONENTS, POPULATION, PowerLaw
from sensor_host.validation import calibration, speed
from sensor_host.validation.bounds import LOSSY, STEP_COLUMNS, STRIDE_COLUMNS, bounds, bounds_table, slope
from sensor_host.validation.device import Device
from sensor_host.validation.measured import USUAL, Measured
from sensor_host.validation.score import EVENTS, Score, rms, shown_in
from sensor_host.validation.sources import ALCANTARA, FUKUCHI, SETS, SISFALL, VOISARD
from sensor_host.validation.table import Table, number, percent
from sensor_host.validation.uncertainty import uncertainty_table

TITLES = {
    "initial_contact_s": "initial contact",
    "toe_off_s": "toe-off",
    "contact_time_s": "contact time",
    "flight_time_s": "flight time",
    "pelvic_drop_deg": "pelvic drop",
    "peak_drop_deg": "peak drop",
    "vertical_oscillation_m": "vertical oscillation",
    "sway_m": "sway of the sensor",
    "pelvis_sway_m": "sway of the pelvis",
}
WAVES = ("obliquity_deg", "tilt_deg", "rotation_deg")
Makes = Callable[[Measured], Table]


def _titled(name: str) -> str:
    return f"{TITLES[name]}, {shown_in(name)[0]}"


def _decimals(name: str) -> int:
    return 2 if name.endswith("_deg") else 1


# ---------------------------------------------------------------- the usual device


def _found(measured: Measured) -> Table:
    scores = (measured.score(), measured.score(shipped=True))

    def row(title: str, of: Callable[[Score], str]) -> tuple[str, ...]:
        return (title, *(of(score) for score in scores))

    def late(score: Score, name: str) -> str:
        delays = score.delays_ms(name)
        return f"{np.median(delays):.0f} ms, 99 %: {np.percentile(delays, 99):.0f} ms"

    return Table(
        ("what", "runner left out", "shipped models"),
        [
            row("runs, ground contacts", lambda s: f"{len(s.runs)}, {s.contacts}"),
            row("missed, extra, F1", lambda s: f"{s.missed}, {s.extra}, {s.f1:.4f}"),
            row("steps while standing", lambda s: str(s.while_standing)),
            row("side right", lambda s: f"{percent(float(s.sides.mean()), 2)} of {len(s.sides)}"),
            row("cadence, mean of a run", lambda s: _spread(np.array([r.cadence_spm for r in s.runs]), "spm", 2)),
            row("columns of steps filled, at least", lambda s: percent(min(map(s.coverage, STEP_COLUMNS)))),
            row("columns of strides filled, at least", lambda s: percent(min(map(s.coverage, STRIDE_COLUMNS)))),
            row("reported after true toe-off", lambda s: late(s, "reported_at_s")),
            row("completed after true toe-off", lambda s: late(s, "completed_at_s")),
        ],
    )


def _spread(errors: np.ndarray, unit: str, decimals: int) -> str:
    bias, sd = float(np.nanmean(errors)), float(np.nanstd(errors))
    return f"bias {number(bias, decimals, signed=True)}, SD {number(sd, decimals)} {unit}"


def _steps(measured: Measured) -> Table:
    score, shipped = measured.score(), measured.score(shipped=True)
    head = ("per step or stride", "n", "bias", "SD", "RMSE", "95 % within", "RMSE, shipped models")
    rows: list[tuple[str, ...]] = []
    for name in TITLES:
        errors, digits = score.errors(name), _decimals(name)
        numbers = (score.sd(name), score.rmse(name), float(np.percentile(np.abs(errors), 95)), shipped.rmse(name))
        bias = number(score.bias(name), digits, signed=True)
        rows.append((_titled(name), str(len(errors)), bias, *(number(x, digits) for x in numbers)))
    return Table(head, rows)


def _trials(measured: Measured) -> Table:
    score, shipped = measured.score(), measured.score(shipped=True)
    head = ("mean of a run", "runs", "bias", "SD", "RMSE", "slope", "r", "RMSE, shipped models")
    rows: list[tuple[str, ...]] = []
    for name in TITLES:
        if name in EVENTS:
            continue
        means, digits = score.trial_means(name), _decimals(name)
        true, said = score.trial_pairs(name)
        rows.append(
            (
                _titled(name),
                str(len(means)),
                number(float(means.mean()), digits, signed=True),
                number(float(means.std()), digits),
                number(rms(means), digits),
                number(slope(true, said), 2),
                number(float(np.corrcoef(true, said)[0, 1]), 3) if len(true) > 1 else "",
                number(rms(shipped.trial_means(name)), digits),
            )
        )
    return Table(head, rows)


def _waves(measured: Measured) -> Table:
    rows: list[tuple[str, ...]] = []
    for title, device in ANGLES.items():
        waves = [measured.score(device).waves_deg(name) for name in WAVES]
        rows.append((title, *(text for w in waves for text in (number(float(w.mean()), 2), number(float(w.max()), 2)))))
    names = [name.removesuffix("_deg") for name in WAVES]
    return Table(("angles, deg", *(text for name in names for text in (f"{name}, RMSE", f"{name}, worst run"))), rows)


# ---------------------------------------------------------------- other devices


_CONDITION_NAMES = (
    *EVENTS, "contact_time_s", "flight_time_s", "pelvic_drop_deg", "vertical_oscillation_m", "pelvis_sway_m",
)  # fmt: skip


def _conditions(what: str, devices: Mapping[str, Device]) -> Makes:
    def make(measured: Measured) -> Table:
        return condition_table(what, {title: measured.score(device) for title, device in devices.items()})

    return make


def condition_table(what: str, scores: Mapping[str, Score]) -> Table:
    """Return how F1, side and errors change from score to score."""
    head = (
        what, "F1", "side", "IC, ms", "TO, ms", "contact, ms", "flight, ms", "drop, deg", "VO, mm", "sway, mm",
        "run mean, ms",
    )  # fmt: skip
    rows = [
        (
            title,
            f"{s.f1:.4f}",
            percent(float(s.sides.mean())) if len(s.sides) and s.sides.any() else "",
            *(number(s.rmse(name), _decimals(name)) for name in _CONDITION_NAMES),
            number(rms(s.trial_means("contact_time_s"))),
        )
        for title, s in scores.items()
    ]
    return Table(head, rows)


RATES_HZ = (50.0, 100.0, 104.0, 200.0, 208.0, 400.0, 500.0)
LOSSES = {"none": USUAL} | {
    f"{100 * ratio:g} % in bursts of {1e3 * burst_s:g} ms": Device(loss_ratio=ratio, burst_s=burst_s)
    for ratio in (0.01, 0.05, 0.10)
    for burst_s in (0.04, 0.1)
}
MOUNTS = {
    "askew up to 15 deg about each axis": USUAL,
    "askew up to 30 deg about each axis": Device(mount_deg=30.0),
    "any rotation": Device(mount_deg=None),
    "no standing before the run": Device(still_s=0.0),
    "no standing, any rotation": Device(still_s=0.0, mount_deg=None),
    "another draw of everything": Device(seed=2),
}
ANGLES = {
    "usual": USUAL,
    "any rotation": Device(mount_deg=None),
    "no standing before the run": Device(still_s=0.0),
    "5 % lost in bursts of 40 ms": LOSSY,
    "gyroscope's bias of 5 deg/s": Device(gyro_bias_dps=5.0),
    "in a bend of 36.5 m": Device(bend_m=36.5),
}
CLIPPING = {f"+-{g:g} g": Device(acc_range_g=g) for g in (16.0, 8.0, 4.0)}
GYROSCOPE = {
    "bias of 1.5 deg/s": USUAL,
    "bias of 3 deg/s": Device(gyro_bias_dps=3.0),
    "bias of 5 deg/s": Device(gyro_bias_dps=5.0),
    "drift of 0.5 deg/s over the run": Device(gyro_drift_dps=0.5),
    "drift of 2 deg/s over the run": Device(gyro_drift_dps=2.0),
    "no gyroscope": Device(gyroscope=False),
}
CLOCKS = {f"{ppm:g} ppm": Device(clock_ppm=ppm) for ppm in (0.0, 50.0, 200.0, 500.0)}
BENDS = {
    "straight": USUAL,
    "to the left, 36.5 m, as on a track": Device(bend_m=36.5),
    "to the right, 36.5 m": Device(bend_m=-36.5),
    "to the left, 20 m": Device(bend_m=20.0),
}
PLACEMENTS = {
    "where it should be": USUAL,
    "5 cm to the left": Device(lever_m=(0.0, 0.05, 0.0)),
    "5 cm higher": Device(lever_m=(0.0, 0.0, 0.05)),
    "5 cm lower": Device(lever_m=(0.0, 0.0, -0.05)),
} | {f"on soft tissue that swings at {hz:g} Hz": Device(wobble_hz=hz) for hz in (8.0, 12.0, 20.0, 30.0)}


def _touches(measured: Measured) -> Table:
    head = (
        "provisional contacts", "said", "of all contacts", "withdrawn", "bias, ms", "SD, ms", "delay p50, ms", "p95",
        "p99", "over 80 ms", "side right",
    )  # fmt: skip
    rows: list[tuple[str, ...]] = []
    for rate_hz in RATES_HZ:
        score = measured.score(replace(USUAL, rate_hz=rate_hz))
        touches = [run.touches for run in score.runs if run.touches is not None]
        errors, delays = (np.concatenate(x) for x in zip(*((t.errors_ms, t.delays_ms) for t in touches), strict=True))
        side = np.concatenate([t.side_right for t in touches])
        rows.append(
            (
                f"{rate_hz:g} Hz",
                str(sum(t.said for t in touches)),
                percent(len(errors) / score.contacts),
                str(sum(t.withdrawn for t in touches)),
                number(float(errors.mean()), signed=True),
                number(float(errors.std())),
                *(number(float(x), 0) for x in np.percentile(delays, (50, 95, 99))),
                percent(float(np.mean(delays > 80.0))),
                percent(float(side.mean())),
            )
        )
    return Table(head, rows)


def _holes(measured: Measured) -> Table:
    rows: list[tuple[str, ...]] = []
    for odd in (False, True):
        score = measured.hole(odd=odd)
        rows.append(
            (
                f"{'an odd' if odd else 'an even'} number of contacts lost",
                str(len(score.sides)),
                percent(float(score.sides.mean()), 2),
                f"{score.f1:.4f}",
                number(score.rmse("contact_time_s")),
            )
        )
    return Table(("a hole of 3 s in the run", "steps", "side right", "F1", "contact, ms"), rows)


# ---------------------------------------------------------------- groups of runs


_STRIKES = {"rearfoot": "rearfoot", "midfoot": "midfoot", "forefoot": "forefoot", "differs": "left and right differ"}


def by_speed(score: Score) -> dict[str, Score]:
    """Return the score of each speed."""
    return {f"{speed_mps:g} m/s": part for speed_mps, part in score.grouped(lambda run: run.speed_mps).items()}


def by_strike(score: Score) -> dict[str, Score]:
    """Return the score of each foot strike."""
    groups = score.grouped(lambda run: run.foot_strike)
    known = {title: groups[kind] for kind, title in _STRIKES.items() if kind in groups}
    return known | {kind: groups[kind] for kind in groups if kind not in _STRIKES}


def _groups(what: str, groups: Mapping[str, Score]) -> Table:
    head = (
        what, "runs", "steps", "IC bias, ms", "IC, ms", "TO bias, ms", "TO, ms", "contact bias, ms", "contact, ms",
        "run mean, ms", "drop, deg",
    )  # fmt: skip
    rows: list[tuple[str, ...]] = []
    for title, score in groups.items():
        pairs = [
            text
            for name in (*EVENTS, "contact_time_s")
            for text in (number(score.bias(name), signed=True), number(score.rmse(name)))
        ]
        steps = len(score.errors("contact_time_s"))
        mean, drop = number(rms(score.trial_means("contact_time_s"))), number(score.rmse("pelvic_drop_deg"), 2)
        rows.append((title, str(len(score.runs)), str(steps), *pairs, mean, drop))
    return Table(head, rows)


# ---------------------------------------------------------------- how far a step can be trusted


def _uncertainty(measured: Measured) -> Table:
    table = uncertainty_table(measured.score(), measured.score(LOSSY))
    return table if table.rows else Table(("standard errors",), [("none are stated",)])


_QUALITY_EDGES = (0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 1.01)


def _quality(measured: Measured) -> Table:
    devices = [*LOSSES.values(), *MOUNTS.values()]
    runs = [run for device in dict.fromkeys(devices) for run in measured.score(device).runs]
    quality = np.concatenate([run.quality for run in runs])
    contact, drop = (
        np.concatenate([run.errors[name] for run in runs]) for name in ("contact_time_s", "pelvic_drop_deg")
    )
    stated = np.concatenate([run.stated["contact_time_s"] for run in runs])
    rows: list[tuple[str, ...]] = []
    for low, high in pairwise(_QUALITY_EDGES):
        group = (quality >= low) & (quality < high)
        if group.sum() < 20:
            continue
        found = (number(rms(contact[group])), number(rms(stated[group])), number(rms(_known(drop[group])), 2))
        rows.append((f"{low:g} to {min(high, 1.0):g}", str(int(group.sum())), *found))
    return Table(("quality", "steps", "contact time RMSE, ms", "as stated, ms", "pelvic drop RMSE, deg"), rows)


def _known(errors: Array) -> Array:
    return errors[np.isfinite(errors)]


# ---------------------------------------------------------------- what a runner's own calibration is worth


def _calibrated(measured: Measured) -> Table:
    return _of_texts(calibration.table(calibration.gains(measured.trials, USUAL, measured.models)))


def _speed_known(measured: Measured) -> Table:
    return _of_texts(speed.table(speed.observe(measured.trials, [USUAL], measured.models)))


def _constants(measured: Measured) -> Table:
    spread_s, reach = calibration.spread_and_reach(calibration.run_means(measured.trials, USUAL, measured.models))
    fitted = speed.numbers(speed.observe(measured.trials))
    across = fitted["POPULATION"]
    assert isinstance(across, PowerLaw)
    return Table(
        ("constant of the core", "in use", "fitted anew"),
        [
            ("speed within a runner, exponents", str(EXPONENTS), str(fitted["EXPONENTS"])),
            ("speed of anybody, level and exponents", _law(POPULATION), _law(across)),
            ("spread of run means of contact time, ms", number(1e3 * SPREAD_S), number(1e3 * spread_s)),
            ("reach, ln contact time", number(REACH, 2), number(reach, 2)),
        ],
    )


def _law(law: PowerLaw) -> str:
    return f"{law.level} {law.exponents}"


def _of_texts(texts: Sequence[tuple[str, ...]]) -> Table:
    return Table(texts[0], texts[1:])


# ---------------------------------------------------------------- real sensors


def _slopes(measured: Measured) -> Table:
    slopes = measured.slopes
    head = (
        "slope, deg", "contacts", "found", "IC, ms", "TO, ms", "contact, ms", "contact bias, ms",
    )  # fmt: skip
    groups = {f"{deg:+g}" if deg else "0": score for deg, score in slopes.by_slope.items()} | {"all": slopes.whole}
    rows = [
        (
            title,
            str(s.contacts),
            str(s.contacts - s.missed),
            *(number(s.rmse(name)) for name in (*EVENTS, "contact_time_s")),
            number(s.bias("contact_time_s"), signed=True) if len(s.errors("contact_time_s")) else "",
        )
        for title, s in groups.items()
    ]
    return Table(head, rows)


def _life(measured: Measured) -> Table:
    living = measured.living
    rows: list[tuple[str, ...]] = []
    if SISFALL in measured.sets:
        named = ", ".join(f"{n} in {activity}" for activity, n in sorted(living.false_steps.items()) if n)
        rows += [
            ("SisFall, jogging: windows of 5 s with steps", f"{living.jogging_found} of {living.jogging_windows}"),
            ("SisFall, jogging: cadence", _spread(np.array(living.cadence_errors_spm), "spm", 2)),
            (f"SisFall, daily life: false steps in {living.daily_s / 60:.0f} min", str(living.daily_steps)),
            (f"SisFall, falls: false steps in {living.falls_s / 60:.0f} min", str(living.fall_steps)),
            ("SisFall, where the false steps were", named or "nowhere"),
            ("SisFall, falls while jogging (F05): steps", str(living.jogging_fall_steps)),
        ]
    if VOISARD in measured.sets:
        title = f"Voisard, walking: false steps in {living.walking_s / 60:.0f} min of {living.walks} walks"
        rows.append((title, str(living.walking_steps)))
    return Table(("what", "found"), rows)


# ---------------------------------------------------------------- all of them


@dataclass(frozen=True, slots=True)
class Section:
    """A table of the page: its title on the screen, the data sets one of which it needs, and how it is made."""

    title: str
    sets: Sequence[str]
    make: Makes


_TREADMILL = (FUKUCHI,)

SECTIONS: dict[str, Section] = {
    "bounds": Section("What is asked, and what is reached", SETS, lambda measured: bounds_table(bounds(measured))),
    "found": Section("Steps found", _TREADMILL, _found),
    "steps": Section("Steps measured", _TREADMILL, _steps),
    "trials": Section("Means of runs", _TREADMILL, _trials),
    "waves": Section("Angles all the time", _TREADMILL, _waves),
    "speeds": Section("Speed", _TREADMILL, lambda measured: _groups("speed", by_speed(measured.score()))),
    "strikes": Section("Foot strike", _TREADMILL, lambda measured: _groups("foot strike", by_strike(measured.score()))),
    "uncertainty": Section("Stated standard errors", _TREADMILL, _uncertainty),
    "quality": Section("Quality", _TREADMILL, _quality),
    "touches": Section("Provisional contacts", _TREADMILL, _touches),
    "rates": Section("Rate", _TREADMILL, _conditions("rate", {f"{r:g} Hz": Device(rate_hz=r) for r in RATES_HZ})),
    "losses": Section("Lost packets", _TREADMILL, _conditions("lost", LOSSES)),
    "holes": Section("A hole in the run", _TREADMILL, _holes),
    "mounts": Section("Mounting", _TREADMILL, _conditions("mounting", MOUNTS)),
    "placements": Section("Place on the body", _TREADMILL, _conditions("place", PLACEMENTS)),
    "clipping": Section("Range of the accelerometer", _TREADMILL, _conditions("range", CLIPPING)),
    "gyroscope": Section("Gyroscope", _TREADMILL, _conditions("gyroscope", GYROSCOPE)),
    "clocks": Section("Clock", _TREADMILL, _conditions("clock error", CLOCKS)),
    "speed": Section("Speed where nothing measures it", _TREADMILL, _speed_known),
    "calibrated": Section("Contact time, calibrated", _TREADMILL, _calibrated),
    "constants": Section("Constants of speed and calibration, fitted anew", _TREADMILL, _constants),
    "bends": Section("Bends", _TREADMILL, _conditions("bend", BENDS)),
    "slopes": Section("A real sacral accelerometer on slopes", (ALCANTARA,), _slopes),
    "life": Section("Running or not", (SISFALL, VOISARD), _life),
}  # fmt: skip
"""Every table by its name, in the order of the page."""


def makeable(measured: Measured) -> list[str]:
    """Return the names of the tables for which there is data."""
    return [name for name, section in SECTIONS.items() if set(section.sets) & set(measured.sets)]
