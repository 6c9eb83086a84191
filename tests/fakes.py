# SPDX-License-Identifier: Apache-2.0
"""A pool without processes: its calls end as a script says, at once or when they are killed."""

import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from chandelier import errors, pools
from chandelier.formats import tasks
from factories import ACCEPTED

PATIENCE = 30.0  # seconds after which a call that hangs counts as a failure of the test

#: How a call ends: returns the child's answer, or raises what a real call raises.
Ending = Callable[[tasks.Task, "ScriptedCall", float], bytes]

RESULT = b'{"results": []}'
FINISHED = tasks.Finished(success=True, code=0, message="", seconds=0.25, bytes=len(RESULT), experiments=1)
PROGRAM = b'{"qobj_id": "made"}'
PICTURE = b"\x89PNG"


def accept(_task: tasks.Task, _call: "ScriptedCall", _timeout: float) -> bytes:
    """Say that the program can run."""
    return tasks.encode(ACCEPTED)


def compile_texts(task: tasks.Task, _call: "ScriptedCall", _timeout: float) -> bytes:
    """Leave the Qobj and the picture that are asked for, and say that the program can run."""
    assert isinstance(task, tasks.Validate)
    for path, content in ((task.converted, PROGRAM), (task.picture, PICTURE)):
        if path is not None:
            Path(path).write_bytes(content)
    return tasks.encode(ACCEPTED)


def accept_and_finish(task: tasks.Task, _call: "ScriptedCall", _timeout: float) -> bytes:
    """Say that the program can run, and run it too if that is asked for."""
    assert isinstance(task, tasks.Validate)
    if task.at_once is None:
        return tasks.encode(ACCEPTED)
    Path(task.at_once.result).write_bytes(RESULT)
    return tasks.encode(msgspec.structs.replace(ACCEPTED, finished=FINISHED))


def finish(task: tasks.Task, _call: "ScriptedCall", _timeout: float) -> bytes:
    """Leave a result of all experiments."""
    assert isinstance(task, tasks.Run)
    Path(task.result).write_bytes(RESULT)
    return tasks.encode(FINISHED)


def finish_partly(task: tasks.Task, _call: "ScriptedCall", _timeout: float) -> bytes:
    """Leave a result in which an experiment failed."""
    assert isinstance(task, tasks.Run)
    Path(task.result).write_bytes(RESULT)
    return tasks.encode(
        tasks.Finished(success=False, code=8020, message="one failed", seconds=0.25, bytes=1, experiments=0)
    )


def forget_result(_task: tasks.Task, _call: "ScriptedCall", _timeout: float) -> bytes:
    """Say that there is a result, and leave none."""
    return tasks.encode(tasks.Finished(success=True, code=0, message="", seconds=0.25, bytes=0, experiments=1))


def refuse(code: int) -> Ending:
    """Say that the program cannot run."""
    return lambda _task, _call, _timeout: tasks.encode(tasks.Refused(code, "refused"))


def die(exitcode: int = -9) -> Ending:
    """Die, as a real child does."""

    def ending(_task: tasks.Task, _call: "ScriptedCall", _timeout: float) -> bytes:
        raise pools.ChildDied(exitcode)

    return ending


def overrun(_task: tasks.Task, _call: "ScriptedCall", timeout: float) -> bytes:
    """Take longer than allowed."""
    raise pools.Overran(timeout)


def hang(_task: tasks.Task, call: "ScriptedCall", _timeout: float) -> bytes:
    """Go on until killed."""
    assert call.killed.wait(PATIENCE), "the call was never killed"
    raise pools.Killed


def garbage(_task: tasks.Task, _call: "ScriptedCall", _timeout: float) -> bytes:
    """Answer what is no reply."""
    return b'{"reply": "nonsense"'


def garble(_task: tasks.Task, _call: "ScriptedCall", _timeout: float) -> bytes:
    """Break the pipe in the middle of an answer."""
    raise pools.Garbled


def fail_unforeseen(_task: tasks.Task, _call: "ScriptedCall", _timeout: float) -> bytes:
    """Fail in a way that no code expects."""
    raise RuntimeError("on purpose")


class ScriptedCall:
    """One call; the script says how it ends."""

    def __init__(self, task: tasks.Task, ending: Ending) -> None:
        self.task: Any = task  # of the kind that the test has asked for
        self.killed = threading.Event()
        self._ending = ending

    def kill(self) -> bool:
        """End the call if it hangs."""
        self.killed.set()
        return True

    def wait(self, timeout: float) -> bytes:
        """Return or raise what the script says."""
        return self._ending(self.task, self, timeout)


class ScriptedPool:
    """All slots play from the same scripts: the endings of validations, runs and tunings, the last one for ever.

    Attributes:
        calls: Every call that was begun, in order.
        refusing: So many calls find no child.
        closed: Whether it was closed.
    """

    def __init__(
        self,
        *,
        validations: tuple[Ending, ...] = (accept,),
        runs: tuple[Ending, ...] = (finish,),
        tunes: tuple[Ending, ...] = (),
    ) -> None:
        self.calls: list[ScriptedCall] = []
        self.refusing = 0
        self.closed = False
        self._scripts = {tasks.Validate: deque(validations), tasks.Run: deque(runs), tasks.Tune: deque(tunes)}
        self._lock = threading.Lock()
        self._begun = threading.Condition(self._lock)

    def slot(self, _index: int) -> "ScriptedPool":
        """Return a slot; they are all alike."""
        return self

    def close(self) -> None:
        """Say that nobody needs it any more."""
        self.closed = True

    def ready(self, timeout: float = 0.0) -> bool:  # noqa: ARG002  # as the real one
        """Say that a call could start."""
        return True

    def start(self, message: bytes) -> ScriptedCall:
        """Begin a call.

        Raises:
            errors.Unavailable: As often as `refusing` says.
        """
        task: tasks.Task = tasks.decode_task(message)
        with self._lock:
            if self.refusing:
                self.refusing -= 1
                raise errors.Unavailable("no child", 1011)
            script = self._scripts[type(task)]
            call = ScriptedCall(task, script.popleft() if len(script) > 1 else script[0])
            self.calls.append(call)
            self._begun.notify_all()
        return call

    def runs_begun(self, number: int) -> list[ScriptedCall]:
        """Wait until so many runs have begun, and return them."""

        def runs() -> list[ScriptedCall]:
            return [call for call in self.calls if isinstance(call.task, tasks.Run)]

        with self._lock:
            assert self._begun.wait_for(lambda: len(runs()) >= number, PATIENCE), "no run was begun"
            return runs()

    def calls_begun(self, number: int) -> list[ScriptedCall]:
        """Wait until so many calls have begun, and return them."""
        with self._lock:
            assert self._begun.wait_for(lambda: len(self.calls) >= number, PATIENCE), "no call was begun"
            return list(self.calls)
