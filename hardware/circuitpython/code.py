"""RIMU v1 on a Seeed XIAO nRF52840 Sense under CircuitPython 9 or 10.

Copy this file and rimu.py to the drive CIRCUITPY. Only what is built into CircuitPython is used: no library is needed.

Not run on hardware here: run under CPython against stand-ins for the modules below, by tests/test_circuitpython.py.

What the profile asks for and `_bleio` cannot do:

- It accepts every write before this program sees it. Too long a write to control is answered by the ATT error 0x0D; any
  other that cannot be obeyed leaves everything as it was, and the red light blinks once.
- It answers a request for 2M PHY and data length extension, but cannot make one.
- The MTU is the host's choice.
"""

import time

import _bleio
import analogio
import board
import busio
import digitalio
import rimu
import supervisor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from array import array

    import microcontroller

FIRMWARE_TEXT = f"{rimu.FIRMWARE[0]}.{rimu.FIRMWARE[1]} CircuitPython"

# 15 ms: the longest the profile allows, the shortest that every host accepts
INTERVAL_MS = rimu.INTERVAL_MOST_US / 1000
# 1 ms: as far as the clock may be read after the sensor raised its pin; the host averages it over some 50 packets
POLL_S = 0.001
IDLE_S = 0.02
# about 2 s: a sensor that is silent for longer than its FIFO takes to fill was reset
SILENT_POLLS = 2000
BATTERY_EVERY_US = 60_000_000
BLINK_US = 250_000

RADIO_ERRORS = (OSError, _bleio.BluetoothError)


def now_us() -> int:
    """Return the device's clock: microseconds since boot by the 32 kHz clock, in steps of 31 us."""
    return time.monotonic_ns() // 1000


class Light:
    """One colour of the light; it shines while its pin is low."""

    def __init__(self, pin: "microcontroller.Pin") -> None:
        self._pin = digitalio.DigitalInOut(pin)
        self._pin.switch_to_output(value=True)

    def on(self) -> None:
        self._pin.value = False

    def off(self) -> None:
        self._pin.value = True

    def flash(self, on_s: float) -> None:
        self.on()
        time.sleep(on_s)
        self.off()


class Wires:
    """The I2C bus to the sensor, which has its own power pin."""

    def __init__(self) -> None:
        # CircuitPython drives outputs strongly (H0H1), as the sensor's start needs it
        self._power = digitalio.DigitalInOut(board.IMU_PWR)
        self._power.switch_to_output(value=True)
        time.sleep(0.05)  # 35 ms: data sheet, turn-on
        self._i2c = busio.I2C(board.IMU_SCL, board.IMU_SDA, frequency=400_000)
        while not self._i2c.try_lock():
            pass
        self._register = bytearray(1)
        self._pair = bytearray(2)

    def read(self, register: int, into: "array[int] | bytearray") -> None:
        self._register[0] = register
        self._i2c.writeto_then_readfrom(rimu.CHIP_ADDRESS, self._register, into)

    def write(self, register: int, value: int) -> None:
        self._pair[0] = register
        self._pair[1] = value
        self._i2c.writeto(rimu.CHIP_ADDRESS, self._pair)


class Battery:
    """The cell's voltage, behind a divider of 1 MOhm and 510 kOhm."""

    def __init__(self) -> None:
        # low, always: while charging with this pin high, the cell's voltage would reach the processor undivided
        self._divider = digitalio.DigitalInOut(board.READ_BATT_ENABLE)
        self._divider.switch_to_output(value=False)
        self._voltage = analogio.AnalogIn(board.VBATT)

    def percent(self) -> int:
        volt = self._voltage.value / 65535 * self._voltage.reference_voltage * (1000 + 510) / 510
        return rimu.battery_percent(int(volt * 1000))


class Radio:
    """The profile's services as `_bleio` makes them."""

    def __init__(self) -> None:
        self.unsent = 0
        c = _bleio.Characteristic
        uuid = _bleio.UUID(rimu.SERVICE_UUID)
        service = _bleio.Service(uuid)
        self.data = c.add_to_service(
            service,
            _bleio.UUID(rimu.DATA_UUID),
            properties=c.NOTIFY,
            # no read_perm, though nothing is to be read: with NO_ACCESS nobody could subscribe either
            write_perm=_bleio.Attribute.NO_ACCESS,
            max_length=rimu.HEADER_BYTES + rimu.SAMPLES_MOST * rimu.SAMPLE_BYTES,
        )
        control = c.add_to_service(
            service,
            _bleio.UUID(rimu.CONTROL_UUID),
            properties=c.WRITE,
            read_perm=_bleio.Attribute.NO_ACCESS,
            max_length=rimu.START_BYTES,
        )
        self.info = c.add_to_service(
            service,
            _bleio.UUID(rimu.INFO_UUID),
            properties=c.READ,
            write_perm=_bleio.Attribute.NO_ACCESS,
            max_length=rimu.INFO_BYTES,
            fixed_length=True,
            initial_value=bytes(rimu.INFO_BYTES),
        )
        # each write by itself and in order: the value alone would show the last one only
        self._commands = _bleio.PacketBuffer(control, buffer_size=4)
        self._command = bytearray(rimu.START_BYTES)
        self.battery = c.add_to_service(
            _bleio.Service(_bleio.UUID(0x180F)),
            _bleio.UUID(0x2A19),
            properties=c.READ | c.NOTIFY,
            write_perm=_bleio.Attribute.NO_ACCESS,
            max_length=1,
            fixed_length=True,
            initial_value=b"\x64",
        )
        self._about = about = _bleio.Service(_bleio.UUID(0x180A))
        for number, text in (
            (0x2A29, "hipdrive"),
            (0x2A24, "RIMU v1, XIAO nRF52840 Sense"),
            (0x2A26, FIRMWARE_TEXT),
        ):
            c.add_to_service(
                about,
                _bleio.UUID(number),
                properties=c.READ,
                write_perm=_bleio.Attribute.NO_ACCESS,
                max_length=len(text),
                fixed_length=True,
                initial_value=text.encode(),
            )
        address = _bleio.adapter.address.address_bytes
        self.name = f"{rimu.NAME_PREFIX} {address[1]:02X}{address[0]:02X}"
        _bleio.adapter.name = self.name
        written = bytearray(16)
        uuid.pack_into(written)
        self._advertisement = rimu.advertisement(bytes(written))
        self._scan_response = rimu.scan_response(self.name)

    def send(self, packet: "array[int]") -> None:
        """Notify; waits while the radio's queue of notifications is full, which the sensor's FIFO covers."""
        try:
            self.data.value = packet  # type: ignore[assignment]  # any buffer will do, the stubs name what is read
        except RADIO_ERRORS:
            # the link is about to be found gone; else the host sees by the index what it missed
            self.unsent += 1

    def command(self) -> bytes:
        """Return the next write to control, empty where there is none."""
        count = self._commands.readinto(self._command)
        return bytes(self._command[:count]) if count else b""

    def advertise(self) -> None:
        """Be found anew, and forget what the last host wrote and nobody read."""
        while self.command():
            pass
        if _bleio.adapter.advertising:
            return
        _bleio.adapter.start_advertising(self._advertisement, scan_response=self._scan_response, interval=0.1)


def connection() -> "_bleio.Connection | None":
    """Return the connection to the host, None where there is none."""
    for link in _bleio.adapter.connections:
        if link.connected:
            return link
    return None


def obey(device: rimu.Device, radio: Radio, link: "_bleio.Connection", written: bytes) -> int:
    """Do what the host wrote and return which command it was, 0 where it cannot be obeyed."""
    try:
        done = device.command(written, link.max_packet_length)
    except (rimu.CommandError, OSError) as error:
        print("refused", written, error)
        RED.flash(0.02)
        return 0
    radio.info.value = bytearray(device.info())
    if done == rimu.START:
        try:
            # asked for only now: some hosts refuse while they still look for services
            link.connection_interval = INTERVAL_MS
        except RADIO_ERRORS as error:
            print("interval", error)
    return done


def stream(device: rimu.Device, radio: Radio, battery: Battery, link: "_bleio.Connection") -> None:
    """Serve one host for as long as it stays."""
    silent = 0
    battery_due_us = blink_until_us = 0
    while link.connected:
        written = radio.command()
        if written and obey(device, radio, link, written) == rimu.IDENTIFY:
            blink_until_us = now_us() + rimu.IDENTIFY_S * 1_000_000
        if blink_until_us:
            left_us = blink_until_us - now_us()
            if left_us <= 0:
                blink_until_us = 0
            if left_us > 0 and left_us // BLINK_US % 2:
                BLUE.on()
            else:
                BLUE.off()
        if WATERMARK.value and device.serve():
            silent = 0
            if now_us() > battery_due_us:
                battery_due_us = now_us() + BATTERY_EVERY_US
                radio.battery.value = bytearray((battery.percent(),))
            # nothing can be due for a while: the processor sleeps
            time.sleep(device.rest_s())
        else:
            silent = silent + 1 if device.streaming else 0
            time.sleep(POLL_S if device.streaming else IDLE_S)
        if silent > SILENT_POLLS:
            device.revive()
            silent = 0


def wait_for_host() -> "_bleio.Connection":
    """Flash until somebody connects."""
    link = connection()
    while link is None:
        BLUE.flash(0.005)
        time.sleep(0.5)
        link = connection()
    return link


def main() -> None:
    """Advertise, serve, and again."""
    if not supervisor.runtime.usb_connected:
        # nobody is there to read of an error: begin anew after one
        supervisor.set_next_code_file(None, reload_on_error=True)
    wires, battery, radio = Wires(), Battery(), Radio()
    device = rimu.Device(wires, radio.send, now_us, time.sleep)
    radio.info.value = bytearray(device.info())
    radio.battery.value = bytearray((battery.percent(),))
    print(radio.name)
    while True:
        device.stop()
        BLUE.off()
        try:
            radio.advertise()
            stream(device, radio, battery, wait_for_host())
        except RADIO_ERRORS as error:
            print("link", error)
            time.sleep(1)
            link = connection()
            if link is not None:
                # a host that is still there begins anew
                link.disconnect()


RED, BLUE = Light(board.LED_RED), Light(board.LED_BLUE)
WATERMARK = digitalio.DigitalInOut(board.IMU_INT1)
WATERMARK.switch_to_input()

main()
