"""The command line: ``hipdrive <command>``. A command's module is imported when it is called, not before."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

import click

from sensor_host import __version__
from sensor_host.errors import HipdriveError

INTERRUPTED = 130

# name -> (module under sensor_host.commands, what the overview says); the order is that of the overview
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("demo", "Run the whole chain on a simulated runner."),
    "run": ("run", "Measure a run with the sensor."),
    "replay": ("replay", "Play a recording as if it happened now."),
    "view": ("view", "Show runs in a window, live or from a recording."),
    "analyze": ("analyze", "Measure the steps of a recording or a CSV file."),
    "calibrate": ("calibrate", "Learn a runner's own constants from a reference."),
    "runner": ("runner", "Show what is known about a runner, learn it from recordings, forget it."),
    "validate": ("validate", "Measure the accuracy against ground truth."),
    "import": ("imports", "Turn a CSV file into a recording."),
    "record": ("record", "Look into a recording or rescue a damaged one."),
    "simulate": ("simulate", "Record a simulated runner, or play his sensor over Bluetooth."),
    "scan": ("scan", "List the sensors in radio range."),
    "bench-link": ("bench_link", "Measure how well a sensor's radio link works."),
    "sensors": ("sensors", "List the sensors used so far, give them nicknames."),
    "config": ("config", "Show or check the configuration."),
    "doctor": ("doctor", "Check this computer and say what to do."),
}


class LazyGroup(click.Group):
    """A group whose commands are named here and loaded only when one is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"sensor_host.commands.{COMMANDS[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if not ctx.resilient_parsing and name not in COMMANDS and not name.startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(name, COMMANDS, n=1)
            hint = f"did you mean {near[0]}?" if near else "hipdrive --help lists the commands"
            raise click.UsageError(f"there is no command {name!r}; {hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, short) for name, (_, short) in COMMANDS.items()])


@click.command(
    cls=LazyGroup,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Each command explains itself: hipdrive COMMAND --help. A first look: hipdrive demo --for 2m",
)
@click.version_option(__version__, prog_name="hipdrive", message="%(prog)s %(version)s")
def cli() -> None:
    """Measure running form with one sensor at the back of the waistband, while you run.

    hipdrive finds every ground contact, measures what the pelvis does, and says
    so at once: in the ear, on the screen and over MQTT. Every run is recorded
    and can be replayed through the same code.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code."""
    sys.exit(call(arguments))


def call(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code; whatever a user can cause becomes one line on stderr."""
    try:
        code = cli.main(args=arguments, prog_name="hipdrive", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as told:
        told.show()
        return told.exit_code
    except click.ClickException as error:
        return _fail(error.format_message(), error.exit_code)
    except HipdriveError as error:
        return _fail(str(error), error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        return _fail("interrupted", INTERRUPTED)
    except BrokenPipeError:
        # the reader of our output has left (``hipdrive ... | head``): nothing is wrong, and nobody listens
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        from sensor_host.errors import OutputError

        place = f"{error.filename}: " if error.filename else ""
        return _fail(f"{place}{error.strerror or error}", OutputError.exit_code)
    return code if isinstance(code, int) else 0


def _fail(text: str, code: int) -> int:
    line = " ".join(text.split())
    print(f"hipdrive: error: {line}", file=sys.stderr)
    return code


if __name__ == "__main__":
    main()
