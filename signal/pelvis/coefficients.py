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
        bias=-0.08041,
        weights=(
            -0.05455, 0.06988, -0.08264, -0.04385, 0.01172, -0.03176, -0.04783, 0.03876, 0.03172,
        ),
        mean=(
            1.4265, 0.21287, -0.4348, 1.43389, -0.29086, 0.12244, -0.15768, -0.10162, -0.33584,
        ),
        spread=(
            0.09666, 0.16891, 0.2589, 0.13135, 0.3065, 0.24303, 0.19743, 0.20648, 0.26958,
        ),
    ),
    toe_off=Ridge(
        columns=(
            1, 2, 5, 10, 15, 16, 17, 18,
        ),
        bias=0.3262,
        weights=(
            -0.1302, -0.10634, -0.11624, 0.02554, -0.03264, 0.04874, -0.06469, 0.04927,
        ),
        mean=(
            0.21287, 0.19826, 0.49574, -0.29086, -0.9748, 0.05336, 0.49451, 0.1277,
        ),
        spread=(
            0.16891, 0.15567, 0.17145, 0.3065, 0.31057, 0.42754, 0.43615, 0.25029,
        ),
    ),
    initial_contact_without_gyroscope=Ridge(
        columns=(
            0, 1, 2, 3, 4, 5, 6, 7, 8, 9,
        ),
        bias=-0.06849,
        weights=(
            -0.07038, 0.06517, 0.07765, -0.00097, -0.10036, 0.0395, 0.04446, -0.07289, -0.07947, -0.02872,
        ),
        mean=(
            1.40533, 0.17607, 0.19597, -0.19073, 0.18062, 0.43441, -0.29239, 0.0623, -0.43631, 1.43394,
        ),
        spread=(
            0.1238, 0.18972, 0.16265, 0.15517, 0.18838, 0.16483, 0.10574, 0.19411, 0.26512, 0.13173,
        ),
    ),
    toe_off_without_gyroscope=Ridge(
        columns=(
            0, 1, 2, 3, 4, 5, 6, 7, 8, 9,
        ),
        bias=0.45724,
        weights=(
            -0.08535, 0.02515, -0.04262, -0.02534, -0.00495, -0.09788, 0.00015, -0.03935, 0.09269, -0.0179,
        ),
        mean=(
            1.40533, 0.17607, 0.19597, -0.19073, 0.18062, 0.43441, -0.29239, 0.0623, -0.43631, 1.43394,
        ),
        spread=(
            0.1238, 0.18972, 0.16265, 0.15517, 0.18838, 0.16483, 0.10574, 0.19411, 0.26512, 0.13173,
        ),
    ),
)
