"""The lower envelope of delays: when packets would have come if nothing had held them up.

A delay is never negative. So of all lines under the points (sensor time, receipt - sensor time) the one closest to them
tells how the clocks differ: its height the offset, its slope the drift (Moon, Skelly & Towsley 1999,
doi:10.1109/INFCOM.1999.749287).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from itertools import pairwise


class HostOffset:
    """The lower envelope of host minus session time, and its slope."""

    # 10 s: long enough to hold a notification that was not delayed, short enough to follow the drift
    BIN_S = 10.0
    # over less than a minute, milliseconds of delay look like drift
    SLOPE_AFTER_S = 60.0
    RECENT_BINS = 6

    def __init__(self) -> None:
        self._slope = 0.0
        self._slope_known = False
        self._intercept_s = math.inf
        self._hull: list[tuple[float, float]] = []
        self._first_s = 0.0
        self._recent: deque[tuple[float, float]] = deque(maxlen=self.RECENT_BINS)
        self._bin_end_s = -math.inf
        self._bin_lowest = (0.0, 0.0)
        self._bin_lowest_s = math.inf
        self._known = False

    @property
    def known(self) -> bool:
        return self._known

    @property
    def drift_ppm(self) -> float | None:
        """How much faster the host's clock runs than the sensor's; None until a minute was seen."""
        return self._slope * 1e6 if self._slope_known else None

    def observe(self, t_s: float, t_host_s: float) -> None:
        """Take the session time of a packet's last sample and when the host had it."""
        if t_s >= self._bin_end_s:
            self._close_bin(t_s)
        offset_s = t_host_s - t_s
        above_s = offset_s - self._slope * t_s
        if above_s < self._bin_lowest_s:
            self._bin_lowest_s = above_s
            self._bin_lowest = (t_s, offset_s)
            self._intercept_s = min(self._intercept_s, above_s)

    def host_from_session(self, t_s: float) -> float:
        return t_s + self._intercept_s + self._slope * t_s

    def session_from_host(self, t_host_s: float) -> float:
        return (t_host_s - self._intercept_s) / (1.0 + self._slope)

    def restart(self) -> None:
        """Forget the envelope but not the drift: the sensor's clock began anew, its crystal is the same."""
        self._hull.clear()
        self._recent.clear()
        self._bin_end_s = -math.inf
        self._intercept_s = math.inf
        self._known = False

    def _close_bin(self, t_s: float) -> None:
        if self._known:
            self._recent.append(self._bin_lowest)
            _extend(self._hull, self._bin_lowest)
            if self._bin_lowest[0] - self._first_s >= self.SLOPE_AFTER_S and len(self._hull) > 1:
                middle_s = 0.5 * (self._first_s + self._bin_lowest[0])
                self._slope = _slope_at(self._hull, middle_s)
                self._slope_known = True
            self._intercept_s = min(offset_s - self._slope * at_s for at_s, offset_s in self._recent)
        else:
            self._first_s = t_s
            self._known = True
        self._bin_lowest_s = math.inf
        self._bin_end_s = t_s + self.BIN_S


def slope_under(points: Iterable[tuple[float, float]]) -> float:
    """Return the slope of the line under at least two points, given from left to right, that is closest to them."""
    hull: list[tuple[float, float]] = []
    for point in points:
        _extend(hull, point)
    return _slope_at(hull, 0.5 * (hull[0][0] + hull[-1][0]))


def _extend(hull: list[tuple[float, float]], point: tuple[float, float]) -> None:
    """Add a point further right to a lower convex hull (Andrew 1979)."""
    while len(hull) > 1:
        (x0, y0), (x1, y1) = hull[-2], hull[-1]
        if (x1 - x0) * (point[1] - y0) - (y1 - y0) * (point[0] - x0) > 0:
            break
        hull.pop()
    hull.append(point)


def _slope_at(hull: list[tuple[float, float]], x: float) -> float:
    """Return the slope of the hull's edge over ``x``: of all lines under the points, the one closest to them."""
    for (x0, y0), (x1, y1) in pairwise(hull):
        if x <= x1:
            return (y1 - y0) / (x1 - x0)
    (x0, y0), (x1, y1) = hull[-2:]
    return (y1 - y0) / (x1 - x0)
