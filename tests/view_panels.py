"""What the tests of the window's panels share: steps made by hand, a run that was simulated, and eyes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Protocol

import numpy as np
from core_run import run, simulated
from PySide6.QtCore import QPoint, QRectF, Qt
from PySide6.QtGui import QColor, QImage
from PySide6.QtWidgets import QWidget

from pelvis.data import STANDARD_GRAVITY_MPS2, CoreOutput, Motion, Reference, References, Samples, Side, Step
from pelvis.metrics import METRICS
from pelvis.simulate import Scenario
from sensor_host.view.lettering import Label
from sensor_host.view.timeline import Timeline
from tests.said_examples import step, stride

# the sizes of the two screens: a small laptop's, and one of twice the density
SCREENS = ((1280, 720, 1.0), (1280, 720, 2.0))

# 1 px: letters are drawn with soft edges
SOFT_PX = 1.0


def take_steps(
    timeline: Timeline, n: int, left: Mapping[str, float], right: Mapping[str, float], first: int = 0
) -> None:
    """Take steps made by hand, left first, 0.35 s apart from 10 s on, with the metrics of their side."""
    for index in range(first, first + n):
        values = (left, right)[index % 2]
        of_step = {name: value for name, value in values.items() if METRICS[name].group == "step"}
        of_stride = {name: value for name, value in values.items() if METRICS[name].group == "stride"}
        timeline.take(replace(step(index), metrics=of_step))
        timeline.take(replace(stride(index), metrics=of_stride))


def usual(metric: str, mean: float, sd: float, runs: int = 5) -> References:
    """What the coach compares with: this alone."""
    return References((Reference(metric, Side.UNKNOWN, mean, sd, runs),), None, 0.0)


@cache
def _said(scenario: Scenario) -> Sequence[CoreOutput]:
    samples, _ = simulated(scenario)
    return run(samples, motion=True)


def simulated_timeline(scenario: Scenario) -> Timeline:
    """Return what a simulated run said, motion as well."""
    return timeline_of(_said(scenario))


@cache
def _said_on_treadmill(path: Path) -> Sequence[CoreOutput]:
    with np.load(path) as d:
        acc_mps2 = d["acc_g"].astype(np.float64) * STANDARD_GRAVITY_MPS2
        samples = Samples(d["t"] - d["t"][0], acc_mps2, np.radians(d["gyr_dps"].astype(np.float64)), float(d["fs"]))
    return run(samples, motion=True)


def treadmill_timeline(path: Path) -> Timeline:
    """Return what a run of the Fukuchi set said, whose time begins with its first sample."""
    return timeline_of(_said_on_treadmill(path))


def timeline_of(said: Iterable[CoreOutput]) -> Timeline:
    """Return a timeline that took all of it."""
    timeline = Timeline()
    for item in said:
        if isinstance(item, Motion):
            angles = (item.obliquity_deg, item.tilt_deg, item.rotation_deg)
            timeline.take_motion(item.t_s, np.column_stack((item.acc_g, *angles)).astype(np.float32))
        else:
            timeline.take(item)
    return timeline


def last_contact_s(timeline: Timeline) -> float:
    return float(timeline.column("initial_contact_s")[-1])


def steps_of(scenario: Scenario) -> list[Step]:
    return [item for item in _said(scenario) if isinstance(item, Step)]


# ---------------------------------------------------------------- looking


class Lettered(Protocol):
    """A widget that tells which texts it shows."""

    @property
    def labels(self) -> Sequence[Label]: ...


def look(widget: QWidget, ratio: float = 1.0) -> QImage:
    """Return a picture of a widget as a display of that density shows it."""
    image = QImage(round(widget.width() * ratio), round(widget.height() * ratio), QImage.Format.Format_RGB32)
    image.setDevicePixelRatio(ratio)
    image.fill(Qt.GlobalColor.magenta)
    widget.render(image, QPoint(0, 0))
    return image


def pixels(image: QImage) -> np.ndarray:
    """Return a picture as (height, width, 3) of 0 to 255."""
    wide = image.convertToFormat(QImage.Format.Format_RGB888)
    rows = np.frombuffer(wide.constBits(), np.uint8).reshape(wide.height(), wide.bytesPerLine())
    return rows[:, : 3 * wide.width()].reshape(wide.height(), wide.width(), 3).copy()


def near(seen: np.ndarray, color: str, within: int = 24) -> np.ndarray:
    """Return where a picture has a colour (height, width)."""
    wanted = QColor(color)
    difference = np.abs(seen.astype(int) - (wanted.red(), wanted.green(), wanted.blue()))
    return np.asarray(difference.max(axis=2) <= within)


def texts(panel: Lettered) -> list[str]:
    return [label.text for label in panel.labels]


def assert_texts_fit(labels: Iterable[Label], around: QRectF) -> None:
    """No letter leaves its box, no box the panel, and no text lies on another."""
    labels = [label for label in labels if label.text]
    assert labels
    for label in labels:
        box = label.box.adjusted(-SOFT_PX, -SOFT_PX, SOFT_PX, SOFT_PX)
        assert box.contains(label.ink), f"{label.text!r} leaves its box: {label.ink} in {label.box}"
        assert around.adjusted(-0.5, -0.5, 0.5, 0.5).contains(label.ink), f"{label.text!r} leaves the panel"
    for i, label in enumerate(labels):
        for other in labels[i + 1 :]:
            common = label.ink.intersected(other.ink)
            assert common.width() <= SOFT_PX or common.height() <= SOFT_PX, f"{label.text!r} lies on {other.text!r}"
