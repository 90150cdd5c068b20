"""The pictures of hardware/: drawn by this file, so that dimensions and figures in them are those of the text.

Every picture has a ground of its own and follows the reader's light or dark theme. `make docs` writes them anew.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

HARDWARE = Path(__file__).resolve().parent
ACCURACY = HARDWARE.parent / "docs" / "accuracy.md"

# name -> (light, dark)
COLOURS = {
    "paper": ("#fbfaf6", "#161d26"),
    "card": ("#f1eee6", "#202a36"),
    "ink": ("#22303c", "#e6e9ec"),
    "faint": ("#7b8791", "#8f9ba6"),
    "skin": ("#ecc9a9", "#a57c5f"),
    "skinline": ("#b98c66", "#d9b08e"),
    "cloth": ("#4f6d8f", "#4f6d8f"),
    "band": ("#34506e", "#34506e"),
    "clip": ("#e4572e", "#ff7a50"),
    "blue": ("#2b6cb0", "#63a8ff"),
    "good": ("#1f8a70", "#3fbf9c"),
    "bad": ("#c0392b", "#ff6b5b"),
    "pcb": ("#2f6f5e", "#37806d"),
    "metal": ("#c3c9ce", "#aab3bb"),
    "cell": ("#c9a227", "#d8b440"),
    "foam": ("#8aa4b8", "#6d889c"),
}


def _style() -> str:
    def rules(which: int) -> str:
        lines = [
            f".{name}{{fill:{colours[which]}}}.{name}-line{{stroke:{colours[which]}}}"
            for name, colours in COLOURS.items()
        ]
        return "".join(lines) + f"text{{fill:{COLOURS['ink'][which]}}}"

    font = "font-family:system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif"
    return (
        f"<style>text{{{font};font-size:15px}}.small{{font-size:13px}}.title{{font-size:17px;font-weight:600}}"
        ".number{font-size:15px;font-weight:600}.on{fill:#22303c}.open{fill:none;stroke-linecap:round;stroke-linejoin:round}"
        f"{rules(0)}@media(prefers-color-scheme:dark){{{rules(1)}}}</style>"
    )


def picture(width: float, height: float, title: str, parts: list[str]) -> str:
    """Return an SVG file: parts on a ground of its own."""
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" role="img" aria-label="{escape(title)}">\n<title>{escape(title)}</title>\n{_style()}\n'
        f'<rect class="paper" width="{width:g}" height="{height:g}" rx="14"/>\n{body}\n</svg>\n'
    )


# ---------------------------------------------------------------- strokes


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    """Return words that begin, end or are centred at a point."""
    shown = f' class="{kind}"' if kind else ""
    return f'<text x="{x:g}" y="{y:g}"{shown} text-anchor="{anchor}">{escape(words)}</text>'


def rect(x: float, y: float, width: float, height: float, fill: str, rx: float = 0.0, more: str = "") -> str:
    """Return a filled rectangle."""
    return f'<rect class="{fill}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{rx:g}" {more}/>'


def line(points: list[tuple[float, float]], colour: str = "ink", width: float = 1.5, more: str = "") -> str:
    """Return an open line."""
    path = " ".join(f"{x:g},{y:g}" for x, y in points)
    return f'<polyline class="open {colour}-line" points="{path}" stroke-width="{width:g}" {more}/>'


def shape(path: str, fill: str, outline: str = "", width: float = 1.5, more: str = "") -> str:
    """Return a filled shape, with an outline or without."""
    edge = f" {outline}-line" if outline else ""
    return f'<path class="{fill}{edge}" d="{path}" stroke-width="{width if outline else 0:g}" {more}/>'


def arrow(x1: float, y1: float, x2: float, y2: float, colour: str = "ink", width: float = 1.5, head: float = 7) -> str:
    """Return an arrow from the first point to the second."""
    length = ((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5
    ux, uy = (x2 - x1) / length, (y2 - y1) / length
    left = (x2 - head * ux + 0.5 * head * uy, y2 - head * uy - 0.5 * head * ux)
    right = (x2 - head * ux - 0.5 * head * uy, y2 - head * uy + 0.5 * head * ux)
    tip = f"M{x2:.1f} {y2:.1f} L{left[0]:.1f} {left[1]:.1f} L{right[0]:.1f} {right[1]:.1f} Z"
    return line([(x1, y1), (x2 - head * ux, y2 - head * uy)], colour, width) + shape(tip, colour)


def label(x: float, y: float, words: str, to: tuple[float, float], *, left: bool = False) -> str:
    """Return words with a thin line to what they name."""
    start = (x - 6, y - 5) if not left else (x + 6, y - 5)
    dot = f'<circle class="ink" cx="{to[0]:g}" cy="{to[1]:g}" r="2.4"/>'
    return text(x, y, words, anchor="end" if left else "start") + line([start, to], "faint", 1.1) + dot


def dimension(x1: float, y1: float, x2: float, y2: float, words: str, *, side: float = 0.0) -> str:
    """Return a measure between two points, horizontal or vertical; vertical words stand ``side`` beside it."""
    mid = ((x1 + x2) / 2, (y1 + y2) / 2)
    ends = arrow(*mid, x1, y1, "faint", 1.1, 6) + arrow(*mid, x2, y2, "faint", 1.1, 6)
    if y1 == y2:
        return ends + text(mid[0], y1 - 6, words, "small", "middle")
    return ends + text(mid[0] + side, mid[1] + 4, words, "small", "start" if side > 0 else "end")


# ---------------------------------------------------------------- the body


def back_view(cx: float, top: float, scale: float, *, loose: bool = False) -> list[str]:
    """Return a runner's lower back in shorts; the waistband's middle lies at (cx, top + 190 scale)."""

    def p(x: float, y: float) -> str:
        return f"{cx + scale * x:.1f} {top + scale * y:.1f}"

    body = (
        f"M{p(-92, 0)} C{p(-90, 60)} {p(-74, 100)} {p(-76, 140)} C{p(-78, 175)} {p(-104, 205)} {p(-114, 260)} "
        f"C{p(-120, 310)} {p(-112, 350)} {p(-108, 396)} L{p(108, 396)} C{p(112, 350)} {p(120, 310)} {p(114, 260)} "
        f"C{p(104, 205)} {p(78, 175)} {p(76, 140)} C{p(74, 100)} {p(90, 60)} {p(92, 0)} Z"
    )
    wide = 16 if loose else 0
    shorts = (
        f"M{p(-93, 184)} C{p(-108 - wide / 2, 220)} {p(-118 - wide, 270)} {p(-122 - wide, 330)} L{p(-124 - wide, 400)} "
        f"L{p(-10, 400)} C{p(-8, 372)} {p(-4, 352)} {p(0, 340)} C{p(4, 352)} {p(8, 372)} {p(10, 400)} "
        f"L{p(124 + wide, 400)} L{p(122 + wide, 330)} C{p(118 + wide, 270)} {p(108 + wide / 2, 220)} {p(93, 184)} Z"
    )
    band = f"M{p(-91, 178)} Q{p(0, 190)} {p(91, 178)} L{p(99, 204)} Q{p(0, 217)} {p(-99, 204)} Z"
    return [
        shape(body, "skin", "skinline", 1.2),
        shape(f"M{p(0, 4)} C{p(-4, 60)} {p(4, 110)} {p(0, 172)}", "open", "skinline", 2.2 * scale, "opacity='0.8'"),
        shape(shorts, "cloth"),
        shape(f"M{p(0, 232)} C{p(-3, 270)} {p(-2, 310)} {p(0, 338)}", "open", "band", 2 * scale),
        shape(band, "band"),
    ]


def clip(x: float, y: float, scale: float = 1.0, turn: float = 0.0) -> str:
    """Return the sensor, centred at a point."""
    box = rect(x - 21 * scale, y - 15 * scale, 42 * scale, 30 * scale, "clip", 6 * scale)
    dot = f'<circle class="paper" cx="{x + 11 * scale:g}" cy="{y:g}" r="{3 * scale:g}"/>'
    return f'<g transform="rotate({turn:g} {x:g} {y:g})">{box}{dot}</g>'


def mounting() -> str:
    """Where the clip goes: from behind and from the side."""
    parts = [text(32, 44, "From behind", "title"), *back_view(250, 62, 1.0)]
    sacrum = "M219 236 Q250 230 281 236 L258 300 Q250 309 242 300 Z"
    parts += [
        shape(sacrum, "open", "paper", 1.6, "stroke-dasharray='4 4' opacity='0.9'"),
        '<ellipse class="skinline" cx="216" cy="230" rx="4.5" ry="7" opacity="0.9"/>',
        '<ellipse class="skinline" cx="284" cy="230" rx="4.5" ry="7" opacity="0.9"/>',
        clip(250, 256),
        label(410, 130, "spine", (252, 140)),
        label(410, 208, "the two dimples", (288, 228)),
        label(410, 262, "clip, in the middle", (274, 256)),
        label(410, 312, "sacrum, below the skin", (259, 296)),
        label(410, 362, "firm waistband", (330, 262)),
    ]
    # from the side: the runner looks to the right
    body = (
        "M690 62 C700 110 716 135 712 168 C708 205 676 220 668 268 C662 312 690 350 694 458 "
        "L806 458 C812 400 826 330 822 276 C818 232 832 190 824 150 C820 120 816 100 818 62 Z"
    )
    shorts = "M693 240 C678 252 668 268 665 292 C664 330 682 380 684 462 L812 462 C818 400 828 330 822 262 Z"
    band = "M700 222 Q760 244 822 240 L823 266 Q752 268 684 248 Z"
    parts += [
        text(700, 44, "From the side", "title"),
        '<g transform="translate(120 0)">',
        shape(body, "skin", "skinline", 1.2),
        shape(shorts, "cloth"),
        shape(band, "band"),
        f'<g transform="rotate(-58 688 238)">{rect(670, 229, 36, 15, "clip", 4)}</g>',
        arrow(866, 330, 926, 330, "faint"),
        text(866, 352, "forward", "small"),
        arrow(866, 330, 866, 270, "faint"),
        text(876, 282, "up", "small"),
        label(612, 186, "flat on the back,", (684, 232), left=True),
        text(612, 205, "antenna outward", anchor="end"),
        text(612, 320, "any way up,", anchor="end"),
        text(612, 339, "either way round:", anchor="end"),
        text(612, 358, "the host finds out", anchor="end"),
        "</g>",
    ]
    return picture(1080, 490, "The clip sits over the sacrum, in the middle of the waistband at the back", parts)


def fit() -> str:
    """One right way and three wrong ones."""
    parts: list[str] = []
    panels = (
        ("Firm, in the middle", "moves with the bone", True),
        ("On loose cloth", "swings after every step", False),
        ("Over the hip bone", "moves in another way", False),
        ("Beside a phone", "pulls at the belt", False),
    )
    for k, (head, why, good) in enumerate(panels):
        x = 24 + 232 * k
        cx = x + 108
        parts += [rect(x, 20, 216, 300, "card", 12), f'<svg x="{x}" y="20" width="216" height="220">']
        parts += back_view(108, 20, 0.78, loose=k == 1)
        parts.append("</svg>")
        if k == 0:
            parts.append(clip(cx, 191, 0.8))
        elif k == 1:
            parts += [
                f'<g opacity="0.35">{clip(cx - 16, 224, 0.8, 14)}</g>',
                f'<g opacity="0.35">{clip(cx + 14, 232, 0.8, -16)}</g>',
                clip(cx, 226, 0.8, 4),
            ]
        elif k == 2:
            parts.append(clip(cx + 72, 196, 0.8, 12))
        else:
            parts += [rect(cx + 26, 168, 40, 66, "ink", 6), rect(cx + 30, 175, 32, 48, "metal", 2), clip(cx, 191, 0.8)]
        mark = "good" if good else "bad"
        parts.append(f'<circle class="{mark}" cx="{x + 22}" cy="262" r="11"/>')
        tick = (
            [(x + 16.5, 262.0), (x + 20.5, 266.5), (x + 27.5, 257.5)]
            if good
            else [(x + 17.5, 257.5), (x + 26.5, 266.5), (x + 22.0, 262.0), (x + 26.5, 257.5), (x + 17.5, 266.5)]
        )
        parts += [line(tick, "paper", 2.2), text(x + 40, 267, head, "number"), text(x + 40, 290, why, "small")]
    return picture(960, 340, "Firm in the middle; not on loose cloth, not over the hip bone, not beside a phone", parts)


# ---------------------------------------------------------------- what a wrong place costs


def places() -> list[dict[str, str]]:
    """Return the rows of the table of places in docs/accuracy.md, by the names of its columns."""
    found = re.search(r"\n(\| place \|[^\n]*)\n[^\n]*\n((?:\|[^\n]*\n)+)", ACCURACY.read_text(encoding="utf-8"))
    if found is None:
        raise SystemExit("docs/accuracy.md has no table of places")
    head, *rows = ([cell.strip() for cell in row.strip("| ").split("|")] for row in (found[1], *found[2].splitlines()))
    return [dict(zip(head, row, strict=True)) for row in rows]


def costs() -> str:
    """Bars: error of contact time by place."""
    rows = [(row["place"], float(row["contact, ms"])) for row in places()]
    left, top, pitch, per_ms = 352.0, 96.0, 40.0, 14.0
    parts = [
        text(32, 44, "Error of a single contact time", "title"),
        text(32, 68, "RMSE in ms, on runners whom the models had not seen", "small"),
    ]
    for k, (place, error_ms) in enumerate(rows):
        y = top + pitch * k
        colour = "good" if error_ms < 1.1 * rows[0][1] else "clip"
        parts += [
            text(left - 16, y + 18, place[0].upper() + place[1:], anchor="end"),
            rect(left, y, per_ms * error_ms, 26, colour, 4),
            text(left + per_ms * error_ms + 10, y + 18, f"{error_ms:.1f}", "number"),
        ]
    usual = left + per_ms * rows[0][1]
    bottom = top + pitch * len(rows) - 10
    parts.append(line([(usual, top - 8), (usual, bottom)], "faint", 1.2, "stroke-dasharray='3 4'"))
    return picture(940, bottom + 26, "Error of contact time by place of the clip", parts)


# ---------------------------------------------------------------- the board and its case


@dataclass(frozen=True, slots=True)
class Case:
    """Millimetres. Inner sizes follow from the parts, outer ones from the walls."""

    board_length: float = 21.0  # Seeed XIAO
    board_width: float = 17.8
    board_height: float = 4.5  # with the USB socket
    cell_length: float = 15.0  # a cell 401520, about 100 mAh, across the board: it leaves the antenna free
    cell_width: float = 20.0
    cell_height: float = 4.0
    swelling: float = 0.5  # cells grow by a tenth over their life
    foam: float = 1.0  # between cell and board: solder points must not press on the cell
    gap: float = 0.4  # all round
    wall: float = 1.6  # four lines of a 0.4 mm nozzle
    keep_out: float = 5.0  # of the board's length at the antenna: no metal, no cell
    clip_gap: float = 1.5  # a waistband, pressed

    @property
    def inner_length(self) -> float:
        return max(self.board_length, self.cell_length + self.keep_out) + 2 * self.gap

    @property
    def inner_width(self) -> float:
        return max(self.board_width, self.cell_width) + 2 * self.gap

    @property
    def inner_height(self) -> float:
        return self.cell_height + self.swelling + self.foam + self.board_height + self.gap

    @property
    def length(self) -> float:
        return self.inner_length + 2 * self.wall

    @property
    def width(self) -> float:
        return self.inner_width + 2 * self.wall

    @property
    def height(self) -> float:
        return self.inner_height + 2 * self.wall


CASE = Case()


def enclosure(case: Case = CASE) -> str:
    """Top view and section, ten pixels a millimetre."""
    s = 10.0
    x0, y0 = 150.0, 110.0
    length, width = s * case.length, s * case.width
    bx, by = x0 + s * (case.wall + case.gap), y0 + (width - s * case.board_width) / 2
    board_length, board_width = s * case.board_length, s * case.board_width
    keep = s * case.keep_out
    parts = [
        text(32, 44, "From outside, lid off", "title"),
        rect(x0, y0, length, width, "card faint-line", 26, 'stroke-width="1.5"'),
        rect(x0 + 16, y0 + 16, length - 32, width - 32, "paper", 14),
        rect(bx, by, board_length, board_width, "pcb", 10),
        rect(bx - 14, by + board_width / 2 - 45, 70, 90, "metal", 10),
        text(bx + 22, by + board_width / 2 + 5, "USB", "small on", "middle"),
        rect(bx + 70, by + 24, 86, board_width - 48, "metal", 4, 'opacity="0.9"'),
        rect(bx + board_length - 24, by + board_width / 2 - 34, 16, 68, "paper", 3),
        rect(
            bx + board_length - keep, by - 6, keep, board_width + 12, "open clip-line", 6,
            'stroke-width="2" stroke-dasharray="6 5"',
        ),
        label(486, 92, "antenna: no metal, no cell,", (bx + board_length + 8, by + 20)),
        text(486, 112, f"no screw in the last {case.keep_out:g} mm"),
        dimension(x0, y0 + width + 34, x0 + length, y0 + width + 34, f"{case.length:.1f}"),
        dimension(bx, y0 - 14, bx + board_length, y0 - 14, f"board {case.board_length:g}"),
        dimension(x0 - 20, by, x0 - 20, by + board_width, f"{case.board_width:g}", side=-8),
        dimension(x0 - 74, y0, x0 - 74, y0 + width, f"{case.width:.1f}", side=-8),
    ]  # fmt: skip
    # section, skin below
    sx, sy = 590.0, 190.0
    h = s * case.height
    floor_y = sy + h - s * case.wall
    cell_top = floor_y - s * case.cell_height
    foam_top = cell_top - s * (case.swelling + case.foam)
    board_top = foam_top - s * case.board_height
    inner_x = sx + s * case.wall
    parts += [
        text(590, 158, "Cut lengthwise", "title"),
        rect(sx, sy, length, h, "card faint-line", 16, 'stroke-width="1.5"'),
        rect(inner_x, sy + s * case.wall, s * case.inner_length, s * case.inner_height, "paper", 4),
        rect(inner_x + s * case.gap, cell_top, s * case.cell_length, s * case.cell_height, "cell", 4),
        rect(inner_x + s * case.gap, foam_top + 4, s * case.board_length, s * case.foam, "foam", 2),
        rect(inner_x + s * case.gap, foam_top - 10, s * case.board_length, 12, "pcb", 2),
        rect(sx - 2, board_top + 2, 86, foam_top - board_top - 12, "metal", 6),
        rect(inner_x + s * (case.gap + 8), foam_top - 28, 86, 18, "metal", 2, 'opacity="0.9"'),
        rect(inner_x + s * (case.gap + case.board_length) - 24, foam_top - 22, 14, 12, "ink", 2),
        # the clip's leaf, and the waistband in the gap
        rect(sx + 10, sy + h - 3, 14, s * case.clip_gap + 12, "faint", 3),
        rect(sx + 10, sy + h + s * case.clip_gap, length - 34, 11, "faint", 5),
        rect(sx + 28, sy + h + 1.5, length - 20, s * case.clip_gap - 3, "band", 2),
        text(sx + length / 2, sy + h + 50, "skin side: the clip's leaf, behind the waistband", "small", "middle"),
        text(sx + length / 2, sy - 9, "outside: antenna", "small", "middle"),
        text(inner_x + s * (case.gap + case.cell_length / 2), cell_top + 26, "cell", "small on", "middle"),
        dimension(sx + length + 26, sy, sx + length + 26, sy + h, f"{case.height:.1f}", side=8),
    ]
    return picture(960, y0 + width + 66, "A case for the board and a cell, with dimensions in millimetres", parts)


def board(x: float, y: float, s: float = 3.6) -> list[str]:
    """Return the board, USB socket to the left, ``s`` pixels a millimetre."""
    return [
        rect(x, y, 21 * s, 17.8 * s, "pcb", 4),
        rect(x - 1.6 * s, y + 4.4 * s, 7.4 * s, 9 * s, "metal", 4),
        rect(x + 8 * s, y + 2.6 * s, 9.6 * s, 12.6 * s, "metal", 2, 'opacity="0.9"'),
        rect(x + 1.4 * s, y + 14.4 * s, 2.2 * s, 2.2 * s, "ink", 2),
    ]


def flashing() -> str:
    """Four steps from the bare board to a sensor that can be heard."""
    heads = (
        ("1  Tap reset twice", "the drive XIAO-SENSE comes"),
        ("2  Drag the .uf2 file", "the drive CIRCUITPY comes"),
        ("3  Copy two files", "rimu.py, then code.py"),
        ("4  It flashes blue", "hipdrive scan hears it"),
    )
    parts: list[str] = []
    for k, (head, what) in enumerate(heads):
        x = 24 + 232 * k
        parts += [
            rect(x, 20, 216, 232, "card", 12),
            text(x + 18, 208, head, "number"),
            text(x + 18, 232, what, "small"),
        ]
        if k < 3:
            parts.append(arrow(x + 218, 116, x + 230, 116, "faint", 2, 8))
    x = 24 + 70
    parts += board(x, 74)
    parts += [arrow(x + 9, 182, x + 9, 141, "clip", 2.5, 9), text(x + 20, 172, "2 ×", "number")]
    x = 24 + 232
    parts += [*_drive(x + 96, 92), *_file(x + 22, 54, ".uf2"), arrow(x + 90, 84, x + 116, 96, "clip", 2.5, 9)]
    x += 232
    parts += [
        *_drive(x + 116, 92),
        *_file(x + 16, 40, "rimu.py"),
        *_file(x + 28, 110, "code.py"),
        arrow(x + 86, 72, x + 118, 94, "clip", 2.5, 9),
        arrow(x + 94, 134, x + 114, 130, "clip", 2.5, 9),
    ]
    x += 232
    parts += board(x + 70, 74)
    glow = "".join(
        line([(x + 78 + dx * 9, 86 + dy * 9), (x + 78 + dx * 18, 86 + dy * 18)], "blue", 2.5)
        for dx, dy in ((-1, 0), (-0.7, -0.7), (0, -1), (0.7, -0.7), (-0.7, 0.7))
    )
    parts += [glow, f'<circle class="blue" cx="{x + 78}" cy="86" r="5.5"/>']
    waves = "".join(
        f'<path class="open blue-line" stroke-width="2.5" d="M{x + 156 + 10 * n} {92 - 6 * n} '
        f'Q{x + 164 + 13 * n} 106 {x + 156 + 10 * n} {120 + 6 * n}"/>'
        for n in range(3)
    )
    parts.append(waves)
    return picture(960, 272, "Double tap, drag the UF2 file, copy two files, look for the blue flash", parts)


def _file(x: float, y: float, name: str) -> list[str]:
    return [
        shape(f"M{x} {y} h50 l14 14 v44 h-64 Z", "paper", "ink", 1.5),
        shape(f"M{x + 50} {y} v14 h14", "open", "ink", 1.5),
        text(x + 32, y + 42, name, "small", "middle"),
    ]


def _drive(x: float, y: float) -> list[str]:
    return [
        rect(x, y + 6, 84, 52, "metal", 8),
        rect(x, y + 38, 84, 20, "faint", 8),
        f'<circle class="good" cx="{x + 70}" cy="{y + 48}" r="4"/>',
    ]


PICTURES: dict[Path, Callable[[], str]] = {
    HARDWARE / "img" / "mounting.svg": mounting,
    HARDWARE / "img" / "fit.svg": fit,
    HARDWARE / "img" / "costs.svg": costs,
    HARDWARE / "img" / "enclosure.svg": enclosure,
    HARDWARE / "img" / "flashing.svg": flashing,
}
