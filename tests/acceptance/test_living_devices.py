# SPDX-License-Identifier: Apache-2.0
"""A cloud whose devices drift: what they are today, what they were, and that a restart changes nothing."""

import contextlib
import json
import sqlite3

import programs
import pytest
from clouds import Cloud, Start, eventually

pytestmark = pytest.mark.acceptance

DEVICE = "ibmq_manila"
TEN_DAYS = 10 * 86_400_000


@pytest.fixture
def cloud_of_ten_days(start_cloud: Start) -> Cloud:
    """A cloud with one device with pulses that was added ten days ago and not calibrated since."""
    made = start_cloud({"drift": "on", "devices": json.dumps({DEVICE: "manila"})}, serve=False)
    with contextlib.closing(sqlite3.connect(made.data / "chandelier.sqlite")) as database:
        database.execute("UPDATE devices SET begun = begun - ? WHERE drift", (TEN_DAYS,))
        database.commit()
    made.start()
    return made


def test_a_device_is_calibrated_with_its_pulses(cloud_of_ten_days: Cloud) -> None:
    """At the start, because it is overdue; a job has the calibration of its moment, and all of that agrees."""
    cloud = cloud_of_ten_days
    api = cloud.api()
    published = cloud.json("device", "history", DEVICE)[0]
    seen = set()

    def calibrated() -> bool:
        queue = api.get(f"/devices/{DEVICE}/queue/status")
        seen.add((queue["status"].partition(":")[0], queue["state"]))
        return len(cloud.json("device", "history", DEVICE)) == 2

    eventually(calibrated, 120, "the device was not calibrated")
    # Of one qubit: on one day in a hundred a `cx` is out of order.
    turn = programs.experiment("x", 1, programs.gate("x", 0), programs.measure(0))
    job = api.submit(programs.qobj(turn), DEVICE)
    assert api.wait(job)["status"] == "COMPLETED"
    properties, defaults = api.get(f"/devices/{DEVICE}/properties"), api.get(f"/devices/{DEVICE}/defaults")
    frequencies = [
        record["value"] for qubit in properties["qubits"] for record in qubit if record["name"] == "frequency"
    ]

    assert seen <= {("calibrating", False), ("active", True)}
    assert api.get(f"/Jobs/{job}/properties") == properties
    assert defaults["qubit_freq_est"] == frequencies
    today = cloud.json("device", "history", DEVICE)[1]
    assert today["t1"] != published["t1"]
    assert today["date"] > published["date"]
    before = {"where": {"last_update_date": {"lt": today["date"].replace("+00:00", "Z")}}}
    old = api.get(f"/devices/{DEVICE}/properties", params={"filter": json.dumps(before)})
    assert old["last_update_date"] == "2024-05-27T18:27:23Z"


def test_a_device_is_calibrated_on_demand_and_frozen(cloud_of_ten_days: Cloud) -> None:
    """The command asks the running server; a frozen device is the same after a restart."""
    cloud = cloud_of_ten_days
    eventually(lambda: len(cloud.json("device", "history", DEVICE)) == 2, 120, "the device was not calibrated")
    assert cloud.json("device", "calibrate", DEVICE)[0]["server"] is True
    eventually(lambda: len(cloud.json("device", "history", DEVICE)) == 3, 120, "it was not calibrated on demand")
    cloud.json("device", "drift", DEVICE, "off")
    api = cloud.api()
    before = api.get(f"/devices/{DEVICE}/properties")
    assert cloud.stop() == 0
    cloud.json("init")
    cloud.start()

    assert cloud.api().get(f"/devices/{DEVICE}/properties") == before
    assert "does not drift" in cloud.command("device", "calibrate", DEVICE).stderr
