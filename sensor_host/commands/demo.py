"""``hipdrive demo``: the whole chain without a sensor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sensor_host.commands.options import DURATION, SessionOptions, session_options

if TYPE_CHECKING:
    from pelvis.simulate import Scenario
    from sensor_host.config import Config


@click.command(short_help="Run the whole chain on a simulated runner.")
@click.option("--for", "for_s", type=DURATION, help="End after this time, as in 2m; without it, end with Ctrl-C.")
@click.option("--speed-mps", type=float, help="How fast the simulated runner runs.")
@click.option("--seed", type=int, help="Another seed is another runner on another day.")
@click.option("--no-record", is_flag=True, help="Keep no recording.")
@session_options
def command(
    *,
    for_s: float | None,
    speed_mps: float | None,
    seed: int | None,
    no_record: bool,
    shared: SessionOptions,
) -> None:
    """Run the whole chain on a simulated runner; nothing but this computer is needed.

    The runner stands for a moment, runs well, then lets the pelvis drop and
    sway, so that cues come within a minute. What comes in are the bytes a
    sensor would send. Listen with any MQTT client at the address that is shown.
    """
    from msgspec.structs import replace

    from sensor_host.commands.running import Plan, conduct
    from sensor_host.runners import load
    from sensor_host.sources.simulated import SimulatedSource

    config = shared.resolve(
        ("--speed-mps", "simulation.speed_mps", speed_mps),
        ("--seed", "simulation.seed", seed),
    ).config
    config = _impatient(config)
    # what is usual for the runner says nothing of a simulated one
    profile = replace(load(config.runner.name), runs=())
    conduct(
        SimulatedSource(_scenario(config), config.simulation.seed, duration_s=for_s),
        Plan(
            config=config,
            profile=profile,
            shared=shared,
            record=config.recording.enabled and not no_record,
        ),
    )


def _scenario(config: Config) -> Scenario:
    """Return a runner who runs well for half a minute and then does two things badly, one after the other."""
    from pelvis.simulate import Drift, Scenario

    return Scenario(
        speed_mps=config.simulation.speed_mps,
        standing_s=config.simulation.standing_s,
        drifts=(
            Drift(start_s=30.0, end_s=34.0, drop_left_deg=3.5),
            Drift(start_s=75.0, end_s=80.0, drop_left_deg=-3.5),
            Drift(start_s=80.0, end_s=84.0, pelvis_sway_m=0.02),
            Drift(start_s=125.0, end_s=130.0, pelvis_sway_m=-0.02),
        ),
    )


def _impatient(config: Config) -> Config:
    """Return the configuration with a coach who needs no warm-up and speaks soon: a demonstration is short."""
    from msgspec.structs import replace

    hurried = replace(
        config.cues,
        warm_up_s=0.0,
        learn_s=15.0,
        dwell_ratio=0.1,
        exit_s=5.0,
        between_s=15.0,
        same_s=30.0,
        chime_every_s=30.0,
    )
    return replace(config, cues=hurried)
