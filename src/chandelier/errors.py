# SPDX-License-Identifier: Apache-2.0
"""The failures a caller can act on, by kind, and the codes that name them.

    ChandelierError
    ├── Invalid           the request is wrong and says how
    ├── Unauthenticated   no token, or one that is not valid (any more)
    ├── Forbidden         seen, but not allowed
    ├── NotFound          does not exist, or is not yours to see
    ├── Conflict          right, but not now: the thing is in another state
    ├── TooLarge          over a size limit
    ├── LimitReached      over a rate or a number allowed
    ├── Unavailable       the server cannot do it at present
    └── ProgramRefused    a program (not a request) that a device will not run

An error carries a stable numeric code, a message and, where it helps, data. HTTP statuses are the faces' business.
A failed *program* is a job's outcome, never an answer to a request.
"""

from collections.abc import Mapping
from typing import Any, Final


class ChandelierError(Exception):
    """Base of every failure that is told to a caller.

    Args:
        message: What was wrong (with the two values that disagree) and what to do.
        code: One of `CODES`.
        data: Values for programs, JSON types only.
    """

    kind = "Error"

    def __init__(self, message: str, code: int, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.data = dict(data or {})


class Invalid(ChandelierError):
    """The request is wrong."""

    kind = "Invalid"


class Unauthenticated(ChandelierError):
    """No token was sent, or it is not valid (any more)."""

    kind = "Unauthenticated"


class Forbidden(ChandelierError):
    """The caller may see the thing but not do this to it."""

    kind = "Forbidden"


class NotFound(ChandelierError):
    """The thing does not exist, or is not the caller's to see; the two are not told apart."""

    kind = "NotFound"


class Conflict(ChandelierError):
    """The thing is in a state that does not allow this."""

    kind = "Conflict"


class TooLarge(ChandelierError):
    """A body, a program or a list is over its size limit."""

    kind = "TooLarge"


class LimitReached(ChandelierError):
    """A rate or a number allowed is used up."""

    kind = "LimitReached"


class Unavailable(ChandelierError):
    """The server cannot do this at present."""

    kind = "Unavailable"


class ProgramRefused(ChandelierError):
    """A device will not run this program; becomes the `error` of a job or of one experiment."""

    kind = "ProgramRefused"


#: Every code, what it means and what to do about it; the reference page of the docs is generated from this table.
CODES: Final[Mapping[int, str]] = {
    # Requests.
    1000: "The request body is not JSON, or not of the documented form. Compare it with the reference.",
    1001: "A parameter of the request is missing or has a value that is not allowed.",
    1002: "The filter is not JSON or uses an operator with a wrong operand.",
    1003: "The filter would have to read too many jobs. Add a condition on an indexed field that the message names.",
    1004: "No such path. See /docs for the endpoints.",
    1005: "The path exists, but not with this method.",
    1006: "The body, or the upload, is larger than the server accepts.",
    1007: "Too many requests of this kind. Wait for the time that the message names.",
    1008: "The server is stopping or cannot reach its storage. Try again shortly.",
    1009: "The server failed in a way nobody foresaw. The log has the details under the time of the request.",
    1010: "This part of the API is not available on this server yet.",
    1011: "No process can be started that runs programs. The message tells the operator why.",
    1020: "There is no such program. The message lists those that can be run.",
    1021: "The session is closed or takes no more jobs, or the job is for another device than it. Open a new session.",
    1022: "Session not found.",
    1023: "There are no mock devices and no dry runs here. Submit the job to a device, or use a local simulator.",
    2001: "The token is missing, wrong, expired or revoked. Log in again.",
    2002: "E-mail address or password is wrong.",
    2003: "You may see this, but to do it takes a role that the message names.",
    2004: "The signed URL is forged, expired or made for another method. Ask for a new one.",
    2005: "The instance is no project of yours. The message names one that is.",
    3001: "Hub, group or project does not exist, or you are not a member.",
    3002: "A sibling has this name already.",
    3003: "The default place cannot be deleted: new accounts begin there.",
    3004: "The hub, group or project has no such limit of its device time. `chandelier limit list` shows all.",
    3100: "No device of this name is available to the project. List the devices to see the names.",
    3102: "No calibration snapshot of this name is installed. The message lists those that are.",
    3103: "The device takes no new jobs at present; the message says why. Choose another device.",
    3104: "The device does not drift, or is a simulator, or was calibrated at this moment. The message says which.",
    3110: "There is no such reservation, or it is over.",
    3111: "The device is reserved at this time. The message says from when to when; choose another time.",
    3112: "The hub may not reserve so much device time. The message says how much is left.",
    3250: "Job not found.",
    3251: "The job is in a state that does not allow this.",
    3252: "The job has no result: it is not finished, or it failed before it ran.",
    3253: "The job's data have not been uploaded.",
    3254: "Code or execution not found.",
    3255: "The code has no picture: it is not checked yet, or was refused, or is too large to be drawn.",
    3458: "The limit of pending jobs on this device is reached. Wait for one of them to end, or cancel one.",
    3500: "No such user or token.",
    3501: "An account with this e-mail address exists.",
    # Programs: the `error` of a job.
    8000: "The program is not JSON, or its envelope is not that of a Qobj.",
    8001: "The instruction is not among the device's basis gates. Transpile the circuit for the device.",
    8002: "The device has no coupling between these qubits. Transpile the circuit for the device.",
    8003: "The qubit or gate is marked faulty in the device's calibration. Choose other qubits.",
    8004: "The instruction has a wrong number of qubits or parameters, or one of a wrong type, or out of range.",
    8005: "A qubit, channel, memory slot or register is out of range or used twice.",
    8006: "The number of shots is 0, or more than the device or the project allows, or differs between OpenQASM texts.",
    8007: "The program has no experiments, or more than the device (`max_experiments`) or the project allows.",
    8008: "The simulation would need more memory than a job may use. The message has the estimate.",
    8009: "The simulation would take longer than a job may run. The message has the estimate.",
    8010: "This kind of program, instruction or option is not supported on this device.",
    8011: "The program is of type PULSE, and the device does not take pulses or the project may not use them there.",
    8012: "The OpenQASM text cannot be read. The message names program, line and what is not understood there.",
    8013: "The OpenQASM texts have more instructions than a job may, once their gates and loops are unrolled.",
    8014: "The job would occupy the device for longer than one may, at the pace of a real machine. Split it.",
    8015: "The pulses act on more qubits, or use more channels, than the project allows.",
    8020: "One or more experiments failed; the result has the others and each one's status.",
    8021: "The simulation failed; the message says how.",
    8022: "The job used more memory than it may and was stopped.",
    8023: "The job ran longer than it may, by the clock, and was stopped.",
    8024: "The worker that ran the job died several times. This is a fault of the server; tell its operator.",
    8025: "The result is larger than a job may leave. Ask for fewer shots with `memory`, or split the job.",
    8026: "The job used more processor time than it may and was stopped.",
    8030: "The params of the job are not JSON of the documented form, or hold a value that programs cannot use.",
    8031: "An option or key is not known, or asks for what is not done here. The message has its full name.",
    8032: "An option, a number of shots or a precision is of another type than documented, or out of range.",
    8033: "Parameter values, observables and circuit of a pub or item do not fit each other.",
    8034: "The params are too large once their circuits and arrays are unpacked, or ask for too many values.",
    8035: "There is no such program of the Runtime API here. The message lists those that there are.",
    8036: "The circuit is written in a version of QPY newer than this server reads. The message says what to set.",
    8037: "The program brings pulses in QPY; they are taken with a Qobj only. Remove its calibrations.",
    8038: "The circuit has free parameters without values. The message names them.",
    8039: "The circuit's QPY is damaged, or has something that is not read here. The message says what.",
    8040: "An option of the job means nothing on this device or for this circuit. The message names it; leave it out.",
    8041: "An observable or a precision of the job is wrong. The message names what.",
    8042: "Estimating this would take too many circuits or terms. The message has the number; split the job.",
    8043: "The device has no gates with which a measurement could be prepared or twirled. Leave the option out.",
    8044: "A pub has no circuit that could be run: it measures nothing, or there are several in one.",
    8045: "The samplex of an item is damaged, too large, or newer than this server reads. The message says what.",
    8046: "The arguments, the shape or the circuit of an item do not fit its samplex or each other.",
    8047: "The noise of this layer or on this device cannot be learned. The message says why.",
    8048: "The program cannot be run by a job here: calibrations are the operator's. The message says why.",
}
