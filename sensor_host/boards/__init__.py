"""Boards: one file per board, and the table of them. A new board is one file and its line here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sensor_host.boards.board import Board
from sensor_host.boards.heart_rate import HEART_RATE
from sensor_host.boards.metamotion import METAMOTION
from sensor_host.boards.movesense import MOVESENSE
from sensor_host.boards.polar import POLAR
from sensor_host.boards.rimu import RIMU
from sensor_host.boards.thingy52 import THINGY52
from sensor_host.boards.witmotion import WITMOTION

# in the order in which they are preferred where several are in reach
BOARDS: dict[str, Board] = {
    board.key: board for board in (RIMU, MOVESENSE, POLAR, METAMOTION, WITMOTION, THINGY52, HEART_RATE)
}

# stands for whichever board is recognised
AUTO = "auto"

# the board of foreign data, which comes as `TimedBlock` and needs no codec
TIMED = "timed"


def boards_of(name: str, services: Sequence[str]) -> tuple[str, ...]:
    """Return the keys of the boards that advertise so, the preferred first and those whose figures are refused last."""
    fitting = [key for key, board in BOARDS.items() if board.recognises(name, services)]
    return tuple(sorted(fitting, key=preference))


def board_of(name: str, services: Sequence[str]) -> str:
    """Return the key of the preferred board that advertises so, empty where none of ours does."""
    return next(iter(boards_of(name, services)), "")


def preference(key: str) -> tuple[bool, int]:
    """Return by what boards are put in order: the preferred first, those whose figures are refused last."""
    return bool(BOARDS[key].refusal), list(BOARDS).index(key)


def keys_of(kind: str) -> list[str]:
    """Return the keys of all boards of a kind, the preferred first."""
    return sorted((key for key, board in BOARDS.items() if board.kind == kind), key=preference)


def unfit(keys: Iterable[str]) -> list[str]:
    """Return, for each of these boards whose figures of a run cannot be trusted, a sentence that says why."""
    boards = (BOARDS.get(key) for key in keys)
    return [f"{board.title} cannot measure running: {board.refusal}" for board in boards if board and board.refusal]
