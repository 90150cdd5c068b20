"""Fitted numbers of the standard errors.

Written by `hipdrive validate DATA --fit-errors --write-errors signal/pelvis/error_coefficients.py`, from the errors of
16 runners at 2.5, 3.5 and 4.5 m/s (Fukuchi, Fukuchi and Duarte 2017, doi:10.7717/peerj.3298, CC BY 4.0), each
measured with event models fitted on the 15 others.
"""

from __future__ import annotations

from pelvis.uncertainty import ErrorModel

# the event models whose errors these are
FITTED_FOR = "harmonic-3"

# how far the difference of left and right contact time is off, run by run: averaging does not remove it
SIDES_SE_S = 0.0057

# fmt: off
ERROR_MODELS: dict[str, ErrorModel] = {
    "initial_contact_s": ErrorModel(
        {
            "one": 0.00305, "slow": 0.00302, "fast": 0.00236, "beyond": 0.00188, "no_gyroscope": 0.00678,
            "turned": 0.00466, "ambiguous": 0.0124, "turning": 0.0171, "filled": 0.00723, "filled_lately":
            0.00765, "clipped": 0.0142, "settling": 0.000912, "uneven": 0.0315, "odd": 0.268,
        },
        common=0.7,
        dependence=1.0,
        usual=0.00518,
    ),
    "toe_off_s": ErrorModel(
        {
            "one": 0.00401, "slow": 0.00332, "fast": 0.00271, "beyond": 0.00204, "no_gyroscope": 0.00493,
            "turned": 0.00554, "ambiguous": 0.0148, "turning": 0.0203, "filled": 0.00902, "filled_lately":
            0.0136, "clipped": 0.0269, "settling": 0.00332, "uneven": 0.0949, "odd": 0.268,
        },
        common=0.66,
        dependence=1.6,
        usual=0.00615,
    ),
    "contact_time_s": ErrorModel(
        {
            "one": 0.00583, "slow": 0.00508, "fast": 0.00276, "beyond": 0.00423, "no_gyroscope": 0.00827,
            "turned": 0.00775, "ambiguous": 0.0207, "turning": 0.0284, "filled": 0.00741, "filled_lately":
            0.015, "clipped": 0.0188, "settling": 0.00393, "uneven": 0.114, "odd": 0.489,
        },
        common=0.68,
        dependence=1.3,
        usual=0.00861,
    ),
    "cadence_spm": ErrorModel(
        {
            "one": 2.2, "no_gyroscope": 2.89, "turned": 2.09, "ambiguous": 5.58, "turning": 7.67, "filled":
            3.79, "filled_before": 1.54, "filled_lately": 4.23, "clipped": 3.28, "settling": 1.42, "odd":
            0.443,
        },
        common=0.0,
        dependence=0.076,
        usual=2.33,
    ),
    "pelvic_drop_deg": ErrorModel(
        {
            "one": 0.239, "slow": 0.142, "turned": 0.268, "ambiguous": 0.715, "no_standing": 0.134, "turning":
            0.983, "filled": 0.83, "filled_lately": 0.529, "clipped": 0.626, "settling": 0.236, "uneven":
            2.83, "odd": 0.241,
        },
        common=0.52,
        dependence=0.89,
        usual=0.298,
    ),
    "peak_drop_deg": ErrorModel(
        {
            "one": 0.165, "fast": 0.221, "strange": 0.128, "turned": 0.302, "ambiguous": 0.804, "turning":
            4.69, "filled": 1.02, "filled_lately": 4.29, "filled_fast": 2.06, "clipped": 3.98, "settling":
            0.313, "uneven": 9.74, "odd": 0.245,
        },
        common=0.22,
        dependence=0.48,
        usual=0.335,
    ),
    "velocity_loss_mps": ErrorModel(
        {
            "one": 0.0155, "strange": 0.0149, "no_gyroscope": 0.0391, "turned": 0.0208, "ambiguous": 0.0555,
            "no_standing": 0.00875, "turning": 0.0763, "filled": 0.0903, "filled_lately": 0.126, "clipped":
            0.0753, "settling": 0.00321, "uneven": 0.381, "odd": 0.23,
        },
        common=0.46,
        dependence=0.49,
        usual=0.0231,
    ),
    "velocity_gain_mps": ErrorModel(
        {
            "one": 0.0273, "no_gyroscope": 0.0803, "turned": 0.041, "ambiguous": 0.109, "no_standing": 0.0199,
            "turning": 0.15, "filled": 0.14, "filled_lately": 0.249, "clipped": 0.157, "settling": 0.0265,
            "uneven": 0.824, "value": 0.0381, "odd": 0.452,
        },
        common=0.54,
        dependence=0.66,
        usual=0.0456,
    ),
    "speed_mps": ErrorModel(
        {},
        common=1.0,
        dependence=1.0,
        usual=0.462,
    ),
    "step_length_m": ErrorModel(
        {},
        common=1.0,
        dependence=1.0,
        usual=0.161,
    ),
    "flight_time_s": ErrorModel(
        {
            "one": 0.00588, "slow": 0.00507, "fast": 0.00186, "beyond": 0.0042, "no_gyroscope": 0.00854,
            "turned": 0.0076, "ambiguous": 0.0203, "turning": 0.0279, "filled": 0.00079, "filled_lately":
            0.0179, "filled_stride": 0.0133, "clipped": 0.0212, "settling": 0.00587, "uneven": 0.0972, "odd":
            0.422,
        },
        common=0.7,
        dependence=1.4,
        usual=0.00845,
    ),
    "step_time_s": ErrorModel(
        {
            "one": 0.00353, "slow": 0.00134, "fast": 0.00253, "no_gyroscope": 0.00593, "turned": 0.00436,
            "ambiguous": 0.0116, "turning": 0.016, "filled": 0.000914, "filled_lately": 0.0106,
            "filled_stride": 0.0104, "clipped": 0.006, "settling": 0.00258, "odd": 0.353,
        },
        common=0.0,
        dependence=0.059,
        usual=0.00485,
    ),
    "vertical_oscillation_m": ErrorModel(
        {
            "one": 0.0022, "no_gyroscope": 0.00354, "turned": 0.00286, "ambiguous": 0.00764, "no_standing":
            0.000209, "turning": 0.0105, "filled_lately": 0.0114, "filled_stride": 0.00798, "clipped": 0.0567,
            "settling": 0.00176, "uneven": 0.0201, "value": 0.0187, "odd": 0.317, "filled_value": 0.0783,
        },
        common=0.39,
        dependence=0.2,
        usual=0.00318,
    ),
    "vertical_ratio_percent": ErrorModel(
        {},
        common=1.0,
        dependence=1.0,
        usual=0.72,
    ),
    "sway_m": ErrorModel(
        {
            "one": 0.00131, "turned": 0.00397, "ambiguous": 0.0106, "no_standing": 0.0009, "turning": 0.0146,
            "filled_lately": 0.0058, "filled_stride": 0.00401, "clipped": 0.00576, "settling": 0.00161,
            "value": 0.113, "odd": 0.372, "filled_value": 0.252,
        },
        common=0.66,
        dependence=0.7,
        usual=0.00441,
    ),
    "pelvis_sway_m": ErrorModel(
        {
            "one": 0.00152, "turned": 0.00245, "ambiguous": 0.00654, "no_standing": 0.00036, "turning":
            0.00899, "filled_lately": 0.00263, "filled_stride": 0.000497, "clipped": 0.00524, "settling":
            0.00149, "uneven": 0.00534, "value": 0.102, "odd": 0.607, "filled_value": 0.417,
        },
        common=0.22,
        dependence=0.69,
        usual=0.00273,
    ),
    "obliquity_range_deg": ErrorModel(
        {
            "one": 0.306, "strange": 0.0562, "turned": 0.284, "ambiguous": 0.759, "no_standing": 0.179,
            "turning": 1.04, "filled_lately": 2.2, "filled_stride": 2.18, "clipped": 1.34, "settling": 0.129,
            "uneven": 4.32, "odd": 0.109,
        },
        common=0.82,
        dependence=1.6,
        usual=0.316,
    ),
    "tilt_deg": ErrorModel(
        {
            "one": 0.23, "fast": 0.183, "strange": 0.152, "turned": 0.614, "ambiguous": 0.781, "turning":
            4.56, "filled_lately": 5.62, "filled_fast": 2.78, "clipped": 6.8, "settling": 0.35, "uneven":
            6.45,
        },
        common=0.94,
        dependence=6.9,
        usual=0.326,
    ),
    "tilt_range_deg": ErrorModel(
        {
            "one": 0.175, "fast": 0.309, "turned": 0.316, "ambiguous": 0.844, "turning": 1.16,
            "filled_lately": 1.93, "filled_stride": 2.57, "clipped": 0.512, "settling": 0.209, "uneven": 8.18,
            "odd": 0.0495,
        },
        common=0.76,
        dependence=2.5,
        usual=0.352,
    ),
    "rotation_range_deg": ErrorModel(
        {
            "one": 0.135, "strange": 0.305, "turned": 0.735, "ambiguous": 1.96, "turning": 2.69,
            "filled_lately": 2.2, "filled_stride": 2.81, "clipped": 0.593, "settling": 0.26, "uneven": 3.25,
            "value": 0.0489, "odd": 0.0882,
        },
        common=0.9,
        dependence=1.6,
        usual=0.816,
    ),
}
