"""Boards: one file per board, and the table of them. A new board is one file and its line here."""

from __future__ import annotations

from collections.abc import Sequence

from sensor_host.boards.board import Board
from sensor_host.boards.heart_rate import HEART_RATE
from sensor_host.boards.movesense import MOVESENSE
from sensor_host.boards.polar import POLAR
from sensor_host.boards.rimu import RIMU

# in the order in which they are tried: what measures motion and advertises a heart rate besides is taken for the motion
BOARDS: dict[str, Board] = {board.key: board for board in (RIMU, MOVESENSE, POLAR, HEART_RATE)}

# the board of foreign data, which comes as `TimedBlock` and needs no codec
TIMED = "timed"


def board_of(name: str, services: Sequence[str]) -> str:
    """Return the key of the board that advertises so, empty where none of ours does."""
    return next((key for key, board in BOARDS.items() if board.recognises(name, services)), "")
