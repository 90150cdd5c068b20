"""What the page itself says, one file per language beside its other files, in the form of `sensor_host.phrases`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType


@cache
def texts_of(language: str = "en") -> Mapping[str, str]:
    """Return every text of the page by its name; ``language`` is that of a file in `sensor_host/web/texts`."""
    text = files("sensor_host").joinpath("web", "texts", f"{language}.toml").read_text(encoding="utf-8")
    return MappingProxyType({str(name): str(words) for name, words in tomllib.loads(text).items()})
