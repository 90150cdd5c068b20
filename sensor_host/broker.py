"""The embedded broker: a child process on loopback that lives and dies with the host."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from sensor_host.config import MqttConfig


class EmbeddedBroker:
    """A broker of the host's own: ``async with EmbeddedBroker(config.mqtt) as broker: broker.url``.

    Entering raises `BrokerError` where none can be started and `ConfigError` where it would be open to others.
    """

    def __init__(self, config: MqttConfig) -> None:
        self._config = config
        self.url = ""
        self.program = ""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return
