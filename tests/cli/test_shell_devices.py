# SPDX-License-Identifier: Apache-2.0
"""Devices from the shell: their states and their pace."""

from shells import Shell

from chandelier.store import Store
from chandelier.tenancy import audit


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
