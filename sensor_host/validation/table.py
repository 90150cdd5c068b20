"""A table of text: for a page, for a screen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import rich.table


@dataclass(frozen=True, slots=True)
class Table:
    """``head`` names the columns, the first of them that of the rows' names."""

    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]

    def markdown(self) -> str:
        """Return the table as a page shows it."""
        rule = ("---", *("---:" for _ in self.head[1:]))
        lines = [f"| {' | '.join(row)} |" for row in (self.head, rule, *self.rows)]
        return "\n".join(lines)

    def as_rich(self, title: str) -> rich.table.Table:
        """Return the table as a screen shows it."""
        from rich import box
        from rich.table import Table as RichTable

        shown = RichTable(title=title, title_justify="left", box=box.SIMPLE_HEAD, title_style="bold")
        for k, name in enumerate(self.head):
            shown.add_column(name, justify="left" if k == 0 else "right", overflow="fold")
        for row in self.rows:
            shown.add_row(*row)
        return shown

    def as_dicts(self) -> list[dict[str, str]]:
        """Return the table for JSON: one mapping from column to text for each row."""
        return [dict(zip(self.head, row, strict=True)) for row in self.rows]


def number(value: float, decimals: int = 1, *, signed: bool = False) -> str:
    """Return a number as text: nothing for NaN, no negative zero."""
    if value != value:
        return ""
    text = f"{value:+.{decimals}f}" if signed else f"{value:.{decimals}f}"
    return text.replace("-", "+" if signed else "", 1) if not float(text) and text.startswith("-") else text


def percent(ratio: float, decimals: int = 1) -> str:
    """Return a share as text."""
    return f"{number(100.0 * ratio, decimals)} %" if ratio == ratio else ""
