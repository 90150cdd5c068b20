"""Strides: from where they begin and end to what they measure, all of a block at once."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeAlias

from pelvis.data import CoreOutput, Side, Stride, StrideInputs
from pelvis.error_coefficients import ERROR_MODELS
from pelvis.metrics import STRIDE_NAMES, measure_stride
from pelvis.speed import speed_error_ratio
from pelvis.uncertainty import StandardErrors, product_error
from pelvis.windows import Past, StrideSpan, StrideView, view_strides

_STEP_TIME, _OSCILLATION, _RATIO = (
    STRIDE_NAMES.index(name) for name in ("step_time_s", "vertical_oscillation_m", "vertical_ratio_percent")
)


class WholeStride(NamedTuple):
    """A stride that is complete, with its place among what is said; `StrideMeter` makes it a `Stride`.

    ``terms`` and ``calibrated`` of `pelvis.uncertainty` are those of its first step, ``run`` counts the session's runs.
    """

    step_index: int
    side: Side
    span: StrideSpan
    run: int
    terms: tuple[float, ...]
    calibrated: float
    speed_source: str
    completed_at_s: float


class CutStride(NamedTuple):
    """A stride that will not be completed any more: only the next contact is known."""

    step_index: int
    initial_contact_s: float
    toe_off_s: float
    next_contact_s: float
    side: Side
    run: int
    terms: tuple[float, ...]
    calibrated: float
    speed_source: str
    completed_at_s: float


Told: TypeAlias = CoreOutput | WholeStride | CutStride


class StrideMeter:
    """Measures strides, all of a block at once."""

    def __init__(self, past: Past, *, tells_inputs: bool = False) -> None:
        self._past = past
        self._tells_inputs = tells_inputs
        self._errors = StandardErrors({name: ERROR_MODELS[name] for name in STRIDE_NAMES})

    def measure(self, told: Iterable[Told]) -> Iterator[CoreOutput]:
        """Yield what was told with its strides measured; what comes before them does not wait."""
        coming = iter(told)
        items: list[Told] = []
        for item in coming:
            if isinstance(item, WholeStride | CutStride):
                items = [item, *coming]
                break
            yield item
        whole = [item for item in items if isinstance(item, WholeStride)]
        views: Iterator[StrideView] = iter(())
        if whole:
            start = int(min(item.span.contacts[0] for item in whole))
            stop = int(max(item.span.contacts[2] for item in whole)) + 2
            views = iter(view_strides(self._past.rows.view(start, stop), start, [item.span for item in whole]))
        for item in items:
            if isinstance(item, WholeStride):
                yield self._stride(item, item.span.times_s[0], measure_stride(next(views)))
            elif isinstance(item, CutStride):
                known = dict.fromkeys(STRIDE_NAMES, math.nan)
                known["step_time_s"] = item.next_contact_s - item.initial_contact_s
                known["flight_time_s"] = item.next_contact_s - item.toe_off_s
                yield self._stride(item, item.initial_contact_s, known)
            else:
                yield item
                continue
            if self._tells_inputs:
                yield StrideInputs(item.step_index, item.terms)

    def _stride(self, stride: WholeStride | CutStride, contact_s: float, metrics: dict[str, float]) -> Stride:
        index = stride.step_index
        errors, common = self._errors.judge(stride.terms, metrics.values(), index, stride.run, stride.calibrated)
        errors[_RATIO], common[_RATIO] = product_error(
            metrics["vertical_ratio_percent"],
            speed_error_ratio(stride.speed_source),
            errors[_STEP_TIME] / metrics["step_time_s"],
            errors[_OSCILLATION] / metrics["vertical_oscillation_m"],
        )
        return Stride(
            index,
            index // 2,
            contact_s,
            stride.side,
            metrics,
            dict(zip(STRIDE_NAMES, errors, strict=True)),
            dict(zip(STRIDE_NAMES, common, strict=True)),
            stride.completed_at_s,
        )
