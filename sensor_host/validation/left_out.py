"""Models that have not seen a runner: what to expect of the next one."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pelvis.models import EventModels
from sensor_host.validation.fit import Training, fit_models


def leave_each_out(training: Training) -> Mapping[str, EventModels]:
    """Return, for every runner, the models fitted on all the others."""
    return {runner: fit_models(training.without(runner)) for runner in np.unique(training.runner).tolist()}
