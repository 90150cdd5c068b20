"""Measure the core against public force-plate data and print the tables of docs/accuracy.md.

python benchmarks/accuracy.py DATA_DIR                            print them
python benchmarks/accuracy.py DATA_DIR --write docs/accuracy.md   put them in their places on the page

DATA_DIR holds rbds/, alcantara/, sisfall/ and walking/: see benchmarks/force_plates.py. Needs the extra "test" (scipy).
"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
from force_plates import (
    Device,
    Score,
    alcantara,
    contacts_of,
    fukuchi,
    said_of,
    score_run,
    sisfall,
    voisard,
)

JOGGING, JOGGING_FALL = ("D03", "D04"), "F05"


def measured(folder: Path, device: Device, *, motion: bool = False) -> Score:
    """Score the core on every Fukuchi run behind such a device."""
    score = Score()
    for run in fukuchi(folder, device):
        score_run(run, said_of(run.samples, motion=motion), score)
    return score


def table(*rows: tuple[str, ...]) -> str:
    """Lay out rows, the first being the head, as markdown."""
    head, *body = rows
    lines = [f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *body)]
    return "\n".join(lines)


# ---------------------------------------------------------------- Fukuchi

ROWS = (
    ("initial contact", "initial_contact_ms", "ms"),
    ("toe-off", "toe_off_ms", "ms"),
    ("contact time", "contact_time_ms", "ms"),
    ("flight time", "flight_time_ms", "ms"),
    ("pelvic drop", "pelvic_drop_deg", "deg"),
    ("peak drop", "peak_drop_deg", "deg"),
    ("vertical oscillation", "vertical_oscillation_m", "mm"),
    ("sway of the sensor point", "sway_m", "mm"),
    ("sway of the pelvis centre", "pelvis_sway_m", "mm"),
)
WAVES = (("obliquity", "obliquity_deg wave"), ("tilt", "tilt_deg wave"), ("rotation", "rotation_deg wave"))


def steps_table(score: Score) -> str:
    rows = [("per step or stride", "n", "bias", "SD", "RMSE", "95 % within", "SD of run means")]
    for title, name, unit in ROWS:
        errors = np.abs(score.errors[name])
        digits = 2 if unit == "deg" else 1
        numbers = (
            score.bias(name), score.sd(name), score.rmse(name), float(np.percentile(errors, 95)),
            float(np.std(score.trial_means[name])),
        )  # fmt: skip
        rows.append((f"{title}, {unit}", str(len(errors)), *(f"{x:.{digits}f}" for x in numbers)))
    return table(*rows)


def waves_table(score: Score) -> str:
    rows = [("continuous angle", "RMSE about the mean, mean of runs", "worst run")]
    rows += [(title, f"{np.mean(score.errors[k]):.2f} deg", f"{max(score.errors[k]):.2f} deg") for title, k in WAVES]
    return table(*rows)


def found_table(score: Score) -> str:
    late = score.errors["reported_ms"]
    done = score.errors["completed_ms"]
    # vertical ratio needs a speed that is no estimate, and nobody says one here
    filled = min(said / wanted for name, (said, wanted) in score.filled.items() if name != "vertical_ratio_percent")
    return table(
        ("", ""),
        ("runs, ground contacts", f"{score.runs}, {score.contacts}"),
        ("missed, extra, F1", f"{score.missed}, {score.extra}, {score.f1:.4f}"),
        ("side right", f"{100 * score.side_ratio:.2f} % of {score.side_said}"),
        ("every metric filled for at least", f"{100 * filled:.1f} % of the steps"),
        ("reported after true toe-off", f"{np.median(late):.0f} ms, 99 %: {np.percentile(late, 99):.0f} ms"),
        ("completed after true toe-off", f"{np.median(done):.0f} ms, 99 %: {np.percentile(done, 99):.0f} ms"),
    )


def touch_row(name: str, score: Score) -> tuple[str, ...]:
    delay = np.percentile(score.errors["touch_delay_ms"], (50, 95, 99))
    side = 100.0 * (1.0 - score.bias("touch_side_wrong")) if "touch_side_wrong" in score.errors else float("nan")
    return (
        name,
        str(score.touches),
        f"{100 * score.confirmed / max(1, score.contacts):.1f} %",
        str(score.withdrawn),
        f"{score.bias('touch_error_ms'):.1f}",
        f"{score.sd('touch_error_ms'):.1f}",
        *(f"{x:.0f}" for x in delay),
        f"{100 * np.mean(np.array(score.errors['touch_delay_ms']) > 80.0):.1f} %",
        f"{side:.1f} %",
    )


TOUCH_HEAD = (
    "", "said", "of all contacts", "withdrawn", "bias, ms", "SD, ms", "delay p50, ms", "p95", "p99", "over 80 ms",
    "side right",
)  # fmt: skip

CONDITION_HEAD = (
    "", "F1", "side", "initial contact, ms", "toe-off, ms", "contact time, ms", "pelvic drop, deg",
    "vertical oscillation, mm", "pelvis sway, mm",
)  # fmt: skip


def condition_row(name: str, score: Score) -> tuple[str, ...]:
    names = ("initial_contact_ms", "toe_off_ms", "contact_time_ms", "pelvic_drop_deg", "vertical_oscillation_m")
    numbers = [score.rmse(n) for n in (*names, "pelvis_sway_m")]
    return (
        name,
        f"{score.f1:.4f}",
        f"{100 * score.side_ratio:.1f} %",
        *(f"{x:.2f}" if i == 3 else f"{x:.1f}" for i, x in enumerate(numbers)),
    )


# ---------------------------------------------------------------- the others


def slopes_table(folder: Path) -> str:
    by_slope: dict[float, Score] = {}
    whole = Score()
    for run, slope in alcantara(folder):
        said = said_of(run.samples)
        for score in (by_slope.setdefault(slope, Score()), whole):
            score_run(run, said, score, settle_s=2.0, tail_s=0.45)
    rows = [
        ("slope, deg", "contacts", "found", "initial contact, ms", "toe-off, ms", "contact time, ms", "its bias, ms")
    ]
    for name, score in (*((f"{s:+g}", by_slope[s]) for s in sorted(by_slope)), ("all", whole)):
        if "contact_time_ms" not in score.errors:
            rows.append((name, str(score.contacts), "0", "", "", "", ""))
            continue
        errors = [f"{score.rmse(n):.1f}" for n in ("initial_contact_ms", "toe_off_ms", "contact_time_ms")]
        found = str(score.contacts - score.missed)
        rows.append((name, str(score.contacts), found, *errors, f"{score.bias('contact_time_ms'):+.1f}"))
    return table(*rows)


def life_table(folder: Path) -> str:
    false: Counter[str] = Counter()
    other_s, falls, seen, windows = 0.0, 0, 0, 0
    errors: list[float] = []
    for life in sisfall(folder):
        contact_s = contacts_of(said_of(life.samples))
        if life.activity == JOGGING_FALL:
            falls += len(contact_s)
        elif life.activity not in JOGGING:
            other_s += life.seconds
            false[life.activity] += len(contact_s)
        for k, (cadence, counted) in enumerate(zip(life.cadence_spm, life.counted, strict=True)):
            if not counted or k < 2 or life.activity not in JOGGING:
                continue
            start_s, end_s = k * life.window_s, (k + 1) * life.window_s
            inside = contact_s[(contact_s >= start_s) & (contact_s < end_s)]
            windows += 1
            if len(inside) >= 0.85 * (cadence * life.window_s / 60.0 - 1.0):
                seen += 1
                errors.append(120.0 / float(np.median(inside[2:] - inside[:-2])) - cadence)
    walks = list(voisard(folder))
    walked = sum(len(contacts_of(said_of(walk.samples))) for walk in walks)
    named = ", ".join(f"{n} in {activity}" for activity, n in false.most_common() if n)
    return table(
        ("", ""),
        ("SisFall, jogging: 5 s windows with steps", f"{seen} of {windows}"),
        ("SisFall, jogging: cadence", f"bias {np.mean(errors):+.2f}, SD {np.std(errors):.2f} spm"),
        (
            f"SisFall, daily life and falls: false steps in {other_s / 60:.0f} min",
            f"{sum(false.values())}{f' ({named})' if named else ''}",
        ),
        ("SisFall, falls while jogging (F05): steps", f"{falls}"),
        (
            f"Voisard, walking: false steps in {sum(w.seconds for w in walks) / 60:.0f} min of {len(walks)} walks",
            f"{walked}",
        ),
    )


# ---------------------------------------------------------------- all of it


def tables(folder: Path) -> dict[str, str]:
    """Measure everything; return the tables by the name of their place on the page."""
    usual = Device()
    main = measured(folder, usual, motion=True)
    rates = {r: measured(folder, replace(usual, rate_hz=r)) for r in (50.0, 100.0, 104.0, 208.0, 400.0, 500.0)}
    rates[200.0] = main
    losses = {
        "none": main,
        "1 % in bursts of 40 ms": measured(folder, replace(usual, loss_ratio=0.01)),
        "5 % in bursts of 40 ms": measured(folder, replace(usual, loss_ratio=0.05)),
        "5 % in bursts of 100 ms": measured(folder, replace(usual, loss_ratio=0.05, burst_s=0.1)),
        "10 % in bursts of 40 ms": measured(folder, replace(usual, loss_ratio=0.1)),
        "20 % in bursts of 100 ms": measured(folder, replace(usual, loss_ratio=0.2, burst_s=0.1)),
    }
    others = {
        "up to 15 deg about each axis": main,
        "up to 30 deg about each axis": measured(folder, replace(usual, mount_deg=30.0)),
        "any rotation": measured(folder, replace(usual, mount_deg=None)),
        "no standing before the run": measured(folder, replace(usual, still_s=0.0)),
        "gyroscope bias of 3 deg/s": measured(folder, replace(usual, gyro_bias_dps=3.0)),
        "another draw of everything": measured(folder, replace(usual, seed=2)),
    }
    by_rate = sorted(rates.items())
    return {
        "found": found_table(main),
        "steps": steps_table(main),
        "waves": waves_table(main),
        "touches": table(TOUCH_HEAD, *(touch_row(f"{r:g} Hz", s) for r, s in by_rate)),
        "rates": table(CONDITION_HEAD, *(condition_row(f"{r:g} Hz", s) for r, s in by_rate)),
        "losses": table(CONDITION_HEAD, *(condition_row(*item) for item in losses.items())),
        "mounts": table(CONDITION_HEAD, *(condition_row(*item) for item in others.items())),
        "slopes": slopes_table(folder),
        "life": life_table(folder),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA_DIR")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the tables in their places on this page")
    chosen = parser.parse_args()
    made = tables(chosen.data)
    if chosen.write is None:
        for name, text in made.items():
            print(f"## {name}\n\n{text}\n")
        return
    page = chosen.write.read_text(encoding="utf-8")
    for name, text in made.items():
        place = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        assert place.search(page), f"{chosen.write} has no place for {name}"
        page = place.sub(lambda found, text=text: f"{found[1]}{text}\n{found[2]}", page)
    chosen.write.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
