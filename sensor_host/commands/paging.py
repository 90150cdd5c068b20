"""The phone page of a run: its link is shown before the run begins, its server lives beside the other sinks."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import click

from pelvis.cues import THROUGH_MUTE
from sensor_host.broker_client import BrokerAddress
from sensor_host.coaching import coaching
from sensor_host.config import Config
from sensor_host.errors import HipdriveError
from sensor_host.messages import Address
from sensor_host.page.link import Link, make_link
from sensor_host.page.orders import Serving
from sensor_host.page.texts import texts_of
from sensor_host.session import Session
from sensor_host.sinks.page import PageSink
from sensor_host.sonification import CONTACTS


def add_page(session: Session, config: Config, url: str | None, *, aside: bool) -> None:
    """Show the page's link and let its server live beside ``session``; where there can be none, say why.

    ``url`` is the broker's. With ``aside`` the link goes to standard error: standard output is somebody else's.
    """
    if url is None:
        _warn(session, "no page in this run: it lives on MQTT, and there is none (mqtt.broker)")
        return
    try:
        link = make_link(config.page)
    except HipdriveError as error:
        _warn(session, f"no page in this run: {error}")
        return
    click.echo(f"page: {link}", err=aside)
    for other in link.elsewhere:
        click.echo(f"page, should that one not open: {other}", err=aside)
    if link.reaches_nobody:
        _warn(session, "no phone can reach the page: this computer is in no network; join the phone's hotspot")
    elif not link.is_local:
        click.echo(link.drawn(), err=aside)
    session.add(PageSink(_serving(session, config, url, link), str(link), report=session.report))


def _warn(session: Session, text: str) -> None:
    """Say it now, while something can be done about it, and once more at the end."""
    session.tally.warnings.append(text)
    click.echo(f"hipdrive: warning: {text}", err=True)


def _expanded(path: str) -> str:
    return str(Path(path).expanduser()) if path else ""


def _sayable(config: Config, words: Mapping[str, str]) -> dict[str, str]:
    """Return what a coach may send: the phrases of the rules, the user's own, and praise; each wording once."""
    ids = [phrase for rule in coaching(config.cues)[1] for phrase in (rule.phrase, rule.alternate)]
    said = {words[phrase]: phrase for phrase in (*ids, *config.cues.phrases, "chime") if phrase in words}
    return {phrase: text for text, phrase in said.items()}


def _serving(session: Session, config: Config, url: str, link: Link) -> Serving:
    broker = BrokerAddress.parse(url)
    return Serving(
        bind=link.bind,
        port=link.port,
        token=link.token,
        certificate=_expanded(config.page.certificate),
        key=_expanded(config.page.key),
        broker_host=broker.host,
        broker_port=broker.port,
        broker_tls=broker.tls,
        broker_user=broker.user,
        broker_password=os.environ.get(config.mqtt.password_env, "") if broker.user else "",
        root=Address(config.mqtt.topic_root, session.info).top,
        runner=session.info.runner,
        language=config.cues.language,
        through_mute=tuple(sorted(THROUGH_MUTE)),
        ticks=config.sound.sonify == CONTACTS,
        metronome_spm=config.sound.metronome_spm,
        phrases=_sayable(config, session.tally.words),
        texts=dict(texts_of(config.cues.language)),
    )
