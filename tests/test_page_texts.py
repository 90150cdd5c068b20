"""The page's own texts: the same in every language, short, and none outside the catalogue."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import get_args, get_type_hints

import pytest
from test_phrases import ANATOMY

from sensor_host.config import CuesConfig
from sensor_host.page.server import WEB
from sensor_host.page.texts import texts_of

LANGUAGES = get_args(get_type_hints(CuesConfig)["language"])
PLACE = re.compile(r"\{(\w+)\}")
# symbols of units, and the program's name, are the same in every language
SAME = {"ms", "mm", "°", "–", "hipdrive", "0:00"}


def test_every_language_of_the_cues_has_its_texts_and_no_other_has() -> None:
    assert {path.stem for path in (WEB / "texts").iterdir()} == set(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_the_same_texts_with_the_same_values_in_them(language: str) -> None:
    texts = texts_of(language)
    assert {name: set(PLACE.findall(text)) for name, text in texts.items()} == {
        name: set(PLACE.findall(text)) for name, text in texts_of("en").items()
    }


@pytest.mark.parametrize("language", LANGUAGES)
def test_texts_are_short_and_without_anatomy(language: str) -> None:
    for name, text in texts_of(language).items():
        words = re.findall(r"\w+", PLACE.sub("", text).lower())
        assert len(words) <= 9, name
        assert not set(ANATOMY[language].split()) & set(words), name


def test_a_text_that_changes_is_written_differently_in_every_language() -> None:
    same = {name for name, text in texts_of("de").items() if text == texts_of("en")[name]}
    assert same == {"live", "coach", "left_letter", "right_letter"}


class Texts(HTMLParser):
    """Everything of a page that people read or are read to."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def handle_data(self, data: str) -> None:
        self.found.add(data.strip())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.found |= {given.get(name) or "" for name in ("aria-label", "title", "alt", "placeholder", "lang")}
        if tag == "meta" and given.get("name") == "description":
            self.found.add(given["content"] or "")


def test_no_text_stands_in_the_html_itself() -> None:
    page = Texts()
    page.feed((WEB / "index.html").read_text(encoding="utf-8"))
    left = {re.sub(r"\$\{\w+\}", "", text).strip() for text in page.found}
    assert left - {""} <= SAME


def test_every_text_is_used_and_every_used_one_is_there() -> None:
    page, manifest, *scripts = (
        path.read_text(encoding="utf-8") for path in (WEB / "index.html", WEB / "page.webmanifest", *WEB.glob("*.js"))
    )
    places = set(re.findall(r"\$\{(\w+)\}", page + manifest)) - {"language"}
    script = " ".join(scripts)
    asked = set(re.findall(r'\btext\("(\w+)"', script))
    texts = set(texts_of("en"))
    assert places | asked <= texts
    # a text may also be chosen out of a list
    assert texts - places <= set(re.findall(r'"(\w+)"', script))
