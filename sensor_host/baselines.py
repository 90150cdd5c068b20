"""A runner's baselines: what each run adds to the profile, and what the coach is told of the last runs.

1. A run goes by its session's id: learned twice, it is there once.
2. Of each metric, side and speed the last `RUNS_KEPT` runs are kept, by when they began.
3. A run counts with the event models it was measured with. After an update that brings others it is left aside; learned
   anew from its recording, it counts again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

from msgspec.structs import replace

from pelvis.baselines import LEAST_STEPS, RUNS_KEPT, combine, least_steps
from pelvis.coefficients import SHIPPED
from pelvis.data import RunBaseline, Side
from pelvis.rules import Baseline
from sensor_host.runners import KnownRun, Profile, Usual


def learn(profile: Profile, session: str, start_utc: str, said: Iterable[RunBaseline]) -> Profile:
    """Return the profile with what a run said of itself in place of what was known of that run; unsaved.

    The same profile where that changes nothing.
    """
    usual = tuple(
        Usual(
            metric=one.metric,
            side=one.side.value,
            speed_mps=one.speed_mps,
            median=one.median,
            sd=one.sd,
            steps=one.steps,
        )
        for one in said
        if one.steps >= least_steps(one.side)
    )
    run = KnownRun(session=session[:200], start_utc=start_utc, models=SHIPPED.version, usual=usual)
    others = [known for known in profile.runs if known.session != run.session]
    runs = _last(sorted((*others, run), key=lambda known: (known.start_utc, known.session)))
    return profile if runs == profile.runs else replace(profile, runs=runs)


def without(profile: Profile, session: str) -> Profile:
    """Return the profile without what a session has added; unsaved."""
    return replace(profile, runs=tuple(run for run in profile.runs if run.session != session))


def baselines_of(profile: Profile) -> tuple[Baseline, ...]:
    """Return what the coach is told, without any calibration; of however few runs."""
    return combine([[_said(one) for one in run.usual] for run in profile.runs if counts(run)])


def counts(run: KnownRun) -> bool:
    """Return whether a run counts: other event models would have measured something else."""
    return run.models == SHIPPED.version


def added(profile: Profile, session: str) -> str:
    """Return whose profile it is and what a session has added to it, in words."""
    run = next((run for run in profile.runs if run.session == session), None)
    if run is None:
        return f"{profile.runner}; this run adds nothing (it takes {LEAST_STEPS} steps that count, after the warm-up)"
    metrics = {one.metric for one in run.usual}
    speeds = {one.speed_mps for one in run.usual}
    return f"{profile.runner}; this run adds {len(metrics)} metrics at {speeds_text(speeds)}"


def speeds_text(speeds: Collection[float | None]) -> str:
    """Return speeds as people read them."""
    known = sorted(speed for speed in speeds if speed is not None)
    numbers = ", ".join(f"{speed:.2f}" for speed in known)
    parts = [f"{numbers} m/s"] if known else []
    return " and ".join([*parts, "unknown speed"] if None in speeds else parts)


def _last(runs: list[KnownRun]) -> tuple[KnownRun, ...]:
    """Return the runs, the oldest first, without what `RUNS_KEPT` later ones have told of as well."""
    later: Counter[tuple[str, str, float | None]] = Counter()
    kept: list[KnownRun] = []
    for run in reversed(runs):
        usual = tuple(one for one in run.usual if later[one.metric, one.side, one.speed_mps] < RUNS_KEPT)
        later.update((one.metric, one.side, one.speed_mps) for one in run.usual)
        if usual:
            kept.append(replace(run, usual=usual))
    return tuple(reversed(kept))


def _said(one: Usual) -> RunBaseline:
    return RunBaseline(
        metric=one.metric,
        side=Side(one.side),
        speed_mps=one.speed_mps,
        median=one.median,
        sd=one.sd,
        steps=one.steps,
    )
