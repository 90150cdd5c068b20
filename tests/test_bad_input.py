"""Whatever a user can get wrong: one clear line, the documented exit code, and nothing recorded lost."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from sensor_host.cli import call
from sensor_host.recording.reader import read

Capture = pytest.CaptureFixture[str]
Refuse = Callable[..., str]

HIPDRIVE = (sys.executable, "-m", "sensor_host.cli")
HEADER = "t_s,acc_x_g,acc_y_g,acc_z_g,gyr_x_dps,gyr_y_dps,gyr_z_dps"
RECORDING = Path(__file__).parents[1] / "recordings" / "easy.mcap"
QUIET = ("--no-sound", "--no-console")


@pytest.fixture
def refuse(tmp_path: Path, capsys: Capture) -> Refuse:
    """Analyze something that cannot be; return the one line that says so."""

    def analyze(content: str | bytes | None, code: int, name: str = "in.csv", *options: str) -> str:
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        steps, samples = tmp_path / "steps.csv", tmp_path / "samples.csv"
        assert call(["analyze", str(path), "--steps", str(steps), "--samples", str(samples), *options]) == code
        told = capsys.readouterr()
        assert told.out == ""
        assert told.err.startswith("hipdrive: error: ")
        assert told.err.count("\n") == 1
        # no table that looks like a result, and nothing half-written beside it
        assert {entry.name for entry in tmp_path.iterdir()} <= {name}
        return told.err

    return analyze


def table(rows: Sequence[Sequence[object]], header: str = HEADER) -> str:
    return "\n".join([header, *(",".join(str(cell) for cell in row) for row in rows)]) + "\n"


def standing(n: int = 1000, rate_hz: float = 200.0) -> list[list[object]]:
    return [[f"{k / rate_hz:.6f}", 0, 0, 1, 0, 0, 0] for k in range(n)]


# ---------------------------------------------------------------- tables


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("t,ax,ay,az,gx,gy,gz", "column t carries no unit; name it t_s"),
        ("t_s,acc_x,acc_y,acc_z,gyr_x,gyr_y,gyr_z", "acc_x_g or acc_x_mps2"),
        ("t_s,acc_x_g,acc_y_g,acc_z_g", "gyr_x_dps or gyr_x_radps"),
        ("time_ms,acc_x_g,acc_y_g,acc_z_g,gyr_x_dps,gyr_y_dps,gyr_z_dps", "no column t_s"),
        ("t_s,acc_x_g,acc_x_mps2,acc_y_g,acc_z_g,gyr_x_dps,gyr_y_dps", "both acc_x_g and acc_x_mps2"),
        ("0.0,0,0,1,0,0,0", "the first line must name the columns"),
    ],
)
def test_a_header_without_what_is_needed_is_told_what_it_needs(header: str, says: str, refuse: Refuse) -> None:
    assert says in refuse(table(standing(), header), 3)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "No such file"),
        (b"", "is empty"),
        (HEADER, "0 samples"),
        (table(standing(3)), "3 samples over 0.01 s; at least 1 s"),
        (table(standing(200, 20.0)), "sampled at 20 Hz; 50 to 500 Hz"),
        (table(standing(4000, 2000.0)), "sampled at 2000 Hz"),
        (table([[k * 5, *row[1:]] for k, row in enumerate(standing())]), "t_s must be in seconds"),
        (b"\x00\x01\x02\x03" * 100, "neither a hipdrive recording nor a CSV"),
        (b"\xff\xd8\xff\xe0 a picture", "neither a hipdrive recording nor a CSV"),
    ],
)
def test_a_file_that_is_none_or_too_short_or_too_slow_is_refused(
    content: str | bytes | None, says: str, refuse: Refuse
) -> None:
    assert says in refuse(content, 3)


def test_time_that_does_not_rise_is_refused_with_the_line(refuse: Refuse) -> None:
    rows = standing(90_000)
    rows[85_000][0] = rows[84_999][0]
    assert "line 85002: time 424.995000 s does not come after 424.995000 s" in refuse(table(rows), 3)
    rows = standing()
    rows[500], rows[501] = rows[501], rows[500]
    assert "line 503" in refuse(table(rows), 3)
    blank = table(standing(10)) + "\n\n" + "0.01,0,0,1,0,0,0\n"
    assert "line 14" in refuse(blank, 3)


def test_a_cell_that_is_no_number_is_refused_with_the_line(refuse: Refuse) -> None:
    rows = standing(90_000)
    rows[87_000][3] = "fast"
    assert "line 87002: 'fast' is not a number" in refuse(table(rows), 3)
    rows = standing()
    rows[700] = rows[700][:4]
    assert "line 702 has 4 cells" in refuse(table(rows), 3)
    assert "is not a number" in refuse(table(standing()).replace("0.5", "0;5"), 3)


def test_a_file_that_is_mostly_not_a_number_is_refused(refuse: Refuse) -> None:
    rows = standing()
    for row in rows[:600]:
        row[3] = "nan"
    assert "600 of 1000 rows are not numbers" in refuse(table(rows), 3).replace("the first ", "")
    rows = standing(150_000)
    for row in rows[60_000:145_000]:
        row[1] = ""
    assert "85000 of 150000 rows are not numbers" in refuse(table(rows), 3)


def test_one_lost_row_is_no_reason_to_refuse(tmp_path: Path, capsys: Capture) -> None:
    rows = standing()
    rows[700][3] = "NaN"
    path = tmp_path / "in.csv"
    path.write_text(table(rows))
    assert call(["analyze", str(path), "--json"]) == 0
    told = capsys.readouterr()
    assert told.err == "hipdrive: warning: 1 of 1000 rows are not numbers and count as lost samples\n"
    assert "count as lost" in told.out


# ---------------------------------------------------------------- recordings


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"this is text", "no recording"),
        (b"\x89MCAP0\r\n", ""),
        (b"\x89MCAP0\r\n" + b"\x00" * 4000, ""),
    ],
)
@pytest.mark.parametrize("command", ["analyze", "replay", "record info"])
def test_what_is_no_recording_is_refused(
    command: str, content: bytes, says: str, tmp_path: Path, capsys: Capture
) -> None:
    path = tmp_path / "in.mcap"
    path.write_bytes(content)
    assert call([*command.split(), str(path)]) == 3
    told = capsys.readouterr()
    assert told.err.startswith(f"hipdrive: error: {path}")
    assert told.err.count("\n") == 1
    assert says in told.err


def test_a_flipped_bit_is_named_with_the_way_to_save_the_rest(tmp_path: Path, refuse: Refuse) -> None:
    whole = bytearray(RECORDING.read_bytes())
    whole[len(whole) // 2] ^= 0x10
    assert "hipdrive record recover" in refuse(bytes(whole), 3, "in.mcap")


def test_a_recording_is_never_written_over(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "a.mcap"
    path.write_bytes(b"precious")
    table_path = tmp_path / "a.csv"
    table_path.write_text(table(standing()))
    for command in (
        ["simulate", "-o", str(path), "--minutes", "0.1"],
        ["import", str(table_path), "-o", str(path)],
        ["record", "recover", str(RECORDING), "-o", str(path)],
    ):
        assert call(command) == 4
        assert "a.mcap" in capsys.readouterr().err
        assert path.read_bytes() == b"precious"


def test_an_import_that_fails_leaves_no_recording_behind(tmp_path: Path, capsys: Capture) -> None:
    rows = standing(60_000)
    rows[50_000][0] = 1
    source = tmp_path / "a.csv"
    source.write_text(table(rows))
    assert call(["import", str(source), "-o", str(tmp_path / "a.mcap")]) == 3
    assert "line 50002" in capsys.readouterr().err
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.csv"]


# ---------------------------------------------------------------- where results go


def test_a_folder_that_is_not_there_is_told(tmp_path: Path, refuse: Refuse) -> None:
    absent = tmp_path / "absent" / "steps.csv"
    assert "No such file or directory" in refuse(table(standing()), 4, "in.csv", "--steps", str(absent))


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="needs /dev/full to stand in for a full disk")
@pytest.mark.parametrize("option", ["--steps", "--samples", "--summary"])
def test_a_full_disk_is_told(option: str, tmp_path: Path, capsys: Capture) -> None:
    source = tmp_path / "in.csv"
    source.write_text(table(standing()))
    assert call(["analyze", str(source), option, "/dev/full"]) == 4
    assert "/dev/full cannot be written: No space left on device" in capsys.readouterr().err


def test_a_sessions_folder_that_cannot_be_made_ends_nothing_that_has_begun(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "file").write_text("")
    options = ["--for", "1s", "--broker", "off", *QUIET, "--set", f"recording.directory={tmp_path / 'file' / 'in'}"]
    assert call(["demo", *options]) == 4
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="needs ulimit")
def test_a_disk_that_fills_during_the_run_ends_it_with_what_was_recorded(tmp_path: Path) -> None:
    command = [
        *HIPDRIVE, "demo", "--for", "60s", "--broker", "off", *QUIET, "--set", f"recording.directory={tmp_path}",
    ]  # fmt: skip
    # the largest file this child may write: a few seconds of recording
    told = subprocess.run(
        ["/bin/sh", "-c", 'ulimit -f 32; exec "$@"', "sh", *command],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert told.returncode == 4
    assert told.stderr.count("\n") == 1
    assert "what was recorded before is kept" in told.stderr
    assert "recording: " in told.stdout
    (path,) = tmp_path.glob("*.mcap")
    assert len(list(read(path).arrivals())) > 20


# ---------------------------------------------------------------- brokers


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def demo(tmp_path: Path, *options: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [*HIPDRIVE, "demo", "--for", "2s", *QUIET, "--set", f"recording.directory={tmp_path}", *options]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **(env or {})}, timeout=60
    )


def test_a_broker_that_is_absent_never_keeps_a_run_from_being_recorded(tmp_path: Path) -> None:
    told = demo(tmp_path, "--broker", f"mqtt://127.0.0.1:{free_port()}")
    assert told.returncode == 6
    assert told.stderr.startswith("hipdrive: error: no connection to mqtt://127.0.0.1")
    assert told.stderr.count("\n") == 1
    (path,) = tmp_path.glob("*.mcap")
    assert len(list(read(path).arrivals())) == pytest.approx(2 * 26, abs=3)


def test_a_broker_that_refuses_the_password_is_told_and_the_run_is_recorded(
    needs: Callable[[str], str], tmp_path: Path
) -> None:
    users, config, port = tmp_path / "users", tmp_path / "mosquitto.conf", free_port()
    folder = tmp_path / "sessions"
    subprocess.run(
        [needs("mosquitto_passwd"), "-b", "-c", str(users), "anna", "right"], check=True, capture_output=True
    )
    users.chmod(0o644)  # the broker gives up root before it reads it
    tmp_path.chmod(0o755)
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous false\npassword_file {users}\nuser root\n")
    with subprocess.Popen([needs("mosquitto"), "-c", str(config)], stderr=subprocess.DEVNULL) as broker:
        try:
            told = demo(folder, "--broker", f"mqtt://anna@127.0.0.1:{port}", env={"HIPDRIVE_MQTT_PASSWORD": "wrong"})
        finally:
            broker.kill()
    assert told.returncode == 6
    assert told.stderr.startswith("hipdrive: error: ")
    assert "refuses the password of anna" in told.stderr
    assert told.stderr.count("\n") == 1
    assert len(list(folder.glob("*.mcap"))) == 1


@pytest.mark.parametrize("broker", ["http://x", "localhost", "mqtt://anna:secret@host", "mqtt://host:port"])
def test_an_address_that_is_none_is_refused_before_anything_starts(
    broker: str, tmp_path: Path, capsys: Capture
) -> None:
    options = ["--for", "1s", *QUIET, "--broker", broker, "--set", f"recording.directory={tmp_path}"]
    assert call(["demo", *options]) == 2
    told = capsys.readouterr()
    assert told.err.startswith("hipdrive: error: mqtt.broker")
    assert "secret" not in told.err
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- the radio


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks for D-Bus")
def test_without_bluetooth_scan_and_run_say_what_to_do(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path / 'no-bus'}")
    for command in (["scan", "--for", "1s"], ["run", "--for", "1s", *QUIET]):
        assert call(command) == 5
        told = capsys.readouterr()
        assert told.out == ""
        assert told.err.startswith("hipdrive: error: ")
        assert told.err.count("\n") == 1
    assert list(tmp_path.rglob("*.mcap")) == []
