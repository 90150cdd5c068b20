"""What a runner's calibration is worth: print the tables of docs/calibration.md and the numbers they rest on.

python benchmarks/personal.py DATA_DIR

Every runner is measured with event models that have not seen him or her. About two minutes.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from sensor_host.validation import calibration, speed
from sensor_host.validation.device import Device
from sensor_host.validation.fit import take_down
from sensor_host.validation.left_out import leave_each_out
from sensor_host.validation.sources import fukuchi


def show(title: str, rows: Sequence[Sequence[str]]) -> None:
    print(f"\n## {title}\n")
    head, *body = rows
    for row in (head, ["---"] * len(head), *body):
        print(f"| {' | '.join(row)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA_DIR")
    trials = fukuchi(parser.parse_args().data)
    unseen = leave_each_out(take_down(trials))
    for name, value in speed.numbers(speed.observe(trials)).items():
        print(name, value)
    device = Device(seed=1)
    show("Speed, runner left out", speed.table(speed.observe(trials, [device], unseen)))
    means = calibration.run_means(trials, device, unseen)
    spread_s, reach = calibration.spread_and_reach(means)
    print(f"\nSPREAD_S {spread_s:.4f}, REACH {reach:.2f}")
    show("Contact time, runner left out", calibration.table(calibration.gains(trials, device, unseen)))
    show("Contact time, shipped models", calibration.table(calibration.gains(trials, device)))


if __name__ == "__main__":
    main()
