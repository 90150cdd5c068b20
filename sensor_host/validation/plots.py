"""The plots of the page about accuracy, as SVG files whose bytes depend on the data alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from importlib import import_module
from io import BytesIO
from typing import Any

import numpy as np

from pelvis.data import Array
from sensor_host.validation.bounds import LOSSY
from sensor_host.validation.measured import Measured
from sensor_host.validation.score import EVENTS, Score, shown_in
from sensor_host.validation.sources import ALCANTARA, FUKUCHI
from sensor_host.validation.tables import TITLES, by_speed, by_strike
from sensor_host.validation.uncertainty import pooled, reliability, stated_names

# colours that stay apart for the colour-blind and on paper
COLOURS = ("#1f6f9f", "#d9822b", "#3f8f5f", "#8c5a9c", "#777777")
INK, GRID = "#333333", "#dddddd"
# screen and page alike: 7 inches are 504 points
WIDTH_IN = 7.0

_STYLE = {
    "svg.hashsalt": "hipdrive",  # ids by content, not by chance
    "svg.fonttype": "path",  # the same look wherever it is read
    "path.simplify": False,
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "figure.constrained_layout.use": True,
}


def plots(measured: Measured) -> dict[str, bytes]:
    """Return every plot for which there is data, by its file's name."""
    mpl: Any = import_module("matplotlib")
    made: dict[str, bytes] = {}
    with mpl.rc_context({**mpl.rcParamsDefault, **_STYLE}):
        if FUKUCHI in measured.sets:
            score = measured.score()
            made["agreement.svg"] = _svg(lambda: _agreement(score))
            made["runners.svg"] = _svg(lambda: _runners(score))
            made["speeds.svg"] = _svg(lambda: _groups(by_speed(score)))
            made["strikes.svg"] = _svg(lambda: _groups(by_strike(score)))
            if names := [name for name in stated_names(score) if name in TITLES]:
                both = Score((*score.runs, *measured.score(LOSSY).runs))
                made["uncertainty.svg"] = _svg(lambda: _reliability(both, names))
        if ALCANTARA in measured.sets:
            slopes = measured.slopes
            made["slopes.svg"] = _svg(lambda: _slopes(slopes.by_slope))
    return made


def _svg(draw: Callable[[], Any]) -> bytes:
    file = BytesIO()
    draw().savefig(file, format="svg", metadata={"Date": None, "Creator": "hipdrive validate"})
    # a hundredth of a point is finer than any screen, and the same on every machine
    short = re.sub(rb"\b[1-9]\d*\.\d{3,}", lambda found: b"%.2f" % float(found[0]), file.getvalue())
    # trailing blanks are of no use to anybody who compares files
    return b"\n".join(line.rstrip() for line in short.splitlines()) + b"\n"


def _figure(height_in: float, columns: int = 1, rows: int = 1, **how: object) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure: Any = Figure(figsize=(WIDTH_IN, height_in))
    return figure, figure.subplots(rows, columns, squeeze=False, **how)


def _agreement(score: Score) -> Any:
    """Draw contact time after Bland and Altman: every step, and the mean of every run."""
    figure, ((steps, runs),) = _figure(3.2, 2, sharey=True)
    name = "contact_time_s"
    error = np.concatenate([run.errors[name] for run in score.runs])
    mean = np.concatenate([run.true[name] for run in score.runs]) + 0.5 * error
    # rounded to what can be seen, so that the last digits of a machine are not
    cells = steps.hexbin(np.round(mean, 2), np.round(error, 2), gridsize=(24, 14), mincnt=1, cmap="Blues", lw=0.1)
    cells.set_clip_on(False)  # it would be said anew for every cell
    _limits(steps, error)
    steps.set(title="every step", xlabel="contact time, mean of both, ms", ylabel="hipdrive - force plate, ms")
    for colour, (title, group) in zip(COLOURS, by_speed(score).items(), strict=False):
        true, said = group.trial_pairs(name)
        runs.plot(np.round(0.5 * (true + said), 2), np.round(said - true, 2), "o", ms=4, color=colour, label=title)
    _limits(runs, score.trial_means(name))
    runs.set(title="mean of every run", xlabel="contact time, mean of both, ms")
    runs.legend(loc="upper right", handletextpad=0.1)
    return figure


def _limits(axes: Any, error: Array) -> None:
    """Draw the bias and the limits between which 95 % lie."""
    bias, spread = float(np.nanmean(error)), 1.96 * float(np.nanstd(error))
    axes.axhline(round(bias, 2), color=INK, linewidth=1.0)
    for level in (bias - spread, bias + spread):
        axes.axhline(round(level, 2), color=INK, linewidth=1.0, linestyle=(0, (4, 3)))
        axes.annotate(
            f"{level:+.1f}", (1.0, round(level, 2)), xycoords=("axes fraction", "data"), ha="right", va="bottom"
        )


def _runners(score: Score) -> Any:
    """Draw what is left of the error in the mean of a run: mostly a constant of the runner."""
    figure, ((axes,),) = _figure(2.8)
    name = "contact_time_s"
    means = {run: float(group.trial_means(name).mean()) for run, group in score.grouped(lambda r: r.runner).items()}
    order = sorted(means, key=means.__getitem__)
    for x, runner in enumerate(order):
        axes.plot([x - 0.3, x + 0.3], [round(means[runner], 2)] * 2, color=INK, linewidth=1.5)
    for k, (title, group) in enumerate(by_speed(score).items()):
        at = [order.index(run.run.runner) + 0.16 * (k - 1) for run in group.runs]
        axes.plot(at, np.round(group.trial_means(name), 2), "o", ms=4, color=COLOURS[k], label=title)
    axes.axhline(0.0, color=INK, linewidth=0.6)
    axes.set(title="contact time", xlabel="runner", ylabel="error of a run's mean, ms", xlim=(-0.6, len(order) - 0.4))
    axes.set_xticks(range(len(order)), [runner.removeprefix("RBDS") for runner in order])
    axes.grid(visible=False, axis="x")
    axes.legend(loc="upper left", ncols=3, handletextpad=0.1, columnspacing=1.0)
    return figure


_GROUPED = (*EVENTS, "contact_time_s", "flight_time_s")


def _groups(groups: Mapping[str, Score]) -> Any:
    """Draw bias, standard deviation and 95 % of the errors of each group."""
    figure, (panels,) = _figure(0.8 + 0.42 * len(groups), len(_GROUPED), sharex=True, sharey=True)
    for axes, name in zip(panels, _GROUPED, strict=True):
        for y, score in enumerate(groups.values()):
            error = score.errors(name)
            low, high = np.round(np.percentile(error, (2.5, 97.5)), 2)
            bias, sd = float(error.mean()), float(error.std())
            axes.plot([low, high], [y, y], color=COLOURS[y], linewidth=1.2)
            axes.plot(np.round([bias - sd, bias + sd], 2), [y, y], color=COLOURS[y], linewidth=5, solid_capstyle="butt")
            axes.plot([round(bias, 2)], [y], "o", ms=4, mfc="white", mec=INK)
        axes.axvline(0.0, color=INK, linewidth=0.6)
        axes.grid(visible=False, axis="y")
        axes.set(title=TITLES[name], xlabel="error, ms")
    panels[0].set_yticks(range(len(groups)), list(groups))
    panels[0].set_ylim(len(groups) - 0.5, -0.5)
    return figure


def _slopes(by_slope: Mapping[float, Score]) -> Any:
    """Draw what a slope does to contacts that are seen without a gyroscope."""
    figure, ((axes,),) = _figure(2.8)
    for k, name in enumerate((*EVENTS, "contact_time_s")):
        colour, aside = COLOURS[k], 0.25 * (k - 1)
        known = {slope: score.errors(name) for slope, score in by_slope.items() if len(score.errors(name))}
        for slope, error in known.items():
            axes.plot(
                [slope + aside] * len(error), np.round(error, 1), "o", ms=2.5, color=colour, alpha=0.25, mec="none"
            )
        means = [round(float(error.mean()), 2) for error in known.values()]
        axes.plot(list(known), means, "-o", ms=5, color=colour, label=TITLES[name])
    axes.axhline(0.0, color=INK, linewidth=0.6)
    axes.set(xlabel="slope, deg (uphill > 0)", ylabel="error, ms", xticks=sorted(by_slope))
    axes.legend()
    return figure


def _reliability(score: Score, names: list[str]) -> Any:
    """Draw the error found against the standard error stated: on the line, what is stated holds."""
    columns = 3
    rows = -(-len(names) // columns)
    figure, panels = _figure(0.3 + 2.2 * rows, columns, rows)
    for axes, name in zip(panels.flat, names, strict=False):
        stated, found = reliability(*pooled(score, name))
        high = 1.1 * max(float(stated.max()), float(found.max()))
        axes.plot([0.0, high], [0.0, high], color=INK, linewidth=0.8)
        axes.plot(np.round(stated, 3), np.round(found, 3), "-o", ms=3.5, color=COLOURS[0])
        axes.set(title=TITLES[name], xlim=(0.0, high), ylim=(0.0, high), aspect="equal")
        axes.set(xlabel=f"stated, {shown_in(name)[0]}")
        axes.locator_params(nbins=3)
    for row in panels:
        row[0].set_ylabel("RMSE found")
    for axes in panels.flat[len(names) :]:
        axes.set_axis_off()
    return figure
