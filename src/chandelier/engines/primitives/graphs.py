# SPDX-License-Identifier: Apache-2.0
"""The graphs of samplexes, looked at before anything is made of them.

What reads them, `samplomatic`, trusts them: the number of a node or the width of a register takes as much memory as it
says, and a part of the graph is a whole QPY file. So a graph is read here first, by an allow-list of its steps, with a
limit on every number that costs something; what samplomatic gets is written anew from what was read.

Source: samplomatic 0.21, `serialization`.
"""

import base64
import binascii
import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from chandelier import errors
from chandelier.engines import qpy

#: The code of a samplex that cannot be read.
UNREADABLE: Final = 8045

#: Newest version of the documents that is read.
NEWEST: Final = 4
#: Most steps of a samplex, edges between them, and expressions of its parameters.
MOST_NODES: Final = 100_000
MOST_EDGES: Final = 400_000
MOST_EXPRESSIONS: Final = 100_000
#: Widest register, in qubits.
WIDEST: Final = 10_000
#: Most numbers of one output for one randomization.
MOST_OUTPUTS: Final = 1_000_000

#: Fields of each step that name a width; the steps themselves are those of versions 1 to 4.
NODES: Final[Mapping[str, tuple[str, ...]]] = {
    "N0": ("num_subsystems",),
    "N1": (),
    "N2": (),
    "N3": ("num_output_subsystems",),
    "N4": ("num_subsystems",),
    "N5": ("num_subsystems",),
    "N6": (),
    "N7": (),
    "N8": (),
    "N9": (),
    "N10": (),
    "N11": (),
    "N12": (),
    "N13": (),
    "N14": (),
    "N15": (),
}
#: Documents inside documents: for each field the ids that may stand there.
PARTS: Final[Mapping[str, frozenset[str]]] = {
    "distribution": frozenset({"D0", "D1", "D2", "D3", "D4", "D5"}),
    "basis_change": frozenset({"B0"}),
    "action": frozenset({"V0", "V1", "V2", "V3"}),
    "operand": frozenset({"V0", "V1", "V2", "V3"}),
}
#: Steps whose `operand` is the name of a parametric gate instead of a document.
_PARAMETRIC: Final = frozenset({"N11", "N12"})
#: Types that an input or an output may have.
DTYPES: Final = frozenset({"bool", "complex128", "float32", "float64", "int64", "uint8"})

_NUMBERED: Final = "num_randomizations"


class _Node(msgspec.Struct, frozen=True):
    id: int
    data: dict[str, str | int]


class _Edge(msgspec.Struct, frozen=True):
    source: int
    target: int


class _Graph(msgspec.Struct, frozen=True):
    attrs: dict[str, str]
    nodes: list[_Node]
    links: list[_Edge]
    directed: bool
    multigraph: bool


class _Tensor(msgspec.Struct, frozen=True):
    name: str
    dtype: str
    shape: list[int | str]
    id: str
    ssv: str
    description: str = ""
    broadcastable: bool = False
    optional: bool = False


class _Map(msgspec.Struct, frozen=True):
    name: str
    num_qubits: int
    num_terms: str
    id: str
    ssv: str


@dataclasses.dataclass(frozen=True)
class Checked:
    """A graph that was looked at.

    Attributes:
        text: The graph, JSON.
        width: Qubits of all its registers together.
        steps: Number of its steps.
    """

    text: str
    width: int
    steps: int


def read(text: str, ssv: int) -> Checked:
    """Read the graph of a samplex.

    Args:
        text: The graph, JSON.
        ssv: Its version, as the client says.

    Raises:
        errors.ProgramRefused: Code 8045: it is not a samplex, newer than ours, or too large. As `qpy.load` for its
            formulas.
    """
    if not 1 <= ssv <= NEWEST:
        raise errors.ProgramRefused(
            f"The samplex is written in version {ssv}; this server reads 1 to {NEWEST}. Install a samplomatic that "
            "writes one of these.",
            UNREADABLE,
        )
    try:
        graph = msgspec.json.decode(text, type=_Graph)
        if graph.attrs.get("ssv") != str(ssv):
            raise ValueError(f"it says version {graph.attrs.get('ssv')!r} inside and {ssv} outside")  # noqa: TRY301
        width = sum(_node(node.data, ssv) for node in graph.nodes)
        width += sum(_specifications(graph.attrs[name]) for name in ("input_specification", "output_specification"))
        _passed(graph.attrs["passthrough_params"])
        _formulas(graph.attrs["param_table"])
        return Checked(_written(graph), width, len(graph.nodes))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError, LookupError, TypeError, ValueError) as error:
        raise errors.ProgramRefused(f"The samplex cannot be read: {told(error)}", UNREADABLE) from error


def _written(graph: _Graph) -> str:
    """A graph with its nodes numbered as they come: a reader makes room for all numbers up to the largest."""
    if len(graph.nodes) > MOST_NODES or len(graph.links) > MOST_EDGES:
        raise ValueError(f"it has {len(graph.nodes)} steps and {len(graph.links)} edges")
    places = {node.id: place for place, node in enumerate(graph.nodes)}
    if len(places) != len(graph.nodes):
        raise ValueError("two of its steps have the same number")
    document = {
        "directed": True,
        "multigraph": True,
        "attrs": graph.attrs,
        "nodes": [{"id": place, "data": node.data} for place, node in enumerate(graph.nodes)],
        "links": [
            {"id": number, "source": places[edge.source], "target": places[edge.target], "data": None}
            for number, edge in enumerate(graph.links)
        ],
    }
    return msgspec.json.encode(document).decode()


def _node(data: Mapping[str, str | int], ssv: int) -> int:
    """Check a step; return the qubits of the registers that it makes."""
    kind = str(data["id"])
    if kind not in NODES or data.get("ssv") != str(ssv):
        raise ValueError(f"it has a step {kind!r} of version {data.get('ssv')!r}")
    width = sum(_counted(data[name]) for name in NODES[kind])
    if kind == "N9":
        width += _sliced(data)
    for name, known in PARTS.items():
        if name in data and not (name == "operand" and kind in _PARAMETRIC):
            width += 2 * _part(str(data[name]), known, old=ssv < 3 and name == "distribution")
    return max(width, 1)


def _part(text: str, known: frozenset[str], *, old: bool = False) -> int:
    """Check a document inside a step; return the qubits of what it stands for.

    Args:
        text: The document, JSON.
        known: The ids that it may have.
        old: Whether it is a distribution of versions 1 and 2, which has a name instead of an id.
    """
    data = msgspec.json.decode(text, type=dict[str, Any])
    if not old and data.get("id") not in known:
        raise ValueError(f"it has a part {data.get('id')!r} where that cannot be")
    if "action" in data:
        _part(str(data["action"]), PARTS["action"], old="id" not in msgspec.json.decode(str(data["action"])))
    return _counted(data["num_subsystems"]) if "num_subsystems" in data else 1


def _sliced(data: Mapping[str, str | int]) -> int:
    """The width of a slice; its ends are made into a set of all numbers between."""
    if data["is_slice"] != "true":
        return len(str(data["slice_idxs"])) // 8
    start, stop, step = msgspec.json.decode(str(data["slice_idxs"]), type=tuple[int, int | None, int | None])
    if max(abs(start), abs(stop or 0), abs(step or 1)) > WIDEST or step in {0, None}:
        raise ValueError(f"it slices {start}:{stop}:{step}")
    return len(range(start, -1 if stop is None else stop, step or 1))


def _counted(value: str | int) -> int:
    count = int(value)
    if not 0 <= count <= WIDEST:
        raise ValueError(f"a register of {count} qubits is not between 0 and {WIDEST} wide")
    return count


def _specifications(text: str) -> int:
    """Check what a samplex takes or gives; return the width of the maps among it."""
    width = 0
    for name, inner in msgspec.json.decode(text, type=dict[str, str]).items():
        kind = msgspec.json.decode(inner, type=dict[str, Any]).get("id")
        if kind == "S0":
            width += _counted(msgspec.json.decode(inner, type=_Map).num_qubits)
        elif kind == "S1":
            tensor = msgspec.json.decode(inner, type=_Tensor)
            if tensor.dtype not in DTYPES or not _possible(tensor.shape) or tensor.name != name:
                raise ValueError(f"{name!r} has type {tensor.dtype!r} and shape {tensor.shape}")
        else:
            raise ValueError(f"{name!r} is of a kind {kind!r}")
    return width


def _possible(shape: Sequence[int | str]) -> bool:
    sizes = [size for size in shape if isinstance(size, int)]
    return len(shape) <= 8 and all(size >= 0 for size in sizes) and math.prod(sizes) <= MOST_OUTPUTS


def size(shape: Sequence[int | str]) -> int:
    """How many numbers of a shape there are for one randomization."""
    return math.prod(size for size in shape if isinstance(size, int))


def _passed(text: str) -> None:
    """Check which formulas become which parameters of the circuit."""
    if text != "None":
        places, formulas = msgspec.json.decode(text, type=tuple[list[int], list[int]])
        if len(places) != len(formulas) or any(place < 0 for place in (*places, *formulas)):
            raise ValueError("it passes parameters on that do not pair up")


def _formulas(text: str) -> None:
    """Check the formulas of parameters, which are the angles of a circuit of rotations about Z."""
    table = msgspec.json.decode(text, type=dict[str, str])
    if table.get("id") != "P":
        raise ValueError("it has no formulas")
    try:
        body = base64.b64decode(table["circuit_base64"], validate=True)
    except binascii.Error as error:
        raise ValueError("its formulas are not base64") from error
    circuits = qpy.load(body)
    for index, circuit in enumerate(circuits):
        if index or len(circuit.data) > MOST_EXPRESSIONS or set(circuit.count_ops()) - {"rz"}:
            raise ValueError("its formulas are not one circuit of rotations")


def told(error: Exception) -> str:
    """The first line of what a library says is wrong."""
    lines: Iterator[str] = (line.strip() for line in str(error).splitlines() if line.strip())
    found = next(lines, type(error).__name__)[:300]
    if isinstance(error, LookupError):
        found = f"{found} is missing"
    return f"{found.removesuffix('.')}."
