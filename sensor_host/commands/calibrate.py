"""``hipdrive calibrate``: hold a run against a reference and keep what it says of the runner."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sensor_host.commands.options import BELT_SPEED, DURATION, Belt, check_belts, resolve

if TYPE_CHECKING:
    from pelvis.personal import Personal
    from sensor_host.analysis import CsvInput, RecordingInput
    from sensor_host.errors import InputError
    from sensor_host.reference import Finding, Measured
    from sensor_host.runners import Calibration, Profile


@click.command(short_help="Learn a runner's own constants from a reference.")
@click.argument("source", metavar="[INPUT]", required=False, type=click.Path(path_type=Path))
@click.option("--runner", metavar="NAME", help="Whose calibration it is; without it, the recording's runner.")
@click.option("--fit", type=click.Path(path_type=Path), help="The same run by a watch or foot pod (FIT file).")
@click.option("--truth", type=click.Path(path_type=Path), help="Contacts of a force plate or insole (CSV).")
@click.option("--speed", "belts", type=BELT_SPEED, multiple=True, help="The treadmill's speed: 3.2, or 3.2@60-120.")
@click.option("--count", type=click.IntRange(10, 10_000), help="How many contacts were counted: a check.")
@click.option("--contact-frames", metavar="N,N,...", help="Contact times in frames of a film.")
@click.option("--fps", type=click.FloatRange(25, 2000), help="Frames per second of the film.")
@click.option("--side", type=click.Choice(["left", "right"]), help="The foot that was filmed.")
@click.option("--from", "from_s", type=DURATION, help="When counting or filming began, in the session.")
@click.option("--for", "for_s", type=DURATION, help="How long it lasted.")
@click.option("--dry-run", is_flag=True, help="Say what was found and keep nothing.")
@click.option("--list", "listed", is_flag=True, help="List the runner's calibrations.")
@click.option("--remove", metavar="N", type=click.IntRange(min=1), help="Take calibration N of the list away.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    *,
    source: Path | None,
    runner: str | None,
    fit: Path | None,
    truth: Path | None,
    belts: Sequence[Belt],
    count: int | None,
    contact_frames: str | None,
    fps: float | None,
    side: str | None,
    from_s: float | None,
    for_s: float | None,
    dry_run: bool,
    listed: bool,
    remove: int | None,
    as_json: bool,
) -> None:
    """Learn a runner's own constants from a run that something else measured too.

    INPUT is a recording or a CSV file, as for hipdrive analyze. What is found is
    kept in the runner's profile and used from then on: contact time is made to
    agree with the reference, speed goes through the points that are known.
    Every summary says so, and --no-calibration leaves it aside.
    """
    references = (fit, truth, belts or None, count, contact_frames)
    given = [reference for reference in references if reference is not None]
    if listed or remove is not None:
        if source is not None or given:
            raise click.UsageError("--list and --remove take no INPUT and no reference")
        _manage(runner, remove, dry_run=dry_run, as_json=as_json)
        return
    if source is None:
        raise click.UsageError("which run? Give a recording or a CSV file")
    if not given:
        raise click.UsageError("which reference? Give --fit, --truth, --speed, --count or --contact-frames")
    if (contact_frames is None) != (fps is None):
        raise click.UsageError("--contact-frames and --fps belong together")
    if count is not None and (from_s is None or for_s is None):
        raise click.UsageError("--count needs --from and --for: which seconds were counted?")
    if side is not None and contact_frames is None:
        raise click.UsageError("--side belongs to --contact-frames")
    ordered = check_belts(belts)
    frames = _frames(contact_frames) if contact_frames is not None else ()

    from sensor_host.analysis import open_input

    opened = open_input(source)
    profile = _profile(runner, opened)
    measured = _measure(opened)
    found: list[Finding] = []
    if fit is not None:
        found += _track(measured, fit)
    if truth is not None:
        found.append(_contacts(measured, truth))
    found += [_belt_point(measured, belt) for belt in ordered]
    if count is not None:
        from sensor_host.reference import check_count

        found.append(check_count(measured, count, from_s or 0.0, for_s or 0.0))
    if fps is not None:
        found.append(_film(measured, frames, fps, side, from_s, for_s))
    _keep(profile, found, measured, source, dry_run=dry_run, as_json=as_json)


def _frames(text: str) -> tuple[float, ...]:
    try:
        frames = tuple(float(part) for part in text.split(","))
    except ValueError:
        frames = ()
    if not frames or not all(0 < frame < 2000 for frame in frames):
        raise click.UsageError(f"--contact-frames {text}: write the frames of each contact as in 58,60,57")
    return frames


def _profile(runner: str | None, opened: CsvInput | RecordingInput | None) -> Profile:
    from sensor_host.runners import load

    name = runner or (str(opened.facts().get("runner", "")) if opened is not None else "")
    if not name:
        raise click.UsageError("whose calibration is it? Give --runner NAME")
    return load(resolve(None, name, ()).config.runner.name)


def _measure(opened: CsvInput | RecordingInput) -> Measured:
    """Measure a run as if it were anybody's."""
    from datetime import datetime

    from pelvis.data import Step
    from pelvis.pipeline import Settings
    from sensor_host.analysis import measure
    from sensor_host.reference import Measured
    from sensor_host.summary import Tally

    tally = Tally()
    steps = tuple(said for said in measure(opened, Settings(), tally) if isinstance(said, Step))
    if not steps:
        raise click.UsageError("no running was found in it: there is nothing to calibrate")
    start_utc_s = None
    start = opened.facts().get("start_utc")
    if isinstance(start, str) and start:
        start_utc_s = datetime.fromisoformat(start).timestamp()
    return Measured(steps, tally.first_s, tally.last_s, start_utc_s)


def _track(measured: Measured, path: Path) -> list[Finding]:
    from sensor_host.errors import InputError
    from sensor_host.fit_file import read_track
    from sensor_host.reference import DEFINITION_SD_S, Reference
    from sensor_host.track import match_track

    track = read_track(path)
    refuse = partial(_refuse_file, path, InputError)
    return match_track(measured, track, Reference(track.name[:100], path.name, refuse, DEFINITION_SD_S))


def _contacts(measured: Measured, path: Path) -> Finding:
    from sensor_host.errors import InputError
    from sensor_host.reference import Reference, match_contacts, read_contacts

    refuse = partial(_refuse_file, path, InputError)
    return match_contacts(measured, read_contacts(path), Reference("force plate or insole", path.name, refuse))


def _refuse_file(path: Path, error: type[InputError], text: str) -> InputError:
    return error(f"{path}: {text}", path=str(path))


def _belt_point(measured: Measured, belt: Belt) -> Finding:
    from sensor_host.errors import ConfigError
    from sensor_host.reference import Reference, speed_point

    part = measured.between(belt.start_s, belt.end_s)
    span = f"{belt.start_s:g} to {belt.end_s:g} s" if math.isfinite(belt.end_s) else ""
    return speed_point(part, belt.speed_mps, Reference("a treadmill", span, ConfigError))


def _film(
    measured: Measured,
    frames: Sequence[float],
    fps: float,
    side: str | None,
    from_s: float | None,
    for_s: float | None,
) -> Finding:
    from pelvis.data import Side
    from sensor_host.errors import ConfigError
    from sensor_host.reference import DEFINITION_SD_S, Reference, film

    start_s = from_s or 0.0
    part = measured.between(start_s, start_s + for_s if for_s is not None else math.inf)
    detail = f"{len(frames)} contacts{f' of the {side} foot' if side else ''} at {fps:g} frames/s"
    reference = Reference("a film", detail, ConfigError, DEFINITION_SD_S)
    return film(part, frames, fps, Side(side) if side else Side.UNKNOWN, reference)


def _keep(
    profile: Profile, found: Sequence[Finding], measured: Measured, source: Path, *, dry_run: bool, as_json: bool
) -> None:
    """Say what was found and what it changes, and save it unless it is a dry run."""
    from msgspec.structs import replace

    from sensor_host.calibration import CADENCE_CHECK, CONTACT_TIME, describe, personal_of
    from sensor_host.commands.output import print_json
    from sensor_host.runners import save

    made = [_calibration(finding, source) for finding in found]
    before = personal_of(profile)
    following = replace(profile, calibrations=(*profile.calibrations, *made))
    after = personal_of(following)
    own_s = float(measured.column("contact_time_s")[measured.good].mean())
    if not dry_run:
        following = save(following)
    if as_json:
        print_json(
            {
                "runner": profile.runner,
                "saved": not dry_run,
                "profile_version": following.version,
                "found": [
                    {**_plain(calibration), "notes": finding.notes, "text": describe(calibration)}
                    for finding, calibration in zip(found, made, strict=True)
                ],
                "contact_time_s": {
                    "measured": own_s,
                    "calibrated_before": own_s + _offset_s(before, own_s),
                    "calibrated": own_s + _offset_s(after, own_s),
                },
                "contact_time_reference": after.contact_time_reference,
                "speed_points": len(after.speed_points),
            }
        )
        return
    for number, (finding, calibration) in enumerate(zip(found, made, strict=True), start=1):
        click.echo(describe(calibration))
        for note in finding.notes:
            click.echo(f"  {note}")
        if not dry_run:
            what = "check" if finding.kind == CADENCE_CHECK else "calibration"
            click.echo(f"  kept as {what} {len(profile.calibrations) + number} of {profile.runner}")
    if any(finding.kind == CONTACT_TIME for finding in found):
        click.echo(
            f"contact time of this run: {own_s:.4f} s as measured, {own_s + _offset_s(before, own_s):.4f} s with the "
            f"calibrations before, {own_s + _offset_s(after, own_s):.4f} s now"
        )
    if dry_run:
        click.echo("nothing was kept (--dry-run)")


def _offset_s(personal: Personal, contact_time_s: float) -> float:
    from pelvis.personal import ContactOffset

    if not personal.contact_points:
        return 0.0
    return ContactOffset(personal.contact_points, personal.definition_sd_s).at(contact_time_s)


def _calibration(finding: Finding, source: Path) -> Calibration:
    from datetime import UTC, datetime

    import msgspec

    from pelvis.coefficients import SHIPPED
    from sensor_host.runners import Calibration

    table = {
        "kind": finding.kind,
        "measured_utc": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}Z",
        "values": finding.values,
        "reference": finding.reference[:200],
        "detail": finding.detail[:200],
        "session": source.name[:200],
        "models": SHIPPED.version,
        "steps": finding.steps,
    }
    return msgspec.convert(table, Calibration)


def _plain(calibration: Calibration) -> dict[str, object]:
    from msgspec.structs import asdict

    return asdict(calibration)


def _manage(runner: str | None, remove: int | None, *, dry_run: bool, as_json: bool) -> None:
    """List a runner's calibrations, or take one away."""
    from msgspec.structs import replace

    from sensor_host.calibration import describe, judged
    from sensor_host.commands.output import print_json
    from sensor_host.runners import save

    profile = _profile(runner, None)
    if remove is not None:
        if remove > len(profile.calibrations):
            raise click.UsageError(
                f"{profile.runner} has {len(profile.calibrations)} calibrations; --list shows them with their numbers"
            )
        taken = profile.calibrations[remove - 1]
        if not dry_run:
            kept = (*profile.calibrations[: remove - 1], *profile.calibrations[remove:])
            profile = save(replace(profile, calibrations=kept))
        click.echo(f"{'would be ' if dry_run else ''}taken away: {describe(taken)}")
        return
    rows = list(judged(profile))
    if as_json:
        print_json(
            [
                {"number": number, **_plain(one), "in_use": not why_not, "why_not": why_not}
                for number, one, why_not in rows
            ]
        )
        return
    for number, one, why_not in rows:
        click.echo(f"{number}  {describe(one)}{f'; not in use: {why_not}' if why_not else ''}")
    if not rows:
        click.echo(f"{profile.runner} has no calibrations")
