"""The catalogue: the same phrases in every language, short, and never about the body."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import get_args, get_type_hints

import pytest

from pelvis.data import Cue, Side
from sensor_host.config import CuesConfig, words_in_use
from sensor_host.messages import Address, encode
from sensor_host.phrases import MAX_WORDS, words_for, words_of
from sensor_host.settings import Flag, load, toml_value
from tests.said_examples import cue, session

LANGUAGES = get_args(get_type_hints(CuesConfig)["language"])

# Attention on one's own movement costs oxygen: no cue names a part of the body.
ANATOMY = {
    "en": "abs ankle ankles arm arms back butt chest core elbow feet foot glute glutes hamstring head heel heels hip "
    "hips knee knees leg legs lumbar muscle muscles pelvis sacrum shoulder shoulders spine stomach thigh toe toes",
    "de": "arm arme bauch becken bein beine brust ferse fersen fuß füße gesäß hüfte hüften knie kopf kreuzbein muskel "
    "muskeln oberschenkel po rücken rumpf schulter schultern wirbelsäule zehe zehen",
}


def a_cue(phrase: str, **parameters: float | str) -> Cue:
    return Cue(1, "rule", "phrase", phrase, Side.UNKNOWN, 5, 1.0, 4.0, {}, parameters)


def test_every_language_of_the_configuration_has_its_file_and_no_other_has() -> None:
    there = {
        entry.name.removesuffix(".toml") for entry in files("sensor_host.phrases").iterdir() if "toml" in entry.name
    }
    assert there == set(LANGUAGES) == set(ANATOMY)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_says_the_same_phrases(language: str) -> None:
    assert words_of(language).keys() == words_of("en").keys()


@pytest.mark.parametrize("language", LANGUAGES)
def test_phrases_are_short_and_without_anatomy(language: str) -> None:
    for phrase, words in words_of(language).items():
        assert 1 <= len(words.split()) <= MAX_WORDS, phrase
        assert not set(ANATOMY[language].split()) & set(words.lower().replace(",", "").replace(".", "").split()), phrase


def test_two_phrases_never_sound_the_same() -> None:
    for language in LANGUAGES:
        words = list(words_of(language).values())
        assert len(set(words)) == len(words)


def test_parameters_stand_in_the_words() -> None:
    words = {"beat": "{spm} a minute, {who}", "odd": "100 % {of} {it"}
    assert words_for(a_cue("beat", spm=178.0, who="you"), words) == "178 a minute, you"
    assert words_for(a_cue("odd"), words) == "100 % {of} {it"


def test_an_unknown_phrase_is_its_id() -> None:
    assert words_for(a_cue("some_thing"), {}) == "some thing"


def test_the_language_and_the_users_own_words_decide() -> None:
    config = load(
        flags=[
            Flag("--set", "cues.language", "de"),
            Flag("--set", "cues.phrases", '{"drop": "Wasserglas", "mine": "{spm} bitte"}'),
        ],
        environment={},
    ).config
    words = words_in_use(config)
    assert (words["drop"], words["mine"], words["sway"]) == ("Wasserglas", "{spm} bitte", words_of("de")["sway"])
    assert toml_value(config.cues.phrases) == '{ "drop" = "Wasserglas", "mine" = "{spm} bitte" }'


def test_a_message_carries_the_phrase_and_its_words() -> None:
    def payload(words: Mapping[str, str]) -> bytes:
        return encode(cue(), 0, Address("hipdrive", session(), words)).payload

    assert b'"phrase":"drop"' in payload(words_of("de"))
    assert b'"words":"Belt level"' in payload(words_of("en"))
    assert words_of("de")["drop"].encode() in payload(words_of("de"))
