"""``hipdrive runner``: what is known about a runner; learned from recordings, or forgotten."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sensor_host.commands.options import known_profile, resolve

if TYPE_CHECKING:
    from pelvis.data import RunBaseline
    from pelvis.rules import Baseline
    from sensor_host.analysis import RecordingInput
    from sensor_host.runners import Profile

NAME = click.argument("name", required=False)


@click.group(short_help="Show what is known about a runner, learn it from recordings, forget it.")
def command() -> None:
    """Show what is known about a runner, learn it from recordings, forget it.

    Every run adds what was usual in it; from four runs at a speed on, the
    coach compares with that and speaks right after the warm-up. NAME is that
    of --runner; without it, the runner of your settings.
    """


# ---------------------------------------------------------------- show


@command.command(short_help="Show what is known about a runner.")
@NAME
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(*, name: str | None, as_json: bool) -> None:
    """Show what is known about the runner NAME: body, calibrations in use, baselines.

    Baselines are medians and spreads of single steps, without calibration.
    """
    from sensor_host.baselines import baselines_of
    from sensor_host.calibration import calibrations_in_use
    from sensor_host.commands.output import print_json

    config = resolve(None, name, ()).config
    profile = known_profile(config.runner.name)
    baselines = sorted(baselines_of(profile), key=_order)
    min_runs = config.cues.min_runs
    if as_json:
        print_json(
            {
                "runner": profile.runner,
                "profile_version": profile.version,
                "mass_kg": profile.mass_kg,
                "height_m": profile.height_m,
                "coached_runs": profile.coached_runs,
                "calibrations": calibrations_in_use(profile),
                "needs_runs": min_runs,
                "baselines": [
                    {
                        "metric": one.metric,
                        "side": one.side,
                        "speed_mps": one.speed_mps,
                        "mean": one.mean,
                        "sd": one.sd,
                        "runs": one.runs,
                        "missing_runs": max(0, min_runs - one.runs),
                    }
                    for one in baselines
                ],
                "runs": list(_runs(profile)),
            }
        )
        return
    for line in _lines(profile, baselines, min_runs):
        click.echo(line)


def _lines(profile: Profile, baselines: Sequence[Baseline], min_runs: int) -> Iterator[str]:
    from itertools import groupby

    from sensor_host.baselines import speeds_text
    from sensor_host.calibration import calibrations_in_use

    body = [f"{profile.mass_kg:g} kg"] if profile.mass_kg else []
    body += [f"{profile.height_m:.2f} m"] if profile.height_m else []
    yield f"{profile.runner}{''.join(f', {part}' for part in body)} (version {profile.version})"
    for calibration in calibrations_in_use(profile):
        yield f"calibration {calibration['number']}: {calibration['text']}"
    for speed_mps, group in groupby(baselines, key=lambda one: one.speed_mps):
        of_speed = list(group)
        missing = min_runs - max(one.runs for one in of_speed)
        state = f"{missing} more {'run' if missing == 1 else 'runs'} needed" if missing > 0 else "in use"
        yield f"usual at {speeds_text([speed_mps])}, {state}:"
        for one in of_speed:
            yield _row(one, min_runs if missing <= 0 else 0)
    if not baselines:
        yield "no baselines yet: each run adds to them, and so does hipdrive runner learn RECORDING"
    for run in _runs(profile):
        why_not = "" if run["in_use"] else "; NOT in use: measured with older event models, learn it again"
        yield f"run {run['session']}: {run['metrics']} metrics at {run['speeds']}{why_not}"


def _row(one: Baseline, min_runs: int) -> str:
    from pelvis.metrics import METRICS

    metric = METRICS.get(one.metric)
    title, unit, decimals = (metric.title, metric.unit, metric.decimals) if metric else (one.metric, "", 2)
    side = f", {one.side}" if one.side != "unknown" else ""
    missing = f", {min_runs - one.runs} more needed" if one.runs < min_runs else ""
    runs = f"{one.runs} {'run' if one.runs == 1 else 'runs'}"
    value = f"{one.mean:9.{decimals}f} sd {one.sd:<8.{decimals + 1}f}"
    return f"  {f'{title}{side}':28}{value} {unit:6} {runs}{missing}"


def _runs(profile: Profile) -> Iterator[dict[str, object]]:
    from sensor_host.baselines import counts, speeds_text

    for run in profile.runs:
        yield {
            "session": run.session,
            "start_utc": run.start_utc,
            "in_use": counts(run),
            "metrics": len({one.metric for one in run.usual}),
            "speeds": speeds_text({one.speed_mps for one in run.usual}),
        }


def _order(one: Baseline) -> tuple[float, str, str]:
    return -1.0 if one.speed_mps is None else one.speed_mps, one.metric, one.side


# ---------------------------------------------------------------- learn


@command.command(short_help="Learn from recordings what is usual for a runner.")
@click.argument("recordings", metavar="RECORDING...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--runner", metavar="NAME", help="Who ran; without it, the runner each recording names.")
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    help="Judge by the rules and settings in this file (TOML) in place of those of the recording.",
)
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Set one option, as in --set cues.learn_s=200."
)
@click.option("--dry-run", is_flag=True, help="Say what would be learned and keep nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def learn(
    *,
    recordings: Sequence[Path],
    runner: str | None,
    config_file: Path | None,
    settings: Sequence[str],
    dry_run: bool,
    as_json: bool,
) -> None:
    """Learn from recordings what is usual for a runner, as if their runs ended now.

    A run that is known already is replaced by what is learned: twice the same
    changes nothing. Recordings of simulated runners are left out.
    """
    from sensor_host.commands.output import print_json
    from sensor_host.errors import HipdriveError

    told: list[dict[str, object]] = []
    failures: list[HipdriveError] = []
    for path in recordings:
        try:
            one = _learn(path, runner, config_file, settings, dry_run=dry_run)
        except HipdriveError as error:
            failures.append(error)
            if len(recordings) > 1:
                click.echo(f"hipdrive: warning: {error}", err=True)
            continue
        told.append(one)
        if not as_json:
            click.echo(f"{one['recording']}: {one['text']}")
    if as_json:
        print_json(told)
    elif dry_run:
        click.echo("nothing was kept (--dry-run)")
    if failures:
        raise failures[0]


def _learn(
    path: Path, runner: str | None, config_file: Path | None, settings: Sequence[str], *, dry_run: bool
) -> dict[str, object]:
    from sensor_host.analysis import RecordingInput, open_input
    from sensor_host.baselines import added, learn
    from sensor_host.errors import InputError
    from sensor_host.ports import Mode
    from sensor_host.runners import load, save

    opened = open_input(path)
    if not isinstance(opened, RecordingInput):
        raise InputError(f"{path}: is no recording; hipdrive import makes one of a CSV file", path=str(path))
    session = opened.session
    if not (runner or session.runner):
        raise InputError(f"{path}: does not say who ran; give --runner NAME", path=str(path))
    name = resolve(None, runner or session.runner, ()).config.runner.name
    told: dict[str, object] = {"recording": str(path), "session": session.session_id, "runner": name}
    if session.mode is not Mode.LIVE:
        return told | {"learned": False, "text": f"left out: a {session.mode} session is nobody's run"}
    profile = load(name)
    said = _said(opened, config_file, settings)
    following = learn(profile, session.session_id, session.start_utc, said)
    if following is profile:
        known = any(run.session == session.session_id for run in profile.runs)
        text = f"{name} is known to be so already" if known else f"{name}; {added(profile, session.session_id)}"
        return told | {"learned": False, "text": text}
    if not dry_run:
        save(following)
    return told | {"learned": True, "text": f"{name}; {added(following, session.session_id)}"}


def _said(opened: RecordingInput, config_file: Path | None, settings: Sequence[str]) -> list[RunBaseline]:
    """Return what the coach of that run says at its end, by its own profile."""
    from msgspec.structs import replace

    from pelvis.data import RunBaseline
    from sensor_host.analysis import measure
    from sensor_host.settings import core_settings
    from sensor_host.summary import Tally

    config = resolve(config_file, None, settings, recorded=opened.recording.config or None).config
    # who ran without cues has a form of his own all the same
    config = replace(config, cues=replace(config.cues, enabled=True))
    core = core_settings(config, opened.profile, motion=False)
    return [said for said in measure(opened, core, Tally()) if isinstance(said, RunBaseline)]


# ---------------------------------------------------------------- forget


@command.command(short_help="Forget baselines, or one run.")
@NAME
@click.option("--baselines", is_flag=True, help="Forget what was usual in all runs: the coach learns anew.")
@click.option("--run", "session", metavar="SESSION", help="Forget what this run added (runner show lists them).")
@click.option("--dry-run", is_flag=True, help="Say what would be forgotten and keep all.")
def forget(*, name: str | None, baselines: bool, session: str | None, dry_run: bool) -> None:
    """Forget what was usual for the runner NAME: in all runs, or in one.

    Calibrations stay; hipdrive calibrate --remove takes those away.
    """
    from msgspec.structs import replace

    from sensor_host.baselines import without
    from sensor_host.runners import save

    if baselines == (session is not None):
        raise click.UsageError("forget what? Give --baselines or --run SESSION")
    profile = known_profile(resolve(None, name, ()).config.runner.name)
    kept = replace(profile, runs=()) if session is None else without(profile, session)
    gone = len(profile.runs) - len(kept.runs)
    if session is not None and not gone:
        raise click.UsageError(f"{profile.runner} has no run {session}; hipdrive runner show lists them")
    if gone and not dry_run:
        save(kept)
    runs = f"what was usual in {gone} {'run' if gone == 1 else 'runs'} of {profile.runner}"
    click.echo(f"{'would be ' if dry_run else ''}forgotten: {runs}" if gone else f"{profile.runner} has no baselines")
