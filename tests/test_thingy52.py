"""Thingy:52's bytes: captured ones, the limits of its firmware's source, and what is not ready."""

from __future__ import annotations

from math import radians

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pelvis.data import STANDARD_GRAVITY_MPS2
from sensor_host.boards import BOARDS, board_of, unfit
from sensor_host.boards.board import Action, AttError, Read, Subscribe, Write, converse
from sensor_host.boards.thingy52 import CONFIG_UUID, RAW_UUID, THINGY52, ThingyDecoder, ThingyDevice, set_up
from sensor_host.errors import LinkError

AT_200_HZ = bytes.fromhex("e803e803f401c80001")

# captured acceleration; angular rate and magnetic field beside it are made up
CAPTURED = bytes.fromhex("fafff4fff603") + bytes.fromhex("2000e0ff0100") + bytes(6)


def raw(acc: tuple[int, int, int] = (0, 0, 1014), gyr: tuple[int, int, int] = (32, -32, 1)) -> bytes:
    return np.array([*acc, *gyr, 0, 0, 0], "<i2").tobytes()


def test_the_captured_acceleration_is_read_as_captured_and_turned_upright() -> None:
    """The firmware turns the accelerometer's axes round, drv_motion.c: +1 g is read along an axis that points down."""
    packets = ThingyDecoder().decode([AT_200_HZ, CAPTURED])
    acc_g = -packets.acc_mps2[0] / STANDARD_GRAVITY_MPS2
    np.testing.assert_allclose(acc_g, [-0.00586, -0.01172, 0.99023], atol=0.000005)
    np.testing.assert_allclose(np.degrees(packets.gyr_radps[0]), [1.0, -1.0, 1.0 / 32.0], rtol=1e-12)
    assert packets.rates == ((0, 200.0),)
    assert (packets.index[0], packets.stream[0], packets.first[0], packets.clipped[0]) == (0, 1, True, False)


def test_gravity_turns_the_way_the_gyroscope_says() -> None:
    """A level chip that turns about its x: gravity, fixed in the room, turns the other way in the chip's axes.

    Were one of the two sensors turned round and the other not, this would fail; that is what the firmware does.
    """
    rate_radps, step_s = 2.0, 0.005
    device = ThingyDevice()
    said = converse(THINGY52, device)
    t_s = np.arange(40) * step_s
    angle = rate_radps * t_s
    upward = np.stack([np.zeros(40), np.sin(angle), np.cos(angle)], axis=1)
    rates = np.tile([rate_radps, 0.01, 0.01], (40, 1))
    packets = ThingyDecoder().decode(
        [*said, *(p.data for p in device.encode(t_s, upward * STANDARD_GRAVITY_MPS2, rates))]
    )
    up = packets.acc_mps2 / np.linalg.norm(packets.acc_mps2, axis=1)[:, None]
    # a vector at rest in the room changes by -rate x vector in the chip's axes
    change = (up[-1] - up[0]) @ np.array([0.0, 1.0, 0.0])
    assert np.sign(change) == np.sign(packets.gyr_radps[0, 0])
    assert up[0, 2] == pytest.approx(1.0, abs=1e-3)


def test_it_is_recognised_by_the_service_it_advertises() -> None:
    assert BOARDS["thingy52"] is THINGY52
    assert board_of("Thingy", ("ef680100-9b35-4933-9b10-52ffa9740042",)) == "thingy52"
    # other Thingys bear the name too
    assert board_of("Thingy:53", ()) == ""


def test_runs_with_it_are_refused_with_the_reason() -> None:
    (text,) = unfit(["rimu", "thingy52", "timed"])
    assert text.startswith("Nordic Thingy:52 cannot measure running: ")
    assert "2 g" in text


# ---------------------------------------------------------------- set-up


def dialogue(device: ThingyDevice) -> list[Action]:
    did: list[Action] = []
    run = set_up()
    got: bytes | None = None
    try:
        while True:
            action = next(run) if got is None else run.send(got)
            did.append(action)
            got = device.read(action.uuid) if isinstance(action, Read) else b""
            if isinstance(action, Write):
                device.write(action.uuid, action.data)
    except StopIteration:
        return did


def test_only_the_rate_is_changed_and_only_where_it_differs() -> None:
    device = ThingyDevice()
    mine = bytes.fromhex("0902d007f401320000")  # 521 ms, 2000 ms, 500 ms, 50 Hz, no waking
    device.write(CONFIG_UUID, mine)
    read_back = Read(CONFIG_UUID, keep=True)
    wanted = bytes.fromhex("0902d007f401c80000")
    assert dialogue(device) == [Read(CONFIG_UUID), Write(CONFIG_UUID, wanted), read_back, Subscribe(RAW_UUID)]
    assert device.read(CONFIG_UUID) == wanted
    assert dialogue(device) == [Read(CONFIG_UUID), read_back, Subscribe(RAW_UUID)]


def test_what_a_recording_has_of_it_is_the_configuration_as_it_became() -> None:
    assert converse(THINGY52, ThingyDevice()) == [AT_200_HZ]


@pytest.mark.parametrize(
    "data",
    [
        "6300e803f401c80001",  # 99 ms
        "8913e803f401c80001",  # 5001 ms
        "e8036300f401c80001",
        "e803e8038913c80001",
        "e803e803f401000001",  # 0 Hz
        "e803e803f401c90001",  # 201 Hz
        "e803e803f401c80002",
        "e803e803f401c800",
    ],
)
def test_a_field_out_of_range_rejects_the_whole_write(data: str) -> None:
    device = ThingyDevice()
    before = device.read(CONFIG_UUID)
    with pytest.raises(AttError) as caught:
        device.write(CONFIG_UUID, bytes.fromhex(data))
    assert caught.value.code == 0x03
    assert device.read(CONFIG_UUID) == before


@pytest.mark.parametrize("config", [b"\x00" * 8, bytes.fromhex("e803e803f401320001")])
def test_a_sensor_that_does_not_take_the_rate_is_refused_in_a_line(config: bytes) -> None:
    class Stubborn(ThingyDevice):
        def read(self, uuid: str) -> bytes:
            return config if super().read(uuid) else b""

    with pytest.raises(LinkError):
        converse(THINGY52, Stubborn())


# ---------------------------------------------------------------- samples


def test_what_the_device_measures_comes_back_to_a_count() -> None:
    device = ThingyDevice()
    luck = np.random.default_rng(1)
    t_s = np.arange(50) / 200.0
    force, rate = luck.normal(0.0, 5.0, (50, 3)), luck.normal(0.0, 5.0, (50, 3))
    assert device.encode(t_s, force, rate) == []
    said = converse(THINGY52, device)
    sent = [packet.data for packet in device.encode(t_s, force, rate)]
    assert all(len(data) == 18 for data in sent)
    packets = ThingyDecoder().decode([*said, *sent])
    np.testing.assert_allclose(packets.acc_mps2, force, atol=1.001 * STANDARD_GRAVITY_MPS2 / 1024.0)
    np.testing.assert_allclose(packets.gyr_radps, rate, atol=1.001 * radians(1.0 / 32.0))
    device.disconnected()
    assert device.encode(t_s, force, rate) == []


@pytest.mark.parametrize(
    ("acc_g", "dps", "counts"),
    [
        # the chip's own ends; turned round, the lower one is the higher
        (6.0, 0.5, (-2048, 16)),
        (-6.0, 0.5, (2048, 16)),
        (0.5, 1500.0, (-512, 0x7FE0)),
        (0.5, -1500.0, (-512, -0x8000)),
    ],
)
def test_the_device_clips_where_chip_and_firmware_do(acc_g: float, dps: float, counts: tuple[int, int]) -> None:
    device = ThingyDevice()
    said = converse(THINGY52, device)
    force, rate = np.full((1, 3), acc_g * STANDARD_GRAVITY_MPS2), np.full((1, 3), radians(dps))
    (packet,) = device.encode(np.zeros(1), force, rate)
    sent = np.frombuffer(packet.data, "<i2")
    assert (sent[0], sent[3]) == counts
    assert ThingyDecoder().decode([*said, packet.data]).clipped.tolist() == [True]


@pytest.mark.parametrize("zeros", [raw(acc=(0, 0, 0)), bytes(18)])
def test_a_sensor_that_is_not_ready_is_a_lost_sample_and_no_zero(zeros: bytes) -> None:
    packets = ThingyDecoder().decode([AT_200_HZ, zeros, raw(), zeros, zeros, raw()])
    assert packets.position.tolist() == [2, 5]
    assert packets.index.tolist() == [1, 4]
    assert packets.bad == ()


def test_a_sensor_at_rest_may_have_angular_rates_of_zero() -> None:
    packets = ThingyDecoder().decode([AT_200_HZ, raw(gyr=(0, 0, 0))])
    assert packets.gyr_radps.tolist() == [[0.0, 0.0, 0.0]]


def test_every_connection_is_a_stream_of_its_own() -> None:
    packets = ThingyDecoder().decode([AT_200_HZ, raw(), raw(), AT_200_HZ, AT_200_HZ, raw()])
    assert packets.stream.tolist() == [1, 1, 2]
    assert packets.index.tolist() == [0, 1, 0]
    assert packets.first.tolist() == [True, False, True]


@given(
    st.lists(
        st.one_of(st.binary(max_size=20), st.binary(min_size=18, max_size=18), st.just(AT_200_HZ), st.just(raw()))
    ),
    st.data(),
)
def test_whatever_comes_is_no_error_and_its_grouping_changes_no_bit(
    notifications: list[bytes], data: st.DataObject
) -> None:
    whole = ThingyDecoder().decode(notifications)
    decoder = ThingyDecoder()
    facts: list[tuple[int, int, bool, bool]] = []
    acc = gyr = b""
    bad = start = 0
    while start < len(notifications):
        one = decoder.decode_one(notifications[start]) if data.draw(st.booleans()) else None
        end = start + 1 if one is not None else data.draw(st.integers(start + 1, len(notifications)))
        if one is not None:
            facts.append((one.stream, one.index, one.first, one.clipped))
            acc, gyr = acc + one.acc_mps2.tobytes(), gyr + one.gyr_radps.tobytes()
        else:
            some = decoder.decode(notifications[start:end])
            facts += zip(
                some.stream.tolist(), some.index.tolist(), some.first.tolist(), some.clipped.tolist(), strict=True
            )
            acc, gyr = acc + some.acc_mps2.tobytes(), gyr + some.gyr_radps.tobytes()
            bad += len(some.bad)
        start = end
    assert facts == list(
        zip(whole.stream.tolist(), whole.index.tolist(), whole.first.tolist(), whole.clipped.tolist(), strict=True)
    )
    assert (acc, gyr, bad) == (whole.acc_mps2.tobytes(), whole.gyr_radps.tobytes(), len(whole.bad))
