"""Tables in and out: what a CSV may look like, and what the tables of results look like."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pelvis.data import ACTIVITY_CODES, Motion, Samples
from sensor_host.errors import OutputError
from sensor_host.tables import CsvSamples, SampleTable, WholeFile, format_motion

WriteCsv = Callable[..., Path]


@pytest.fixture
def write_csv(tmp_path: Path) -> WriteCsv:
    def write(
        n: int = 400, rate_hz: float = 200.0, header: str = "", t_s: np.ndarray | None = None, decimals: int = 6
    ) -> Path:
        times = np.arange(n) / rate_hz if t_s is None else t_s
        rows = np.column_stack([times, np.tile([0.0, 0.0, 1.0, 10.0, 20.0, 30.0], (len(times), 1))])
        path = tmp_path / "in.csv"
        header = header or "t_s,acc_x_g,acc_y_g,acc_z_g,gyr_x_dps,gyr_y_dps,gyr_z_dps"
        np.savetxt(path, rows, delimiter=",", header=header, comments="", fmt=f"%.{decimals}f")
        return path

    return write


def read(path: Path) -> tuple[CsvSamples, Samples]:
    table = CsvSamples(path)
    blocks = list(table)
    return table, Samples(
        np.concatenate([block.t_s for block in blocks]),
        np.concatenate([block.acc_mps2 for block in blocks]),
        np.concatenate([block.gyr_radps for block in blocks]),
        blocks[0].rate_hz,
    )


# ---------------------------------------------------------------- in


def test_units_in_the_header_become_si(write_csv: WriteCsv) -> None:
    _, read_g = read(write_csv())
    assert read_g.acc_mps2[0] == pytest.approx([0.0, 0.0, 9.80665], abs=1e-12)
    assert read_g.gyr_radps[0] == pytest.approx(np.radians([10.0, 20.0, 30.0]), abs=1e-12)
    header = "t_s,acc_x_mps2,acc_y_mps2,acc_z_mps2,gyr_x_radps,gyr_y_radps,gyr_z_radps"
    _, read_si = read(write_csv(header=header))
    assert read_si.acc_mps2[0].tolist() == [0.0, 0.0, 1.0]
    assert read_si.gyr_radps[0].tolist() == [10.0, 20.0, 30.0]


def test_columns_may_stand_in_any_order_among_others(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    lines = ["gyr_z_dps,note,acc_z_g,t_s,acc_x_mps2,acc_y_g,gyr_x_dps,gyr_y_radps,lap"]
    lines += [f'3,"x",1,{k / 100:.2f},0.5,0.25,1,0.125,7' for k in range(200)]
    path.write_text("\ufeff" + "\r\n".join(lines) + "\r\n", encoding="utf-8", newline="")
    _, samples = read(path)
    assert samples.acc_mps2[5] == pytest.approx([0.5, 0.25 * 9.80665, 9.80665])
    assert samples.gyr_radps[5] == pytest.approx([math.radians(1), 0.125, math.radians(3)])
    assert samples.t_s[5] == 0.05


@pytest.mark.parametrize("rate_hz", [50.0, 100.0, 104.0, 200.0, 208.0, 416.0, 500.0])
@pytest.mark.parametrize("decimals", [3, 6])
def test_the_rate_is_found_even_when_times_were_rounded(write_csv: WriteCsv, rate_hz: float, decimals: int) -> None:
    table, _ = read(write_csv(n=int(3 * rate_hz), rate_hz=rate_hz, decimals=decimals))
    assert table.rate_hz == pytest.approx(rate_hz, rel=2e-3)


def test_a_hole_in_the_first_seconds_does_not_bend_the_rate(write_csv: WriteCsv) -> None:
    times = np.arange(800) / 200.0
    table, samples = read(write_csv(t_s=times[(times < 0.5) | (times > 1.2)]))
    assert table.rate_hz == pytest.approx(200.0, rel=1e-6)
    assert len(samples.t_s) < 800


def test_cutting_a_file_changes_nothing_of_what_was_read_before(write_csv: WriteCsv) -> None:
    rng = np.random.default_rng(3)
    times = np.cumsum(0.005 + rng.uniform(-0.0005, 0.0005, 2000))
    whole, samples = read(write_csv(t_s=times))
    cut, part = read(write_csv(t_s=times[:700]))
    assert cut.rate_hz == whole.rate_hz
    assert np.array_equal(part.acc_mps2, samples.acc_mps2[:700])
    assert np.array_equal(part.t_s, samples.t_s[:700])


def test_a_row_that_is_no_number_is_a_lost_sample_and_is_said(write_csv: WriteCsv) -> None:
    path = write_csv(n=1000)
    lines = path.read_text().splitlines()
    lines[300] = lines[300].replace("1.000000", "nan")
    lines[500] = lines[500].replace("1.000000", "")
    lines[501] = lines[501].replace("1.000000", "inf")
    path.write_text("\n".join(lines) + "\n\n")
    table, samples = read(path)
    assert len(samples.t_s) == 997
    assert (table.rows, table.lost) == (1000, 3)
    assert np.all(np.isfinite(samples.acc_mps2))
    assert 299 / 200 not in samples.t_s.round(6)
    assert table.warnings == ["3 of 1000 rows are not numbers and count as lost samples"]


def test_samples_at_the_end_of_a_range_are_told_from_those_that_happen_to_be_alike(tmp_path: Path) -> None:
    t_s = np.arange(2000) / 200.0
    z = 1.0 + 5.0 * np.sin(2.0 * np.pi * 1.5 * t_s)
    z[100:110] = 1.7  # alike, but no sensor ends there
    clipped = np.clip(z, -4.0, 4.0)
    path = tmp_path / "in.csv"
    rows = np.column_stack((t_s, 0 * z, 0 * z, clipped, 0 * z, 0 * z, 0 * z))
    header = "t_s,acc_x_g,acc_y_g,acc_z_g,gyr_x_dps,gyr_y_dps,gyr_z_dps"
    np.savetxt(path, rows, delimiter=",", header=header, comments="", fmt="%.6f")
    blocks = list(CsvSamples(path))
    said = np.concatenate([np.full(len(block.t_s), block.clipped) for block in blocks])
    assert np.concatenate([block.t_s for block in blocks]) == pytest.approx(t_s)
    at_end = np.abs(z) > 4.0
    # the first two of a stretch are not yet known to be alike
    third = at_end & np.roll(at_end, 1) & np.roll(at_end, 2)
    # the lower end is not the largest so far: -4 g comes after +4 g and is as large
    assert said.tolist() == third.tolist()


def test_a_wrong_unit_is_doubted_aloud(write_csv: WriteCsv) -> None:
    table, _ = read(write_csv(header="t_s,acc_x_mps2,acc_y_mps2,acc_z_mps2,gyr_x_dps,gyr_y_dps,gyr_z_dps"))
    assert "0.102 g" in table.warnings[0]


# ---------------------------------------------------------------- out


numbers = st.one_of(
    st.floats(-1e7, 1e7, allow_nan=False), st.just(math.nan), st.sampled_from([0.0, -0.0, 9.99999, -1e-9])
)


@given(
    hnp.arrays(np.float64, st.tuples(st.integers(0, 12), st.just(4)), elements=numbers),
    st.lists(st.integers(0, 3), min_size=12, max_size=12),
)
def test_samples_are_formatted_as_python_would_format_them(values: np.ndarray, codes: list[int]) -> None:
    n = len(values)
    motion = Motion(
        np.nan_to_num(values[:, 0]),
        np.zeros((n, 3)),
        values[:, 1],
        values[:, 2],
        values[:, 3],
        np.array(codes[:n], np.int8),
    )
    text = format_motion([motion]).decode()
    read_back = list(csv.reader(io.StringIO(text)))
    assert len(read_back) == n
    for cells, row, code in zip(read_back, values, codes, strict=False):
        assert cells[4] == ACTIVITY_CODES[code]
        for cell, value, decimals in zip(cells, row, (6, 4, 4, 4), strict=False):
            if math.isnan(value) and decimals == 4:
                assert cell == ""
            else:
                assert len(cell.partition(".")[2]) == decimals
                # half a unit of the last place, and what the multiplication rounds
                assert float(cell) == pytest.approx(np.nan_to_num(value), abs=0.51 * 10.0**-decimals, rel=1e-15)


def test_the_portions_in_which_motion_comes_leave_no_mark(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    n = 20_000
    angles = rng.normal(0, 5, (3, n))
    whole = Motion(np.arange(n) / 200, np.zeros((n, 3)), *angles, np.zeros(n, np.int8))
    with SampleTable(tmp_path / "samples.csv") as table:
        for part in np.split(np.arange(n), [1, 40, 9000, 17_000]):
            columns = (whole.obliquity_deg, whole.tilt_deg, whole.rotation_deg, whole.activity)
            table.take(Motion(whole.t_s[part], whole.acc_g[part], *(column[part] for column in columns)))
    lines = (tmp_path / "samples.csv").read_bytes().split(b"\n", 1)
    assert lines[0] == b"t_s,obliquity_deg,tilt_deg,rotation_deg,activity"
    assert lines[1] == format_motion([whole])


def test_a_table_appears_under_its_name_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("before")

    def fail_halfway() -> None:
        with WholeFile(path) as file:
            file.write(b"half")
            assert path.read_text() == "before"
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_halfway()
    assert path.read_text() == "before"
    with WholeFile(path) as file:
        file.write(b"after")
    assert path.read_text() == "after"
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.csv"]


def test_a_full_disk_is_told() -> None:
    full = Path("/dev/full")
    if not full.is_char_device():
        pytest.skip("needs /dev/full to stand in for a full disk")
    with pytest.raises(OutputError, match="No space left on device") as told, WholeFile(full) as file:
        file.write(b"anything")
    assert told.value.exit_code == 4
    assert full.is_char_device()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_device_is_written_to_and_never_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with WholeFile(pipe) as file:
            file.write(b"anything")
        assert os.read(reader, 1000) == b"anything"
    finally:
        os.close(reader)
    assert pipe.is_fifo()
