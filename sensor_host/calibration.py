"""Which of a runner's calibrations are in use, and how they are told to the core and to people.

1. Of contact time those count that have the reference of the last one: what two references call contact time is never
   mixed. Several of one reference, at different speeds, know the runner better than one.
2. Of speed every one counts: they are points of one law.
3. A calibration holds for the event models it was made with. With others it is left aside, and that is said.
4. What is in use stands in every summary; what was counted to check the cadence corrects nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from pelvis.coefficients import SHIPPED
from pelvis.data import Side
from pelvis.personal import ANYBODY, ContactOffset, ContactPoint, Personal, SpeedPoint
from pelvis.rules import Baseline
from sensor_host.runners import Calibration, Profile

CONTACT_TIME, SPEED, CADENCE_CHECK = "contact_time", "speed", "cadence_check"


def personal_of(profile: Profile, *, calibrated: bool = True) -> Personal:
    """Return what the core is told of a runner; nothing where the calibrations are to be left aside."""
    if not calibrated:
        return ANYBODY
    holding = [calibration for _, calibration, why_not in judged(profile) if not why_not]
    contacts = [one for one in holding if one.kind == CONTACT_TIME]
    return Personal(
        contact_time_reference=contacts[-1].reference if contacts else "",
        contact_points=tuple(
            ContactPoint(
                one.values["contact_time_s"], one.values["contact_time_offset_s"], one.values["standard_error_s"]
            )
            for one in contacts
        ),
        definition_sd_s=contacts[-1].values["definition_sd_s"] if contacts else 0.0,
        speed_points=tuple(
            SpeedPoint(
                one.values["speed_mps"],
                one.values["step_time_s"],
                one.values["velocity_gain_mps"],
                one.values["contact_time_s"],
            )
            for one in holding
            if one.kind == SPEED
        ),
    )


def moved(personal: Personal, baselines: Sequence[Baseline]) -> tuple[Baseline, ...]:
    """Return baselines that were found without calibration as they would be found with it."""
    if not personal.contact_points:
        return tuple(baselines)
    offset = ContactOffset(personal.contact_points, personal.definition_sd_s)
    contacts_s = {(one.side, one.speed_mps): one.mean for one in baselines if one.metric == "contact_time_s"}
    # a flight whose contact is not known: as where it was calibrated
    usual_s = personal.contact_points[-1].contact_time_s

    def move(one: Baseline) -> Baseline:
        either_s = contacts_s.get((Side.UNKNOWN, one.speed_mps), usual_s)
        contact_s = contacts_s.get((one.side, one.speed_mps), either_s)
        offset_s = offset.at(contact_s)
        if one.metric == "contact_time_s":
            return replace(one, mean=one.mean + offset_s)
        if one.metric == "flight_time_s":
            return replace(one, mean=one.mean - offset_s)
        if one.metric == "peak_force_ratio":
            # what is longer on the ground is shorter in the air: their sum, of which this is made, stays
            return replace(one, mean=one.mean * contact_s / (contact_s + offset_s))
        return one

    return tuple(move(one) for one in baselines)


def judged(profile: Profile) -> Iterator[tuple[int, Calibration, str]]:
    """Yield (number from 1, calibration, why it is not in use or nothing)."""
    contacts = [one.reference for one in profile.calibrations if one.kind == CONTACT_TIME and _fits(one)]
    for n, one in enumerate(profile.calibrations):
        why_not = ""
        if one.kind == CADENCE_CHECK:
            why_not = "a check, corrects nothing"
        elif not _fits(one):
            why_not = "made with older event models: calibrate again"
        elif one.kind == CONTACT_TIME and one.reference != contacts[-1]:
            why_not = f"replaced by {contacts[-1]}"
        yield n + 1, one, why_not


def _fits(calibration: Calibration) -> bool:
    return calibration.models == SHIPPED.version


def calibrations_in_use(profile: Profile, *, calibrated: bool = True) -> list[dict[str, object]]:
    """Return what a summary says about calibrations: those in use, and those that a user may think are.

    Each has ``number``, ``kind``, ``in_use``, ``reference``, ``measured_utc``, ``steps``, ``values`` and ``text``.
    """
    told: list[dict[str, object]] = []
    for number, one, why_not in judged(profile):
        if one.kind == CADENCE_CHECK or why_not.startswith("replaced"):
            continue
        if not calibrated:
            why_not = "left aside"
        told.append(
            {
                "number": number,
                "kind": one.kind,
                "in_use": not why_not,
                "reference": one.reference,
                "measured_utc": one.measured_utc,
                "steps": one.steps,
                "values": one.values,
                "text": f"{describe(one)}{f'; NOT in use: {why_not}' if why_not else ''}",
            }
        )
    return told


def describe(calibration: Calibration) -> str:
    """Return a calibration in a line."""
    values = calibration.values
    if calibration.kind == CONTACT_TIME:
        offset_ms, error_ms = 1e3 * values["contact_time_offset_s"], 1e3 * values["standard_error_s"]
        at_s = values["contact_time_s"]
        what = f"contact time {offset_ms:+.1f} ms (standard error {error_ms:.1f}) where it was {at_s:.3f} s"
    elif calibration.kind == SPEED:
        what = f"speed model at {values['speed_mps']:.2f} m/s"
    else:
        what = f"counted {values['counted']:.0f} steps, found {values['found']:.0f}"
    day = calibration.measured_utc.partition("T")[0]
    detail = f" ({calibration.detail})" if calibration.detail else ""
    return f"{what}: by {calibration.reference}{detail}, {calibration.steps} steps, {day}"
