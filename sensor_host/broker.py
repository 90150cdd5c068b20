"""The embedded broker: a child process that lives and dies with the host.

1. The broker is never part of the host's process: a busy host would hold every other client's messages up.
2. It listens on loopback only, open to the user's own programs. Beyond loopback it wants a password, and Mosquitto.
3. Between host and broker stands a watcher (`sensor_host.broker_watch`) whose standard input the host holds. It brings
   a broker that died back on the same port, and ends it when the host is gone, after kill -9 too.
4. Its address stands in a runtime file for as long as it runs. A start ends what a killed watcher left behind.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from sensor_host.broker_client import BrokerAddress, is_loopback
from sensor_host.config import MqttConfig
from sensor_host.errors import BrokerError, ConfigError
from sensor_host.runtime import RECORD_NAME, BrokerRecord, Process, end_orphans, forget, records, runtime_dir

Program = Literal["mosquitto", "amqtt"]

# Not MQTT's own 1883: a broker that the machine already runs keeps its port.
DEFAULT_PORT = 18833
USER = "hipdrive"
# 10 s: a hundred times what either broker needs on an idle machine
START_S = 10.0
STOP_S = 5.0

# Debian and Homebrew keep Mosquitto where an ordinary user's PATH does not look.
_MORE_PATH = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin", r"C:\Program Files\mosquitto")


def find_mosquitto() -> str | None:
    """Return the path of Mosquitto, or None."""
    return shutil.which("mosquitto", path=os.pathsep.join((os.environ.get("PATH", os.defpath), *_MORE_PATH)))


class EmbeddedBroker:
    """A broker of the host's own: ``async with EmbeddedBroker(config.mqtt) as broker: broker.url``.

    Parameters
    ----------
    config
        ``bind`` and ``port`` (0: 18833 if it is free, else any), ``topic_root`` for the runtime file.
    program
        Which one to run; by default Mosquitto where it is installed, else amqtt.

    Raises
    ------
    ConfigError
        On entering: it would be open to others and has no password.
    BrokerError
        On entering: none can be started, or the port is taken.
    """

    def __init__(self, config: MqttConfig, *, program: Program | None = None) -> None:
        self._config = config
        self._wanted = program
        self._watcher: subprocess.Popen[str] | None = None
        self._record_path = Path()
        self._folder = ""
        self.program: str = ""
        self.url = ""

    async def __aenter__(self) -> Self:
        config = self._config
        password = os.environ.get(config.password_env, "")
        if not is_loopback(config.bind) and not password:
            raise ConfigError(
                f"mqtt.bind: {config.bind} lets others in; set a password in the environment variable "
                f"{config.password_env}, or bind to 127.0.0.1",
                path="mqtt.bind",
                suggestion="127.0.0.1",
            )
        end_orphans()
        failures: list[str] = []
        for program, command in self._candidates():
            # A port found free can be taken before the broker has it: look for another one once.
            for _ in range(2):
                port = _free_port(config)
                failure = await self._start(program, command, port, password)
                if not failure:
                    return self
                failures.append(f"{program}: {failure}")
        raise BrokerError(f"the embedded broker does not start ({'; '.join(failures)}); use another one with --broker")

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self._stop)

    def _candidates(self) -> list[tuple[Program, list[str]]]:
        found: list[tuple[Program, list[str]]] = []
        mosquitto = find_mosquitto()
        if mosquitto is not None and self._wanted != "amqtt":
            found.append(("mosquitto", [mosquitto]))
        if is_loopback(self._config.bind) and self._wanted != "mosquitto":
            found.append(("amqtt", [sys.executable, "-P", "-m", "sensor_host.broker_amqtt"]))
        if not found:
            raise BrokerError("the embedded broker needs Mosquitto here: install it, or name a broker with --broker")
        return found

    async def _start(self, program: Program, command: list[str], port: int, password: str) -> str:
        """Start the watcher with one broker; return what went wrong, or nothing."""
        config = self._config
        folder = runtime_dir()
        taken = {path for path, _ in records()}
        plain = folder / RECORD_NAME
        self._record_path = folder / f"broker-{port}.json" if plain in taken else plain
        self._folder = tempfile.mkdtemp(prefix="broker-", dir=folder)
        if program == "mosquitto":
            command = [*command, "-c", str(_write_mosquitto_conf(Path(self._folder), config.bind, port, password))]
        else:
            command = [*command, str(port)]
        address = BrokerAddress(_reachable(config.bind), port, user="" if is_loopback(config.bind) else USER)
        me = Process.of(os.getpid())
        # The watcher fills in itself and the broker, and writes the file.
        record = BrokerRecord(str(address), program, config.topic_root, me, me, me, self._folder)
        self._watcher = subprocess.Popen(  # noqa: ASYNC220 - takes a millisecond, and works on every event loop
            [
                sys.executable,
                "-P",
                "-m",
                "sensor_host.broker_watch",
                str(self._record_path),
                record.to_json(),
                *command,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=_child_environment(),
            # Ctrl-C goes to every process of the terminal: the broker must outlive the host's last words.
            start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        assert self._watcher.stdout is not None
        try:
            async with asyncio.timeout(START_S):
                line = await asyncio.to_thread(self._watcher.stdout.readline)
        except BaseException as error:
            self._stop()
            if isinstance(error, TimeoutError):
                return f"not ready after {START_S:.0f} s"
            raise
        if line.strip() != "ready":
            self._stop()
            return line.strip().removeprefix("failed ") or "it ended at once"
        self.program, self.url = program, str(address)
        return ""

    def _stop(self) -> None:
        watcher, self._watcher = self._watcher, None
        if watcher is None:
            return
        assert watcher.stdin is not None
        assert watcher.stdout is not None
        with suppress(OSError):
            watcher.stdin.close()
        try:
            watcher.wait(STOP_S)
        except subprocess.TimeoutExpired:
            watcher.kill()
            watcher.wait()
        watcher.stdout.close()
        for path, record in list(records()):
            if path == self._record_path and record.watcher.pid == watcher.pid:
                record.broker.kill()
        forget(self._record_path, self._folder)


def _free_port(config: MqttConfig) -> int:
    """Return the configured port, or for 0 the default one if it is free, else any free one."""
    reason: str | None = None
    for port in (config.port,) if config.port else (DEFAULT_PORT, 0):
        with socket.socket(socket.AF_INET6 if ":" in config.bind else socket.AF_INET) as probe:
            if os.name == "posix":
                # As brokers do: a port whose last connections still linger counts as free.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((config.bind, port))
                # A socket that only waits for its bind is not enough on every system: listening makes it certain.
                probe.listen(1)
            except OSError as error:
                reason = error.strerror
                continue
            return int(probe.getsockname()[1])
    if config.port:
        raise BrokerError(
            f"port {config.port} of {config.bind} cannot be used ({reason}); choose another with mqtt.port, "
            f"or use the broker that runs there: --broker mqtt://localhost:{config.port}"
        )
    raise BrokerError(f"no port of {config.bind} can be used ({reason}); set mqtt.bind to 127.0.0.1")


def _reachable(bind: str) -> str:
    """Return the address at which this machine reaches what listens on ``bind``."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(bind, bind)  # noqa: S104


def _child_environment() -> dict[str, str]:
    """Return an environment in which a child finds this package, installed or not."""
    here = str(Path(__file__).resolve().parents[1])
    there = os.environ.get("PYTHONPATH", "")
    return {**os.environ, "PYTHONPATH": f"{here}{os.pathsep}{there}" if there else here}


def _write_mosquitto_conf(folder: Path, bind: str, port: int, password: str) -> Path:
    """Write Mosquitto's configuration and, beyond loopback, its password file."""
    lines = [
        f"listener {port} {bind}",
        "persistence false",
        "connection_messages false",
        "log_dest stderr",
        "log_timestamp false",
        "log_type error",
        "log_type warning",
        "log_type information",
        # A subscriber that falls behind keeps about a minute of messages, then loses the newest.
        "max_queued_messages 2000",
        "max_queued_bytes 4000000",
    ]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        # Started by root it would change to a user who cannot read this folder.
        lines.append("user root")
    if is_loopback(bind):
        lines.append("allow_anonymous true")
    else:
        passwords = folder / "passwords"
        passwords.touch(mode=0o600)
        passwords.write_text(f"{USER}:{_mosquitto_hash(password)}\n", encoding="utf-8")
        lines += ["allow_anonymous false", f"password_file {passwords}"]
    path = folder / "mosquitto.conf"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _mosquitto_hash(password: str, iterations: int = 10_000) -> str:
    """Return a password as Mosquitto keeps it: PBKDF2-HMAC-SHA512, format 7."""
    salt = secrets.token_bytes(12)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, iterations)
    return f"$7${iterations}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"
