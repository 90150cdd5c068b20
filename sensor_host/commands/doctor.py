"""``hipdrive doctor``: what this computer has, what it lacks, and what to do about it."""

from __future__ import annotations

import click


@click.command(short_help="Check this computer and say what to do.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--audio", is_flag=True, help="Measure how late sound is heard: you tap along with clicks.")
@click.pass_context
def command(ctx: click.Context, *, as_json: bool, audio: bool) -> None:
    """Check this computer: Python, Bluetooth, D-Bus, broker, sound, folders.

    What is missing comes with what to do about it. The exit code is 0 when
    everything is there, 1 when something is missing.

    With --audio: clicks are played in a steady beat, and you tap the space bar
    along with them. How late your headphones are follows from that, is told and
    kept for this device. It takes 20 seconds.
    """
    if audio:
        _measure_audio(as_json=as_json)
        return
    from dataclasses import asdict

    from rich.console import Console

    from sensor_host.commands.output import print_json
    from sensor_host.doctor import examine, render

    checks = examine()
    if as_json:
        print_json([asdict(check) for check in checks])
    else:
        Console().print(render(checks))
    if not all(check.ok for check in checks):
        ctx.exit(1)


def _measure_audio(*, as_json: bool) -> None:
    import asyncio
    import sys
    from datetime import UTC, datetime

    from msgspec.structs import asdict

    from sensor_host import settings, sound_latency
    from sensor_host.commands.output import print_json
    from sensor_host.tap_test import tap_test

    known = sound_latency.load()

    async def measure() -> sound_latency.DeviceLatency:
        device, latency = await tap_test(settings.load().config.sound, lambda text: click.echo(text, file=sys.stderr))
        return sound_latency.DeviceLatency(
            device=await asyncio.to_thread(sound_latency.name_of, device),
            latency_ms=max(0, round(1000 * latency.latency_s)),
            error_ms=round(1000 * latency.error_s),
            measured_utc=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        )

    measured = asyncio.run(measure())
    sound_latency.save(known.measured(measured))
    if as_json:
        print_json(asdict(measured))
    else:
        click.echo(
            f"{measured.device} is heard {measured.latency_ms:.0f} ms late, give or take {measured.error_ms:.0f} ms; "
            "kept for this device, for which the metronome beats so much earlier (sound.latency_ms overrides it)"
        )
