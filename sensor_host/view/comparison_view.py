"""Two sections beside each other: their mean curves over one another, and a table of what differs and what does not."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import ClassVar, Final

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from pelvis.data import Side
from sensor_host.view.comparison import Difference, Mean, differences, words_about
from sensor_host.view.cursor import Cursor
from sensor_host.view.curves import section_curves
from sensor_host.view.stride_view import LAST_S, Compared, StrideView, paint
from sensor_host.view.theme import DARK, Theme, font
from sensor_host.view.timeline import Timeline
from sensor_host.view.transport import Section

TEXT_PX: Final = 13
# by a fifth: ten times for an hour, twice a second as it is measured
GROWN: Final = 1.2
NOTHING_CHOSEN: Final = (
    "Nothing to compare with yet. Draw a section on the bar (shift and drag, or i and o), "
    "take it for comparison with r, then draw another; or open a second recording: hipdrive view ONE TWO"
)


class Chosen:
    """What is compared with: a section of a session, and how it is called."""

    def __init__(self, name: str, timeline: Timeline, section: Section) -> None:
        self.name, self.timeline, self.section = name, timeline, section
        self._compared: Compared | None = None
        self._steps = -1

    def compared(self) -> Compared:
        """Return its curves; while the session is being measured they are those of what is there, and grow."""
        steps = len(self.timeline.steps)
        # the curves of an hour take a third of a second: not anew for every few steps
        if self._compared is None or steps > GROWN * self._steps:
            self._steps = steps
            curves = section_curves(self.timeline, self.section.from_s, self.section.to_s)
            self._compared = Compared(self.name, curves)
        return self._compared


class ComparisonView(QWidget):
    """The section that is looked at against the chosen one."""

    period_s: ClassVar[float] = 0.5

    def __init__(self, cursor: Cursor | None = None) -> None:
        super().__init__()
        self._theme: Theme = DARK
        self._chosen: Chosen | None = None
        self._section: Section | None = None
        self._side = Side.UNKNOWN
        self._drawn: tuple[object, ...] = ()
        self.rows: Sequence[Difference] = ()
        """What the table says."""
        self.strides = StrideView(cursor, compact=True)
        self.table, self.note, self.words = QLabel(), QLabel(), QLabel(NOTHING_CHOSEN)
        self.table.setTextFormat(Qt.TextFormat.RichText)
        self.table.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.table.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Preferred)
        for label in (self.table, self.note, self.words):
            label.setFont(font(TEXT_PX))
        self.note.setWordWrap(True)
        self.words.setWordWrap(True)
        self.words.setAlignment(Qt.AlignmentFlag.AlignCenter)
        right = QVBoxLayout()
        right.addWidget(self.table, 1)
        right.addWidget(self.note)
        both = QHBoxLayout()
        both.addWidget(self.strides, 1)
        both.addLayout(right)
        self._both = QWidget()
        self._both.setLayout(both)
        both.setContentsMargins(0, 0, 0, 0)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(self._both, 1)
        whole.addWidget(self.words, 1)
        self._show_what_there_is()

    def set_theme(self, theme: Theme) -> None:
        """Take another look."""
        self._theme = theme
        self.strides.set_theme(theme)
        for label, color in ((self.table, theme.text), (self.note, theme.warn), (self.words, theme.text)):
            paint(label, color)
        self._write()

    def choose(self, chosen: Chosen | None) -> None:
        """Compare with this; None: with nothing."""
        self._chosen = chosen
        self._drawn = ()
        self._show_what_there_is()

    def set_section(self, section: Section | None) -> None:
        """Look at a section; None: at the last minute."""
        self._section = section
        self.strides.set_section(section)
        self._drawn = ()

    def set_side(self, side: Side) -> None:
        """Compare the steps of one foot, or of both (unknown)."""
        self._side = side
        self._drawn = ()

    @property
    def side(self) -> Side:
        """Whose steps the table compares."""
        return self._side

    def show_at(self, timeline: Timeline, now_s: float) -> None:
        """Draw the section, or the last minute before ``now_s``, against what was chosen."""
        chosen = self._chosen
        if chosen is None:
            return
        section = self._section or Section(now_s - LAST_S, now_s)
        known = (section, len(timeline.steps), len(chosen.timeline.steps), id(chosen), self._side)
        if known == self._drawn:
            return
        self._drawn = known
        self.strides.compare_with(chosen.compared())
        self.strides.show_at(timeline, now_s)
        self.rows = differences(timeline, section, chosen.timeline, chosen.section, self._side)
        self._write()

    def _show_what_there_is(self) -> None:
        self._both.setVisible(self._chosen is not None)
        self.words.setVisible(self._chosen is None)

    def _write(self) -> None:
        theme, chosen = self._theme, self._chosen
        if chosen is None:
            return
        feet = f"{self._side} foot" if self._side is not Side.UNKNOWN else "both feet"
        head = (feet, "here", f"<span style='color:{theme.other}'>{escape(chosen.name)}</span>", "difference", "")
        aligned = ("left", "right", "right", "right", "left")
        lines = ["".join(f"<th align='{at}'>&nbsp;{cell}</th>" for at, cell in zip(aligned, head, strict=True))]
        for row in self.rows:
            decimals = row.metric.decimals
            told = row.verdict in ("more", "less")
            color = theme.text if told else theme.soft
            sign = {"more": "▲ more", "less": "▼ less"}.get(row.verdict, row.verdict)
            # one digit more than the figure has: an error of 0.000 says nothing
            by = f"{row.difference:+.{decimals}f} ± {row.se:.{decimals + 1}f}" if np.isfinite(row.se) else "–"
            strong = "<b>{}</b>" if told else "{}"
            cells = (
                f"{row.metric.title} <span style='color:{theme.soft}'>{row.metric.unit}</span>",
                _figure(row.here, decimals),
                f"<span style='color:{theme.other}'>{_figure(row.there, decimals)}</span>",
                strong.format(by.replace("-", "−").replace(" ", "&nbsp;")),
                strong.format(sign.replace(" ", "&nbsp;")),
            )
            lines.append(
                "".join(
                    f"<td align='{at}' style='color:{color}'>&nbsp;{cell}</td>"
                    for at, cell in zip(aligned, cells, strict=True)
                )
            )
        body = "".join(f"<tr>{line}</tr>" for line in lines)
        self.table.setText(f"<table cellspacing='0' cellpadding='2'>{body}</table>")
        self.note.setText(words_about(self.rows))


def _figure(mean: Mean, decimals: int) -> str:
    return f"{mean.mean:.{decimals}f}".replace("-", "−") if np.isfinite(mean.mean) else "–"
