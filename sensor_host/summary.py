"""What a session amounts to: counted while it runs, said on one screen and as JSON at its end."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

from pelvis.averages import BALANCE_STEPS, Average, Averages, Balance, balance_of
from pelvis.data import (
    Activity,
    ActivityState,
    ContactWithdrawn,
    Cue,
    CueOutcome,
    Gap,
    HeartRate,
    Notice,
    ProvisionalContact,
    Retention,
    RunBaseline,
    Samples,
    Side,
    Step,
    Stride,
)
from pelvis.metrics import METRICS, REFUSED
from sensor_host.ages import Ages
from sensor_host.baselines import speeds_text
from sensor_host.guide import RULE as GUIDE
from sensor_host.phrases import words_for, words_of
from sensor_host.ports import LinkHealth, Said, SinkState

# a step below this says little: it is counted, but kept out of the averages
GOOD_QUALITY = 0.5

CONTACT_TIME = "contact_time_s"


def versions() -> dict[str, str]:
    """Return the versions by which a result can be told from another: program, algorithms, schemas."""
    from pelvis.pipeline import ALGORITHM_VERSION
    from sensor_host import __version__, schemas

    return {
        "hipdrive": __version__,
        "algorithm": ALGORITHM_VERSION,
        "recording": schemas.RECORDING_SCHEMA,
        "mqtt": str(schemas.MQTT_SCHEMA),
        "steps_csv": schemas.STEPS_SCHEMA,
        "samples_csv": schemas.SAMPLES_SCHEMA,
        "summary": schemas.SUMMARY_SCHEMA,
    }


def _contact_time() -> Average:
    return Average(CONTACT_TIME)


@dataclass(slots=True)
class Quality:
    """Mean quality of all steps."""

    n: int = 0
    mean: float = 0.0

    def take(self, value: float) -> None:
        """Count a step in."""
        self.n += 1
        self.mean += (value - self.mean) / self.n


@dataclass(slots=True)
class Heart:
    """Heart rate over all readings of a strap that feels the heart, and the beats whose intervals came."""

    readings: int = 0
    mean_bpm: float = 0.0
    max_bpm: float = 0.0
    beats: int = 0

    def take(self, reading: HeartRate) -> None:
        """Count a reading in; 0 is what straps say without contact to the skin."""
        self.beats += len(reading.rr_s)
        if reading.heart_rate_bpm > 0:
            self.readings += 1
            self.mean_bpm += (reading.heart_rate_bpm - self.mean_bpm) / self.readings
            self.max_bpm = max(self.max_bpm, reading.heart_rate_bpm)


@dataclass(slots=True)
class Tally:
    """The running count of everything a session says; ``words`` are those of every phrase by its id."""

    steps: int = 0
    good_steps: int = 0
    withdrawn: int = 0
    contacts: int = 0
    sides: dict[str, int] = field(default_factory=dict[str, int])
    speed_sources: dict[str, int] = field(default_factory=dict[str, int])
    calibrations: list[dict[str, object]] = field(default_factory=list[dict[str, object]])
    metrics: Averages = field(default_factory=Averages)
    left_contact_time: Average = field(default_factory=_contact_time)
    right_contact_time: Average = field(default_factory=_contact_time)
    quality: Quality = field(default_factory=Quality)
    heart: Heart = field(default_factory=Heart)
    gaps: int = 0
    gaps_s: float = 0.0
    activity_s: dict[str, float] = field(default_factory=dict[str, float])
    cues: list[Cue] = field(default_factory=list[Cue])
    outcomes: dict[int, CueOutcome] = field(default_factory=dict[int, CueOutcome])
    retention: list[Retention] = field(default_factory=list[Retention])
    baselines: list[RunBaseline] = field(default_factory=list[RunBaseline])
    words: Mapping[str, str] = field(default_factory=words_of)
    notices: list[Notice] = field(default_factory=list[Notice])
    links: dict[str, LinkHealth] = field(default_factory=dict[str, LinkHealth])
    sinks: dict[str, SinkState] = field(default_factory=dict[str, SinkState])
    # how old contacts were when received, and how long it took from there until their tone was ordered (live only)
    contact_ages: Ages = field(default_factory=Ages)
    order_ages: Ages = field(default_factory=Ages)
    warnings: list[str] = field(default_factory=list[str])
    failures: list[Exception] = field(default_factory=list[Exception])
    first_s: float = math.nan
    last_s: float = math.nan
    _state: ActivityState | None = None
    _since_s: float = 0.0
    _good: set[int] = field(default_factory=set[int])

    def span(self, samples: Samples) -> None:
        """Note how far the input has come."""
        if len(samples.t_s):
            if math.isnan(self.first_s):
                self.first_s = float(samples.t_s[0])
            self.last_s = float(samples.t_s[-1])

    def take(self, item: Said) -> None:
        """Count one thing said."""
        match item:
            case Step():
                self._take_step(item)
            case Stride():
                if item.step_index in self._good:
                    self._good.discard(item.step_index)
                    self.metrics.take(item)
            case ProvisionalContact():
                self.contacts += 1
            case ContactWithdrawn():
                self.withdrawn += 1
            case Activity():
                self._change(item.state, item.t_s)
            case Gap():
                self.gaps += 1
                self.gaps_s += item.duration_s
            case HeartRate():
                self.heart.take(item)
            case Cue() | CueOutcome() | Retention() | RunBaseline():
                self._take_cue(item)
            case Notice():
                self.notices.append(item)
            case LinkHealth():
                self.links[item.role] = item
            case SinkState():
                self._take_sink(item)
            case _:
                pass

    def _take_cue(self, item: Cue | CueOutcome | Retention | RunBaseline) -> None:
        match item:
            case Cue():
                if item.rule != GUIDE:
                    self.cues.append(item)
            case CueOutcome():
                self.outcomes[item.cue_id] = item
            case Retention():
                self.retention.append(item)
            case RunBaseline():
                self.baselines.append(item)

    def _take_step(self, step: Step) -> None:
        self.steps += 1
        self.sides[step.side] = self.sides.get(step.side, 0) + 1
        self.speed_sources[step.speed_source] = self.speed_sources.get(step.speed_source, 0) + 1
        self.quality.take(step.quality)
        if step.quality >= GOOD_QUALITY:
            self.good_steps += 1
            self._good.add(step.step_index)
            self.metrics.take(step)
            if step.side is not Side.UNKNOWN:
                foot = self.left_contact_time if step.side is Side.LEFT else self.right_contact_time
                foot.take(step.metrics[CONTACT_TIME], step.errors[CONTACT_TIME], step.common_errors[CONTACT_TIME])

    @property
    def balance(self) -> Balance | None:
        """The feet's shares of contact time, as soon as there are enough steps of each."""
        return balance_of(self.left_contact_time, self.right_contact_time)

    def _take_sink(self, state: SinkState) -> None:
        before = self.sinks.get(state.sink)
        if state.state == "closed" and before is not None and before.state != "ready":
            # that it was closed in the end says less than what was wrong with it until then
            state = replace(before, dropped=state.dropped)
        self.sinks[state.sink] = state

    def _change(self, state: ActivityState | None, t_s: float) -> None:
        if self._state is not None:
            self.activity_s[self._state] = self.activity_s.get(self._state, 0.0) + max(0.0, t_s - self._since_s)
        self._state, self._since_s = state, t_s

    def finish(self) -> None:
        """Close what is open at the end of the input."""
        if not math.isnan(self.last_s):
            self._change(None, self.last_s)

    @property
    def duration_s(self) -> float:
        return 0.0 if math.isnan(self.first_s) else self.last_s - self.first_s

    def as_dict(self) -> dict[str, object]:
        """Return everything counted, ready for JSON (NaN stands for unknown)."""
        balance = self.balance
        return {
            "duration_s": round(self.duration_s, 3),
            "steps": self.steps,
            "good_steps": self.good_steps,
            "sides": dict(sorted(self.sides.items())),
            "speed_sources": {source or "unknown": count for source, count in sorted(self.speed_sources.items())},
            "calibrations": list(self.calibrations),
            "quality_mean": self.quality.mean if self.quality.n else None,
            "metrics": {
                average.name: {
                    "n": average.n,
                    "needs": average.needs,
                    "mean": average.mean,
                    "se": average.se,
                    "sd": average.sd,
                }
                for average in self.metrics
                if average.n
            },
            "contact_time_balance": {
                "left_steps": self.left_contact_time.n,
                "right_steps": self.right_contact_time.n,
                "needs": BALANCE_STEPS,
                "left_ratio": balance.ratio if balance is not None else None,
                "se_ratio": balance.se_ratio if balance is not None else None,
            },
            "refused": {row.name: row.reason for row in REFUSED.values()},
            "activity_s": {state: round(seconds, 3) for state, seconds in sorted(self.activity_s.items())},
            "provisional_contacts": self.contacts,
            "withdrawn_contacts": self.withdrawn,
            "contact_age": self.contact_ages.as_dict(),
            "order_age": self.order_ages.as_dict(),
            "heart_rate": {
                "readings": self.heart.readings,
                "mean_bpm": self.heart.mean_bpm,
                "max_bpm": self.heart.max_bpm,
                "beats": self.heart.beats,
            }
            if self.heart.readings
            else None,
            "gaps": self.gaps,
            "gaps_s": round(self.gaps_s, 3),
            "cues": self.cue_log(),
            "retention": [
                {"block": one.block, "held_ratio": one.held_ratio, "counted_s": one.counted_s} for one in self.retention
            ],
            "baselines": [asdict(one) for one in self.baselines],
            "notices": [{"t_s": notice.t_s, "kind": notice.kind, "text": notice.text} for notice in self.notices],
            "links": {
                role: {
                    "notifications": link.notifications,
                    "samples": link.samples,
                    "lost_samples": link.lost_samples,
                    "loss_known_by": link.loss_known_by,
                    "duplicates": link.duplicates,
                    "bad_notifications": link.bad_notifications,
                    "drift_ppm": link.drift_ppm,
                    "restarts": link.restarts,
                    "reboots": link.reboots,
                    "warning": link.warning,
                    "battery_ratio": link.battery_ratio,
                    "firmware": link.firmware,
                    "model": link.model,
                }
                for role, link in self.links.items()
            },
            "sinks": {
                sink.sink: {"state": sink.state, "detail": sink.detail, "dropped": sink.dropped}
                for sink in self.sinks.values()
            },
            "warnings": list(self.warnings),
        }

    def cue_log(self) -> list[dict[str, object]]:
        """Return every cue, why it was said and what became of it, ready for JSON."""
        return [
            {
                "t_s": cue.decided_at_s,
                "rule": cue.rule,
                "kind": cue.kind,
                "phrase": cue.phrase,
                "parameters": dict(cue.parameters),
                "words": words_for(cue, self.words),
                "side": cue.side,
                "why": dict(cue.why),
                "outcome": self._outcome(cue),
            }
            for cue in self.cues
        ]

    def cue_lines(self) -> list[str]:
        """Return the same as lines for a screen."""
        return [self._cue_line(cue) for cue in self.cues]

    def _cue_line(self, cue: Cue) -> str:
        why = ", ".join(
            f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in cue.why.items()
        )
        side = f" ({cue.side})" if cue.side is not Side.UNKNOWN else ""
        outcome = self.outcomes.get(cue.cue_id)
        after = ""
        if outcome is not None:
            after = f"; a minute later {outcome.value_after:.4g}, {'gone' if outcome.corrected else 'not gone'}"
        return (
            f"{clock(cue.decided_at_s):>8}  {cue.rule}, {cue.kind}: {words_for(cue, self.words)}{side}  [{why}{after}]"
        )

    def _outcome(self, cue: Cue) -> dict[str, object] | None:
        outcome = self.outcomes.get(cue.cue_id)
        if outcome is None:
            return None
        return {"value": outcome.value_after, "z": outcome.z_after, "corrected": outcome.corrected}

    def lines(self) -> list[str]:
        """Return the summary as lines for a screen."""
        lines = [f"{clock(self.duration_s)} long, {self.steps} steps{self._sides()}"]
        if self.activity_s:
            lines.append(", ".join(f"{state} {clock(seconds)}" for state, seconds in sorted(self.activity_s.items())))
        if self.good_steps:
            lines.append(f"{'':22}{'mean':>9}   {'error':7} {'sd':>8}")
            lines += [_average_line(average) for average in self.metrics if average.n]
            lines.append(self._balance_line())
            lines.append(f"  {'quality':20}{self.quality.mean:9.2f}")
            speeds = [f"{source} ({count} steps)" for source, count in sorted(self.speed_sources.items()) if source]
            if speeds:
                lines.append(f"speed from: {', '.join(speeds)}")
        lines += [f"calibration: {calibration['text']}" for calibration in self.calibrations]
        lines += [f"cue at {clock(cue.decided_at_s)}: {words_for(cue, self.words)}" for cue in self.cues[-5:]]
        lines += _baseline_lines(self.baselines)
        if self.heart.readings:
            beats = f", {self.heart.beats} beats" if self.heart.beats else ""
            lines.append(
                f"heart rate: {self.heart.mean_bpm:.0f} bpm on average, {self.heart.max_bpm:.0f} at most{beats}"
            )
        lines += [_link_line(link) for link in self.links.values()]
        lines += self._age_lines()
        if self.gaps:
            lines.append(f"{self.gaps} gaps, {clock(self.gaps_s)} in all")
        lines += [
            f"{sink.sink}: {sink.state}{f', {sink.dropped} dropped' if sink.dropped else ''}"
            f"{f' ({sink.detail})' if sink.detail else ''}"
            for sink in self.sinks.values()
            if sink.dropped or sink.state == "failed"
        ]
        lines += [f"note: {notice.text}" for notice in self.notices[-5:]]
        lines += [f"warning: {role}: {link.warning}" for role, link in self.links.items() if link.warning]
        lines += [f"warning: {warning}" for warning in self.warnings]
        return lines

    def _balance_line(self) -> str:
        balance = self.balance
        title = f"  {'left foot on ground':20}"
        if balance is None:
            has = f"{self.left_contact_time.n} and {self.right_contact_time.n}"
            return f"{title} needs {BALANCE_STEPS} steps of each foot (has {has})"
        return f"{title}{100.0 * balance.ratio:9.1f} ± {100.0 * balance.se_ratio:<7.1f} {'':8} %"

    def _age_lines(self) -> list[str]:
        received, ordered = self.contact_ages.as_dict(), self.order_ages.as_dict()
        if received is None:
            return []
        text = f"contacts were received {_milliseconds(received)} after touch-down"
        return [text if ordered is None else f"{text}, their tone ordered {_milliseconds(ordered)} later"]

    def _sides(self) -> str:
        known = [f"{count} {side}" for side, count in sorted(self.sides.items())]
        return f" ({', '.join(known)})" if known else ""


def _baseline_lines(baselines: Sequence[RunBaseline]) -> list[str]:
    """Return what the coach compared with at which speed, and what a fault kept out of the runner's own."""
    speeds: dict[str, set[float | None]] = {}
    left_out: dict[str, None] = {}
    for one in baselines:
        source = one.baseline_source or "nothing yet"
        if one.baseline_runs:
            source += f" ({one.baseline_runs} runs)"
        speeds.setdefault(source, set()).add(one.speed_mps)
        if one.left_out_steps:
            left_out[one.metric] = None
    lines: list[str] = []
    if speeds:
        parts = [f"{source} at {speeds_text(at)}" for source, at in speeds.items()]
        lines.append(f"coach compared with: {'; '.join(parts)}")
    if left_out:
        lines.append(f"kept out of the baseline while a fault stood: {', '.join(left_out)}")
    return lines


def _link_line(link: LinkHealth) -> str:
    parts = [f"{link.samples} samples", f"{link.lost_text} lost", f"{link.bad_notifications} bad notifications"]
    if link.reboots:
        parts.append(f"the sensor itself started anew {link.reboots} x")
    if link.battery_ratio is not None:
        parts.append(f"battery {link.battery_ratio:.0%}".replace("%", " %"))
    if link.model or link.firmware:
        parts.append(f"{link.model} firmware {link.firmware or 'unknown'}".strip())
    if not link.samples and link.detail:
        parts = [link.detail]
    return f"{link.role.replace('_', ' ')}: {', '.join(parts)}"


def _average_line(average: Average) -> str:
    metric = METRICS[average.name]
    title = f"  {metric.title:20}"
    if average.n < average.needs:
        return f"{title} needs {average.needs} steps (has {average.n})"
    mean, se, sd = (f"{value:.{metric.decimals}f}" for value in (average.mean, average.se, average.sd))
    return f"{title}{mean:>9} ± {se:7} {sd:>8} {metric.unit}"


def _milliseconds(ages: Mapping[str, object]) -> str:
    return f"{ages['p50_s'] * 1000:.0f} ms (95 %: {ages['p95_s'] * 1000:.0f} ms)"  # type: ignore[operator]


def clock(seconds: float) -> str:
    """Return seconds as a runner reads them: 4.2 s, 12:05, 1:02:05."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
