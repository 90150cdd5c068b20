"""The command line: quick, readable, and one line for everything that goes wrong."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from sensor_host.cli import COMMANDS, call, cli
from sensor_host.commands.options import DURATION
from sensor_host.recording.reader import read

Capture = pytest.CaptureFixture[str]


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


ALL = dict(commands(cli))


def test_help_loads_nothing_heavy() -> None:
    check = (
        "import sys; from sensor_host.cli import call; call(['--help']); "
        "heavy = {'numpy', 'msgspec', 'rich', 'asyncio', 'mcap', 'bleak', 'pelvis'} & set(sys.modules); "
        "sys.exit(f'loaded: {heavy}' if heavy else 0)"
    )
    told = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=False)
    assert told.stderr == ""
    assert told.returncode == 0
    assert all(name in told.stdout for name in COMMANDS)


@pytest.mark.parametrize("path", sorted(ALL), ids=" ".join)
def test_every_command_and_every_option_explains_itself(path: tuple[str, ...], capsys: Capture) -> None:
    assert call([*path, "--help"]) == 0
    told = capsys.readouterr().out
    assert "Traceback" not in told
    assert max(len(line) for line in told.splitlines()) <= 100
    command = ALL[path]
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name
            assert parameter.help.endswith("."), parameter.name


def test_the_overview_says_what_the_commands_say_of_themselves() -> None:
    for name, (module, short) in COMMANDS.items():
        command = importlib.import_module(f"sensor_host.commands.{module}").command
        assert command.short_help == short, name


def test_importing_a_command_does_not_load_the_core() -> None:
    modules = [f"sensor_host.commands.{module}" for module, _ in COMMANDS.values()]
    check = f"import sys; import {', '.join(modules)}; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


def test_version(capsys: Capture) -> None:
    from sensor_host import __version__

    assert call(["--version"]) == 0
    assert capsys.readouterr().out == f"hipdrive {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["anlyze"], "did you mean analyze?"),
        (["xyzzy"], "--help"),
        (["analyze"], "INPUT"),
        (["analyze", "x", "--stps", "y"], "--steps"),
        (["demo", "--for", "soon"], "90s"),
        (["demo", "--for", "0"], "90s"),
        (["demo", "--set", "volume"], "KEY=VALUE"),
        (["demo", "--set", "mqtt.prot=1"], "mqtt.port"),
        (["demo", "--speed-mps", "40"], "6.5"),
        (["replay", "x.mcap", "--speed", "fast"], "max"),
        (["replay", "x.mcap", "--from", "90s", "--to", "1m"], "--from"),
        (["simulate", "--minutes", "1"], "-o"),
        (["simulate", "--minutes", "0"], "0.1"),
        (["run", "--runner", "Anna K"], "anna-k"),
        (["import", "x.csv", "-o", "y.mcap", "--placement", "knee"], "sacrum"),
    ],
)
def test_a_wrong_call_is_one_line_that_says_what_is_right(arguments: list[str], says: str, capsys: Capture) -> None:
    assert call(arguments) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("hipdrive: error: ")
    assert told.err.count("\n") == 1
    assert says in told.err


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("1.5m", 90), ("5m", 300), ("1h30m", 5400), ("2min", 120), ("1m 30s", 0)],
)
def test_time_spans_are_read_as_people_write_them(text: str, seconds: float) -> None:
    if seconds:
        assert DURATION.convert(text, None, None) == seconds
    else:
        with pytest.raises(click.BadParameter):
            DURATION.convert(text, None, None)


def test_whoever_closes_the_pipe_hears_no_complaint() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "sensor_host.cli", "config", "show"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.close()
        assert child.stderr.read() == b""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_are_told_how_to_complete(shell: str) -> None:
    import os

    told = subprocess.run(
        [sys.executable, "-c", "from sensor_host.cli import main; main()"],
        env={**os.environ, "_HIPDRIVE_COMPLETE": f"{shell}_source"},
        capture_output=True,
        text=True,
        check=False,
    )
    # click asks bash itself for its version, which may be too old for it
    if shell != "bash" or told.returncode == 0:
        assert "hipdrive" in told.stdout


# ---------------------------------------------------------------- what the small commands do


def test_config_show_is_toml_and_names_origins(capsys: Capture) -> None:
    import tomllib

    assert call(["config", "show", "--set", "sound.volume=0.25"]) == 0
    assert tomllib.loads(capsys.readouterr().out)["sound"]["volume"] == 0.25
    assert call(["config", "show", "--origin", "--json", "--set", "sound.volume=0.25"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["sound.volume"] == {"value": 0.25, "origin": "--set"}
    assert shown["mqtt.port"]["origin"] == "default"


def test_config_check_tells_every_fault_and_exits_with_2(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "a.toml"
    assert call(["config", "check"]) == 0
    assert "built-in" in capsys.readouterr().out
    file.write_text("[mqtt]\nport = 1883\n")
    assert call(["config", "check", str(file)]) == 0
    assert "fine" in capsys.readouterr().out
    file.write_text("[mqtt]\nprot = 1883\n[sound]\nvolume = 3\n")
    assert call(["config", "check", str(file)]) == 2
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 2
    assert "mqtt.port" in told[0]
    assert call(["config", "check", str(file), "--json"]) == 2
    assert [fault["path"] for fault in json.loads(capsys.readouterr().out)] == ["mqtt.prot", "sound.volume"]


def test_the_same_seed_simulates_the_same_bytes(tmp_path: Path) -> None:
    def simulate(name: str, seed: str) -> list[object]:
        path = tmp_path / name
        assert call(["simulate", "-o", str(path), "--minutes", "0.2", "--seed", seed]) == 0
        return list(read(path).arrivals())

    first = simulate("a.mcap", "5")
    assert simulate("b.mcap", "5") == first
    assert simulate("c.mcap", "6") != first


def test_record_info_says_what_is_in_a_recording(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "a.mcap"
    assert call(["simulate", "-o", str(path), "--minutes", "0.2"]) == 0
    capsys.readouterr()
    assert call(["record", "info", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["duration_s"] == pytest.approx(12.0, abs=0.1)
    assert found["session"]["mode"] == "simulated"
    assert found["sensors"][0]["health"]["samples"] == 12 * 208
    assert call(["record", "info", str(path)]) == 0
    assert "2496 samples" in capsys.readouterr().out


def test_an_imported_csv_is_a_recording_with_the_same_steps(tmp_path: Path, capsys: Capture) -> None:
    table, recording = tmp_path / "a.csv", tmp_path / "a.mcap"
    assert call(["simulate", "--csv", str(table), "--minutes", "0.4"]) == 0
    assert call(["import", str(table), "-o", str(recording), "--runner", "anna"]) == 0
    assert "24.0 s" in capsys.readouterr().out
    tables = []
    for source in (table, recording):
        steps, samples = tmp_path / "steps.csv", tmp_path / "samples.csv"
        assert call(["analyze", str(source), "--steps", str(steps), "--samples", str(samples)]) == 0
        tables.append((steps.read_bytes(), samples.read_bytes()))
    assert tables[0] == tables[1]
    assert tables[0][0].count(b"\n") > 25
    assert read(recording).session.runner == "anna"


def test_a_cut_off_recording_is_made_whole(tmp_path: Path, capsys: Capture) -> None:
    path, cut, whole = tmp_path / "a.mcap", tmp_path / "cut.mcap", tmp_path / "whole.mcap"
    assert call(["simulate", "-o", str(path), "--minutes", "0.5"]) == 0
    cut.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert call(["record", "recover", str(cut), "-o", str(whole)]) == 0
    assert "saved" in capsys.readouterr().out
    kept = list(read(whole).arrivals())
    assert len(kept) > 100
    assert kept == list(read(path).arrivals())[: len(kept)]
