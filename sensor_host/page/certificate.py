"""The page's certificate and its key: read once before anything is served, so that what is wrong has a name."""

from __future__ import annotations

import re
import ssl
from pathlib import Path

from sensor_host.errors import ConfigError


def load(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """Let a server show ``certificate``; nobody is asked for the password of a key.

    Raises
    ------
    OSError
        Either cannot be read or is none; `ssl.SSLError` where they do not fit.
    """
    context.load_cert_chain(certificate, key or None, password=_nobody_knows)


def _nobody_knows() -> str:
    return ""


def check_certificate(certificate: str, key: str) -> None:
    """Check that the file ``certificate`` and its ``key`` (empty: in the same file) can be served with.

    Raises
    ------
    ConfigError
        They cannot; says which of the two is wrong, and what to do.
    """
    if not certificate:
        raise ConfigError(f"page.key: {key} is of no use without page.certificate: name both", path="page.key")
    chain = _read("certificate", certificate)
    secret = _read("key", key) if key else chain
    if not re.search(r"-----BEGIN (TRUSTED )?CERTIFICATE-----", chain):
        raise _wrong("certificate", f"{certificate} is no certificate in PEM form: it has no line BEGIN CERTIFICATE")
    if "PRIVATE KEY-----" not in secret:
        if key:
            raise _wrong("key", f"{key} is no key in PEM form: it has no line BEGIN PRIVATE KEY")
        raise _wrong("key", f"{certificate} holds no key: name the key's file")
    if "ENCRYPTED" in secret:
        raise _wrong("key", f"{key or certificate} wants a password: take it off (openssl pkey -in FILE -out NEW)")
    try:
        load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), *map(_expanded, (certificate, key)))
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            text = f"{key or certificate} is not the key of {certificate}: name the two that were made together"
            raise _wrong("key", text) from error
        text = f"{certificate} and its key cannot be used ({error.reason or error}): make them anew"
        raise _wrong("certificate", text) from error


def _expanded(path: str) -> str:
    return str(Path(path).expanduser()) if path else ""


def _read(name: str, path: str) -> str:
    try:
        return Path(path).expanduser().read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:
        raise _wrong(name, f"there is no file {path}") from None
    except OSError as error:
        raise _wrong(name, f"{path} cannot be read ({str(error.strerror).lower()})") from error


def _wrong(name: str, text: str) -> ConfigError:
    return ConfigError(f"page.{name}: {text}", path=f"page.{name}")
