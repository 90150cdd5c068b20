"""Fitted numbers of the event models, with their version.

Written by `hipdrive validate DATA --fit --write-coefficients signal/pelvis/coefficients.py`: regressions on the
force-plate contacts of 16 runners at 2.5, 3.5 and 4.5 m/s (Fukuchi, Fukuchi and Duarte 2017,
doi:10.7717/peerj.3298, CC BY 4.0), for signals at 200 Hz smoothed by the 11-point interior Hann window. They hold for
that rate and that window only.
"""

from __future__ import annotations

from pelvis.models import EventModels, Ridge

# fmt: off
SHIPPED = EventModels(
    version="harmonic-3",
    initial_contact=Ridge(
        columns=(
            0, 1, 8, 9, 10, 11, 12, 13, 14,
        ),
        bias=-0.08204,
        weights=(
            -0.05393, 0.06971, -0.08264, -0.04329, 0.01173, -0.03159, -0.04765, 0.0385, 0.03192,
        ),
        mean=(
            1.42663, 0.21314, -0.43457, 1.43375, -0.29059, 0.12279, -0.15824, -0.10187, -0.33583,
        ),
        spread=(
            0.09653, 0.16904, 0.25863, 0.13111, 0.30658, 0.24287, 0.19719, 0.20699, 0.27044,
        ),
    ),
    toe_off=Ridge(
        columns=(
            1, 2, 5, 10, 15, 16, 17, 18,
        ),
        bias=0.32602,
        weights=(
            -0.13079, -0.10618, -0.11616, 0.02569, -0.03285, 0.04869, -0.06464, 0.04944,
        ),
        mean=(
            0.21314, 0.1982, 0.49576, -0.29059, -0.97509, 0.05443, 0.49482, 0.128,
        ),
        spread=(
            0.16904, 0.15522, 0.1714, 0.30658, 0.31065, 0.42676, 0.43711, 0.25027,
        ),
    ),
    initial_contact_without_gyroscope=Ridge(
        columns=(
            0, 1, 2, 3, 4, 5, 6, 7, 8, 9,
        ),
        bias=-0.07029,
        weights=(
            -0.07015, 0.06487, 0.07727, -0.00045, -0.09988, 0.03961, 0.04494, -0.07298, -0.07962, -0.02752,
        ),
        mean=(
            1.40548, 0.17629, 0.19586, -0.19076, 0.18067, 0.43465, -0.29271, 0.0621, -0.43604, 1.4338,
        ),
        spread=(
            0.12372, 0.1897, 0.16211, 0.15537, 0.18808, 0.1639, 0.10614, 0.1943, 0.26489, 0.13143,
        ),
    ),
    toe_off_without_gyroscope=Ridge(
        columns=(
            0, 1, 2, 3, 4, 5, 6, 7, 8, 9,
        ),
        bias=0.45503,
        weights=(
            -0.08423, 0.02471, -0.04361, -0.02549, -0.00416, -0.09923, 6e-05, -0.03956, 0.09308, -0.01686,
        ),
        mean=(
            1.40548, 0.17629, 0.19586, -0.19076, 0.18067, 0.43465, -0.29271, 0.0621, -0.43604, 1.4338,
        ),
        spread=(
            0.12372, 0.1897, 0.16211, 0.15537, 0.18808, 0.1639, 0.10614, 0.1943, 0.26489, 0.13143,
        ),
    ),
)
