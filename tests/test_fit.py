"""The fit of the event models: reproducible, and the source of what is shipped."""

from __future__ import annotations

import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pelvis.coefficients import SHIPPED
from pelvis.data import Array
from pelvis.models import FEATURES
from sensor_host.validation.coefficients import differences, source_of
from sensor_host.validation.fit import Training, fit_models, take_down
from sensor_host.validation.left_out import leave_each_out
from sensor_host.validation.sources import fukuchi

# vertical force 40 ms before the rise
EDGE = FEATURES.index("Z -40 ms")


def steps(*, runners: tuple[str, ...] = ("A", "B"), each: int = 400, bias: float = -0.2) -> Training:
    """Steps whose initial contact is a known sum of features, toe-off half a period later."""
    rng = np.random.default_rng(1)
    n = each * len(runners)
    features = rng.normal(0.0, 0.2, (n, len(FEATURES)))
    origin_s, period_s = 0.3 * np.arange(n), np.full(n, 0.3)
    contact: Array = bias + 0.3 * features[:, 1] - 0.1 * features[:, EDGE]
    return Training(
        features,
        contact_origin_s=origin_s,
        toe_off_origin_s=origin_s + 0.1,
        period_s=period_s,
        contact_s=origin_s + period_s * contact,
        toe_off_s=origin_s + period_s * (contact + 0.7),
        runner=np.repeat(runners, each),
        # every second step without: both kinds of models have something to learn from
        gyroscope=np.arange(n) % 2 == 0,
        scored=np.ones(n, dtype=np.bool_),
        weight=np.full(n, 1.0 / each),
    )


def test_the_fit_finds_what_the_events_were_made_of() -> None:
    model = fit_models(steps()).initial_contact
    seen = dict(zip(model.columns, model.weights, strict=True))
    # shrinkage takes a few per cent
    assert model.bias == pytest.approx(-0.2, abs=0.002)
    assert seen.pop(1) == pytest.approx(0.3, rel=0.03)
    assert seen.pop(EDGE) == pytest.approx(-0.1, rel=0.03)
    assert max(map(abs, seen.values())) < 0.01


def test_every_runner_is_measured_by_models_that_have_not_seen_him() -> None:
    one, other = steps(runners=("A",), bias=-0.2), steps(runners=("B",), bias=-0.3)
    both = Training(*(np.concatenate([getattr(one, name), getattr(other, name)]) for name in Training.__slots__))
    models = leave_each_out(both)
    assert set(models) == {"A", "B"}
    assert models["A"].initial_contact.bias == pytest.approx(-0.3, abs=0.003)
    assert models["B"].initial_contact.bias == pytest.approx(-0.2, abs=0.003)


def test_fitted_models_survive_being_written_as_a_file_of_the_core(tmp_path: Path) -> None:
    fitted = fit_models(steps())
    path = tmp_path / "coefficients.py"
    path.write_text(source_of(fitted), encoding="utf-8")
    assert runpy.run_path(str(path))["SHIPPED"] == fitted


def test_a_difference_in_the_last_printed_digits_is_told_with_its_place() -> None:
    weights = SHIPPED.toe_off.weights
    other = replace(SHIPPED, toe_off=replace(SHIPPED.toe_off, weights=(weights[0] + 5e-5, *weights[1:])))
    assert differences(SHIPPED, SHIPPED) == []
    (line,) = differences(other, SHIPPED)
    assert line.startswith("toe_off.weights[0]:")


def test_fitting_from_scratch_gives_the_shipped_coefficients(data_dir: Path) -> None:
    fitted = fit_models(take_down(fukuchi(data_dir)))
    assert differences(fitted, SHIPPED) == []
    shipped = Path(__file__).parent.parent / "signal" / "pelvis" / "coefficients.py"
    assert fitted.version == SHIPPED.version
    assert source_of(SHIPPED) == shipped.read_text(encoding="utf-8")
