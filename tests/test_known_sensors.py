from __future__ import annotations

import pytest

from sensor_host import known_sensors, places
from sensor_host.errors import ConfigError, InputError, OutputError
from sensor_host.known_sensors import KnownSensors

CLIP, STRAP, MAC_UUID = "C0:FF:EE:00:00:7A", "C0:FF:EE:00:00:80", "7A2B1C00-1111-2222-3333-444455556666"


def used() -> KnownSensors:
    known = KnownSensors().used(
        "anna", "pelvis", address=CLIP, name="RIMU 7A", board="rimu", when_utc="2026-01-02T03:04:05Z"
    )
    return known.used(
        "anna", "heart_rate", address=STRAP, name="H10 1", board="heart_rate", when_utc="2026-01-02T03:04:05Z"
    )


def test_what_is_saved_comes_back() -> None:
    assert known_sensors.load() == KnownSensors()
    known = used().named(CLIP, "Annas Clip é")
    known_sensors.save(known)
    assert known_sensors.load() == known


def test_each_runner_has_a_last_sensor_of_each_kind() -> None:
    known = used().used("ben", "pelvis", address="C0:FF:EE:00:00:02", name="RIMU 02", board="rimu", when_utc="")
    assert known.last_of("anna", "pelvis") == CLIP
    assert known.last_of("anna", "heart_rate") == STRAP
    assert known.last_of("ben", "pelvis") == "C0:FF:EE:00:00:02"
    assert known.last_of("ben", "heart_rate") == ""


def test_a_sensor_is_found_by_nickname_address_or_name_in_whatever_case() -> None:
    known = used().named("rimu 7a", "Red one")
    for which in ("RED ONE", CLIP.lower(), "Rimu 7A"):
        sensor = known.find(which)
        assert sensor is not None
        assert sensor.address == CLIP
    assert known.find("") is None
    assert known.resolve("red one") == CLIP
    # names and addresses are looked for as they are: a name may be another sensor's by now
    assert known.resolve("RIMU 7A") == "RIMU 7A"


def test_using_a_sensor_again_keeps_its_nickname_and_its_name() -> None:
    known = used().named(CLIP, "red")
    again = known.used("anna", "pelvis", address=CLIP.lower(), name="", board="rimu", when_utc="2026-02-02T00:00:00Z")
    sensor = again.at(CLIP)
    assert sensor is not None
    assert (sensor.nickname, sensor.name, sensor.last_used_utc) == ("red", "RIMU 7A", "2026-02-02T00:00:00Z")
    assert len(again.sensors) == 2


@pytest.mark.parametrize("address", ["aa:bb:cc:dd:ee:ff", MAC_UUID])
def test_an_address_can_be_named_before_it_was_ever_used(address: str) -> None:
    assert KnownSensors().named(address, "new").resolve("new").lower() == address.lower()


@pytest.mark.parametrize(
    ("which", "nickname", "says"),
    [
        ("nobody", "red", "no sensor is known as"),
        (CLIP, "  ", "1 to 32 signs"),
        (CLIP, "x" * 33, "1 to 32 signs"),
        (CLIP, "re\x1bd", "1 to 32 signs"),
        (CLIP, "Any", "taken for something else"),
        (CLIP, "aa:bb:cc:dd:ee:ff", "taken for something else"),
        (CLIP, "strap", f"is the nickname of {STRAP}"),
    ],
)
def test_a_nickname_that_cannot_be_one_is_refused(which: str, nickname: str, says: str) -> None:
    known = used().named(STRAP, "Strap")
    with pytest.raises(ConfigError, match=says):
        known.named(which, nickname)


def test_what_is_forgotten_is_preferred_no_more() -> None:
    known = used().without("h10 1")
    assert known.find(STRAP) is None
    assert known.last_of("anna", "heart_rate") == ""
    assert known.last_of("anna", "pelvis") == CLIP
    with pytest.raises(ConfigError, match="hipdrive sensors lists them"):
        known.without("h10 1")


@pytest.mark.parametrize(
    ("content", "says"),
    [("{", "damaged .*delete it"), ('{"schema": 9}', "update hipdrive"), ('{"schema": 1, "sensors": 3}', "damaged")],
)
def test_a_file_that_cannot_be_used_is_told(content: str, says: str) -> None:
    path = places.sensors_path()
    path.parent.mkdir(parents=True)
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=says):
        known_sensors.load()


def test_a_place_that_cannot_be_written_is_told() -> None:
    places.data_dir().parent.mkdir(parents=True, exist_ok=True)
    places.data_dir().write_text("a file where a folder should be", encoding="utf-8")
    with pytest.raises(OutputError, match="cannot be written"):
        known_sensors.save(used())
