"""Who runs how, seen by which sensor: everything about a simulated run that can be chosen."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from pelvis.data import ActivityState, Side
from pelvis.runner import shapes
from pelvis.runner.sensor import SensorModel

MIN_CONTACT_S, MIN_FLIGHT_S = 0.09, 0.02


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of one activity. None: endless (``duration_s``), the scenario's or the speed's norm (the rest)."""

    activity: ActivityState
    duration_s: float | None = None
    speed_mps: float | None = None
    cadence_spm: float | None = None
    contact_time_s: float | None = None


@dataclass(frozen=True, slots=True)
class Drift:
    """Changes that grow in a straight line from nothing at ``start_s`` to their full size at ``end_s`` and stay.

    Several add up: fatigue is one long drift, a fault that is put right a short one and its negative.
    """

    start_s: float
    end_s: float
    drop_left_deg: float = 0.0
    drop_right_deg: float = 0.0
    contact_time_s: float = 0.0
    cadence_spm: float = 0.0
    pelvis_sway_m: float = 0.0
    tilt_deg: float = 0.0
    rotation_range_deg: float = 0.0

    def share(self, t_s: float) -> float:
        """How much of the change has come at a time: 0 to 1."""
        if t_s >= self.end_s:
            return 1.0
        return max(0.0, (t_s - self.start_s) / (self.end_s - self.start_s))


@dataclass(frozen=True, slots=True)
class Variability:
    """Standard deviations from step to step; the defaults are those of the average treadmill runner."""

    step_time_s: float = 0.0065
    contact_time_s: float = 0.005
    drop_deg: float = 0.35
    tilt_deg: float = 0.25
    size_ratio: float = 0.06  # rotation, tilt range, sway, fore-aft
    impact_ratio: float = 0.15
    impact_delay_s: float = 0.003

    @classmethod
    def none(cls) -> Variability:
        """Every step the same."""
        return cls(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Scenario:
    """Who runs how, seen by which sensor. None means: the norm at the speed.

    Without ``phases`` the runner stands ``standing_s`` and then runs at ``speed_mps`` without end.
    ``drop_left_deg`` and ``drop_right_deg`` are contralateral drops from initial contact in left and right stance.
    ``tilt_deg`` is the mean while running minus standing. ``contact_asymmetry_ratio`` is (left - right) / mean
    of the contact times.
    ``fore_aft_ratio`` scales the fore-aft waveform and with it velocity loss and gain.
    ``impact_g`` is the transient the skin and strap pass on after each initial contact, ``wobble_g`` the damped
    oscillation that follows; 0 switches them off.
    """

    speed_mps: float = 3.2
    cadence_spm: float | None = None
    contact_time_s: float | None = None
    drop_left_deg: float | None = None
    drop_right_deg: float | None = None
    pelvis_sway_m: float | None = None
    tilt_deg: float | None = None
    tilt_range_deg: float | None = None
    rotation_range_deg: float | None = None
    contact_asymmetry_ratio: float = 0.0
    fore_aft_ratio: float = 1.0
    standing_tilt_deg: float = 9.0
    standing_obliquity_deg: float = 0.0
    postural_sway_deg: float = 0.15
    first_side: Side = Side.RIGHT
    standing_s: float = 5.0
    phases: tuple[Phase, ...] = ()
    drifts: tuple[Drift, ...] = ()
    variability: Variability = field(default_factory=Variability)
    impact_g: float = 0.5
    impact_delay_s: float = 0.032
    wobble_g: float = 0.12
    wobble_hz: float = 13.0
    wobble_decay_s: float = 0.04
    sensor: SensorModel = field(default_factory=SensorModel)
    duration_s: float | None = None

    def __post_init__(self) -> None:
        """Refuse what nobody can run (ValueError)."""
        if not 1.5 <= self.speed_mps <= 7.0:
            raise ValueError(f"speed_mps {self.speed_mps:g} is not between 1.5 and 7")
        if self.first_side is Side.UNKNOWN:
            raise ValueError("first_side must be left or right")
        if any(p.duration_s is None for p in self.plan[:-1]):
            raise ValueError("only the last phase can be endless: give the others a duration_s")
        if any(p.duration_s is not None and p.duration_s < 0 for p in self.plan):
            raise ValueError("a phase cannot have a negative duration_s")
        if any(p.activity is ActivityState.OTHER for p in self.plan):
            raise ValueError("a phase can be standing, walking or running")
        if any(d.end_s <= d.start_s for d in self.drifts):
            raise ValueError("a drift must end after it starts")
        for phase in self.plan:
            if phase.activity is ActivityState.RUNNING:
                speed = self.speed_of(phase)
                step_s = 60.0 / self.cadence_of(phase, speed)
                contact_s = self.contact_time_of(phase, speed)
                if not MIN_CONTACT_S <= contact_s <= step_s - MIN_FLIGHT_S:
                    raise ValueError(
                        f"a contact of {contact_s:g} s does not fit a running step of {step_s:.3f} s: "
                        f"choose {MIN_CONTACT_S:g} to {step_s - MIN_FLIGHT_S:.3f} s"
                    )

    @property
    def plan(self) -> tuple[Phase, ...]:
        """The phases, with the default filled in."""
        if self.phases:
            return self.phases
        return (Phase(ActivityState.STANDING, self.standing_s), Phase(ActivityState.RUNNING))

    @property
    def end_s(self) -> float:
        """When it is over, in device time; infinity where it never is."""
        if self.duration_s is not None:
            return self.duration_s
        return sum((float("inf") if p.duration_s is None else p.duration_s for p in self.plan), 0.0)

    def speed_of(self, phase: Phase) -> float:
        """Speed of a phase."""
        if phase.activity is ActivityState.STANDING:
            return 0.0
        if phase.speed_mps is not None:
            return phase.speed_mps
        return 1.35 if phase.activity is ActivityState.WALKING else self.speed_mps

    def cadence_of(self, phase: Phase, speed_mps: float) -> float:
        """Cadence of a phase at a speed, before drift and variability."""
        if phase.cadence_spm is not None:
            return phase.cadence_spm
        if phase.activity is ActivityState.WALKING:
            return 110.0
        return shapes.typical_cadence_spm(speed_mps) if self.cadence_spm is None else self.cadence_spm

    def contact_time_of(self, phase: Phase, speed_mps: float) -> float:
        """Contact time of a running phase at a speed, before asymmetry, drift and variability."""
        if phase.contact_time_s is not None:
            return phase.contact_time_s
        return shapes.typical_contact_time_s(speed_mps) if self.contact_time_s is None else self.contact_time_s

    def clean(self) -> Scenario:
        """Give the same runner with a faultless sensor that neither skin nor strap disturbs."""
        return replace(self, impact_g=0.0, wobble_g=0.0, sensor=SensorModel.ideal(self.sensor.rate_hz))
