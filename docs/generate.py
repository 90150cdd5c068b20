"""Write the pages of docs/ that derive from the code, or tell which are out of date.

python docs/generate.py           write them
python docs/generate.py --check   write nothing; exit code 1 when one is out of date
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import mqtt_pages

from pelvis import quality
from pelvis.metrics import STEP_METRICS, STRIDE_METRICS, Metric
from pelvis.steps import STRAIGHT_RADPS

DOCS = Path(__file__).resolve().parent

METRICS_PAGE = """\
# Metrics

<!-- Written by docs/generate.py from signal/pelvis/metrics.py. Change the docstring there, then `make docs`. -->

One function per metric in [metrics.py](../signal/pelvis/metrics.py); CSV columns, MQTT fields and screens derive from the
same table. A name carries its unit. Frames and signs: [frames.md](frames.md). What is unknown is empty in CSV, `null` in JSON.

A step speaks twice. What stands in the first table is said once its stance has been seen, with `reported_at_s`, the time of
the last sample that had a say. What stands in the second needs the contacts that follow; it is said with `completed_at_s`.

## Known when a step is reported

{step}

## Known when its stride is complete

{stride}

## Besides

| Column | Unit | |
|---|---|---|
| `initial_contact_s` | s | the foot touches the ground |
| `toe_off_s` | s | the same foot leaves it |
| `side` | | of the foot in contact: left, right, unknown |
| `quality` | 0 to 1 | how far the step can be trusted: [quality.md](quality.md) |
| `speed_source` | | where `speed_mps` comes from: a source's name, `model`, `estimate`; empty where it is unknown |
| `contact_time_reference` | | what the runner's contact time is calibrated to; empty where it is not: [calibration.md](calibration.md) |
| `contact_time_offset_s` | s | what that added to contact time, half of it at either end |
| `reported_at_s`, `completed_at_s` | s | time of the last sample that had a say; a sample's time, never the end of a block |
| `step_index`, `stride_index` | | count from 0 |

## What cannot be measured from the pelvis

Hip extension, glute activation, knee position, foot strike and arms are not seen by a sensor at the waist, and no stand-in
for them is offered. Left-right asymmetry of contact time is smaller than the error of one step and is not reported per step.
"""


def metrics_page() -> str:
    """Return the page about METRICS."""
    return METRICS_PAGE.format(step=_table(STEP_METRICS), stride=_table(STRIDE_METRICS))


def _table(metrics: Sequence[Metric]) -> str:
    rows = ["| Metric | Unit | Definition |", "|---|---|---|"]
    rows += [f"| `{metric.name}` | {metric.unit} | {metric.definition} |" for metric in metrics]
    return "\n".join(rows)


QUALITY_PAGE = """\
# Quality of a step

<!-- Written by docs/generate.py from signal/pelvis/quality.py. Change the numbers there, then `make docs`. -->

`quality` is the standard error of contact time on undisturbed signals ({undisturbed:g} ms), divided by the one expected for this
step: **1 is as good as it gets, 0.5 means an error twice as large, 0 means do not use**. The expected error adds up, in squares:

    quality = {undisturbed:g} / sqrt({undisturbed:g}^2 + cost_1^2 + cost_2^2 + ...)

{table}

Each cost was found by adding that disturbance to runs with force-plate truth and watching the error of contact time grow.
A cost of more than half of {undisturbed:g} ms also sets the step's flag, the worst first; made-up samples do so from a share of
{filled:g} on and bends from {turning:g} rad/s on, since angles suffer more from them than contact time does. The coach speaks on steps
of at least `cues.min_quality`. Sources and figures: [accuracy.md](accuracy.md).

`settling` stands at the first {settling} steps of a run, its first two seconds among them: they are provisional.

One more flag lowers nothing: `{late}`. Whether somebody runs takes five steps to tell, where it could be stairs up to sixteen;
the steps before are said then, all at once. They are measured as well as others, but too late to act upon.
"""

# per disturbance: the flag it sets, the constant in quality.py, what it counts
DISTURBANCES = (
    ("unusual_waveform", "STRANGE_MS", "per squared spread of the event models' inputs beyond the usual one"),
    ("lost_samples", "FILLED_MS", "per share of made-up samples in the last two steps"),
    ("clipped", "CLIPPED_MS", "per share of samples at the end of the sensor's range"),
    ("uneven_step_time", "UNEVEN_MS", "per relative deviation from the usual step time beyond 5 %"),
    ("settling", "SETTLING_MS", "divided by the number of steps since the run began"),
    ("no_gyroscope", "NO_GYROSCOPE_MS", "where angular rate is missing"),
    ("sensor_turned", "TURNED_MS", "where the sensor seems to have moved on the belt, until its new place is known"),
    ("turning", "TURNING_MS", "per radian per second by which the runner turns"),
    ("forward_ambiguous", "AMBIGUOUS_MS", "per confidence of forward against backward below 0.5"),
)


def quality_page() -> str:
    """Return the page about what lowers the quality of a step."""
    rows = ["| Flag | Cost | |", "|---|---|---|"]
    rows += [f"| `{flag}` | {getattr(quality, name):g} ms | {what} |" for flag, name, what in DISTURBANCES]
    return QUALITY_PAGE.format(
        undisturbed=quality.UNDISTURBED_MS,
        filled=quality.FILLED_FLAGGED_RATIO,
        turning=STRAIGHT_RADPS,
        table="\n".join(rows),
        settling=quality.SETTLING_STEPS,
        late=quality.SAID_LATE,
    )


PAGES: dict[Path, Callable[[], str]] = {
    DOCS / "metrics.md": metrics_page,
    DOCS / "quality.md": quality_page,
    DOCS / "mqtt.md": mqtt_pages.page,
    DOCS / "asyncapi.json": mqtt_pages.document_text,
}


def main() -> None:
    """Write or check every page."""
    stale = [path for path, page in PAGES.items() if not path.exists() or path.read_text(encoding="utf-8") != page()]
    if "--check" in sys.argv[1:]:
        if stale:
            sys.exit(f"out of date: {', '.join(path.name for path in stale)}; write them anew with 'make docs'")
        return
    for path in stale:
        path.write_text(PAGES[path](), encoding="utf-8")
        print(f"wrote {path.relative_to(DOCS.parent)}")


if __name__ == "__main__":
    main()
