"""Write what derives from the code and from hardware/ (generate.py, pages.py), or tell what is out of date.

python docs/generate.py           write them
python docs/generate.py --check   write nothing; exit code 1 when one is out of date
"""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import mqtt_pages

from pelvis import quality
from pelvis.averages import BALANCE_STEPS
from pelvis.error_coefficients import ERROR_MODELS
from pelvis.metrics import REFUSED, STEP_METRICS, STRIDE_METRICS, Metric
from pelvis.placement import STRAIGHT_RADPS
from sensor_host import link_bench
from sensor_host.view.window_keys import KEYS, REPLAY_KEYS

DOCS = Path(__file__).resolve().parent

METRICS_PAGE = """\
# Metrics

<!-- Written by docs/generate.py from signal/pelvis/metrics.py. Change the docstring there, then `make docs`. -->

One function per metric in [metrics.py](../signal/pelvis/metrics.py); CSV columns, MQTT fields and screens derive from the
same table. A name carries its unit. Frames and signs: [frames.md](frames.md). What is unknown is empty in CSV, `null` in JSON.

A step speaks twice. What stands in the first table is said once its stance has been seen, with `reported_at_s`, the time of
the last sample that had a say. What stands in the second needs the contacts that follow; it is said with `completed_at_s`.

Every value comes with its standard error, and every mean says how many steps it needs: [uncertainty.md](uncertainty.md).

## Known when a step is reported

{step}

## Known when its stride is complete

{stride}

## Besides

| Column | Unit | |
|---|---|---|
| `initial_contact_s` | s | the foot touches the ground |
| `toe_off_s` | s | the same foot leaves it |
| `initial_contact_se_s`, `toe_off_se_s` | s | their standard errors |
| `side` | | of the foot in contact: left, right, unknown |
| `quality` | 0 to 1 | how far the step can be trusted: [quality.md](quality.md) |
| `speed_source` | | where `speed_mps` comes from: a source's name, `model`, `estimate`; empty where it is unknown |
| `contact_time_reference` | | what the runner's contact time is calibrated to; empty where it is not: [calibration.md](calibration.md) |
| `contact_time_offset_s` | s | what that added to contact time, half of it at either end |
| `reported_at_s`, `completed_at_s` | s | time of the last sample that had a say; a sample's time, never the end of a block |
| `step_index`, `stride_index` | | count from 0 |

## Asked for and not given

{refused}

The balance of contact time (the left foot's share) is in summaries from {balance} steps of each foot on, with its standard error.
"""


def metrics_page() -> str:
    """Return the page about METRICS."""
    return METRICS_PAGE.format(
        step=_table(STEP_METRICS), stride=_table(STRIDE_METRICS), refused=_refused_table(), balance=BALANCE_STEPS
    )


def _table(metrics: Sequence[Metric]) -> str:
    rows = [
        "| Metric | Unit | Definition | Standard error | of an undisturbed step | A mean needs |",
        "|---|---|---|---|---|---|",
    ]
    rows += [
        f"| `{metric.name}` | {metric.unit} | {metric.definition} | `{metric.error_name}` | {metric.usual_error:.2g} {metric.unit} "
        f"| {metric.steps_needed} steps |"
        for metric in metrics
    ]
    return "\n".join(rows)


def _refused_table() -> str:
    rows = ["| Not given | Why |", "|---|---|"]
    rows += [f"| {row.title} | {row.reason} |" for row in REFUSED.values()]
    return "\n".join(rows)


QUALITY_PAGE = """\
# Quality of a step

<!-- Written by docs/generate.py from signal/pelvis/error_coefficients.py; `make docs`. -->

`quality` is the standard error that contact time would have had nothing disturbed this step, divided by the one it has
([uncertainty.md](uncertainty.md)): **1 is as good as it gets, 0.5 means an error twice as large, 0 means do not use**.
Disturbances add up in squares:

    quality = undisturbed / sqrt(undisturbed^2 + cost_1^2 + cost_2^2 + ...)

undisturbed being {usual:.1f} ms for most steps, more for slow and for very fast runners.

{table}

Each cost was fitted on runs with force-plate truth to which that disturbance had been added. A cost of more than half of the
undisturbed standard error also sets the step's flag, the worst first; made-up samples do so from a share of {filled:g} of the last
two steps on and bends from {turning:g} rad/s on, since angles suffer more from them than contact time does. `{unlike}` is set where
contact time differs much from what it has been at the same foot. The coach speaks on steps of at least `cues.min_quality`.

`settling` stands at the first {settling} steps of a run, its first two seconds among them: they are provisional.

The first step of a session with clipped samples is also told as the notice `clipped`: a sensor whose range is too small.

One more flag lowers nothing: `{late}`. Whether somebody runs takes five steps to tell, where it could be stairs up to sixteen;
the steps before are said then, all at once. They are measured as well as others, but too late to act upon.
"""

# per term of the standard error that lowers the quality: what it counts
DISTURBANCES = {
    "beyond": "per root of squared spread of the event models' inputs beyond what nearly all steps of their fit have",
    "no_gyroscope": "where angular rate is missing",
    "turned": "where the sensor seems to have moved on the belt, until its new place is known",
    "turning": "per radian per second by which the runner turns",
    "ambiguous": "per confidence of forward against backward below 0.5",
    "filled": "per share of made-up samples in the stance",
    "filled_lately": "per share of made-up samples in the last seconds",
    "clipped": "per share of samples at the end of the sensor's range in the last two steps",
    "settling": "divided by the number of steps since the run began",
    "uneven": "per relative deviation from the usual step time beyond 5 %",
}


def quality_page() -> str:
    """Return the page about what lowers the quality of a step."""
    model = ERROR_MODELS["contact_time_s"]
    rows = ["| Flag | Cost | |", "|---|---|---|"]
    rows += [
        f"| `{quality.FLAGS[term]}` | {1e3 * model.terms.get(term, 0.0):.1f} ms | {what} |"
        for term, what in DISTURBANCES.items()
    ]
    return QUALITY_PAGE.format(
        usual=1e3 * model.usual,
        turning=STRAIGHT_RADPS,
        table="\n".join(rows),
        filled=quality.FILLED_FLAGGED_RATIO,
        settling=quality.SETTLING_STEPS,
        late=quality.SAID_LATE,
        unlike=quality.UNLIKE,
    )


LINK_PAGE = """\
# How good a link is

<!-- Written by docs/generate.py from sensor_host/link_bench.py; `make docs`. -->

    hipdrive bench-link                   # 60 s of the sensor in reach
    hipdrive bench-link --dense           # the same with as many packets as the sensor can send: how much room there is
    hipdrive bench-link RUN.mcap          # what the link of a recorded run was worth

`bench-link` connects as `run` does and says what this host and this sensor get across. Wear both as in a run and move: a body
between them takes 10 to 20 dB. The exit code is 1 when the verdict is poor; `--json` prints every figure.

Above all limits it says how many packets and samples came a second, and how long the first sample of a packet waits for the
last: at 208 Hz and 8 samples 34 ms, before any radio.

{table}

The verdict is the worst mark: {meaning}.

- **Late by** is above the fastest packets. How long those were under way cannot be known at the host; with a connection interval of
  15 ms it is some 10 ms. The fastest of every {bin:g} s form a line, whose slope is the drift of the two clocks: it is taken out.
- **Lost** is what the sensor's counter proves where it has one.
- **Waited here** runs from the radio callback to the first look at the packet; a recording does not have it.
"""


def link_page() -> str:
    """Return the page about the limits of a link."""
    rows = ["| Figure | Good up to | Usable up to | Because | What helps |", "|---|---|---|---|---|"]
    rows += [
        f"| {limit.title} | {limit.told(limit.good)} | {limit.told(limit.usable)} | {limit.why} | {limit.advice} |"
        for limit in link_bench.LIMITS
    ]
    meaning = "; ".join(f"**{mark}**, {text}" for mark, text in link_bench.MEANING.items())
    return LINK_PAGE.format(table="\n".join(rows), meaning=meaning, bin=link_bench.BIN_S)


def view_page() -> str:
    """Return the page about the plot window, with its keys."""
    text = (DOCS / "view.md").read_text(encoding="utf-8")
    for mark, keys in (("<!-- keys -->\n", KEYS), ("<!-- keys of a replay -->\n", REPLAY_KEYS)):
        rows = ["| Key | What it does |", "|---|---|"]
        rows += [f"| `{key.sign}` | {key.does} |" for key in keys if key.sign]
        head, begin, rest = text.partition(mark)
        _, end, tail = rest.partition("<!-- end -->")
        text = "".join((head, begin, "\n", "\n".join(rows), "\n\n", end, tail))
    return text


PAGES: dict[Path, Callable[[], str]] = {
    DOCS / "metrics.md": metrics_page,
    DOCS / "quality.md": quality_page,
    DOCS / "link.md": link_page,
    DOCS / "view.md": view_page,
    DOCS / "mqtt.md": mqtt_pages.page,
    DOCS / "asyncapi.json": mqtt_pages.document_text,
    # run, not imported: two files named generate.py cannot both be modules
    **runpy.run_path(str(DOCS.parent / "hardware" / "generate.py"))["PAGES"],
    **runpy.run_path(str(DOCS.parent / "hardware" / "pages.py"))["PAGES"],
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
