"""A model of the LSM6DS3TR-C's registers and FIFO, after its data sheet (DocID030071) and application note AN5130.

Only what a reader of the FIFO sees: the registers it writes, words of 16 bits that are handed out in the order of their
arrival (angular rate, then acceleration), the pattern that says which word of a sample comes next, overrun, watermark.
Plain enough to be run by MicroPython too.
"""

WORDS = 2048  # 4 KB
SAMPLE_WORDS = 6

FIFO_CTRL1, FIFO_CTRL2, FIFO_CTRL3, FIFO_CTRL5 = 0x06, 0x07, 0x08, 0x0A
INT1_CTRL, WHO_AM_I, CTRL1_XL, CTRL2_G, CTRL3_C = 0x0D, 0x0F, 0x10, 0x11, 0x12
FIFO_STATUS1, FIFO_DATA_OUT_L, FIFO_DATA_OUT_H = 0x3A, 0x3E, 0x3F

RATES_HZ = {3: 52.0, 4: 104.0, 5: 208.0, 6: 416.0, 7: 833.0}


class Lsm6ds3trc:
    """``fail_in`` counts down the bytes after which a transfer breaks off with OSError; -1: none does.

    ``glitches``: so many readings of the pattern are wrong, as users of sister chips saw where a sample came just then
    (qa-community.st.com, "FIFO corruption on LSM6DSM").
    """

    def __init__(self) -> None:
        self.fail_in = -1
        self.glitches = 0
        self.reset()

    def reset(self) -> None:
        """What power and the reset bit do."""
        self.registers = [0] * 128
        self.registers[WHO_AM_I] = 0x6A
        self.registers[CTRL3_C] = 0x04
        self._clear()

    def _clear(self) -> None:
        self._words = [0] * WORDS
        self._oldest = 0
        self._unread = 0
        self._next_word = 0
        self._overrun = False
        self._low_read = False
        self.overwritten = 0

    # ---------------------------------------------------------------- what the world does

    def rate_hz(self) -> float:
        """At which rate the FIFO is filled; 0: it is not."""
        r = self.registers
        codes = {r[CTRL1_XL] >> 4, r[CTRL2_G] >> 4, r[FIFO_CTRL5] >> 3 & 0x0F}
        on = len(codes) == 1 and r[FIFO_CTRL5] & 0x07 == 6 and r[FIFO_CTRL3] == 0x09
        return RATES_HZ.get(codes.pop(), 0.0) if on else 0.0

    def ranges(self) -> tuple:
        """(g, deg/s) of full scale."""
        acc = (2, 16, 4, 8)[self.registers[CTRL1_XL] >> 2 & 3]
        gyr = (250, 500, 1000, 2000)[self.registers[CTRL2_G] >> 2 & 3]
        return acc, gyr

    def measure(self, acc: list, gyr: list) -> None:
        """One sample is there; each value a count of 16 bits."""
        for value in list(gyr) + list(acc):
            if self._unread == WORDS:
                self._oldest = (self._oldest + 1) % WORDS
                self._next_word = (self._next_word + 1) % SAMPLE_WORDS
                self._unread -= 1
                self._overrun = True
                self.overwritten += 1
            self._words[(self._oldest + self._unread) % WORDS] = value & 0xFFFF
            self._unread += 1

    def int1(self) -> bool:
        """Whether the pin is high."""
        watermark = self.registers[FIFO_CTRL1] | (self.registers[FIFO_CTRL2] & 0x07) << 8
        return self.registers[INT1_CTRL] == 0x08 and 0 < watermark <= self._unread

    # ---------------------------------------------------------------- what the bus does

    def read(self, register: int, into: object) -> None:
        """Fill a buffer of bytes or of 16-bit words from the register on."""
        # written so that a transfer which breaks off has taken from the FIFO what it has read
        view = memoryview(into)
        wide = not isinstance(into, bytearray)
        for k in range(len(view)):
            if wide:
                low = self._byte(register)
                register = self._after(register)
                word = low | self._byte(register) << 8
                view[k] = word - 0x10000 if word & 0x8000 else word
            else:
                view[k] = self._byte(register)
            register = self._after(register)

    def write(self, register: int, value: int) -> None:
        """Set one register."""
        self._wire()
        if register == CTRL3_C and value & 0x01:
            self.reset()
            return
        if register == FIFO_CTRL5 and value & 0x07 == 0:
            self._clear()
        self.registers[register] = value

    def _wire(self) -> None:
        if self.fail_in == 0:
            self.fail_in = -1
            raise OSError(5, "no acknowledge")
        if self.fail_in > 0:
            self.fail_in -= 1

    def _after(self, register: int) -> int:
        if not self.registers[CTRL3_C] & 0x04:
            return register
        return FIFO_DATA_OUT_L if register == FIFO_DATA_OUT_H else register + 1

    def _byte(self, register: int) -> int:
        self._wire()
        if FIFO_STATUS1 <= register < FIFO_STATUS1 + 4:
            value = self._status()[register - FIFO_STATUS1]
            if register == FIFO_STATUS1 + 2 and self.glitches:
                self.glitches -= 1
                return (value + 4) % SAMPLE_WORDS
            return value
        if register == FIFO_DATA_OUT_L:
            assert self._unread, "read from an empty FIFO"
            self._low_read = True
            return self._words[self._oldest] & 0xFF
        if register == FIFO_DATA_OUT_H:
            high = self._words[self._oldest] >> 8
            self._oldest = (self._oldest + 1) % WORDS
            self._unread -= 1
            self._next_word = (self._next_word + 1) % SAMPLE_WORDS
            self._overrun = self._low_read = False
            return high
        return self.registers[register]

    def _status(self) -> tuple:
        full = self._unread == WORDS
        flags = (
            (0x80 if self.int1() else 0)
            | (0x40 if self._overrun or full else 0)
            | (0x20 if self._unread > WORDS - SAMPLE_WORDS else 0)
            | (0x10 if self._unread == 0 else 0)
        )
        # 11 bits: a full FIFO shows 0
        return self._unread & 0xFF, flags | self._unread >> 8 & 0x07, self._next_word, 0
