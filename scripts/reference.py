# SPDX-License-Identifier: Apache-2.0
"""Write the tables of the reference pages from the code that they describe.

`python scripts/reference.py` after changing settings, error codes, commands, routes, states or devices. The tables
stand between two comments, `<!-- generated: NAME -->` and `<!-- end: NAME -->`; the rest of a page is written by hand.
"""

import inspect
import re
import statistics
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import typer

from chandelier import cli, errors, experience, gateway, runtime
from chandelier.engines import gates, instructions, methods, programs, saved, validation
from chandelier.experience import documents
from chandelier.formats import simulators, snapshots
from chandelier.jobs import intake, lifecycle
from chandelier.runtime.documents import STATES as RUNTIME_STATES
from chandelier.settings import Settings
from chandelier.tenancy import access

ROOT: Final = Path(__file__).parent.parent
FOLDER: Final = ROOT / "docs" / "reference"
#: Who asks for which endpoint. The tests hold it against the router.
CONTRACT: Final = ROOT / "tests" / "experience" / "endpoints.toml"
#: The part of it that is not served.
ABSENT: Final = "absent"
_MARKED: Final = re.compile(r"(<!-- generated: (?P<name>[a-z-]+) -->\n).*?(<!-- end: (?P=name) -->)", re.DOTALL)


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table; a bar inside a cell is escaped."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def code(text: object) -> str:
    """Return a text as code, and nothing for an empty one."""
    return f"`{text}`" if str(text) else ""


def settings() -> str:
    """Return the settings, from the docstring and the defaults of `Settings`."""
    return table(("Setting", "Default", "Variable", "Meaning"), list(fields_of(Settings(), "")))


def fields_of(values: msgspec.Struct, prefix: str) -> Iterator[tuple[str, str, str, str]]:
    """Yield a row for each setting, those of a table within it with the name of the table before theirs."""
    documented = dict(described(type(values)))
    for name, value in msgspec.structs.asdict(values).items():
        if isinstance(value, msgspec.Struct):
            yield from fields_of(value, f"{prefix}{name}.")
        else:
            full = prefix + name
            yield code(full), default(value), variable(full.replace(".", "_"), value), documented[name]


def described(kind: type) -> Iterator[tuple[str, str]]:
    """Yield the fields that a class's docstring describes under `Attributes:`."""
    _, _, section = (inspect.getdoc(kind) or "").partition("Attributes:\n")
    for name, text in re.findall(r"^    (\w+): (.*(?:\n      .*)*)", section, re.MULTILINE):
        yield name, " ".join(text.split())


def variable(name: str, value: object) -> str:
    """Return the variable of a setting; a table of names has none, since a variable is one text."""
    return "file only" if isinstance(value, dict) else code(f"CHANDELIER_{name.upper()}")


def default(value: object) -> str:
    """Return a default as it would stand in the file, a number of bytes in words too."""
    if value in ("", {}):
        return "empty"
    if isinstance(value, int) and value % 2**20 == 0 and value:
        size = f"{value // 2**30} GiB" if value % 2**30 == 0 else f"{value // 2**20} MiB"
        return f"`{value}` ({size})"
    return code(f'"{value}"' if isinstance(value, str | Path) else value)


def error_kinds() -> str:
    """Return the kinds of errors with their HTTP status."""
    heads = ("Kind (`name`)", "HTTP status", "Means")
    rows = [
        (code(kind.kind), status, (inspect.getdoc(kind) or "").splitlines()[0])
        for kind, status in experience.STATUS.items()
    ]
    exceptions = [
        f"Code {number} is answered with status {status}." for number, status in experience.STATUS_OF_CODE.items()
    ]
    return table(heads, rows) + "\n" + " ".join(exceptions) + "\n"


def request_errors() -> str:
    """Return the codes that answer a request."""
    return _codes(number for number in errors.CODES if number < 8000)


def program_errors() -> str:
    """Return the codes with which a job ends."""
    return _codes(number for number in errors.CODES if number >= 8000)


def _codes(numbers: Iterable[int]) -> str:
    return table(("Code", "What it means and what to do"), ((number, errors.CODES[number]) for number in numbers))


def commands() -> str:
    """Return every command with its arguments and options."""
    return "\n".join(_command(path, command) for path, command in walk(typer.main.get_command(cli.app), "chandelier"))


def walk(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield the commands below one, with the words that call them."""
    below = getattr(command, "commands", None)
    if below is None:
        yield path, command
        return
    for name, inner in below.items():
        yield from walk(inner, f"{path} {name}")


def _command(path: str, command: Any) -> str:
    arguments = [entry for entry in command.params if entry.param_type_name == "argument"]
    options = [entry for entry in command.params if entry.param_type_name == "option"]
    words = [_value(entry) if entry.required else f"[{_value(entry)}]" for entry in arguments]
    usage = " ".join([path, *words, "[OPTIONS]"])
    rows = [(code(_value(entry)), entry.help or "") for entry in arguments]
    rows += [(code(_spelled(entry)), _meaning(entry)) for entry in options]
    examples = re.sub(r"(?m)^(.+?: )(chandelier .+)$", r"\1`\2`", f"{command.epilog}\n\n" if command.epilog else "")
    head = f"### {path}\n\n{command.help}\n\n    {usage}\n\n"
    return f"{head}{examples}{table(('Argument or option', 'Meaning'), rows)}"


def _value(entry: Any) -> str:
    """Return how the help writes a value."""
    return str(entry.metavar or entry.name.upper())


def _spelled(option: Any) -> str:
    return option.opts[0] if option.is_flag else f"{option.opts[0]} {_value(option)}"


def _meaning(option: Any) -> str:
    parts = [option.help or ""]
    if option.default not in (None, False, ""):
        parts.append(f"Default: `{option.default}`.")
    if option.envvar:
        parts.append(f"Variable: `{option.envvar}`.")
    return " ".join(parts)


def routes() -> str:
    """Return the endpoints, from the route table."""
    heads = ("Method", "Path below `/api`", "Prefix", "Token", "What it does")
    rows = [
        (route.method, code(route.path), _yes(route.prefixed), _yes(not route.public), route.summary)
        for route in experience.ROUTES
    ]
    return f"The prefix is `{gateway.PROJECT_PREFIX}`.\n\n" + table(heads, rows)


def runtime_routes() -> str:
    """Return the endpoints of the Runtime API, from its route table."""
    heads = ("Method", "Path", "What it does")
    return table(heads, ((route.method, code(route.path), route.summary) for route in runtime.ROUTES))


def runtime_directory() -> str:
    """Return the endpoints by which clients learn who they are and what instances there are."""
    found = (*runtime.IDENTITY, *runtime.DIRECTORY)
    rows = [(route.method, code(route.path), _yes(not route.public), route.summary) for route in found]
    return table(("Method", "Path", "Token", "What it does"), rows)


def runtime_states() -> str:
    """Return how the Runtime API calls the states."""
    rows = [
        (code(word), ", ".join(code(state) for state in lifecycle.State if RUNTIME_STATES[state] == word))
        for word in dict.fromkeys(RUNTIME_STATES.values())
    ]
    return table(("In the Runtime API", "States"), rows)


def runtime_programs() -> str:
    """Return the programs."""
    return ", ".join(code(name) for name in sorted(intake.PROGRAMS)) + ".\n"


def administration() -> str:
    """Return who may ask for which endpoint of administration."""
    heads = ("Method", "Path below `/api`", "Who may, at least", "What it does")
    rows = [
        (route.method, code(route.path), access.NAMES[access.RIGHTS[route.right]], route.summary)
        for route in experience.ROUTES
        if route.right
    ]
    return table(heads, rows)


def endpoints() -> str:
    """Return who asks for which endpoint, the function that serves it and the test that proves it."""
    heads = ("Method", "Path below `/api`", "Function", "Test")
    sections = []
    for title, section in contract().items():
        if title == ABSENT:
            continue
        rows = [
            (method, code(path), code(function(method, path) or "none"), code(test))
            for method, path, test in section["calls"]
        ]
        sections.append(f"### {title}\n\n{table(heads, rows)}")
    return "\n".join(sections)


def absent_endpoints() -> str:
    """Return what is not there, and why."""
    rows = [(method, code(path), reason) for method, path, reason in contract()[ABSENT]["calls"]]
    return table(("Method", "Path", "What it is"), rows)


def contract() -> dict[str, Any]:
    """Return every endpoint of the documents and clients, with the test that proves it, by who asks for it."""
    return tomllib.loads(CONTRACT.read_text(encoding="utf-8"))


def served(method: str, path: str) -> gateway.Route | None:
    """Return who serves a path below `/api` as a client spells it, chosen as the router chooses."""
    found = gateway.Table("/api", experience.ROUTES).find(method, "/api" + re.sub(r"{\w+}", "0" * 24, path))
    return None if found is None or found[0] is None else found[0][1]


def function(method: str, path: str) -> str | None:
    """Return the name of the function that serves a path; None if there is none."""
    if method == "WS":
        known = {re.sub(r"{\w+}", "{}", stream).lower() for stream in experience.STREAMS}
        return "stream.follower" if re.sub(r"{\w+}", "{}", path).lower() in known else None
    route = served(method, path)
    if route is None:
        return None
    return f"{route.handler.__module__.rpartition('.')[2]}.{route.handler.__name__}"


def streams() -> str:
    """Return the WebSockets."""
    rows = [(code(path), "versioned" if versioned else "unversioned") for path, versioned in experience.STREAMS.items()]
    return table(("Path below `/` and below `/api`", "Presentation"), rows)


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def states() -> str:
    """Return the states, how each is shown and where a job may go from it."""
    rows = [
        (
            code(state),
            code(documents.UNVERSIONED[state]),
            ", ".join(code(end) for end in ends) or "nowhere: final",
        )
        for state, ends in lifecycle.MOVES.items()
    ]
    return table(("State, and versioned view", "Unversioned view", "May become"), rows)


def diagram() -> str:
    """Return the states as a diagram."""
    moves = [f"    {start} --> {end}" for start, ends in lifecycle.MOVES.items() for end in ends]
    finals = [f"    {state} --> [*]" for state, ends in lifecycle.MOVES.items() if not ends]
    return "\n".join(["```mermaid", "stateDiagram-v2", "    [*] --> CREATING", *moves, *finals, "```", ""])


def devices() -> str:
    """Return the devices of a fresh installation, from the documents that it serves."""
    return _devices(snapshots.DEFAULTS)


def earlier_devices() -> str:
    """Return the devices of 2020, which can be added."""
    return _devices(snapshots.ERA_2020)


def _devices(served: Mapping[str, str]) -> str:
    heads = (
        "Served name",
        "Snapshot",
        "Qubits",
        "Basis gates",
        "Pairs",
        "Calibrated",
        "Shots",
        "Experiments",
        "Readout error",
        "Pulses",
    )
    return table(heads, (_device(name, snapshot) for name, snapshot in served.items()))


def _device(name: str, snapshot: str) -> Sequence[object]:
    document = snapshots.load(snapshot, name)
    configuration, properties = document.configuration, document.properties or {}
    pairs = {frozenset(pair) for pair in configuration["coupling_map"] or []}
    return (
        code(name),
        code(snapshot),
        configuration["n_qubits"],
        " ".join(configuration["basis_gates"]),
        len(pairs),
        f"{datetime.fromisoformat(properties['last_update_date']):%Y-%m-%d}",
        configuration["max_shots"],
        configuration["max_experiments"],
        _readout(properties),
        "yes" if configuration["open_pulse"] else "no",
    )


def _readout(properties: Mapping[str, Any]) -> str:
    """Return the median and the worst readout error over the qubits, in percent."""
    errors_ = sorted(
        record["value"] for qubit in properties["qubits"] for record in qubit if record["name"] == "readout_error"
    )
    return f"{100 * statistics.median(errors_):.1f} %, at most {100 * errors_[-1]:.1f} %"


def faults() -> str:
    """Return what is marked faulty on the devices of a fresh installation."""
    rows = []
    for name, snapshot in snapshots.DEFAULTS.items():
        properties = snapshots.load(snapshot, name).properties or {}
        qubits = [index for index, records in enumerate(properties["qubits"]) if _faulty(records)]
        gates = sorted(gate["name"] for gate in properties["gates"] if _faulty(gate["parameters"]))
        pairs = [gate for gate in gates if "_" in gate]
        if gates:
            rows.append((code(name), ", ".join(map(str, qubits)) or "none", ", ".join(pairs) or "none"))
    return table(("Device", "Faulty qubits", "Faulty two-qubit gates"), rows)


def _faulty(records: Iterable[Mapping[str, Any]]) -> bool:
    return any(entry["name"] == "operational" and entry["value"] == 0 for entry in records)


def simulator_table() -> str:
    """Return the simulators."""
    rows = [
        (code(name), simulator.n_qubits, code(simulator.method), simulator.description)
        for name, simulator in simulators.SIMULATORS.items()
    ]
    return table(("Name", "Qubits", "Method", "Description"), rows)


#: Heads of the columns that say which method of simulation takes an instruction.
METHODS: Final[Mapping[str, str]] = {
    methods.STATEVECTOR: "statevector",
    methods.DENSITY_MATRIX: "density matrix",
    methods.MPS: "MPS",
    methods.STABILIZER: "stabilizer",
    methods.EXTENDED_STABILIZER: "ext. stabilizer",
    methods.UNITARY: "unitary",
    methods.SUPEROP: "superop",
}


def gate_table() -> str:
    """Return the gates, with who takes them."""
    heads = ("Gate", "Qubits", "Parameters", "What it does", "Devices", *METHODS.values())
    return table(heads, (_gate(name, row) for name, row in instructions.GATES.items()))


def _gate(name: str, row: instructions.Row) -> Sequence[object]:
    shape = gates.SHAPES[name]
    qubits = f"{shape.qubits} or more" if shape.controlled else shape.qubits
    return (code(name), qubits, row.takes, row.does, row.devices, *_methods(name))


def instruction_table() -> str:
    """Return the instructions that are no gates, with who takes them."""
    return _instructions(instructions.OTHERS)


def look_table() -> str:
    """Return the instructions that look at the state, with who takes them."""
    return _instructions({name: row for name, row in instructions.LOOKS.items() if name != "snapshot"})


def _instructions(rows: Mapping[str, instructions.Row]) -> str:
    heads = ("Instruction", "Takes", "What it does", "Devices", *METHODS.values())
    return table(heads, ((code(name), row.takes, row.does, row.devices, *_methods(name)) for name, row in rows.items()))


def _methods(name: str) -> Iterator[str]:
    today = programs.ALIASES.get(name, name)
    return (_yes(methods.takes(method, today)) for method in METHODS)


def snapshot_table() -> str:
    """Return the types of snapshots, with the methods that take them."""
    heads = ("Type", "Key in `snapshots`", "Each value", "What it shows", *METHODS.values())
    rows = [
        (code(kind), code(row.shown), "of a shot" if row.each else "a mean", row.does, *_methods(row.save))
        for kind, row in saved.SNAPSHOTS.items()
    ]
    return table(heads, rows)


def refused_instructions() -> str:
    """Return the instructions that nothing does, and why."""
    return table(("Instruction", "Refused, because"), ((code(name), why) for name, why in validation.REFUSED.items()))


def snapshot_names() -> str:
    """Return the names of all installed snapshots."""
    return ", ".join(code(name) for name in snapshots.names()) + ".\n"


#: Every generated part, by the name in its comments.
PARTS: Final[Mapping[str, Callable[[], str]]] = {
    "settings": settings,
    "error-kinds": error_kinds,
    "request-errors": request_errors,
    "program-errors": program_errors,
    "commands": commands,
    "routes": routes,
    "runtime-routes": runtime_routes,
    "runtime-directory": runtime_directory,
    "runtime-states": runtime_states,
    "runtime-programs": runtime_programs,
    "administration": administration,
    "streams": streams,
    "endpoints": endpoints,
    "absent-endpoints": absent_endpoints,
    "states": states,
    "diagram": diagram,
    "devices": devices,
    "earlier-devices": earlier_devices,
    "faults": faults,
    "simulators": simulator_table,
    "snapshots": snapshot_names,
    "gates": gate_table,
    "instructions": instruction_table,
    "looks": look_table,
    "snapshot-types": snapshot_table,
    "refused-instructions": refused_instructions,
}


def render(page: str) -> str:
    """Return a page with its generated parts written anew."""
    return _MARKED.sub(lambda match: f"{match[1]}\n{PARTS[match['name']]()}\n{match[3]}", page)


def main() -> None:
    """Write all reference pages."""
    for path in sorted(FOLDER.glob("*.md")):
        path.write_text(render(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
