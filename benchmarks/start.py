"""How long it takes until the program says something."""

from __future__ import annotations

from measure import HIPDRIVE, median_cost_of, table


def main() -> None:
    for arguments in (["--help"], ["analyze", "--help"], ["config", "show"]):
        cost = median_cost_of([HIPDRIVE, *arguments], times=11)
        table((f"hipdrive {' '.join(arguments)}", f"{cost.wall_s * 1e3:.0f} ms, {cost.peak_mb:.0f} MB"))


if __name__ == "__main__":
    main()
