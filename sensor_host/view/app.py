"""The window's process: Qt in the main thread, the wire in its own, and an orderly end for both."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication

from sensor_host.errors import BrokerError
from sensor_host.view.loading import Loading
from sensor_host.view.replay_window import ReplayWindow
from sensor_host.view.roster import Roster
from sensor_host.view.window import Window, application
from sensor_host.view.wire import Find, Wire


def show_live(find: Find, *, password_env: str, runner: str, words: Mapping[str, str]) -> None:
    """Show who runs until the window is closed.

    Raises
    ------
    BrokerError
        The broker does not want this user.
    """
    app = application()
    wire = Wire(find, password_env=password_env, runner=runner)
    refusals: list[str] = []

    def give_up(text: str) -> None:
        refusals.append(text)
        window.close()

    _close_on_signals(app)
    wire.start()
    try:
        window = Window(wire, Roster(words), runner)
        window.refused.connect(give_up)
        window.show()
        app.exec()
    finally:
        wire.close()
    if refusals:
        raise BrokerError(refusals[0])


def show_replay(loadings: Sequence[Loading]) -> None:
    """Show one or two recordings until the window is closed; it appears as soon as it is known that they can be used.

    Raises
    ------
    InputError
        A file cannot be used.
    ConfigError
        The configuration in a recording cannot be.
    """
    app = application()
    for loading in loadings:
        loading.wait_opened()
    _close_on_signals(app)
    window = ReplayWindow(loadings)
    window.show()
    app.exec()


def _close_on_signals(app: QApplication) -> None:
    # the window's timer lets Python see a signal within a frame; one that comes before is obeyed when there is a window
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: QTimer.singleShot(0, app.closeAllWindows))
