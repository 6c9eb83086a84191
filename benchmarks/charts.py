# SPDX-License-Identifier: Apache-2.0
"""Small drawings for the docs: bars in groups, and lines over time."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

INK: Final = "#1f2937"
FAINT: Final = "#d1d5db"
WIDTH: Final = 690
_LEFT: Final = 62
_RIGHT: Final = 660
_TOP: Final = 84
_HEIGHT: Final = 190


class Axis(NamedTuple):
    """A vertical axis from 0 to `most`; `ticks` are labelled."""

    title: str
    most: float
    ticks: Sequence[float]

    def place(self, value: float) -> float:
        """Return where a value is, from the top of the picture; what is too large ends at the frame."""
        return _TOP + _HEIGHT * (1 - min(value, self.most) / self.most)


def bars(
    title: str,
    axis: Axis,
    groups: Sequence[str],
    series: Mapping[str, Sequence[tuple[float, str]]],
    colours: Mapping[str, str],
    target: tuple[float, str] | None = None,
) -> str:
    """Draw groups of bars.

    Args:
        series: Of each colour of bar a height and a text for each group.
        target: A height at which there is a line, and what it means.
    """
    room = (_RIGHT - _LEFT) / len(groups)
    width = min(58.0, (room - 24) / len(series))
    parts = _frame(axis)
    for column, group in enumerate(groups):
        middle = _LEFT + room * (column + 0.5)
        parts.append(_text(middle, _TOP + _HEIGHT + 22, group))
        for row, (name, values) in enumerate(series.items()):
            height, text = values[column]
            left, top = middle + (row - len(series) / 2) * width, axis.place(height)
            parts.append(
                f'<rect x="{left + 2:.1f}" y="{top:.1f}" width="{width - 4:.1f}" '
                f'height="{max(_TOP + _HEIGHT - top, 0.5):.1f}" fill="{colours[name]}"/>'
            )
            parts.append(_text(left + width / 2, top - 6, text, size=12))
    if target is not None:
        height = axis.place(target[0])
        parts.append(f'<path d="M{_LEFT} {height:.1f}H{_RIGHT}" stroke="{INK}" stroke-dasharray="5 4"/>')
        parts.append(_text(_RIGHT, height - 6, target[1], anchor="end", size=12))
    return _picture(title, [*parts, *_legend(list(series), colours)])


def lines(
    title: str,
    axis: Axis,
    ticks: Mapping[float, str],
    series: Mapping[str, Sequence[tuple[float, float]]],
    colours: Mapping[str, str],
) -> str:
    """Draw lines over time; `ticks` are labels of the horizontal axis, which ends at the last."""
    last = max(ticks)
    parts = _frame(axis)
    parts += [_text(_LEFT + (_RIGHT - _LEFT) * at / last, _TOP + _HEIGHT + 22, text) for at, text in ticks.items()]
    for name, points in series.items():
        path = "L".join(f"{_LEFT + (_RIGHT - _LEFT) * x / last:.1f} {axis.place(y):.1f}" for x, y in points)
        parts.append(f'<path d="M{path}" fill="none" stroke="{colours[name]}" stroke-width="2.5"/>')
    return _picture(title, [*parts, *_legend(list(series), colours)])


def _frame(axis: Axis) -> list[str]:
    parts = [_text(14, 54, axis.title, anchor="start", size=12)]
    for tick in axis.ticks:
        height = axis.place(tick)
        parts.append(f'<path d="M{_LEFT} {height:.1f}H{_RIGHT}" stroke="{INK if tick == 0 else FAINT}"/>')
        parts.append(_text(_LEFT - 8, height + 4, f"{tick:g}", anchor="end", size=12))
    return parts


def _legend(names: Sequence[str], colours: Mapping[str, str]) -> list[str]:
    parts, left = [], float(_RIGHT)
    for name in reversed(names):
        left -= 6.6 * len(name) + 18
        parts.append(f'<rect x="{left:.1f}" y="44" width="12" height="12" fill="{colours[name]}"/>')
        parts.append(_text(left + 18, 54, name, anchor="start", size=12))
        left -= 14
    return parts


def _text(x: float, y: float, text: str, *, anchor: str = "middle", size: int = 14) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{INK}" text-anchor="{anchor}" font-size="{size}">{text}</text>'


def _picture(title: str, parts: Sequence[str]) -> str:
    height = _TOP + _HEIGHT + 40
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" font-family="sans-serif">\n<title>{title}</title>\n'
        f'<rect width="{WIDTH}" height="{height}" rx="8" fill="#ffffff"/>\n'
        f"{_text(14, 26, title, anchor='start', size=15)}\n"
    )
    return head + "\n".join(parts) + "\n</svg>\n"
