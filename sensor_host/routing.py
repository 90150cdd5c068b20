"""Which sensor's chain an arrival belongs to."""

from __future__ import annotations

from collections.abc import Sequence

from pelvis.data import CoreInput
from sensor_host.chain import SensorChain
from sensor_host.ports import Arrival, Injected, Notification, Role, SensorInfo, TimedBlock


class Router:
    """The chains of a session's sensors: arrivals in, core inputs out, in the order of arrival.

    Attributes
    ----------
    chains
        One for each role.
    """

    def __init__(self, sensors: Sequence[SensorInfo]) -> None:
        self.chains: dict[str, SensorChain] = {}
        # session time is the pelvis sensor's; what has no clock of its own is put into it
        pelvis = next((sensor for sensor in sensors if sensor.role == Role.PELVIS), None)
        session_time = None
        if pelvis is not None:
            self.chains[pelvis.role] = SensorChain(pelvis)
            session_time = self.chains[pelvis.role].session_from_host
        for sensor in sensors:
            if sensor is not pelvis:
                self.chains[sensor.role] = SensorChain(sensor, session_time)

    def take(self, arrival: Arrival) -> list[CoreInput]:
        """Return what an arrival says to the core."""
        if isinstance(arrival, Injected):
            return [arrival.item]
        chain = self.chains.get(arrival.role)
        if chain is None:
            return []
        if isinstance(arrival, Notification):
            return chain.feed((arrival,))
        if isinstance(arrival, TimedBlock):
            return chain.feed_block(arrival)
        chain.take_link(arrival)
        return []

    def take_batch(self, role: str, data: Sequence[bytes], t_host_s: Sequence[float]) -> list[CoreInput]:
        """Return what neighbouring notifications of one sensor say, as `take` would one by one."""
        chain = self.chains.get(role)
        return chain.feed_bytes(data, t_host_s) if chain is not None else []

    def host_from_session(self, t_s: float) -> float:
        """Return when a sample of that session time reaches the host at the earliest."""
        chain = self.chains.get(Role.PELVIS) or next(iter(self.chains.values()), None)
        return chain.host_from_session(t_s) if chain is not None else t_s

    def session_from_host(self, t_host_s: float) -> float:
        """Return the session time of a moment of the host's clock; 0 before the first sample."""
        chain = self.chains.get(Role.PELVIS) or next(iter(self.chains.values()), None)
        return chain.session_from_host(t_host_s) if chain is not None else 0.0
