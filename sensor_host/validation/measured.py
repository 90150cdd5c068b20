"""Everything that is measured on the data sets, each once, when it is first asked for."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import cached_property
from pathlib import Path

from pelvis.coefficients import SHIPPED
from pelvis.models import EventModels
from sensor_host.errors import ConfigError
from sensor_host.validation.device import Device, portions, wear, without
from sensor_host.validation.field import Living, Slopes, live, score_slopes
from sensor_host.validation.fit import DRAWS, Training, fit_models, take_down
from sensor_host.validation.left_out import leave_each_out
from sensor_host.validation.score import RunScore, Score, Window, after_settling, said_of, score_run
from sensor_host.validation.sources import FUKUCHI, SETS, Run, Trial, fukuchi, present

USUAL = Device()

# a pause of the radio in the middle of the run: what was known of sides is lost
HOLE_START_S, HOLE_S = 12.0, 3.0
# within so many steps after it the sides must be known again
HOLE_STEPS = 15


class Measured:
    """The accuracy of the core on the data sets in a folder.

    Fukuchi's runs are measured with models that were fitted without the runner, unless ``shipped`` is asked for.
    ``tell`` is told what is being measured.

    Raises
    ------
    ConfigError
        When the folder holds none of the data sets.
    """

    def __init__(self, folder: Path, tell: Callable[[str], None] = lambda _: None) -> None:
        self.folder = folder
        self.sets = present(folder)
        if not self.sets:
            raise ConfigError(f"{folder} holds none of {', '.join(f'{name}/*.npz' for name in SETS)}")
        self._tell = tell
        self._scores: dict[tuple[Device, bool], Score] = {}
        self._holes: dict[bool, Score] = {}

    @cached_property
    def trials(self) -> list[Trial]:
        """Fukuchi's runs.

        Raises
        ------
        ConfigError
            When the folder holds none.
        """
        trials = fukuchi(self.folder)
        if not trials:
            raise ConfigError(f"{self.folder} has no runs in {FUKUCHI}/; the models are fitted on these")
        return trials

    @cached_property
    def training(self) -> Training:
        self._tell(f"what the models learn from: {len(DRAWS)} devices on {len(self.trials)} runs")
        return take_down(self.trials)

    @cached_property
    def fitted(self) -> EventModels:
        return fit_models(self.training)

    @cached_property
    def models(self) -> Mapping[str, EventModels]:
        """The models for each runner, fitted on all the others."""
        training = self.training
        self._tell("the models, each runner left out in turn")
        return leave_each_out(training)

    def score(self, device: Device = USUAL, *, shipped: bool = False) -> Score:
        """Return how the core does on all of Fukuchi's runs behind this device."""
        key = (device, shipped)
        if key not in self._scores:
            self._tell(f"Fukuchi: {_described(device)}{', shipped models' if shipped else ''}")
            self._scores[key] = Score(tuple(self._run(trial, device, shipped=shipped) for trial in self.trials))
        return self._scores[key]

    def hole(self, *, odd: bool) -> Score:
        """Return how the core does after a hole of about 3 s in each run, over an odd or even number of contacts.

        Of each run only what comes more than HOLE_STEPS contacts after the hole is scored.
        """
        if odd not in self._holes:
            self._tell(f"Fukuchi: a hole of {HOLE_S:g} s over an {'odd' if odd else 'even'} number of contacts")
            scores: list[RunScore] = []
            for trial in self.trials:
                run, end_s = _broken(wear(trial, USUAL), odd=odd)
                said = said_of(run.samples, models=self.models[trial.runner])
                scores.append(score_run(run, said, _late(run, end_s)))
            self._holes[odd] = Score(tuple(scores))
        return self._holes[odd]

    @cached_property
    def slopes(self) -> Slopes:
        self._tell("Alcantara")
        return score_slopes(self.folder)

    @cached_property
    def living(self) -> Living:
        self._tell("SisFall and Voisard")
        return live(self.folder)

    def _run(self, trial: Trial, device: Device, *, shipped: bool) -> RunScore:
        run = wear(trial, device)
        models = SHIPPED if shipped else self.models[trial.runner]
        clips = device.acc_range_g < USUAL.acc_range_g
        samples = portions(run.samples, device.acc_range_g) if clips else run.samples
        return score_run(run, said_of(samples, models=models, motion=device.gyroscope))


def _described(device: Device) -> str:
    """Return what of a device is not usual."""
    odd = [f"{name} {value}" for name, value in asdict(device).items() if value != getattr(USUAL, name)]
    return ", ".join(odd) or "the usual device"


def _broken(run: Run, *, odd: bool) -> tuple[Run, float]:
    """Return the run with a hole, and where it ends."""
    contact_s = run.truth.contact_s
    first = bisect_left(contact_s.tolist(), run.lead_s + HOLE_START_S)
    last = bisect_left(contact_s.tolist(), float(contact_s[first]) + HOLE_S)
    if (last - first) % 2 != int(odd):
        last += 1
    # from the middle of a flight to the middle of a flight
    start_s = 0.5 * (run.truth.toe_off_s[first - 1] + contact_s[first])
    end_s = 0.5 * (run.truth.toe_off_s[last - 1] + contact_s[last])
    return without(run, float(start_s), float(end_s)), float(end_s)


def _late(run: Run, end_s: float) -> Window:
    window = after_settling(run)
    contact_s = run.truth.contact_s
    start_s = float(contact_s[bisect_left(contact_s.tolist(), end_s) + HOLE_STEPS])
    return Window(window.wanted & (contact_s > start_s), start_s, window.end_s, side_steps=0)
