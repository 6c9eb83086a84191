# SPDX-License-Identifier: Apache-2.0
"""Draw how a device drifts: T1, T2 and the errors of its `cx` gates over two months.

`python scripts/drift.py` writes `docs/pictures/drift.svg`. The life begins on a fixed day, so the same release draws
the same picture.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from chandelier.formats import drift, snapshots
from chandelier.formats.device import Document

PICTURE: Final = Path(__file__).parent.parent / "docs" / "pictures" / "drift.svg"
SNAPSHOT: Final = "manila"
DEVICE: Final = "ibmq_manila"
BEGUN: Final = datetime(2026, 3, 1, 4, tzinfo=UTC)
DAYS: Final = 60
INK: Final = "#1f2937"
COLOURS: Final = ("#0e7490", "#a21caf", "#b45309", "#15803d", "#1d4ed8")
WIDTH: Final = 690
#: Of one of the three drawings, and its left and right margin.
HEIGHT: Final = 170
LEFT: Final = 60
RIGHT: Final = 96


def curves() -> dict[str, dict[str, list[float]]]:
    """Return what is drawn: for each drawing its lines, for each line a value a day."""
    snapshot = snapshots.load(SNAPSHOT).properties
    assert snapshot is not None
    epochs = [drift.properties_at(snapshot, DEVICE, BEGUN, BEGUN + timedelta(days=day)) for day in range(DAYS)]
    qubits = range(len(snapshot["qubits"]))
    return {
        "T1, µs": {f"qubit {qubit}": [_of_qubit(epoch, qubit, "T1") for epoch in epochs] for qubit in qubits},
        "T2, µs": {f"qubit {qubit}": [_of_qubit(epoch, qubit, "T2") for epoch in epochs] for qubit in qubits},
        "error of cx, percent": {
            f"cx {qubit}-{qubit + 1}": [100 * _of_gate(epoch, f"cx{qubit}_{qubit + 1}") for epoch in epochs]
            for qubit in qubits[:-1]
        },
    }


def _of_qubit(properties: Document, qubit: int, name: str) -> float:
    return next(float(each["value"]) for each in properties["qubits"][qubit] if each["name"] == name)


def _of_gate(properties: Document, name: str) -> float:
    gate = next(gate for gate in properties["gates"] if gate["name"] == name)
    return next(float(each["value"]) for each in gate["parameters"] if each["name"] == "gate_error")


def _drawing(top: float, title: str, lines: Mapping[str, Sequence[float]]) -> list[str]:
    largest = max(max(values) for values in lines.values())
    bottom, across = top + HEIGHT - 34, WIDTH - LEFT - RIGHT

    def place(day: int, value: float) -> str:
        return f"{LEFT + across * day / (DAYS - 1):.1f} {bottom - (HEIGHT - 62) * value / largest:.1f}"

    parts = [
        _text(LEFT, top + 16, title, INK, anchor="start"),
        f'<path d="M{LEFT} {top + 26}V{bottom}H{WIDTH - RIGHT}" fill="none" stroke="{INK}"/>',
        _text(LEFT - 8, bottom, "0", INK, anchor="end"),
        _text(LEFT - 8, top + 34, f"{largest:.3g}", INK, anchor="end"),
        *(_text(LEFT + across * day / (DAYS - 1), bottom + 18, f"{day}", INK) for day in range(0, DAYS, 10)),
    ]
    for row, ((name, values), colour) in enumerate(zip(lines.items(), COLOURS, strict=False)):
        path = "L".join(place(day, value) for day, value in enumerate(values))
        parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        parts.append(_text(WIDTH - RIGHT + 12, top + 40 + 20 * row, name, colour, anchor="start"))
    return parts


def _text(x: float, y: float, text: str, colour: str, *, anchor: str = "middle") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}">{text}</text>'


def main() -> None:
    """Draw the picture."""
    drawings = curves()
    height = HEIGHT * len(drawings) + 34
    parts = [
        part for row, (title, lines) in enumerate(drawings.items()) for part in _drawing(8 + HEIGHT * row, title, lines)
    ]
    parts.append(_text(WIDTH / 2, height - 12, f"days in the life of {DEVICE}; day 0 is its snapshot", INK))
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" font-family="sans-serif" font-size="14">\n'
        f"<title>T1, T2 and errors of cx of {DEVICE} over {DAYS} days</title>\n"
        f'<rect width="{WIDTH}" height="{height}" rx="8" fill="#ffffff"/>\n'
    )
    PICTURE.write_text(head + "\n".join(parts) + "\n</svg>\n", encoding="utf-8")


if __name__ == "__main__":
    main()
