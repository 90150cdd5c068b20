"""The core in the order in which data runs through it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pelvis.data import CoreInput, CoreOutput

ALGORITHM_VERSION = "1"


@dataclass(frozen=True, slots=True)
class Settings:
    """What the core can be told. ``motion`` asks for `Motion` blocks as well."""

    motion: bool = False


class Pipeline:
    """Feed it inputs in the order they came; it yields what there is to say, in time order."""

    def __init__(self, settings: Settings | None = None) -> None:
        self._settings = settings or Settings()

    def feed(self, item: CoreInput) -> Iterator[CoreOutput]:
        """Yield what this input made known, in the order of the deciding samples."""
        yield from ()

    def finish(self) -> Iterator[CoreOutput]:
        """Yield what is still open once the input has ended."""
        yield from ()
