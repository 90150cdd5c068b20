"""What the host tells the page's server, in one line on its standard input: nothing secret stands in a command line."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from sensor_host.page.texts import texts_of


class Serving(msgspec.Struct, frozen=True, kw_only=True):
    """Where to listen, whom to let in, which broker to lead them to, and what the page is told of the session.

    ``texts`` are the page's own, in the language of the cues. ``through_mute``: rules whose cues are heard though
    the runner is muted. ``ticks`` and ``metronome_spm``: what sounds besides, as in `SoundConfig`.
    """

    bind: str
    port: int
    token: str
    certificate: str = ""
    key: str = ""
    broker_host: str = "127.0.0.1"
    broker_port: int = 1883
    broker_tls: bool = False
    broker_user: str = ""
    broker_password: str = ""
    root: str = "hipdrive/v1"
    runner: str = "runner"
    language: str = "en"
    through_mute: tuple[str, ...] = ()
    ticks: bool = False
    metronome_spm: float = 0.0
    phrases: Mapping[str, str] = {}
    texts: Mapping[str, str] = msgspec.field(default_factory=lambda: dict(texts_of()))


def read_serving(line: bytes) -> Serving:
    """Read the order.

    Raises
    ------
    msgspec.MsgspecError
        It is none.
    """
    return _decoder.decode(line)


_decoder = msgspec.json.Decoder(Serving)
