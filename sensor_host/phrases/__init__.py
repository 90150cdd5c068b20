"""The catalogue: what the ids of phrases are in words, one file per language.

Whatever speaks or shows a phrase looks its words up here; the core knows ids alone. Words are images of the outside,
never of the body, at most `MAX_WORDS` of them: they are heard while running.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pelvis.data import Cue

MAX_WORDS = 5


@cache
def words_of(language: str = "en") -> Mapping[str, str]:
    """Return the words of every phrase by its id; ``language`` is that of a file beside this one."""
    text = files(__name__).joinpath(f"{language}.toml").read_text(encoding="utf-8")
    return MappingProxyType({str(phrase): str(words) for phrase, words in tomllib.loads(text).items()})


def words_for(cue: Cue, words: Mapping[str, str]) -> str:
    """Return what a cue is in words: ``{name}`` stands for its parameter of that name.

    A phrase that ``words`` does not know is its id, so that it is seen that something was to be said.
    """

    def value(found: re.Match[str]) -> str:
        parameter = cue.parameters.get(found[1], found[0])
        return parameter if isinstance(parameter, str) else f"{parameter:g}"

    return re.sub(r"\{(\w+)\}", value, words.get(cue.phrase, cue.phrase.replace("_", " ")))
