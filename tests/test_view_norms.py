"""What figures are compared with: norms as measured, the runner's own first, and nothing where nobody was measured."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pelvis.data import Speed
from pelvis.metrics import METRICS
from sensor_host.validation.sources import fukuchi
from sensor_host.view.norms import NORMS, Place, bands_at, norm_band, place_of
from sensor_host.view.timeline import Timeline
from tests.said_examples import cue
from tests.view_panels import usual


def metronome(target_spm: float, seconds: float, t_s: float) -> Timeline:
    timeline = Timeline()
    beat = {"target_spm": target_spm, "seconds": seconds}
    timeline.take(replace(cue(), kind="metronome", decided_at_s=t_s, parameters=beat))
    return timeline


def test_norms_are_what_was_measured_on_the_runners(data_dir: Path) -> None:
    runs: dict[tuple[str, float], list[float]] = defaultdict(list)
    for trial in fukuchi(data_dir):
        for name, values in trial.truth.metrics.items():
            runs[name, trial.speed_mps].append(float(np.nanmean(values)))
    for name, norm in NORMS.items():
        for speed_mps, mean, sd in zip(norm.speeds_mps, norm.means, norm.sds, strict=True):
            measured = runs[name, speed_mps]
            assert len(measured) == 16
            # as they are written: half of the last digit
            half = 0.5 * METRICS[name].resolution + 1e-9
            assert mean == pytest.approx(np.mean(measured), abs=half), name
            assert sd == pytest.approx(np.std(measured, ddof=1), abs=half), name


def test_every_norm_is_of_a_metric_and_names_its_source() -> None:
    for name, norm in NORMS.items():
        assert name in METRICS
        assert "doi:" in norm.source
        assert list(norm.speeds_mps) == sorted(norm.speeds_mps)
        assert len(norm.speeds_mps) == len(norm.means) == len(norm.sds)


def test_between_two_speeds_a_band_lies_between_theirs() -> None:
    # halfway between 2.5 and 3.5 m/s: 0.269 and 0.224 s, spread 0.025 and 0.017 s
    band = norm_band("contact_time_s", 3.0)
    assert band is not None
    assert band.low == pytest.approx(0.2465 - 0.021)
    assert band.high == pytest.approx(0.2465 + 0.021)
    assert "3.0 m/s" in band.text


@pytest.mark.parametrize(("speed_mps", "known"), [(2.0, False), (2.3, True), (4.7, True), (5.0, False)])
def test_there_is_no_norm_where_nobody_ran(speed_mps: float, known: bool) -> None:
    assert (norm_band("cadence_spm", speed_mps) is not None) is known


def test_without_a_measured_speed_a_norm_spans_all_speeds_and_says_so() -> None:
    band = norm_band("contact_time_s", None)
    assert band is not None
    assert (band.low, band.high) == (pytest.approx(0.194 - 0.015), pytest.approx(0.269 + 0.025))
    assert band.text == "2.5–4.5 m/s"


def test_a_metric_that_nobody_measured_has_no_norm() -> None:
    assert norm_band("step_length_m", 3.0) is None


def test_the_target_comes_before_the_own_baseline_and_that_before_the_norm() -> None:
    timeline = metronome(180.0, 30.0, 100.0)
    assert bands_at(timeline, "cadence_spm", 99.0).first == norm_band("cadence_spm", None)
    timeline.take(usual("cadence_spm", 172.0, 2.0))
    own = bands_at(timeline, "cadence_spm", 99.0).first
    assert own is not None
    # 1.5 standard deviations: what the coach lets pass
    assert (own.kind, own.low, own.high) == ("own", 169.0, 175.0)
    target = bands_at(timeline, "cadence_spm", 100.0).first
    assert target is not None
    assert (target.kind, target.low, target.high) == ("target", pytest.approx(176.4), pytest.approx(183.6))
    # the metronome beats 30 s, and no other metric has that target
    after = bands_at(timeline, "cadence_spm", 130.0).first
    assert after is not None
    assert after.kind == "own"
    assert bands_at(timeline, "contact_time_s", 110.0).target is None


def test_the_speed_of_a_treadmill_counts_until_it_is_changed_any_other_for_five_seconds() -> None:
    timeline = Timeline()
    timeline.take(Speed(10.0, 3.0, "treadmill"))
    assert timeline.speed_at(9.9) is None
    assert timeline.speed_at(1000.0) == Speed(10.0, 3.0, "treadmill")
    timeline.take(Speed(2000.0, 0.0, "treadmill"))
    assert timeline.speed_at(2001.0) is None
    timeline.take(Speed(3000.0, 4.0, "pod"))
    assert timeline.speed_at(3005.0) == Speed(3000.0, 4.0, "pod")
    assert timeline.speed_at(3005.1) is None


def test_an_own_range_is_no_narrower_than_the_figure_is_written() -> None:
    timeline = Timeline()
    timeline.take(usual("contact_time_s", 0.231, 0.0001))
    band = bands_at(timeline, "contact_time_s", 10.0).own
    assert band is not None
    assert (band.low, band.high) == (pytest.approx(0.230), pytest.approx(0.232))


def test_a_place_is_a_word_and_a_shape() -> None:
    band = norm_band("cadence_spm", 3.5)
    assert band is not None
    assert place_of(band.low - 0.1, band) is Place.BELOW
    assert place_of(band.low, band) is place_of(band.high, band) is Place.IN
    assert place_of(band.high + 0.1, band) is Place.ABOVE
    assert len({place.word for place in Place}) == len({place.sign for place in Place}) == 3
