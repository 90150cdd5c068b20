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
    version="harmonic-2",
    initial_contact=Ridge(
        bias=-0.21573,
        weights=(
            -0.06485, 0.13007, 0.08669, -0.00939, -0.05832, 0.03017, 0.0669, -0.03653, -0.07816, -0.0387,
        ),
        mean=(
            1.42954, 0.21583, 0.19661, -0.17866, 0.17782, 0.49794, -0.30546, 0.08421, -0.4339, 1.43389,
        ),
        spread=(
            0.09333, 0.16669, 0.15448, 0.1415, 0.16229, 0.17013, 0.09251, 0.14735, 0.25807, 0.13132,
        ),
    ),
    toe_off=Ridge(
        bias=0.54023,
        weights=(
            -0.04316, -0.12593, -0.0591, 0.01911, 0.0262, -0.1082, -0.01653, -0.03291, 0.04959, -0.03752,
            0.03898, -0.00319, 0.02282, -0.03592, 0.0127, -0.03594, -0.01025, 0.0346,
        ),
        mean=(
            1.42954, 0.21583, 0.19661, -0.17866, 0.17782, 0.49794, -0.30546, 0.08421, -0.4339, 1.43389,
            0.08367, -0.04756, 0.24922, -0.97372, 0.04672, 0.49491, -0.1796, 0.12364,
        ),
        spread=(
            0.09333, 0.16669, 0.15448, 0.1415, 0.16229, 0.17013, 0.09251, 0.14735, 0.25807, 0.13132, 0.08256,
            0.12764, 0.21628, 0.31018, 0.42543, 0.43399, 0.20191, 0.24738,
        ),
    ),
    toe_off_without_gyroscope=Ridge(
        bias=0.54642,
        weights=(
            -0.04348, -0.05962, -0.03642, -0.0232, 0.03927, -0.11699, 0.01439, -0.04537, 0.07719, -0.01977,
        ),
        mean=(
            1.42954, 0.21583, 0.19661, -0.17866, 0.17782, 0.49794, -0.30546, 0.08421, -0.4339, 1.43389,
        ),
        spread=(
            0.09333, 0.16669, 0.15448, 0.1415, 0.16229, 0.17013, 0.09251, 0.14735, 0.25807, 0.13132,
        ),
    ),
)
