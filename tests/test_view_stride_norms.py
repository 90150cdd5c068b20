"""What is usual over the stride: the numbers of the published markers, at the speeds that they hold for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from pelvis.data import Side
from pelvis.runner.shapes import OBLIQUITY_DEG, ROTATION_DEG, TOE_OFF_PHASE
from sensor_host.view import stride_norm_values
from sensor_host.view.curves import CURVES, PERCENT
from sensor_host.view.stride_norms import norm_at
from sensor_host.view.stride_view import StrideView
from sensor_host.view.timeline import Timeline


def test_the_numbers_are_those_of_the_published_markers(data_dir: Path) -> None:
    from sensor_host.validation.stride_norms import written

    assert Path(stride_norm_values.__file__).read_text(encoding="utf-8") == written(data_dir)


@pytest.mark.parametrize("speed_mps", [2.5, 3.5, 4.5])
def test_the_mean_is_the_waveform_of_the_average_runner(speed_mps: float) -> None:
    norm = norm_at(speed_mps)
    assert norm is not None
    right = norm.curves.sides[Side.RIGHT]
    # the simulated runner's waveforms were fitted to the same markers, over a phase in which toe-off stands at 0.65
    stance = right.toe_off.mean / 50.0
    step = np.array([0.0, stance, 1.0, 1.0 + stance, 2.0])
    phase = np.interp(PERCENT / 50.0, step, [0.0, TOE_OFF_PHASE, 1.0, 1.0 + TOE_OFF_PHASE, 2.0])
    for i, waveform in ((0, OBLIQUITY_DEG), (1, ROTATION_DEG)):
        true = waveform.at(phase, speed_mps)
        # two ways of making time comparable, and runners who differ by one and by two degrees
        assert np.sqrt(np.mean((right.mean[i] - true) ** 2)) < 0.15 * np.ptp(true)
        assert 0.5 < right.sd[i].mean() < 3.0


def test_it_is_known_between_its_speeds_and_nowhere_else() -> None:
    for speed_mps in (2.0, 5.0, float("nan")):
        assert norm_at(speed_mps) is None
    slow, middle, fast = (norm_at(speed_mps) for speed_mps in (2.5, 3.0, 3.5))
    assert slow is not None
    assert middle is not None
    assert fast is not None
    drops = [norm.curves.sides[Side.LEFT].drop_deg.mean for norm in (slow, middle, fast)]
    assert drops[1] == pytest.approx((drops[0] + drops[2]) / 2.0)
    beyond = norm_at(2.3)
    assert beyond is not None
    assert beyond.curves.sides[Side.LEFT].drop_deg == slow.curves.sides[Side.LEFT].drop_deg


def test_what_nothing_is_known_of_is_not_drawn(qtbot: QtBot) -> None:
    view = StrideView()
    qtbot.addWidget(view)
    view.show_at(Timeline(), 60.0)
    norm = norm_at(3.2)
    assert norm is not None
    view.compare_with(norm)
    for i, plot in view._plots.items():
        known = CURVES[i].column in ("obliquity_deg", "rotation_deg")
        assert plot.there[Side.LEFT].mean.isVisible() is known
        assert plot.there[Side.LEFT].toe_off.isVisible() is known
        # the same for both feet: drawn once
        assert not plot.there[Side.RIGHT].mean.isVisible()
    assert "16 runners" in view.texts()[1]
    assert "none for accelerations" in view.texts()[1]
