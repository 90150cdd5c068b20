"""Whether stated standard errors hold: the share of errors that lie within one of them.

For normal errors it is 68 %. It should hold in every group a reader can form: small and large stated errors, slow and
fast runs, a bad radio.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from pelvis.data import Array
from pelvis.metrics import METRICS
from sensor_host.validation.score import EVENTS, Score, rms
from sensor_host.validation.table import Table, number, percent

# what is asked of all steps together, and of each group of them
OVERALL = (0.60, 0.76)
GROUP = (0.55, 0.80)
# fewer steps than these tell nothing about a share
FEW_STEPS = 50


def within(error: Array, stated: Array) -> float:
    """Return the share of errors within one stated standard error; NaN where too few have both."""
    known = np.isfinite(error) & np.isfinite(stated)
    if known.sum() < FEW_STEPS:
        return float("nan")
    return float(np.mean(np.abs(error[known]) <= stated[known]))


def terciles(stated: Array) -> tuple[NDArray[np.bool_], ...]:
    """Return which steps state the smallest, middling and largest third of standard errors."""
    known = np.isfinite(stated)
    low, high = np.quantile(stated[known], (1 / 3, 2 / 3)) if known.any() else (0.0, 0.0)
    return (known & (stated <= low), known & (stated > low) & (stated <= high), known & (stated > high))


def stated_names(score: Score) -> list[str]:
    """Return the metrics and events for which some step states a standard error and the truth is known."""
    return [
        name
        for name in (*EVENTS, *METRICS)
        if any(name in run.stated for run in score.runs) and any(name in run.errors for run in score.runs)
    ]


def pooled(score: Score, name: str) -> tuple[Array, Array]:
    """Return all errors of a metric and the standard errors stated with them, (n,) each."""
    errors = [run.errors[name] for run in score.runs if name in run.errors]
    stated = [run.stated.get(name, np.full(len(run.errors[name]), np.nan)) for run in score.runs if name in run.errors]
    return np.concatenate(errors), np.concatenate(stated)


def shares(score: Score, lossy: Score, name: str) -> Mapping[str, float]:
    """Return the share of errors within one stated standard error by group; ``all steps`` first."""
    error, stated = pooled(score, name)
    groups = {"all steps": within(error, stated)}
    titles = ("stated small", "stated middling", "stated large")
    groups |= {title: within(error[rows], stated[rows]) for title, rows in zip(titles, terciles(stated), strict=True)}
    for speed_mps, part in score.grouped(lambda run: run.speed_mps).items():
        groups[f"{speed_mps:g} m/s"] = within(*pooled(part, name))
    return {**groups, "5 % lost": within(*pooled(lossy, name))}


def uncertainty_table(score: Score, lossy: Score) -> Table:
    """Return the shares of all metrics; marked where they are not what is asked."""
    rows: list[tuple[str, ...]] = []
    head: tuple[str, ...] = ("errors within one stated standard error", "typical, stated", "RMSE")
    for name in stated_names(score):
        groups = shares(score, lossy, name)
        head = (*head[:3], *groups)
        error, stated = pooled(score, name)
        known = np.isfinite(error) & np.isfinite(stated)
        rows.append(
            (
                f"`{name}`",
                number(rms(stated[known]), 2),
                number(rms(error[known]), 2),
                *(_marked(share, OVERALL if group == "all steps" else GROUP) for group, share in groups.items()),
            )
        )
    return Table(head, rows)


def _marked(share: float, asked: tuple[float, float]) -> str:
    return percent(share, 0) + ("" if share != share or asked[0] <= share <= asked[1] else " !")


def unmet(score: Score, lossy: Score) -> tuple[int, int]:
    """Return how many shares there are, and how many are not what is asked."""
    count, bad = 0, 0
    for name in stated_names(score):
        for group, share in shares(score, lossy, name).items():
            if share != share:
                continue
            low, high = OVERALL if group == "all steps" else GROUP
            count += 1
            bad += not low <= share <= high
    return count, bad


def reliability(error: Array, stated: Array, bins: int = 10) -> tuple[Array, Array]:
    """Return, for steps in equal bins by stated standard error, (root mean square stated, RMSE found)."""
    known = np.isfinite(error) & np.isfinite(stated)
    order = np.argsort(stated[known], kind="stable")
    parts = np.array_split(order, bins)
    return (
        np.array([rms(stated[known][part]) for part in parts]),
        np.array([rms(error[known][part]) for part in parts]),
    )
