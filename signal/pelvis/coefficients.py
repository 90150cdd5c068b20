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
        bias=-0.08206,
        weights=(
            -0.05391, 0.06971, -0.08265, -0.04329, 0.01172, -0.03159, -0.04766, 0.03851, 0.03191,
        ),
        mean=(
            1.42664, 0.21314, -0.43458, 1.43375, -0.29059, 0.1228, -0.15822, -0.10186, -0.33586,
        ),
        spread=(
            0.09654, 0.16904, 0.25863, 0.13111, 0.30658, 0.24287, 0.19719, 0.20698, 0.27042,
        ),
    ),
    toe_off=Ridge(
        columns=(
            1, 2, 5, 10, 15, 16, 17, 18,
        ),
        bias=0.32603,
        weights=(
            -0.13082, -0.10616, -0.11617, 0.02572, -0.03285, 0.04869, -0.06465, 0.04945,
        ),
        mean=(
            0.21314, 0.19819, 0.49572, -0.29059, -0.97509, 0.05442, 0.49482, 0.12799,
        ),
        spread=(
            0.16904, 0.15522, 0.17137, 0.30658, 0.31065, 0.42676, 0.43711, 0.25027,
        ),
    ),
    initial_contact_without_gyroscope=Ridge(
        columns=(
            0, 1, 2, 3, 4, 5, 6, 7, 8, 9,
        ),
        bias=-0.07037,
        weights=(
            -0.07023, 0.06462, 0.07734, -0.00054, -0.09988, 0.03995, 0.04492, -0.07266, -0.07959, -0.02749,
        ),
        mean=(
            1.4054, 0.17626, 0.1959, -0.19074, 0.18068, 0.43495, -0.29264, 0.06213, -0.43581, 1.4338,
        ),
        spread=(
            0.12371, 0.18966, 0.1621, 0.15536, 0.18805, 0.16396, 0.10602, 0.19424, 0.26494, 0.13143,
        ),
    ),
    toe_off_without_gyroscope=Ridge(
        columns=(
            0, 1, 2, 3, 4, 5, 6, 7, 8, 9,
        ),
        bias=0.45505,
        weights=(
            -0.08414, 0.02472, -0.04287, -0.02519, -0.0046, -0.09924, 0.00016, -0.03933, 0.09303, -0.01697,
        ),
        mean=(
            1.4054, 0.17626, 0.1959, -0.19074, 0.18068, 0.43495, -0.29264, 0.06213, -0.43581, 1.4338,
        ),
        spread=(
            0.12371, 0.18966, 0.1621, 0.15536, 0.18805, 0.16396, 0.10602, 0.19424, 0.26494, 0.13143,
        ),
    ),
)
