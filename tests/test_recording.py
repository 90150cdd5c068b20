"""Recordings: nothing is bent on the way in or out, and whatever happens to the file, what was written is not lost."""

from __future__ import annotations

import os
import random
import resource
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcap.reader import make_reader
from mcap.writer import Writer
from mcap_ros2.decoder import DecoderFactory

from pelvis.data import Command, HeartRate, Marker, Samples, Speed
from sensor_host.boards.rimu import RimuEncoder
from sensor_host.errors import InputError, OutputError
from sensor_host.ports import (
    Arrival,
    Injected,
    LinkState,
    Mode,
    Notification,
    SensorInfo,
    SessionInfo,
    TimedBlock,
)
from sensor_host.recording import layout
from sensor_host.recording.cdr import MessageType
from sensor_host.recording.overview import info
from sensor_host.recording.reader import read
from sensor_host.recording.salvage import recover
from sensor_host.recording.writer import RecordingWriter

SESSION = SessionInfo(
    session_id="2024-05-01-morning",
    runner="anna",
    mode=Mode.LIVE,
    start_utc="2024-05-01T06:30:00.250Z",
    utc_offset_s=7200,
    sensors=(
        SensorInfo("pelvis", "rimu", "sacrum", "RIMU 12", "AA:BB:CC:DD:EE:FF", 208.0),
        SensorInfo("heart_rate", "heart_rate", "chest"),
    ),
)
CONFIG = b'{"runner":{"name":"anna"}}'
PROFILE = b"mass_kg = 61\n"


def stream(seconds: float, host_zero_s: float = 1234.5) -> list[Arrival]:
    """The notifications of a device on the move."""
    count = int(seconds * 208)
    rng = np.random.default_rng(4)
    t_s = np.arange(count) / 208.0
    packets = RimuEncoder().encode(t_s, rng.normal(0, 9, (count, 3)), rng.normal(0, 2, (count, 3)))
    return [Notification("pelvis", p.data, host_zero_s + p.t_last_s + float(rng.exponential(0.004))) for p in packets]


def mixed() -> list[Arrival]:
    """Every kind of arrival, interleaved, with values that survive only if nothing is rounded."""
    samples = Samples(np.array([0.1, 0.2]), np.array([[1 / 3, -2.0, 9.81], [0.1, 0.2, 0.3]]), np.eye(3)[:2], 100.0)
    notes: list[Arrival] = [
        LinkState("pelvis", "connected", 1234.5, rssi_dbm=-71, battery_ratio=1 / 3, detail="Größe: 12 µ"),
        LinkState("heart_rate", "searching", 1234.6),
        Injected(Marker(1.1, "lap 1 – warm", "lap"), 1234.5 + 1 / 3),
        Injected(Command(1.2, "mute", ""), 1234.9),
        Injected(Speed(1.3, 10 / 3, "treadmill"), 1235.0),
        Injected(HeartRate(1.4, 151.0, (0.4, 0.41, 1 / 3)), 1235.1),
        Injected(HeartRate(1.5, 152.0), 1235.2),
        Notification("heart_rate", b"\x00\x97", 1235.3),
        Notification("pelvis", b"", 1235.3),
        Notification("pelvis", b"\x00not RIMU", 1235.3),
        TimedBlock("pelvis", samples, 1235.4),
    ]
    arrivals = stream(3.0)
    for number, note in enumerate(notes):
        arrivals.insert(3 + 5 * number, note)
    return arrivals


def key(arrival: Arrival) -> object:
    if isinstance(arrival, TimedBlock):
        s = arrival.samples
        arrays = (s.t_s.tobytes(), s.acc_mps2.tobytes(), s.gyr_radps.tobytes(), s.acc_mps2.shape)
        return (arrival.role, arrival.t_host_s, s.rate_hz, s.clipped, *arrays)
    return arrival


def record(path: Path, arrivals: list[Arrival], *, finish: bool = True, **more: float | None) -> Path:
    writer = RecordingWriter(path, SESSION, CONFIG, PROFILE, **more)
    for arrival in arrivals:
        writer.write(arrival)
    if finish:
        writer.close()
    else:
        writer.flush()
        writer.abandon()
    return path


# ---------------------------------------------------------------- in and out


def test_every_kind_of_arrival_comes_back_to_the_bit_and_in_order(tmp_path: Path) -> None:
    arrivals = mixed()
    recording = read(record(tmp_path / "a.mcap", arrivals))
    assert [key(a) for a in recording.arrivals()] == [key(a) for a in arrivals]
    assert recording.session == SESSION
    assert (recording.config, recording.profile) == (CONFIG, PROFILE)
    assert not recording.cut
    assert recording.versions["recording_schema"] == "1"
    assert {"hipdrive", "algorithm"} <= recording.versions.keys()


def test_an_unfinished_file_holds_the_same_and_says_that_it_was_cut(tmp_path: Path) -> None:
    arrivals = mixed()
    recording = read(record(tmp_path / "a.mcap", arrivals, finish=False))
    assert [key(a) for a in recording.arrivals()] == [key(a) for a in arrivals]
    assert recording.cut


def test_a_finished_file_is_read_by_the_format_s_own_library(tmp_path: Path) -> None:
    arrivals = stream(25.0)
    path = record(tmp_path / "a.mcap", arrivals)
    with path.open("rb") as file:
        reader = make_reader(file, decoder_factories=[DecoderFactory()])
        summary = reader.get_summary()
        assert summary is not None
        assert summary.statistics is not None
        assert summary.statistics.chunk_count == 3, "ten seconds a chunk"
        decoded = list(reader.iter_decoded_messages("/pelvis/raw"))
    assert len(decoded) == len(arrivals)
    for (_, channel, message, content), arrival in zip(decoded, arrivals, strict=True):
        assert isinstance(arrival, Notification)
        assert bytes(content.data) == arrival.data
        assert content.t_host_s == arrival.t_host_s
        assert message.publish_time == struct.unpack_from("<I", arrival.data, 4)[0] * 1000
        assert channel.metadata["board"] == "rimu"


def test_every_message_type_is_understood_by_a_generic_reader(tmp_path: Path) -> None:
    path = record(tmp_path / "a.mcap", mixed())
    with path.open("rb") as file:
        reader = make_reader(file, decoder_factories=[DecoderFactory()])
        by_topic = {channel.topic: content for _, channel, _, content in reader.iter_decoded_messages()}
    assert by_topic["/markers"].text == "lap 1 – warm"
    assert by_topic["/commands"].name == "mute"
    assert by_topic["/speed"].speed_mps == 10 / 3
    assert by_topic["/link"].role == "heart_rate"
    assert list(by_topic["/pelvis/timed"].t_s) == [0.1, 0.2]
    assert list(by_topic["/pelvis/timed"].acc_mps2) == [1 / 3, -2.0, 9.81, 0.1, 0.2, 0.3]
    assert by_topic["/clock"].t_host_s == 1234.5 + 7 / 208 or by_topic["/clock"].t_host_s < 1235
    assert list(by_topic["/heart_rate"].rr_s) == []


def test_log_times_are_wall_clock_from_one_anchor(tmp_path: Path) -> None:
    """The session began at 06:30:00.25 UTC, which is 1714545000.25 s; the host's clock then showed 1234 s."""
    path = tmp_path / "a.mcap"
    with RecordingWriter(path, SESSION, anchor_host_s=1234.0) as writer:
        writer.write(LinkState("pelvis", "connected", 1235.5))
        writer.write_clock(1240.0, 1714545007_000_000_000)
    with path.open("rb") as file:
        times = {c.topic: m.log_time for _, c, m in make_reader(file).iter_messages(topics=["/link"])}
    assert times == {"/link": 1714545001_750_000_000}
    assert read(path).clock() == [(1234.0, 1714545000_250_000_000), (1240.0, 1714545007_000_000_000)]


def test_batches_are_the_arrivals_put_together(tmp_path: Path) -> None:
    arrivals = mixed()
    recording = read(record(tmp_path / "a.mcap", arrivals))
    from sensor_host.recording.reader import Batch

    flat: list[object] = []
    for item in recording.batches():
        if isinstance(item, Batch):
            flat += [Notification(item.role, d, t) for d, t in zip(item.data, item.t_host_s, strict=True)]
        else:
            flat.append(key(item))
    assert flat == [key(a) for a in arrivals]


@pytest.mark.parametrize(("start_s", "end_s"), [(None, None), (10.0, 20.0), (0.0, 5.0), (33.3, None), (None, 7.7)])
def test_a_part_is_cut_out_by_seconds_since_the_first_data(
    tmp_path: Path, start_s: float | None, end_s: float | None
) -> None:
    arrivals = stream(40.0)
    recording = read(record(tmp_path / "a.mcap", arrivals))
    zero_s = arrivals[0].t_host_s
    expected = [
        a
        for a in arrivals
        if (start_s is None or a.t_host_s - zero_s >= start_s) and (end_s is None or a.t_host_s - zero_s < end_s)
    ]
    assert list(recording.arrivals(start_s, end_s)) == expected


def test_info_says_what_is_in_the_file(tmp_path: Path) -> None:
    arrivals = stream(20.0)
    del arrivals[100:105]
    arrivals.insert(50, arrivals[49])
    arrivals.insert(200, Notification("pelvis", b"\x00?", arrivals[199].t_host_s))
    arrivals.insert(300, Injected(Marker(9.0, "lap"), arrivals[299].t_host_s))
    found = info(record(tmp_path / "a.mcap", arrivals))
    assert found.duration_s == pytest.approx(20.0 - 1 / 208, abs=1e-3)
    pelvis, strap = found.sensors
    assert pelvis.health.lost_samples == 40
    assert pelvis.health.duplicates == 1
    assert pelvis.bad_kinds == (("foreign", 1),)
    assert (pelvis.breaks, strap.health.notifications) == (1, 0)
    assert pelvis.longest_break_s == pytest.approx(41 / 208, abs=1e-3)
    assert [marker.text for marker in found.markers] == ["lap"]
    assert not found.cut
    assert found.has_config


def test_cdr_aligns_values_to_their_size() -> None:
    """By hand: header; 'a' as length 2 with its zero, 2 to align; a double; a bool, 3 to align; an empty array."""
    kind = MessageType("test", "string word\nfloat64 number\nbool flag\nfloat64[] list\n")
    data = kind.encode("a", 1.0, True, [])
    assert data.hex() == "00010000" + "02000000" + "6100" + "0000" + "000000000000f03f" + "01" + "000000" + "00000000"
    assert kind.decode(data)[:3] == ["a", 1.0, True]


# ---------------------------------------------------------------- cut off


@dataclass(frozen=True, repr=False)
class Original:
    """A file's bytes and what is in it."""

    content: bytes
    arrivals: list[Arrival]


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory: pytest.TempPathFactory) -> Original:
    """Twelve seconds that were never finished, a chunk a second."""
    arrivals = stream(12.0)
    path = record(tmp_path_factory.mktemp("unfinished") / "a.mcap", arrivals, finish=False)
    return Original(path.read_bytes(), arrivals)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Original:
    """Thirty seconds, finished: three chunks of ten seconds."""
    arrivals = stream(30.0)
    return Original(record(tmp_path_factory.mktemp("finished") / "a.mcap", arrivals).read_bytes(), arrivals)


@given(st.floats(0.0, 1.0))
def test_cut_anywhere_it_is_read_up_to_the_last_second(
    tmp_path_factory: pytest.TempPathFactory, unfinished: Original, where: float
) -> None:
    whole, arrivals = unfinished.content, unfinished.arrivals
    keep = int(where * len(whole))
    path = tmp_path_factory.mktemp("cut") / "a.mcap"
    path.write_bytes(whole[:keep])
    try:
        recording = read(path)
    except InputError:
        # cut off within its head: session and schema are not complete
        assert keep < 4000
        return
    got = list(recording.arrivals())
    assert got == arrivals[: len(got)]
    assert recording.cut
    # the file grows by a chunk a second: what is missing is at most the second that was cut in two
    assert len(got) / len(arrivals) >= (keep - 4000) / len(whole) - 1.1 / 12.0


def test_a_recovered_file_is_finished_and_holds_all_that_was_there(tmp_path: Path, unfinished: Original) -> None:
    whole, arrivals = unfinished.content, unfinished.arrivals
    path = tmp_path / "a.mcap"
    path.write_bytes(whole[:-100])
    recovery = recover(path, tmp_path / "b.mcap")
    assert recovery.damaged_places == 0
    assert recovery.missing_arrivals == 0
    recording = read(tmp_path / "b.mcap")
    got = list(recording.arrivals())
    assert got == arrivals[: len(got)]
    assert len(got) >= len(arrivals) - 27
    assert not recording.cut
    assert recording.session == SESSION
    assert (recording.config, recording.profile) == (CONFIG, PROFILE)
    with (tmp_path / "b.mcap").open("rb") as file:
        assert sum(1 for _ in make_reader(file).iter_messages(topics=["/pelvis/raw"])) == len(got)


def test_zeros_at_the_end_as_after_a_power_cut_are_a_cut(tmp_path: Path, unfinished: Original) -> None:
    whole, arrivals = unfinished.content, unfinished.arrivals
    path = tmp_path / "a.mcap"
    path.write_bytes(whole + bytes(4096))
    recording = read(path)
    assert list(recording.arrivals()) == arrivals
    assert recording.cut


# ---------------------------------------------------------------- damaged


@given(st.integers(0, 2**31), st.integers(0, 7), st.booleans())
def test_a_flipped_bit_is_refused_or_harmless_and_recover_saves_the_rest(
    tmp_path_factory: pytest.TempPathFactory,
    unfinished: Original,
    finished: Original,
    where: int,
    bit: int,
    whole: bool,
) -> None:
    original = finished if whole else unfinished
    content, arrivals = original.content, original.arrivals
    damaged = bytearray(content)
    damaged[where % len(damaged)] ^= 1 << bit
    folder = tmp_path_factory.mktemp("flip")
    path = folder / "a.mcap"
    path.write_bytes(damaged)
    try:
        got = list(read(path).arrivals())
    except InputError:
        pass
    else:
        assert got == arrivals[: len(got)]
    recovery = recover(path, folder / "b.mcap")
    saved = list(read(folder / "b.mcap").arrivals())
    # whatever was saved is true and in order; at most one chunk is gone
    originals = iter(arrivals)
    assert all(any(a == b for b in originals) for a in saved)
    assert len(saved) >= len(arrivals) - (262 if whole else 27)
    assert recovery.missing_arrivals in {0, len(arrivals) - len(saved)}


def test_damage_in_the_middle_is_said_with_what_to_do(tmp_path: Path, finished: Original) -> None:
    content, arrivals = finished.content, finished.arrivals
    damaged = bytearray(content)
    damaged[len(damaged) // 2] ^= 0x10
    path = tmp_path / "a.mcap"
    path.write_bytes(damaged)
    with pytest.raises(InputError, match="hipdrive record recover"):
        list(read(path).arrivals())
    recovery = recover(path, tmp_path / "b.mcap")
    assert recovery.damaged_places == 1
    assert recovery.missing_arrivals == pytest.approx(260, abs=2)  # ten seconds of 26 a second
    assert len(list(read(tmp_path / "b.mcap").arrivals())) == len(arrivals) - recovery.missing_arrivals


def test_a_chunk_that_poses_as_something_else_is_missed(tmp_path: Path, finished: Original) -> None:
    """One flipped bit in its opcode, and the second of three chunks is a record that readers pass over."""
    damaged = bytearray(finished.content)
    chunks = [i - 37 for i in range(len(damaged)) if damaged[i : i + 8] == b"\x04\x00\x00\x00zstd"]
    chunk = next(i for i in chunks[1:] if damaged[i] == 6)
    damaged[chunk] = 14  # a summary offset
    path = tmp_path / "a.mcap"
    path.write_bytes(damaged)
    with pytest.raises(InputError, match=r"arrivals are missing.*recover"):
        list(read(path).arrivals())
    recover(path, tmp_path / "b.mcap")
    got = list(read(tmp_path / "b.mcap").arrivals())
    assert len(finished.arrivals) - 262 <= len(got) < len(finished.arrivals)


def test_a_flipped_letter_in_the_head_is_noticed(tmp_path: Path, finished: Original) -> None:
    path = tmp_path / "a.mcap"
    for word, wrong in ((b"anna", b"anma"), (b"sacrum", b"sabrum"), (b"mass_kg = 61", b"mass_kg = 91")):
        assert word in finished.content
        path.write_bytes(finished.content.replace(word, wrong, 1))
        with pytest.raises(InputError, match=r"damaged.*checksum"):
            read(path)


def test_a_destroyed_head_costs_the_names_but_not_the_data(tmp_path: Path, unfinished: Original) -> None:
    content, arrivals = unfinished.content, unfinished.arrivals
    damaged = bytearray(content)
    # from behind the channels to the first chunk: metadata and attachments
    begin = content.index(b"session_id") - 60
    damaged[begin : content.index(PROFILE)] = random.Random(1).randbytes(content.index(PROFILE) - begin)
    path = tmp_path / "a.mcap"
    path.write_bytes(damaged)
    recovery = recover(path, tmp_path / "b.mcap")
    assert recovery.notes
    recording = read(tmp_path / "b.mcap")
    assert list(recording.arrivals()) == arrivals
    assert [(s.role, s.board) for s in recording.session.sensors] == [("pelvis", "rimu"), ("heart_rate", "heart_rate")]


def test_a_record_that_claims_a_huge_length_takes_no_memory(tmp_path: Path, finished: Original) -> None:
    content = finished.content
    damaged = bytearray(content)
    chunk = content.index(b"\x04\x00\x00\x00zstd") - 37
    damaged[chunk + 9 + 16 : chunk + 9 + 24] = struct.pack("<Q", 1 << 60)  # uncompressed size
    path = tmp_path / "a.mcap"
    path.write_bytes(damaged)
    with pytest.raises(InputError, match="damaged"):
        list(read(path).arrivals())
    damaged[chunk + 1 : chunk + 9] = struct.pack("<Q", 1 << 62)  # the record itself
    path.write_bytes(damaged)
    with pytest.raises(InputError, match="damaged"):
        read(path)
    assert recover(path, tmp_path / "b.mcap").messages > 500


# ---------------------------------------------------------------- foreign


@pytest.mark.parametrize(
    "content", [b"", b"\x89MCAP0\r\n", b"not a recording at all, but some text\n" * 9, bytes(5000)]
)
def test_what_is_no_recording_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.mcap"
    path.write_bytes(content)
    for attempt in (lambda: read(path), lambda: info(path), lambda: recover(path, tmp_path / "b.mcap")):
        with pytest.raises(InputError) as caught:
            attempt()
        assert "\n" not in str(caught.value)
        assert caught.value.path == str(path)
    assert not (tmp_path / "b.mcap").exists()


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.mcap", tmp_path):
        with pytest.raises(InputError):
            read(path)
        with pytest.raises(InputError):
            recover(path, tmp_path / "b.mcap")


def test_somebody_elses_mcap_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mcap"
    with path.open("wb") as file:
        writer = Writer(file)
        writer.start()
        channel = writer.register_channel("/camera", "json", 0)
        writer.add_message(channel, 1, b"{}", 1)
        writer.finish()
    with pytest.raises(InputError, match="no recording of hipdrive"):
        read(path)
    with pytest.raises(InputError, match="nothing of a recording"):
        recover(path, tmp_path / "b.mcap")


def test_a_recording_of_a_later_schema_asks_for_an_update(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "RECORDING_SCHEMA", "7")
    path = record(tmp_path / "a.mcap", stream(2.0))
    monkeypatch.undo()
    with pytest.raises(InputError, match=r"schema 7.*update hipdrive"):
        read(path)


def test_a_file_that_another_tool_reordered_is_put_right_by_recover(tmp_path: Path) -> None:
    arrivals = stream(4.0)
    with (tmp_path / "a.mcap").open("wb") as file, record(tmp_path / "o.mcap", arrivals).open("rb") as original:
        writer = Writer(file)
        writer.start("hipdrive")
        reader = make_reader(original)
        for metadata in reader.iter_metadata():
            writer.add_metadata(metadata.name, metadata.metadata)
        schema = writer.register_schema("hipdrive/msg/Notification", "ros2msg", b"float64 t_host_s\nuint8[] data\n")
        channel = writer.register_channel("/pelvis/raw", "cdr", schema)
        messages = [m for _, _, m in reader.iter_messages(topics=["/pelvis/raw"])]
        for message in reversed(messages):
            writer.add_message(channel, message.log_time, message.data, message.publish_time, message.sequence)
        writer.finish()
    with pytest.raises(InputError, match=r"damaged.*recover"):
        list(read(tmp_path / "a.mcap").arrivals())
    recover(tmp_path / "a.mcap", tmp_path / "b.mcap")
    assert list(read(tmp_path / "b.mcap").arrivals()) == arrivals


# ---------------------------------------------------------------- disk


def test_an_existing_recording_is_never_written_over(tmp_path: Path) -> None:
    path = record(tmp_path / "a.mcap", stream(1.0))
    before = path.read_bytes()
    with pytest.raises(OutputError, match="is there already"):
        RecordingWriter(path, SESSION)
    with pytest.raises(OutputError, match="is there already"):
        recover(path, path)
    assert path.read_bytes() == before


def test_a_folder_that_cannot_be_made_is_said_before_anything_begins(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot be written") as caught:
        RecordingWriter(tmp_path / "file" / "a.mcap", SESSION)
    assert "\n" not in str(caught.value)


@contextmanager
def ordinary_user() -> Iterator[None]:
    """Root may write everywhere: be nobody for a while."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_read_only_folder_is_said_before_anything_begins(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("locked")
    folder.chmod(0o555)
    with ordinary_user(), pytest.raises(OutputError) as caught:
        RecordingWriter(folder / "a.mcap", SESSION)
    assert "\n" not in str(caught.value)
    assert caught.value.path == str(folder / "a.mcap")


@contextmanager
def largest_file(size_bytes: int) -> Iterator[None]:
    """The operating system refuses to let any file grow beyond this."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def write_until_refused(path: Path, arrivals: list[Arrival]) -> OutputError:
    writer = RecordingWriter(path, SESSION, CONFIG)

    def write_all() -> None:
        for arrival in arrivals:
            writer.write(arrival)

    with pytest.raises(OutputError) as caught:
        write_all()
    with pytest.raises(OutputError):
        writer.flush()
    with pytest.raises(OutputError):
        writer.close()
    writer.close()
    return caught.value


def test_a_file_that_may_not_grow_keeps_what_was_written_before(tmp_path: Path) -> None:
    arrivals = stream(30.0)
    with largest_file(40_000):
        error = write_until_refused(tmp_path / "a.mcap", arrivals)
    assert "what was recorded before is kept" in str(error)
    assert "\n" not in str(error)
    recording = read(tmp_path / "a.mcap")
    got = list(recording.arrivals())
    assert recording.cut
    assert len(got) > 200
    assert got == arrivals[: len(got)]
    # it ends with a whole chunk, not with a piece of one
    assert recover(tmp_path / "a.mcap", tmp_path / "b.mcap").skipped_bytes == 0


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"this machine does not let tests mount a small disk: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="tmpfs is Linux")
def test_a_full_disk_keeps_what_was_written_before(tiny_disk: Path) -> None:
    arrivals = stream(60.0)
    error = write_until_refused(tiny_disk / "a.mcap", arrivals)
    assert "No space left on device" in str(error)
    got = list(read(tiny_disk / "a.mcap").arrivals())
    assert len(got) > 300
    assert got == arrivals[: len(got)]


def test_a_disk_that_fills_while_the_chunks_are_made_longer_leaves_the_finished_file(tmp_path: Path) -> None:
    arrivals = stream(30.0)
    path = tmp_path / "a.mcap"
    writer = RecordingWriter(path, SESSION)
    for arrival in arrivals:
        writer.write(arrival)
    writer.flush()
    # room for the index, not for a second copy: the copy ends at 20 kB
    from sensor_host.recording import salvage

    whole = salvage.rechunk
    writer_close_saw: list[int] = []

    def with_little_room(path: Path, chunk_s: float) -> None:
        writer_close_saw.append(path.stat().st_size)
        with largest_file(20_000):
            whole(path, chunk_s)

    salvage.rechunk = with_little_room
    try:
        writer.close()
    finally:
        salvage.rechunk = whole
    assert writer_close_saw == [path.stat().st_size]
    recording = read(path)
    assert list(recording.arrivals()) == arrivals
    assert not recording.cut
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.mcap"]
