"""``hipdrive replay``: a recording as if it happened now."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sensor_host.commands.options import DURATION, SessionOptions, session_options

if TYPE_CHECKING:
    from sensor_host.config import Config
    from sensor_host.runners import Profile

MAX = "max"


class Speed(click.ParamType[float | None]):
    """How fast: a factor, or ``max`` (None)."""

    name = "factor"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float | None:
        if value is None or isinstance(value, float):
            return value
        text = str(value).strip().lower()
        if text == MAX:
            return None
        try:
            factor = float(text.removesuffix("x"))
        except ValueError:
            factor = 0.0
        if not 0.01 <= factor <= 1000:
            self.fail(f"{value!r} is no speed; write a factor from 0.01 to 1000, or max", param, ctx)
        return factor


@click.command(short_help="Play a recording as if it happened now.")
@click.argument("recording", type=click.Path(path_type=Path))
@click.option("--speed", type=Speed(), default="1", show_default=True, help="How fast: 1, 2.5, 10 ... or max.")
@click.option("--from", "start_s", type=DURATION, help="Begin here, as in 5m or 90s.")
@click.option("--to", "end_s", type=DURATION, help="End here.")
@click.option(
    "--coach",
    type=click.Path(path_type=Path),
    help="Only print what a coach with these rules and settings would have said (TOML, as in [cues]).",
)
@session_options
def command(
    *,
    recording: Path,
    speed: float | None,
    start_s: float | None,
    end_s: float | None,
    coach: Path | None,
    shared: SessionOptions,
) -> None:
    """Play a recording as if it happened now: on the screen, in the ear and over MQTT.

    The runner, the sensor and the cues are those of the recording unless an
    option says otherwise; where it is published and heard is your own
    configuration. What is measured is the same as in the live run, to the bit.
    With --speed max it runs as fast as it can, and without sound.

    With --coach FILE nothing is played: what a coach with the rules and settings
    in FILE would have said is printed, and what would have spoken for it.
    """
    if start_s is not None and end_s is not None and end_s <= start_s:
        raise click.UsageError("--to must lie behind --from")
    from sensor_host.baselines import without
    from sensor_host.commands.running import Plan, conduct
    from sensor_host.runners import Profile, decode, load
    from sensor_host.sources.replay import ReplaySource

    source = ReplaySource(recording, speed, start_s, end_s)
    opened = source.recording
    resolved = shared.resolve(
        recorded=opened.config or None,
        coach=coach,
    )
    if shared.runner is not None:
        # a run held against itself would look more usual than it was
        profile = without(load(shared.runner), opened.session.session_id)
    else:
        profile = decode(opened.profile, f"the profile in {recording}") if opened.profile else Profile()
    if coach is not None:
        if start_s is not None or end_s is not None:
            raise click.UsageError("--coach judges the whole recording: leave --from and --to out")
        _print_log(recording, resolved.config, profile, as_json=shared.as_json)
        return
    conduct(
        source,
        Plan(
            config=resolved.config,
            profile=profile,
            shared=shared if speed is not None else replace(shared, no_sound=True),
            record=False,
            paced=speed is not None,
            guide=False,
            replay_of=opened.session.session_id,
            openings=source.openings,
        ),
    )


def _print_log(recording: Path, config: Config, profile: Profile, *, as_json: bool) -> None:
    """Print what the coach says about a recording."""
    from pelvis.data import Samples
    from sensor_host.analysis import measure, open_input
    from sensor_host.commands.output import print_json
    from sensor_host.config import words_in_use
    from sensor_host.settings import core_settings
    from sensor_host.summary import Tally

    tally = Tally(words=words_in_use(config))
    for item in measure(open_input(recording), core_settings(config, profile, motion=False), tally):
        if not isinstance(item, Samples):
            tally.take(item)
    if as_json:
        print_json(tally.cue_log())
        return
    for line in tally.cue_lines() or ["It would have said nothing."]:
        click.echo(line)
