"""The configuration: who wins, where a value comes from, and what is said of a wrong one."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from sensor_host import places, settings
from sensor_host.config import Config
from sensor_host.errors import ConfigError
from sensor_host.settings import Flag, check, load


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_without_anything_the_defaults_hold() -> None:
    resolved = load(environment={})
    assert resolved.config == Config()
    assert set(resolved.origins.values()) == {"default"}
    assert set(resolved.origins) == set(settings.values(Config()))


def test_each_layer_wins_over_the_ones_before_and_is_named_as_origin() -> None:
    user = write(
        places.user_config_path(),
        '[runner]\nname = "anna"\n[sound]\nvolume = 0.1\nvoice = "fr"\ndevice = "user"\n'
        '[mqtt]\nport = 1\nbind = "::1"\n',
    )
    runner = write(
        places.runner_config_path("anna"), '[sound]\nvolume = 0.2\nvoice = "de"\ndevice = "anna"\n[mqtt]\nport = 2\n'
    )
    environment = {"HIPDRIVE_SOUND__VOLUME": "0.3", "HIPDRIVE_SOUND__VOICE": "it", "HIPDRIVE_MQTT_PASSWORD": "secret"}
    resolved = load(flags=[Flag("--set", "sound.volume", "0.4")], environment=environment)
    assert resolved.config.sound.volume == 0.4
    assert resolved.config.sound.voice == "it"
    assert resolved.config.sound.device == "anna"
    assert resolved.config.mqtt.port == 2
    assert resolved.config.mqtt.bind == "::1"
    assert {path: origin for path, origin in resolved.origins.items() if origin != "default"} == {
        "runner.name": str(user),
        "sound.volume": "--set",
        "sound.voice": "HIPDRIVE_SOUND__VOICE",
        "sound.device": str(runner),
        "mqtt.port": str(runner),
        "mqtt.bind": str(user),
    }


def test_the_runner_named_by_a_flag_decides_whose_file_is_read() -> None:
    write(places.user_config_path(), '[runner]\nname = "anna"\n')
    write(places.runner_config_path("ben"), "[cues]\nper_hour = 3\n")
    assert load(environment={}).config.cues.per_hour == 12
    assert load(flags=[Flag("--runner", "runner.name", "ben")], environment={}).config.cues.per_hour == 3


def test_a_given_file_stands_in_for_the_users_own(tmp_path: Path) -> None:
    write(places.user_config_path(), "[mqtt]\nport = 1\n")
    given = write(tmp_path / "other.toml", '[mqtt]\nbind = "::1"\n')
    config = load(file=given, environment={}).config
    assert (config.mqtt.port, config.mqtt.bind) == (0, "::1")


def test_text_becomes_the_type_of_the_setting() -> None:
    environment = {
        "HIPDRIVE_SOUND__ENABLED": "off",
        "HIPDRIVE_CUES__PER_HOUR": "6",
        "HIPDRIVE_SENSOR__WHICH": "42",
        "HIPDRIVE_CUES__RULES": '[{"name":"d","phrase":"sway",'
        '"when":[{"metric":"sway_m","direction":"above","threshold":1}]}]',
    }
    config = load(environment=environment).config
    assert config.sound.enabled is False
    assert config.cues.per_hour == 6
    assert config.sensor.which == "42"
    assert config.cues.rules[0].phrase == "sway"


@pytest.mark.parametrize(
    ("text", "path", "suggestion"),
    [
        ("[mqtt]\nbrokr = 'x'\n", "mqtt.brokr", "mqtt.broker"),
        ("[mqqt]\nbroker = 'x'\n", "mqqt", "mqtt"),
        ("[mqtt]\nport = 70000\n", "mqtt.port", "65535"),
        ("[mqtt]\nport = -1\n", "mqtt.port", "0"),
        ("[sound]\nvolume = 3\n", "sound.volume", "1"),
        ("[sound]\nvolume = nan\n", "sound.volume", ""),
        ("[sound]\nvolume = 'loud'\n", "sound.volume", ""),
        ("[sound]\nenabled = 'maybe'\n", "sound.enabled", ""),
        ("[mqtt]\nsamples = 'of'\n", "mqtt.samples", "off"),
        ("[runner]\nname = 'Anna Karenina'\n", "runner.name", "anna-karenina"),
        ("mqtt = 3\n", "mqtt", ""),
        ("[cues]\nrules = [3]\n", "cues.rules[0]", ""),
        ("[[cues.rules]]\nname = 'a'\n", "cues.rules[0].when", ""),
        (
            "[cues.phrases]\ndrop = 'this is more than can be heard'\n",
            "cues.phrases.drop",
            "",
        ),
        (
            "[[cues.rules]]\nname='a'\nphrase='swai'\nwhen=[{metric='sway_m',direction='above',threshold=1.0}]\n",
            "cues.rules[0].phrase",
            "sway",
        ),
        ("[cues]\nphrases = 3\n", "cues.phrases", ""),
        (
            "[[cues.rules]]\nname='a'\nphrase='sway'\nwhen=[{metric='sway_m',direction='abov',threshold=1.0}]\n",
            "cues.rules[0].when[0].direction",
            "above",
        ),
        ("[[cues.rules]]\nname='a'\nphrase='sway'\nwhen=[]\n", "cues.rules[0].when", ""),
        (
            "[[cues.rules]]\nname='a'\nwhen=[{metric='sway_m',direction='above',threshold=1.0}]\n",
            "cues.rules[0].phrase",
            "",
        ),
        (
            "[[cues.rules]]\nname='a'\nphrase='sway'\nwhen=[{metric='sway',direction='above',threshold=1.0}]\n",
            "cues.rules[0].when[0].metric",
            "sway_m",
        ),
        ("[sensor]\nreconnect_min_s = 9.0\n", "sensor.reconnect_min_s", "8"),
    ],
)
def test_a_wrong_setting_is_named_with_its_path_its_file_and_the_nearest_valid_one(
    tmp_path: Path, text: str, path: str, suggestion: str
) -> None:
    file = write(tmp_path / "config.toml", text)
    with pytest.raises(ConfigError) as told:
        load(file=file, environment={})
    message = str(told.value)
    assert told.value.exit_code == 2
    assert path in message
    assert str(file) in message
    assert "\n" not in message
    assert told.value.suggestion == suggestion
    assert suggestion in message


def test_the_origin_of_a_wrong_value_is_the_variable_or_the_flag() -> None:
    with pytest.raises(ConfigError, match="HIPDRIVE_MQTT__PROT"):
        load(environment={"HIPDRIVE_MQTT__PROT": "1"})
    with pytest.raises(ConfigError, match="--broker"):
        load(flags=[Flag("--broker", "mqtt.prot", "1")], environment={})
    with pytest.raises(ConfigError, match=r"section\.key"):
        load(flags=[Flag("--set", "volume", "1")], environment={})


def test_a_file_that_is_no_toml_is_refused_with_the_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="line 2"):
        load(file=write(tmp_path / "a.toml", "[mqtt]\nport = \n"), environment={})
    binary = tmp_path / "b.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="UTF-8"):
        load(file=binary, environment={})
    with pytest.raises(ConfigError, match="cannot be read"):
        load(file=tmp_path / "absent.toml", environment={})


def test_check_tells_every_fault_at_once(tmp_path: Path) -> None:
    file = write(tmp_path / "config.toml", "[mqtt]\nbrokr = 'x'\nport = 70000\n[sound]\nvolume = 3\n")
    faults = check(file=file, environment={"HIPDRIVE_CUES__PER_HOUR": "100"})
    assert [fault.path for fault in faults] == ["mqtt.brokr", "mqtt.port", "sound.volume", "cues.per_hour"]


def test_a_replay_takes_what_shapes_the_results_from_the_recording_and_where_they_go_from_the_user() -> None:
    then = load(
        flags=[
            Flag("--set", "runner.name", "anna"),
            Flag("--set", "cues.per_hour", "3"),
            Flag("--set", "sensor.placement", "waist_front"),
            Flag("--set", "mqtt.broker", "mqtt://track"),
        ],
        environment={},
    )
    write(places.user_config_path(), "[cues]\nper_hour = 9\n[sound]\nvolume = 0.9\n")
    now = load(recorded=settings.encode(then.config), environment={"HIPDRIVE_CUES__PER_HOUR": "8"})
    assert now.config.runner.name == "anna"
    assert now.config.cues.per_hour == 3
    assert now.config.sensor.placement == "waist_front"
    assert now.origins["cues.per_hour"] == "recording"
    assert now.config.sound.volume == 0.9
    assert now.config.mqtt.broker == "embedded"
    told = load(recorded=settings.encode(then.config), flags=[Flag("--set", "cues.per_hour", "5")], environment={})
    assert told.config.cues.per_hour == 5


def test_a_recording_of_a_later_version_is_read_as_far_as_it_is_known() -> None:
    recorded = json.dumps({"cues": {"per_hour": 3, "mood": "calm"}, "weather": {"rain": True}}).encode()
    assert load(recorded=recorded, environment={}).config.cues.per_hour == 3
    with pytest.raises(ConfigError, match="configuration cannot be read"):
        load(recorded=b"{", environment={})


def test_what_is_shown_as_toml_can_be_read_back(tmp_path: Path) -> None:
    rule = '[{"name":"d \\"x\\"","when":[{"metric":"sway_m","direction":"above","threshold":0.01}],"phrase":"sway"}]'
    config = load(
        flags=[
            Flag("--set", "cues.rules", rule),
            Flag("--set", "cues.phrases", '{"sway": "Say \\"rails\\"", "a b": "x"}'),
            Flag("--set", "sensor.which", 'a"b\\c é'),
        ],
        environment={},
    ).config
    lines: list[str] = []
    for path, value in settings.values(config).items():
        section, _, key = path.partition(".")
        if f"[{section}]" not in lines:
            lines.append(f"[{section}]")
        lines.append(f"{key} = {settings.toml_value(value)}")
    assert load(file=write(tmp_path / "back.toml", "\n".join(lines)), environment={}).config == config


def test_every_default_lies_within_its_own_range() -> None:
    assert msgspec.json.decode(msgspec.json.encode(Config()), type=Config) == Config()
