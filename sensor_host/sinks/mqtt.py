"""The MQTT sink: everything the session says, for whoever listens."""

from __future__ import annotations

from collections.abc import Callable

from pelvis.data import Command, Marker, Speed
from sensor_host.config import MqttConfig
from sensor_host.outbox import Outbox, Policy
from sensor_host.ports import Said, SessionInfo, SinkState

Inject = Callable[[Marker | Command | Speed], None]


class MqttSink:
    """Publishes what a session says, and hands back what is commanded.

    Parameters
    ----------
    config
        Its ``broker`` is used unless ``url`` is given (the embedded broker's).
    session
        Stands in `state` and, with its mode, in every cue.
    inject
        Called in the event loop with what a listener commands; ``t_s`` is the latest session time this sink saw.
    policy
        `DROP_OLDEST` live, `WAIT` in a replay (it turns to dropping while there is no connection).
    url
        The embedded broker's address.
    report
        Called with this sink's state whenever it changes; a refused password or a dead broker is told here, once.
    """

    name = "mqtt"

    def __init__(
        self,
        config: MqttConfig,
        session: SessionInfo,
        *,
        inject: Inject,
        policy: Policy,
        url: str = "",
        report: Callable[[SinkState], None] | None = None,
    ) -> None:
        self._outbox = Outbox[Said](self.name, config.outbox_items, policy)

    @property
    def state(self) -> SinkState:
        return SinkState(self.name, "ready")

    def put(self, item: Said) -> None:
        self._outbox.put(item)

    async def room(self) -> None:
        await self._outbox.room()

    async def run(self) -> None:
        while await self._outbox.take():
            pass

    def close(self) -> None:
        self._outbox.close()
