# SPDX-License-Identifier: Apache-2.0
"""What every instruction does and where it runs: the table behind the reference page and its tests.

Which method takes what is a fact of `methods`; what devices take besides their basis gates is one of `validation`.
Here are the words for people.

Source: legacy API reference, sections 9.5 and 12.2.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

#: Where a device takes an instruction.
BASIS: Final = "where in the basis"
ALWAYS: Final = "yes"
NEVER: Final = "no"


class Row(NamedTuple):
    """One instruction.

    Attributes:
        does: What it does.
        takes: Its parameters and other fields; of a gate the names of its angles.
        devices: Whether devices take it.
    """

    does: str
    takes: str = ""
    devices: str = BASIS


#: Gates. Controls come first; the first qubit is the least significant of a matrix.
GATES: Final[Mapping[str, Row]] = {
    "id": Row("nothing, for as long as the gate takes"),
    "u0": Row("`id`; its parameter is ignored", "time"),
    "nop": Row("`id`"),
    "x": Row("Pauli X"),
    "y": Row("Pauli Y"),
    "z": Row("Pauli Z"),
    "h": Row("Hadamard"),
    "s": Row("root of Z"),
    "sdg": Row("inverse of `s`"),
    "t": Row("root of `s`"),
    "tdg": Row("inverse of `t`"),
    "sx": Row("root of X"),
    "sxdg": Row("inverse of `sx`"),
    "p": Row("phase of 1", "λ"),
    "u1": Row("`p`", "λ"),
    "u2": Row("`u` with θ = π/2", "φ, λ"),
    "u3": Row("`u`", "θ, φ, λ"),
    "u": Row("general rotation", "θ, φ, λ"),
    "U": Row("`u`", "θ, φ, λ"),
    "r": Row("rotation by θ about an axis in the equator", "θ, φ"),
    "rx": Row("rotation about x", "θ"),
    "ry": Row("rotation about y", "θ"),
    "rz": Row("rotation about z", "φ"),
    "rv": Row("rotation about a vector by its length", "x, y, z"),
    "cx": Row("controlled X"),
    "CX": Row("`cx`"),
    "cy": Row("controlled Y"),
    "cz": Row("controlled Z"),
    "ch": Row("controlled `h`"),
    "cs": Row("controlled `s`"),
    "csdg": Row("controlled `sdg`"),
    "csx": Row("controlled `sx`"),
    "cp": Row("controlled `p`", "λ"),
    "cu1": Row("`cp`", "λ"),
    "cu2": Row("controlled `u2`", "φ, λ"),
    "cu3": Row("controlled `u3`", "θ, φ, λ"),
    "cu": Row("controlled `u` with a phase γ", "θ, φ, λ, γ"),
    "crx": Row("controlled `rx`", "θ"),
    "cry": Row("controlled `ry`", "θ"),
    "crz": Row("controlled `rz`", "φ"),
    "swap": Row("exchange"),
    "iswap": Row("exchange with phase i"),
    "dcx": Row("two `cx`, the second the other way round"),
    "ecr": Row("echoed cross resonance"),
    "rxx": Row("rotation about XX", "θ"),
    "ryy": Row("rotation about YY", "θ"),
    "rzz": Row("rotation about ZZ", "θ"),
    "rzx": Row("rotation about ZX", "θ"),
    "xx_minus_yy": Row("rotation between 00 and 11", "θ, β"),
    "xx_plus_yy": Row("rotation between 01 and 10", "θ, β"),
    "ccx": Row("Toffoli"),
    "ccz": Row("Z with two controls"),
    "cswap": Row("controlled exchange"),
    "rccx": Row("Toffoli up to phases"),
    "rcccx": Row("X with three controls, up to phases"),
    "c3sx": Row("`sx` with three controls"),
    "c3sqrtx": Row("`c3sx`"),
    "mcx": Row("X with any number of controls"),
    "mcx_gray": Row("`mcx`"),
    "mcy": Row("Y with any number of controls"),
    "mcz": Row("Z with any number of controls"),
    "mcsx": Row("`sx` with any number of controls"),
    "mcp": Row("`p` with any number of controls", "λ"),
    "mcphase": Row("`mcp`", "λ"),
    "mcu1": Row("`mcp`", "λ"),
    "mcu2": Row("`u2` with any number of controls", "φ, λ"),
    "mcu3": Row("`u3` with any number of controls", "θ, φ, λ"),
    "mcu": Row("`u` with a phase γ and any number of controls", "θ, φ, λ, γ"),
    "mcrx": Row("`rx` with any number of controls", "θ"),
    "mcry": Row("`ry` with any number of controls", "θ"),
    "mcrz": Row("`rz` with any number of controls", "φ"),
    "mcr": Row("`r` with any number of controls", "θ, φ"),
    "mcswap": Row("exchange with any number of controls"),
}

#: Instructions that are neither gates nor look at the state.
OTHERS: Final[Mapping[str, Row]] = {
    "measure": Row("measures qubits, also in the middle of a circuit", "`memory`, `register` or both", ALWAYS),
    "reset": Row("puts qubits into 0", "", "where `supported_instructions` or the basis has it"),
    "barrier": Row("keeps what is before it before what is after it", "qubits, or none for all", ALWAYS),
    "delay": Row("waits; without noise that does nothing", "duration; `unit`: dt, ps, ns, us, ms, s", "with a `dt`"),
    "wait": Row("`delay`, in programs of 2018", "duration", "with a `dt`"),
    "bfunc": Row(
        "sets a register slot to `(registers & mask) relation val`",
        "`mask`, `relation`, `val`, `register`, `memory`",
        "where `conditional`",
    ),
    "copy": Row("copies a register slot", "`register_orig`, `register_copy`", "where `conditional`"),
    "roerror": Row(
        "misreads memory slots at the end of a circuit, up to four together",
        "`memory`; for each value of the slots a row of probabilities of what is read",
        NEVER,
    ),
    "initialize": Row(
        "resets qubits and puts them into a state", "amplitudes, a label of `01+-rl`, or a number", NEVER
    ),
    "unitary": Row("applies a matrix", "the matrix", NEVER),
    "diagonal": Row("applies a diagonal matrix", "its diagonal", NEVER),
    "multiplexer": Row("applies one matrix for each value of the qubits named last", "the matrices", NEVER),
    "pauli": Row("applies Pauli operators", "their letters, of the last qubit first", NEVER),
    "kraus": Row("applies a channel", "its Kraus operators", NEVER),
    "superop": Row("applies a channel", "its superoperator", NEVER),
    "set_statevector": Row("sets the state of all qubits", "amplitudes", NEVER),
    "set_density_matrix": Row("sets the state of all qubits", "a density matrix", NEVER),
    "set_stabilizer": Row("sets the state of all qubits", "`stabilizer` and `destabilizer` labels", NEVER),
    "set_matrix_product_state": Row("sets the state of all qubits", "the matrices and Schmidt numbers", NEVER),
    "set_unitary": Row("sets the matrix of the circuit so far", "the matrix", NEVER),
    "set_superop": Row("sets the channel of the circuit so far", "its superoperator", NEVER),
}

#: Instructions that look at the state. All have a `label`; `snapshot_type` says how the shots are put together:
#: `single` or `average`, `list` for each, with `c_` before it apart for every value of the memory.
LOOKS: Final[Mapping[str, Row]] = {
    "save_state": Row("the state in the form of the method", "", NEVER),
    "save_statevector": Row("amplitudes", "", NEVER),
    "save_statevector_dict": Row("amplitudes that are not 0, by outcome", "", NEVER),
    "save_amplitudes": Row("some amplitudes", "their numbers", NEVER),
    "save_amplitudes_sq": Row("some probabilities", "their numbers", NEVER),
    "save_density_matrix": Row("reduced density matrix", "", NEVER),
    "save_probabilities": Row("probabilities", "", NEVER),
    "save_probabilities_dict": Row("probabilities that are not 0, by outcome", "", NEVER),
    "save_expval": Row("mean of an observable", "`[Pauli label, [coefficient, its square]]` each", NEVER),
    "save_expval_var": Row("mean and variance of an observable", "as `save_expval`", NEVER),
    "save_stabilizer": Row("generators of a stabilizer state", "", NEVER),
    "save_clifford": Row("the Clifford operator of the circuit so far", "", NEVER),
    "save_matrix_product_state": Row("the matrices and Schmidt numbers", "", NEVER),
    "save_unitary": Row("the matrix of the circuit so far", "", NEVER),
    "save_superop": Row("the channel of the circuit so far", "", NEVER),
    "snapshot": Row("what its type says, see below", "`label`, `snapshot_type` (or `type`)", NEVER),
}

#: All of them.
ALL: Final[Mapping[str, Row]] = {**GATES, **OTHERS, **LOOKS}
