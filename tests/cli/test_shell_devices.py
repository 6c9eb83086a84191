# SPDX-License-Identifier: Apache-2.0
"""Devices from the shell: their states and their pace."""

from datetime import timedelta

import pytest
from shells import NOON, Shell

from chandelier import devices, recalibration
from chandelier.cli import output
from chandelier.formats import tasks
from chandelier.store import Store
from chandelier.tenancy import audit
from fakes import ScriptedPool

LATER = NOON + timedelta(minutes=1)


def test_a_device_goes_through_its_states(shell: Shell, store: Store) -> None:
    """Lists show state and message, and the audit log who did it; going on takes the message away."""
    assert shell.text("device", "pause", "lima", "--message", "cooling down") == "lima is paused\n"
    assert shell.text("device", "maintenance", "lima", "--message", "new wiring") == "lima is in maintenance\n"
    shown = shell.json("device", "show", "lima")
    assert (shown["state"], shown["message"]) == ("maintenance", "new wiring")
    assert shell.text("device", "drain", "lima") == "lima is draining\n"
    [listed] = [row for row in shell.json("device", "list") if row["name"] == "lima"]
    assert (listed["state"], listed["message"]) == ("drain", "")
    assert shell.text("device", "resume", "lima") == "lima is active\n"
    acts = [act for act in store.read(audit.list_) if act.act == "device.set"]

    assert [act.after for act in reversed(acts)] == [
        {"device": "lima", "state": "paused", "message": "cooling down"},
        {"device": "lima", "state": "maintenance", "message": "new wiring"},
        {"device": "lima", "state": "drain", "message": ""},
        {"device": "lima", "state": "active"},
    ]
    assert all(act.path == "" and act.who.endswith("(shell)") for act in acts)


def test_a_device_gets_a_pace(shell: Shell) -> None:
    """With or without what each job takes besides its shots; a simulator gets none."""
    paced = shell.json("device", "set", "lima", "--pace", "real")
    assert paced == {"name": "lima", "pace": "real", "overhead": 2.0}
    assert shell.json("device", "set", "lima", "--pace", "real", "--overhead", "0.5")["overhead"] == 0.5
    again = shell.text("device", "set", "lima", "--pace", "real")
    assert again == "lima has the pace real: each job keeps it for its shots and an overhead of 0.5 s\n"
    shown = shell.json("device", "show", "lima")
    assert (shown["pace"], shown["overhead"]) == ("real", 0.5)
    assert shell.text("device", "set", "lima", "--pace", "fast") == "lima has the pace fast\n"
    shown = shell.json("device", "show", "lima")
    assert (shown["pace"], shown["overhead"]) == ("fast", None)
    [listed] = [row for row in shell.json("device", "list") if row["name"] == "lima"]

    assert listed["pace"] == "fast"
    ignored = shell.refused("device", "set", "lima", "--pace", "fast", "--overhead", "3")
    assert "counts at the pace `real` only" in ignored
    assert "is a simulator" in shell.refused("device", "set", "ibmq_qasm_simulator", "--pace", "real")
    assert "it is fast or real" in shell.refused("device", "set", "lima", "--pace", "slow")
    assert "is not between" in shell.refused("device", "set", "lima", "--pace", "real", "--overhead", "-1")


def test_a_device_is_calibrated_frozen_and_remembered(shell: Shell, store: Store) -> None:
    """It drifts from the start; a calibration is ordered of the server, and the history has what it found."""
    [row] = [row for row in shell.json("device", "list") if row["name"] == "manila"]
    assert (row["state"], row["drift"], row["progress"]) == ("active", True, "")
    assert (
        shell.text("device", "calibrate", "manila") == "manila will be calibrated when a server runs on this folder\n"
    )
    calibrator = recalibration.Calibrator(store, tasks.Limits(1 << 30, 60.0), lambda: LATER, ScriptedPool)  # type: ignore[arg-type]
    before = store.read(lambda tx: devices.get(tx, "manila"))
    due = store.write(lambda tx: devices.order_calibration(tx, before, LATER, seeking=False))
    assert shell.json("device", "show", "manila")["due"] == output.time(due.due)
    assert calibrator.step()  # of lima
    assert calibrator.step()
    assert shell.text("device", "drift", "manila", "off") == "manila stays as it is now\n"
    shown = shell.json("device", "show", "manila")
    assert (shown["drift"], shown["due"], shown["pulses"]) == (False, None, True)
    first, second = shell.json("device", "history", "manila")
    acts = [(act.act, act.after) for act in store.read(audit.list_) if act.act in {"device.set", "device.calibrate"}]

    assert first["date"] == "2024-05-27T18:27:23.000+00:00"
    assert second["date"] == LATER.isoformat(timespec="milliseconds")
    assert first["t1"] == pytest.approx(second["t1"], rel=0.01) == pytest.approx(144.7, abs=0.1)
    assert shown["calibrated"] == "2026-03-14T12:01:00Z"
    assert acts == [
        ("device.set", {"device": "manila", "drift": False}),
        ("device.calibrate", {"device": "manila"}),
    ]
    assert shell.json("device", "drift", "manila", "on")["drift"] is True


def test_what_cannot_be_calibrated_is_told(shell: Shell) -> None:
    """A simulator, a frozen device that has its pulses, a name that is none, two things at once."""
    shell.text("device", "drift", "manila", "off")
    assert "does not drift" in shell.refused("device", "calibrate", "manila")
    assert "is a simulator" in shell.refused("device", "drift", "ibmq_qasm_simulator", "on")
    assert "is a simulator" in shell.refused("device", "drift", "ibmq_qasm_simulator")
    assert "it is on or off" in shell.refused("device", "drift", "manila", "slowly")
    assert "Give the name of a device, or --all." in shell.refused("device", "calibrate")
    assert "There is no device" in shell.refused("device", "calibrate", "none")
    ordered = shell.json("device", "calibrate", "--all")

    assert [(row["name"], row["server"]) for row in ordered] == [("lima", False)]
    assert shell.json("device", "history", "ibmq_qasm_simulator") == []


def test_the_drift_of_a_device_can_be_foreseen(shell: Shell) -> None:
    """Day by day: the same each time it is asked for; as a table with four digits."""
    rows = shell.json("device", "drift", "manila", "--days", "30")

    assert rows == shell.json("device", "drift", "manila", "--days", "30")
    assert len(rows) == 30
    assert len({row["t1"] for row in rows}) == 30
    assert {row["date"][11:19] for row in rows} == {"12:00:00"}
    assert str(float(f"{rows[3]['t2']:.4g}")) in shell.text("device", "drift", "manila", "--days", "4")
