"""A file on its way into the window: the same as in the run, at once what is there, one clear line for what is not."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from recorded_runs import COACHED, Run, coached_run

from pelvis.data import ActivityState, Motion
from pelvis.simulate import SimulatedRunner
from sensor_host.errors import InputError
from sensor_host.view import loading
from sensor_host.view.loading import Loading
from sensor_host.view.timeline import MOTION_COLUMNS, Timeline

ENDS_WITHIN_S = 60.0


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return coached_run(tmp_path_factory.mktemp("run"))


def load(path: Path, cache: Path) -> tuple[Loading, Timeline]:
    timeline = Timeline()
    with Loading(path, cache) as one:
        one.wait_opened(ENDS_WITHIN_S)
        assert one.wait_ended(ENDS_WITHIN_S)
        one.take(timeline, None)
    return one, timeline


@pytest.fixture(scope="module")
def loaded(run: Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[Loading, Timeline]:
    return load(run.path, tmp_path_factory.mktemp("cache"))


def heard_live(run: Run) -> Timeline:
    """Return a timeline that was told everything item by item, as it was said in the run."""
    timeline = Timeline()
    for item in run.said:
        if isinstance(item, Motion):
            angles = [getattr(item, name) for name in MOTION_COLUMNS[3:]]
            timeline.take_motion(item.t_s, np.column_stack([item.acc_g, *angles]).astype(np.float32))
        else:
            timeline.take(item)
    return timeline


def test_a_recording_loads_as_what_was_said_in_the_run(run: Run, loaded: tuple[Loading, Timeline]) -> None:
    one, timeline = loaded
    live = heard_live(run)
    assert (one.state, one.error, one.cached) == ("complete", None, False)
    for mine, its in zip(timeline.motion(-1.0, 1000.0), live.motion(-1.0, 1000.0), strict=True):
        np.testing.assert_array_equal(mine, its)
    np.testing.assert_array_equal(timeline.steps, live.steps)
    assert len(timeline.steps) > 300
    assert timeline.cues == live.cues
    assert len(timeline.cues) >= 2
    assert timeline.outcomes == live.outcomes
    assert timeline.outcomes
    assert timeline.marks == live.marks
    assert {mark.kind for mark in timeline.marks} >= {"lap", "cue", "chime"}
    # the run's last word is on its link, a notification later
    assert timeline.end_s == pytest.approx(live.end_s, abs=0.05)


def test_its_contacts_are_those_of_the_runner(run: Run, loaded: tuple[Loading, Timeline]) -> None:
    _, timeline = loaded
    found_s = timeline.column("initial_contact_s")
    true_s = np.array([contact.initial_contact_s for contact in run.contacts])
    nearest = np.abs(found_s[:, np.newaxis] - true_s).min(axis=1)
    assert np.median(nearest) < 0.010
    sides = timeline.column("side")[5:-5]
    assert set(sides.tolist()) == {-1.0, 1.0}


def test_the_whole_session_is_outlined_before_any_of_it_is_measured(run: Run, tmp_path: Path) -> None:
    timeline = Timeline()
    with Loading(run.path, tmp_path) as one:
        survey = one.wait_opened(ENDS_WITHIN_S)
        assert (survey.runner, survey.source, survey.session_id) == ("ada", "coached.mcap", "run-1")
        assert survey.begin_s == 0.0
        assert survey.end_s == pytest.approx(130.0, abs=0.05)
        shaking_g = np.array(survey.shaking_g)
        # he stands for five seconds, then he runs
        assert shaking_g[:4].max() < 0.05 < 0.3 < shaking_g[8:128].min()
        one._put(one._inbox.popleft(), timeline)
        assert one.state == "measuring"
        assert len(timeline.motion(-1.0, 1000.0)[0]) == 0
        assert (timeline.begin_s, timeline.end_s) == (survey.begin_s, survey.end_s)


def test_a_part_can_be_used_while_the_rest_is_measured(run: Run, tmp_path: Path) -> None:
    timeline = Timeline()
    with Loading(run.path, tmp_path) as one:
        one.wait_opened(ENDS_WITHIN_S)
        one.wait_ended(ENDS_WITHIN_S)
        seen: list[tuple[float, int]] = []
        while one.state != "complete":
            one._put(one._inbox.popleft(), timeline)
            seen.append((one.measured_to_s, len(timeline.steps)))
            if one.measured_to_s > 35.0:
                t_s, _ = timeline.motion(0.0, one.measured_to_s + 1.0)
                assert t_s[-1] == pytest.approx(one.measured_to_s, abs=0.1)
    measured = sorted({to_s for to_s, _ in seen if np.isfinite(to_s)})
    assert len(measured) > 3
    assert max(np.diff(measured)) < 45.0


def test_the_second_time_it_comes_from_the_cache_and_is_the_same(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, first = load(run.path, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("nothing needs to be measured"))
        one, second = load(run.path, tmp_path)
    assert (one.state, one.cached, one.measured_to_s) == ("complete", True, second.end_s)
    np.testing.assert_array_equal(first.steps, second.steps)
    for mine, its in zip(first.motion(-1.0, 1000.0), second.motion(-1.0, 1000.0), strict=True):
        np.testing.assert_array_equal(mine, its)
    assert first.marks == second.marks


def damage(kept: Path) -> None:
    content = bytearray(kept.read_bytes())
    content[len(content) // 2] ^= 1
    kept.write_bytes(content)


def cut_off(kept: Path) -> None:
    kept.write_bytes(kept.read_bytes()[:-100])


@pytest.mark.parametrize("harm", [damage, cut_off])
def test_a_damaged_cache_is_measured_anew(run: Run, tmp_path: Path, harm: object) -> None:
    _, first = load(run.path, tmp_path)
    (kept,) = tmp_path.iterdir()
    assert callable(harm)
    harm(kept)
    one, second = load(run.path, tmp_path)
    assert one.cached is False
    np.testing.assert_array_equal(first.steps, second.steps)
    assert load(run.path, tmp_path)[0].cached is True


def test_other_code_measures_anew(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load(run.path, tmp_path)
    monkeypatch.setattr(loading, "_code", lambda: b"another version")
    assert load(run.path, tmp_path)[0].cached is False


def test_where_the_cache_cannot_be_written_all_is_there_nevertheless(run: Run, tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("not a folder")
    one, timeline = load(run.path, in_the_way)
    assert one.state == "complete"
    assert len(timeline.steps) > 300


def test_the_cache_lets_go_of_what_was_not_looked_at_for_longest(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, name in enumerate(("oldest", "older", "newer")):
        (tmp_path / name).write_bytes(b"x" * 100)
        os.utime(tmp_path / name, (number, number))
    monkeypatch.setattr(loading, "CACHE_MAX_BYTES", 250)
    load(run.path, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} >= {"older", "newer"}
    assert not (tmp_path / "oldest").exists()


def test_a_replay_stands_as_the_run_stood_then(loaded: tuple[Loading, Timeline]) -> None:
    _, timeline = loaded
    seen = {}
    for t_s in (120.0, 3.0, 50.0, 95.0, 120.0):
        timeline.stand_at(t_s)
        heart_rate = timeline.heart_rate and timeline.heart_rate.heart_rate_bpm
        speed = timeline.speed and timeline.speed.speed_mps
        # what is known of the link is as old as a piece of the file, ten seconds
        link_s = timeline.links["pelvis"].t_s if timeline.links else None
        fresh = link_s is None or t_s - 20.0 < link_s <= t_s
        seen[t_s] = (timeline.activity, heart_rate, speed, timeline.muted, link_s is None, fresh)
    assert seen == {
        3.0: (ActivityState.STANDING, None, None, False, True, True),
        50.0: (ActivityState.RUNNING, 150.0, None, False, False, True),
        95.0: (ActivityState.RUNNING, 170.0, 3.2, False, False, True),
        120.0: (ActivityState.RUNNING, 170.0, 3.2, True, False, True),
    }


def test_a_csv_file_loads_without_a_coach(tmp_path: Path) -> None:
    path = tmp_path / "run.csv"
    (block,) = SimulatedRunner(COACHED).blocks(131.0)
    rows = np.column_stack([block.t_s, block.acc_mps2, block.gyr_radps])
    names = ["t_s", *(f"acc_{a}_mps2" for a in "xyz"), *(f"gyr_{a}_radps" for a in "xyz")]
    np.savetxt(path, rows, "%.6f", ",", header=",".join(names), comments="")
    one, timeline = load(path, tmp_path / "cache")
    assert (one.state, timeline.cues) == ("complete", [])
    assert len(timeline.steps) > 300


# ---------------------------------------------------------------- what cannot be used


def a_damaged(run: Run, path: Path) -> None:
    content = bytearray(run.path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def an_empty(_: Run, path: Path) -> None:
    path.write_bytes(b"")


def a_foreign(_: Run, path: Path) -> None:
    path.write_bytes(b"%PDF-1.7 not a recording at all")


def no_file(_: Run, path: Path) -> None:
    assert not path.exists()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (a_damaged, "hipdrive record recover"),
        (an_empty, "is empty"),
        (a_foreign, "no recording"),
        (no_file, "No such file"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_in_one_line(run: Run, tmp_path: Path, make: object, says: str) -> None:
    path = tmp_path / "it.mcap"
    assert callable(make)
    make(run, path)
    with Loading(path, tmp_path / "cache") as one, pytest.raises(InputError) as caught:
        one.wait_opened(ENDS_WITHIN_S)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.path == str(path)
    assert one.state == "failed"
    assert not list((tmp_path / "cache").glob("*"))


def test_a_recording_that_was_cut_off_loads_and_says_so(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "cut.mcap"
    path.write_bytes(run.path.read_bytes()[:250_000])
    one, timeline = load(path, tmp_path / "cache")
    assert one.state == "complete"
    assert one.survey is not None
    assert any("ends in the middle" in warning for warning in one.survey.warnings)
    assert 20 < len(timeline.steps) < 300


# ---------------------------------------------------------------- the process


@pytest.mark.skipif(sys.platform != "linux", reason="watches processes through pidfd")
def test_the_measuring_dies_with_a_window_that_is_killed(run: Run, tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    window = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-m', 'sensor_host.view.measuring', sys.argv[1], sys.argv[2]],"
        f" stdin=subprocess.PIPE, stdout={write_end})\n"
        "print(child.pid, flush=True)\n"
        "child.wait()\n"
    )
    command = [sys.executable, "-c", window, str(run.path), str(tmp_path / "kept")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, pass_fds=[write_end]) as host:
        os.close(write_end)
        assert host.stdout is not None
        watch = os.pidfd_open(int(host.stdout.readline()))
        # it has begun, and now waits for somebody to read on
        assert os.read(read_end, 1)
        os.kill(host.pid, signal.SIGKILL)
        poll = select.poll()
        poll.register(watch, select.POLLIN)
        assert poll.poll(20_000)
    os.close(watch)
    os.close(read_end)
    assert not list(tmp_path.iterdir())


def test_closing_ends_a_measuring_that_is_under_way(run: Run, tmp_path: Path) -> None:
    one = Loading(run.path, tmp_path)
    one.wait_opened(ENDS_WITHIN_S)
    one.close()
    assert one.wait_ended(0)
    assert one._child is not None
    assert one._child.returncode is not None


def test_a_measuring_that_is_killed_leaves_what_came_and_says_so(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(subprocess.Popen):  # type: ignore[type-arg]
        """Ends before it has handed over a byte more than fits its pipe."""

        def __init__(self, command: list[str], **options: object) -> None:
            script = (
                "import sys\n"
                "from pathlib import Path\n"
                "from sensor_host.view import measuring, parcels\n"
                "told = 0\n"
                "def hand(parcel):\n"
                "    global told\n"
                "    sys.stdout.buffer.write(parcels.pack(parcel)); sys.stdout.buffer.flush()\n"
                "    told += 1\n"
                "    if told == 6: sys.exit(9)\n"
                f"measuring.measure_file(Path({command[3]!r}), hand)\n"
            )
            super().__init__([sys.executable, "-c", script], **options)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "Popen", Killed)
    one, timeline = load(run.path, tmp_path)
    assert one.state == "failed"
    assert "was not measured to its end" in str(one.error)
    assert 0 < len(timeline.steps) < 300
