"""Feed every board's decoder and set-up with bytes that atheris finds by watching which branches they reach.

    python tests/fuzz_boards.py -max_total_time=600        (or: make fuzz)

An input says which board, then holds notifications: a length each, and the bytes. The corpus begins with real ones.
What must hold is what tests/test_boards.py asks; whatever is found becomes a test there or with its board. Options are
those of libFuzzer: a folder among them keeps the corpus from one run to the next, a file is an input to try again.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from contextlib import suppress
from pathlib import Path

import atheris
import numpy as np

with atheris.instrument_imports(include=["sensor_host.boards"]):
    from sensor_host.boards import BOARDS

from test_boards import MOTION_BOARDS, Dialogue, check, columns, motion_of, send

from sensor_host.boards.board import Board
from sensor_host.errors import DecodeError, LinkError

BOARD_KEYS = sorted(BOARDS)
SET_UP = 0x80


def packed(notifications: list[bytes]) -> bytes:
    return b"".join(bytes([len(data) & 0xFF]) + data[:0xFF] for data in notifications)


def unpacked(data: bytes) -> list[bytes]:
    notifications: list[bytes] = []
    while data:
        notifications.append(data[1 : 1 + data[0]])
        data = data[1 + data[0] :]
    return notifications


def decode(board: Board, notifications: list[bytes]) -> None:
    if board.heart_rate is not None:
        for notification in notifications:
            with suppress(DecodeError):
                board.heart_rate.decode(notification)
    if board.motion is None:
        return
    whole = board.motion.new_decoder().decode(notifications)
    check(whole, len(notifications))
    decoder = board.motion.new_decoder()
    parts = [decoder.decode([notification]) for notification in notifications]
    if parts:
        assert [b"".join(column) for column in zip(*map(columns, parts), strict=True)] == columns(whole)
    for notification in notifications:
        board.motion.device_time_us(notification)


def converse(board: Board, answers: list[bytes]) -> None:
    """Play the set-up against a device whose answers are taken from the input; none is the device's own."""
    left = iter(answers)
    device = motion_of(board).new_device(motion_of(board).rate_hz)
    with suppress(LinkError):
        Dialogue(board, device, lambda honest: next(left, b"") or honest).play()


def test_one_input(data: bytes) -> None:
    if not data:
        return
    board = BOARDS[BOARD_KEYS[(data[0] & ~SET_UP) % len(BOARD_KEYS)]]
    if data[0] & SET_UP and board.motion is not None:
        converse(board, unpacked(data[1:]))
    else:
        decode(board, unpacked(data[1:]))


def write_seeds(folder: Path) -> None:
    for board in MOTION_BOARDS:
        number = BOARD_KEYS.index(board.key)
        for mtu in (None, 23):
            sent = send(board, 40, mtu=mtu)
            name = f"{board.key}-{mtu or board.gatt.mtu}"
            (folder / name).write_bytes(bytes([number]) + packed([*sent.opening, *sent.data[:12]]))
            (folder / f"{name}-set-up").write_bytes(bytes([number | SET_UP]) + packed(sent.opening))
    (folder / "heart-rate").write_bytes(bytes([BOARD_KEYS.index("heart_rate")]) + packed([bytes.fromhex("10400a03")]))


def main() -> None:
    # the machine's arithmetic has its say too: what overflows or divides by 0 is a finding
    warnings.simplefilter("error")
    np.seterr(all="raise", under="ignore")
    with tempfile.TemporaryDirectory() as seeds:
        write_seeds(Path(seeds))
        # a file among the arguments is an input to try again, which libFuzzer does alone
        again = any(Path(argument).is_file() for argument in sys.argv[1:])
        # atheris keeps some 13 kB of every input for good (without it the codecs keep nothing): 2 GB, where libFuzzer
        # gives up, come within ten minutes; 6 GB within half an hour
        options = [sys.argv[0], "-rss_limit_mb=6144", *sys.argv[1:]]
        atheris.Setup(options if again else [*options, "-max_len=4096", seeds], test_one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
