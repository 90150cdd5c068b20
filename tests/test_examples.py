"""The examples of docs/examples: they run, and what they draw is what the session holds."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from sensor_host import LoadedSession, load_session

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"


def example(name: str) -> ModuleType:
    spec = spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run") / "run.mcap"
    example("tiring_run").write_run(path, minutes=5.0)
    return path


@pytest.fixture(scope="module")
def session(recording: Path) -> LoadedSession:
    return load_session(recording)


def test_the_runner_tires_as_he_was_told_to(session: LoadedSession) -> None:
    assert len(session.laps) == 4
    first, last = session.laps[0].steps, session.laps[-1].steps
    longer_s = np.nanmean(last["contact_time_s"]) - np.nanmean(first["contact_time_s"])
    assert longer_s == pytest.approx(0.02, abs=0.006)
    drop = {side: [lap[lap["side"] == side]["pelvic_drop_deg"] for lap in (first, last)] for side in ("left", "right")}
    more_deg = {side: np.nanmean(after) - np.nanmean(before) for side, (before, after) in drop.items()}
    assert more_deg["left"] == pytest.approx(2.5, abs=0.6)
    assert more_deg["right"] == pytest.approx(0.6, abs=0.4)
    assert {cue.rule for cue in session.cues} & {"drop", "low_push"}


def test_contact_time_is_drawn_step_by_step_with_a_line_per_cue(session: LoadedSession) -> None:
    (axes,) = example("contact_time").draw(session).axes
    steps = session.steps[session.steps["quality"] >= 0.5]
    by_look = {line.get_marker(): line for line in axes.lines if line.get_linestyle() == "None"}
    for side, mark in (("left", "o"), ("right", "^")):
        own = steps[steps["side"] == side]
        np.testing.assert_allclose(by_look[mark].get_xdata(), own["initial_contact_s"] / 60.0)
        np.testing.assert_allclose(by_look[mark].get_ydata(), own["contact_time_s"] * 1000.0)
    dotted = [line.get_xdata()[0] * 60.0 for line in axes.lines if line.get_linestyle() == ":"]
    assert dotted == pytest.approx([cue.t_s for cue in session.cues])
    words = {text.get_text() for text in axes.texts}
    assert {" lap 1", " lap 4"} < words
    assert all(any(cue.words in text for text in words) for cue in session.cues)


def test_the_mean_stride_hangs_as_deep_as_the_steps_say(session: LoadedSession) -> None:
    lap = session.laps[0]
    (axes,) = example("mean_stride").draw(lap).axes
    for line, side in zip((axes.lines[0], axes.lines[2]), ("left", "right"), strict=True):
        curve = np.asarray(line.get_ydata())
        assert curve.shape == (101,)
        # it ends where it begins, and hangs in stance below its height at contact by the mean drop of the steps
        assert curve[0] == pytest.approx(curve[-1], abs=0.15)
        drop_deg = np.nanmean(lap.steps[lap.steps["side"] == side]["pelvic_drop_deg"])
        assert curve[:35].max() - curve[0] == pytest.approx(drop_deg, abs=0.3)


@pytest.mark.parametrize("name", ["contact_time", "mean_stride"])
def test_an_example_writes_its_picture(name: str, recording: Path, tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    command = [sys.executable, str(EXAMPLES / f"{name}.py"), str(recording), str(picture)]
    subprocess.run(command, check=True, cwd=tmp_path)
    assert picture.read_bytes().startswith(b"\x89PNG")
