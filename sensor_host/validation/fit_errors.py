"""The fit of the standard errors: what the errors of steps are made of, on runners the event models have not seen.

`take_down_errors` runs the core on every run behind many devices, with models fitted on all other runners, and keeps
the errors of every step and what the core knew about it. `fit_errors` makes an `ErrorModel` per metric of that:
variances that are never negative add up, so that of the steps in which a term weighs most as many errors lie within
one standard error as of all others.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from pelvis.data import Array, Samples, Side, Step, StepInputs, Stride, StrideInputs
from pelvis.metrics import METRICS, STEP_NAMES, STRIDE_NAMES
from pelvis.models import EventModels
from pelvis.speed import ESTIMATE_ERROR_RATIO, MODEL_ERROR_RATIO
from pelvis.uncertainty import FEWEST_STEPS, FILLED_STRIDE, OWN_TERMS, TERMS, ErrorModel, StandardErrors
from sensor_host.errors import ConfigError
from sensor_host.tables import WholeFile
from sensor_host.validation.device import Device, portions, wear
from sensor_host.validation.fit import CONTACT_FEATURES, TOE_OFF_FEATURES
from sensor_host.validation.score import after_settling, contacts_of, match, said_of
from sensor_host.validation.sources import Run, Trial

EVENTS = ("initial_contact_s", "toe_off_s")
NAMES = (*EVENTS, *METRICS)
AT_STEP = (*EVENTS, *STEP_NAMES)
ALL_TERMS = (*TERMS, *OWN_TERMS)

# printed digits that count
DIGITS = 3

# 68 %: what lies within one standard error of a normal distribution
WITHIN = 0.68

# range of a sensor too small for running, g; 20 deg: a turn on the belt that nobody overlooks, 12 s into the run
SMALL_RANGE_G = 2.0
TURN_DEG, TURN_AFTER_S = 20.0, 12.0

# the undisturbed; lost packets; rates; mounts; no standing; what is rare
PLAIN = ("plain", "another draw")
LOSSY = ("5 % lost", "5 % lost again")
DEVICES: Mapping[str, Device] = {
    "plain": Device(seed=201),
    "another draw": Device(seed=202),
    "1 % lost": Device(seed=203, loss_ratio=0.01),
    "5 % lost": Device(seed=204, loss_ratio=0.05),
    "5 % lost again": Device(seed=205, loss_ratio=0.05),
    "10 % lost": Device(seed=206, loss_ratio=0.1),
    "5 % lost, 100 ms": Device(seed=207, loss_ratio=0.05, burst_s=0.1),
    "10 % lost, 100 ms": Device(seed=208, loss_ratio=0.1, burst_s=0.1),
    "20 % lost, 100 ms": Device(seed=217, loss_ratio=0.2, burst_s=0.1),
    "50 Hz": Device(seed=209, rate_hz=50.0),
    "100 Hz": Device(seed=210, rate_hz=100.0),
    "208 Hz": Device(seed=211, rate_hz=208.0),
    "any mount": Device(seed=212, mount_deg=None),
    "no standing": Device(seed=213, still_s=0.0),
    "clipped": Device(seed=214, acc_range_g=SMALL_RANGE_G),
    "turned": Device(seed=215),
    "no gyroscope": Device(seed=216, gyroscope=False),
}


@dataclass(frozen=True, slots=True, eq=False)
class Errors:
    """What was said of steps, how wrong it was and what was known about it; one row per step that was found.

    ``errors`` (n, metrics) in NAMES' order, ``own`` (n, metrics, 2) squares of value and odd of OWN_TERMS,
    ``step_terms`` and ``stride_terms`` (n, terms) squares of TERMS; NaN where unknown.
    """

    errors: Array
    own: Array
    step_terms: Array
    stride_terms: Array
    runner: NDArray[np.str_]
    trial: NDArray[np.str_]
    device: NDArray[np.str_]
    speed_mps: Array
    scored: NDArray[np.bool_]
    left: NDArray[np.bool_]

    def terms(self, name: str) -> Array:
        """Return the squares of TERMS and OWN_TERMS (n, terms) a metric's error rests on."""
        shared = self.step_terms if name in AT_STEP else self.stride_terms
        own = self.own[:, NAMES.index(name)]
        return np.column_stack((shared, own, own[:, 0] * np.sqrt(shared[:, FILLED_STRIDE])))


def take_down_errors(
    trials: Sequence[Trial], models: Mapping[str, EventModels], devices: Mapping[str, Device] = DEVICES
) -> Errors:
    """Run the core behind every device, each runner with the models of ``models`` by his name."""
    rows = [
        row
        for title, device in devices.items()
        for trial in trials
        for row in _rows(wear(trial, device), title, device, models[trial.runner])
    ]
    return Errors(*(np.array(column) for column in zip(*rows, strict=True)))


def _rows(run: Run, title: str, device: Device, models: EventModels) -> Iterator[tuple[object, ...]]:
    samples: Samples | list[Samples] = run.samples
    if title == "turned":
        samples = _turned(run)
    elif title == "clipped":
        samples = portions(run.samples, device.acc_range_g)
    said = said_of(samples, models=models, inputs=True)
    steps = [item for item in said if isinstance(item, Step)]
    strides = {item.step_index: item for item in said if isinstance(item, Stride)}
    step_inputs = {item.step_index: item for item in said if isinstance(item, StepInputs)}
    stride_inputs = {item.step_index: item for item in said if isinstance(item, StrideInputs)}
    own = _own_terms(steps, strides, step_inputs)
    truth, window = run.truth, after_settling(run)
    true = np.column_stack(
        [truth.contact_s, truth.toe_off_s]
        + [truth.metrics.get(name, np.full(len(truth.contact_s), np.nan)) for name in METRICS]
    )
    unknown = (np.nan,) * len(TERMS)
    for i, j in match(truth.contact_s, contacts_of(steps)):
        index = steps[j].step_index
        known = dict(steps[j].metrics) | (dict(strides[index].metrics) if index in strides else {})
        values = [steps[j].initial_contact_s, steps[j].toe_off_s, *(known.get(name, np.nan) for name in METRICS)]
        stride = stride_inputs[index].terms if index in stride_inputs else unknown
        yield (
            np.array(values) - true[i], own[index], step_inputs[index].terms, stride,
            run.runner, run.name, title, run.speed_mps, window.wanted[i],
            steps[j].side is Side.LEFT,
        )  # fmt: skip


def _own_terms(
    steps: Sequence[Step], strides: Mapping[int, Stride], inputs: Mapping[int, StepInputs]
) -> dict[int, Array]:
    """Return the squares of OWN_TERMS (metrics, 2) by step, found by the very code that uses them."""
    nothing = (0.0,) * len(TERMS)
    models = [ErrorModel({name: 1.0}, 0.0, 1.0, 1.0) for name in ("value", "odd")]
    probes = [
        (StandardErrors(dict.fromkeys(AT_STEP, one)), StandardErrors(dict.fromkeys(STRIDE_NAMES, one)))
        for one in models
    ]
    own: dict[int, Array] = {}
    run, run_steps = 0, 0
    for step in steps:
        index = step.step_index
        run += inputs[index].evidence.run_steps <= run_steps
        run_steps = inputs[index].evidence.run_steps
        contact_time_s = step.metrics["contact_time_s"]
        at_step = (contact_time_s, contact_time_s, *step.metrics.values())
        at_stride = strides[index].metrics if index in strides else dict.fromkeys(STRIDE_NAMES, np.nan)
        rows: list[list[float]] = []
        for of_step, of_stride in probes:
            row = dict(zip(AT_STEP, of_step.judge(nothing, at_step, index, run)[0], strict=True))
            row |= dict(zip(STRIDE_NAMES, of_stride.judge(nothing, at_stride.values(), index, run)[0], strict=True))
            rows.append([row[name] for name in NAMES])
        own[index] = np.square(rows).T
    return own


def _turned(run: Run) -> Samples:
    """Return the samples of a sensor that is turned on the belt during the run."""
    s = run.samples
    up = s.acc_mps2.mean(axis=0)
    turn = Rotation.from_rotvec(np.radians(TURN_DEG) * up / np.linalg.norm(up))
    late = (s.t_s > run.lead_s + TURN_AFTER_S)[:, np.newaxis]
    acc, gyr = np.where(late, turn.apply(s.acc_mps2), s.acc_mps2), np.where(late, turn.apply(s.gyr_radps), s.gyr_radps)
    return replace(s, acc_mps2=acc, gyr_radps=gyr)


# ---------------------------------------------------------------- the fit

_DISTURBED = ("no_gyroscope", "turned", "clipped", "settling", "uneven")
_CONTACT = ("filled", "filled_lately", *_DISTURBED, "odd")
_STRIDE = ("filled_stride", "filled_lately", "no_standing", *_DISTURBED, "odd")
# what may explain the error of a metric: what is known to bear on it, and no more
EXPLAINED_BY: Mapping[str, tuple[str, ...]] = {
    "initial_contact_s": ("one", "slow", "fast", *_CONTACT),
    "toe_off_s": ("one", "slow", "fast", *_CONTACT),
    "contact_time_s": ("one", "slow", "fast", *_CONTACT),
    "cadence_spm": ("one", "filled_before", *_CONTACT),
    "pelvic_drop_deg": ("one", "slow", "no_standing", *_CONTACT),
    "peak_drop_deg": ("one", "strange", "fast", "filled_fast", *_CONTACT),
    "velocity_loss_mps": ("one", "strange", "no_standing", *_CONTACT),
    "velocity_gain_mps": ("one", "value", "no_standing", *_CONTACT),
    "flight_time_s": ("one", "slow", "fast", "filled_stride", *_CONTACT),
    "step_time_s": ("one", "slow", "fast", "filled_stride", *_CONTACT),
    "vertical_oscillation_m": ("one", "value", "filled_value", *_STRIDE),
    "sway_m": ("one", "value", "filled_value", *_STRIDE),
    "pelvis_sway_m": ("one", "value", "filled_value", *_STRIDE),
    "obliquity_range_deg": ("one", "strange", *_STRIDE),
    # mean tilt is off by what standing was, for all steps alike: that one differs from the last tells nothing
    "tilt_deg": ("one", "strange", "fast", "filled_fast", *(term for term in _STRIDE if term != "odd")),
    "tilt_range_deg": ("one", "fast", *_STRIDE),
    "rotation_range_deg": ("one", "value", "strange", *_STRIDE),
}

# A ridge's predictions vary with the distance from its fit by spread^2 x inputs / runs: 16 runners at 3 speeds.
# Inside the fit that is part of what was measured; beyond it nothing was, and it is added.
RUNS_OF_FIT = 48
BEYOND: Mapping[str, int] = {
    "initial_contact_s": len(CONTACT_FEATURES),
    "toe_off_s": len(TOE_OFF_FEATURES),
    "contact_time_s": len(CONTACT_FEATURES) + len(TOE_OFF_FEATURES),
    "flight_time_s": len(CONTACT_FEATURES) + len(TOE_OFF_FEATURES),
}
# In usual standard errors. Forward that might be backward is not seen in these runs: at a confidence of 0.1 the error
# of contact time was seen to double. These sensors turn on the belt about the vertical alone, loose ones do not.
AMBIGUOUS_RATIO, TURNED_RATIO = 2.4, 0.9
# Nor do these runners turn. In bends of 20 m laid under them contact time lost 28 ms per radian per second, 3 usual
# standard errors, and the lean that is left after its correction is some 14 of those of an angle against the vertical.
TURNING_RATIO, TURNING_ANGLE_RATIO = 3.3, 14.0
ANGLES_TO_VERTICAL = ("peak_drop_deg", "tilt_deg")

# the share outside one standard error is counted softly over a quarter of an e-fold: smooth enough to be solved
_SOFTNESS = 0.25
_ROUNDS = 100
# every third step: neighbours err alike, and all of them tell no more
_EVERY = 3


# Their errors follow from those of their factors, step by step (`pelvis.speed`): what stands here is for a runner of
# whom no speed is known, who runs at 3.3 m/s.
DERIVED: Mapping[str, ErrorModel] = {
    "speed_mps": ErrorModel({}, 1.0, 1.0, round(ESTIMATE_ERROR_RATIO * 3.3, 3)),
    "step_length_m": ErrorModel({}, 1.0, 1.0, round(ESTIMATE_ERROR_RATIO * 1.15, 3)),
    "vertical_ratio_percent": ErrorModel({}, 1.0, 1.0, round(MODEL_ERROR_RATIO * 8.0, 3)),
}


def fit_errors(errors: Errors) -> dict[str, ErrorModel]:
    """Return a model per metric and event."""
    return {name: DERIVED[name] if name in DERIVED else _fit(errors, name) for name in NAMES}


def _fit(errors: Errors, name: str) -> ErrorModel:
    error = errors.errors[:, NAMES.index(name)]
    squares = errors.terms(name)
    columns = [ALL_TERMS.index(term) for term in EXPLAINED_BY[name]]
    known = np.isfinite(error) & np.isfinite(squares).all(axis=1)
    variances = np.zeros(squares.shape[1])
    variances[columns] = balanced(error[known][::_EVERY], squares[known][::_EVERY, columns])
    # most runs are like these; the rare ones have a say in the proportions, not in the whole
    often = known & np.isin(errors.device, (*PLAIN, *LOSSY)) & errors.scored
    variances *= np.quantile(np.abs(error[often]) / np.sqrt(squares[often] @ variances), WITHIN) ** 2
    common, dependence = _shared(errors, name)
    plain = known & np.isin(errors.device, PLAIN) & errors.scored
    typical = float(np.median(squares[plain] @ variances))
    if name in BEYOND:
        variances[TERMS.index("beyond")] = common * typical * BEYOND[name] / RUNS_OF_FIT
    variances[TERMS.index("ambiguous")] = typical * AMBIGUOUS_RATIO**2
    turning = TURNING_ANGLE_RATIO if name in ANGLES_TO_VERTICAL else TURNING_RATIO
    variances[TERMS.index("turning")] = typical * turning**2
    turned = TERMS.index("turned")
    variances[turned] = max(float(variances[turned]), typical * TURNED_RATIO**2)
    terms = {term: _rounded(x) for term, x in zip(ALL_TERMS, np.sqrt(variances).tolist(), strict=True) if x > 0.0}
    return ErrorModel(terms, _rounded(common, 2), _rounded(dependence, 2), _rounded(float(np.sqrt(typical))))


def balanced(error: Array, squares: Array) -> Array:
    """Return variances (terms,), none negative, of which ``squares`` (n, terms) make those of the errors (n,).

    They are such that, weighted by what any one term adds to the variance of a step, 32 % of the errors lie outside
    one standard error. Only the order of size of an error counts, so that wild ones do not.
    """
    size = np.log(np.maximum(np.abs(error), 1e-9))
    mean = squares.mean(axis=0)
    used = mean > 0.0
    variances = np.zeros(squares.shape[1])
    variances[used] = np.quantile(np.abs(error), WITHIN) ** 2 / (mean[used] * used.sum())
    for _ in range(_ROUNDS):
        variance = squares @ variances
        share = squares / variance[:, np.newaxis]
        outside = 1.0 / (1.0 + np.exp((0.5 * np.log(variance) - size) / _SOFTNESS))
        wanted = (1.0 - WITHIN) * share.sum(axis=0)
        variances[used] *= ((share * outside[:, np.newaxis]).sum(axis=0))[used] / wanted[used]
    # a term that explains next to nothing is left out
    variances[variances * np.quantile(squares, 0.99, axis=0) < 1e-3 * np.median(squares @ variances)] = 0.0
    return variances


def _shared(errors: Errors, name: str) -> tuple[float, float]:
    """Return the common share of the undisturbed variance, and by how much means err more than of independent steps."""
    error = errors.errors[:, NAMES.index(name)]
    means: list[float] = []
    blocks: list[float] = []
    within: list[float] = []
    chosen = np.isin(errors.device, PLAIN) & errors.scored & np.isfinite(error)
    for device in PLAIN:
        for trial in np.unique(errors.trial[chosen]):
            one = error[chosen & (errors.device == device) & (errors.trial == trial)]
            rest = one - one.mean()
            count = len(one) // FEWEST_STEPS
            means.append(float(one.mean()))
            within.append(float(rest.var()))
            if count > 1:
                block: Array = rest[: count * FEWEST_STEPS].reshape(count, FEWEST_STEPS).mean(axis=1)
                blocks.append(float(np.mean(block**2)) / (1.0 / FEWEST_STEPS - 1.0 / len(one)) / float(rest.var()))
    independent = float(np.mean(within))
    dependence = float(np.mean(blocks))
    common = max(0.0, float(np.mean(np.square(means))) - independent * dependence / len(error[chosen]) * len(means))
    return common / (common + independent), dependence


def sides_error_s(errors: Errors) -> float:
    """Return how far the difference of left and right contact time is off in a run, s."""
    error = errors.errors[:, NAMES.index("contact_time_s")]
    differences: list[float] = []
    for device in PLAIN:
        for trial in np.unique(errors.trial):
            one = (errors.device == device) & (errors.trial == trial) & errors.scored
            differences.append(float(error[one & errors.left].mean() - error[one & ~errors.left].mean()))
    return _rounded(float(np.sqrt(np.mean(np.square(differences)))), 2)


def _rounded(x: float, digits: int = DIGITS) -> float:
    return float(f"{x:.{digits}g}")


# ---------------------------------------------------------------- whether it holds


def stated(errors: Errors, name: str, model: ErrorModel) -> Array:
    """Return the standard errors (n,) a model states; NaN where it cannot."""
    return np.asarray(np.sqrt(errors.terms(name) @ model.squares(ALL_TERMS)))


# what is asked: of all steps, and of each third of the stated errors at each speed
OVERALL, GROUP = (0.60, 0.76), (0.55, 0.80)
# fewer steps than these tell nothing about a share
_FEW = 50


@dataclass(frozen=True, slots=True)
class Shares:
    """The share of errors within one standard error: of all steps, and of each third of the stated errors.

    ``thirds`` by speed in m/s: those of the smallest, middling and largest stated errors.
    """

    whole: float
    thirds: Mapping[float, tuple[float, float, float]]

    @property
    def unmet(self) -> int:
        """How many of them are not what is asked."""
        groups = [share for thirds in self.thirds.values() for share in thirds]
        outside = sum(not GROUP[0] <= share <= GROUP[1] for share in groups)
        return outside + (not OVERALL[0] <= self.whole <= OVERALL[1])


def shares(errors: Errors, said: Array, name: str, devices: Sequence[str]) -> Shares | None:
    """Return how many errors lie within the standard errors ``said`` (n,); None where too few are known."""
    error = np.abs(errors.errors[:, NAMES.index(name)])
    known = np.isfinite(error) & np.isfinite(said) & errors.scored & np.isin(errors.device, devices)
    if known.sum() < _FEW:
        return None
    thirds: dict[float, tuple[float, float, float]] = {}
    for speed_mps in np.unique(errors.speed_mps).tolist():
        mine, stated_there = (x[known & (errors.speed_mps == speed_mps)] for x in (error, said))
        low, high = np.quantile(stated_there, (1.0 / 3.0, 2.0 / 3.0)).tolist()
        third = (stated_there > low).astype(int) + (stated_there > high)
        small, middling, large = (float(np.mean((mine <= stated_there)[third == k])) for k in range(3))
        thirds[speed_mps] = (small, middling, large)
    return Shares(float(np.mean((error <= said)[known])), thirds)


def shares_table(errors: Errors, models: Mapping[str, ErrorModel]) -> str:
    """Return the shares of all metrics as a table in markdown."""
    head = "| | usual error | all steps | thirds of the stated error at 2.5, 3.5 and 4.5 m/s | 5 % lost: all | thirds |"
    lines = [head, "|---|---|---|---|---|---|"]
    for name, model in models.items():
        if name in DERIVED:
            continue
        said = stated(errors, name, model)
        cells: list[str] = []
        for devices in (PLAIN, LOSSY):
            found = shares(errors, said, name, devices)
            if found is not None:
                thirds = ", ".join(" ".join(f"{100.0 * x:.0f}" for x in row) for row in found.thirds.values())
                cells += [f"{100.0 * found.whole:.0f} %", thirds]
        lines.append(f"| `{name}` | {model.usual:.2g} | {' | '.join(cells)} |")
    return "\n".join(lines)


_PLACE = re.compile(r"(<!-- shares -->\n).*?(<!-- end -->)", re.DOTALL)


def put_on_page(page: Path, table: str) -> None:
    """Put the table of shares in its place on a page.

    Raises
    ------
    ConfigError
        When the page has no such place, or cannot be read.
    """
    try:
        text = page.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{page}: {error.strerror}") from error
    if not _PLACE.search(text):
        raise ConfigError(f"{page} has no line <!-- shares --> before a line <!-- end -->; name docs/uncertainty.md")
    with WholeFile(page) as file:
        file.write(_PLACE.sub(lambda found: f"{found[1]}{table}\n{found[2]}", text).encode())


# ---------------------------------------------------------------- as a file of the core

_HEAD = '''\
"""Fitted numbers of the standard errors.

Written by `hipdrive validate DATA --fit-errors --write-errors signal/pelvis/error_coefficients.py`, from the errors of
16 runners at 2.5, 3.5 and 4.5 m/s (Fukuchi, Fukuchi and Duarte 2017, doi:10.7717/peerj.3298, CC BY 4.0), each
measured with event models fitted on the 15 others.
"""

from __future__ import annotations

from pelvis.uncertainty import ErrorModel

# the event models whose errors these are
FITTED_FOR = "{version}"

# how far the difference of left and right contact time is off, run by run: averaging does not remove it
SIDES_SE_S = {sides_se_s!r}

# fmt: off
ERROR_MODELS: dict[str, ErrorModel] = {{
{models}}}
'''


def source_of(models: Mapping[str, ErrorModel], sides_se_s: float, version: str) -> str:
    """Return the text of `pelvis.error_coefficients` with these models of the event models of ``version``."""
    lines: list[str] = []
    for name, model in models.items():
        terms = "".join(f'"{term}": {value!r}, ' for term, value in model.terms.items()).strip()
        terms = textwrap.fill(terms, 110, initial_indent=12 * " ", subsequent_indent=12 * " ")
        lines.append(f'    "{name}": ErrorModel(\n' + (f"        {{\n{terms}\n        }}," if terms else "        {},"))
        lines.append(f"        common={model.common!r},\n        dependence={model.dependence!r},")
        lines.append(f"        usual={model.usual!r},\n    ),")
    return _HEAD.format(version=version, sides_se_s=sides_se_s, models="\n".join(lines) + "\n")
