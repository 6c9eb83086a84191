# SPDX-License-Identifier: Apache-2.0
"""What a project may do with a device, when its jobs are checked and when they would run."""

from chandelier.formats import tasks
from chandelier.jobs.lifecycle import State
from chandelier.jobs.records import Job
from chandelier.scheduling import claims, limits, ranking
from chandelier.scheduling.claims import Claim
from chandelier.store import Transaction
from chandelier.tenancy import grants
from chandelier.tenancy.grants import Limits
from chandelier.tenancy.network import Spot
from factories import NOW, SUMMARY, Town, a_job, after, queued


def limit(town: Town, spot: Spot, **most: int | bool) -> None:
    """Limit what a node may do with the device."""
    town.store.write(lambda tx: grants.grant(tx, spot, town.device, 1, Limits(**most), NOW))  # type: ignore[arg-type]


def run(town: Town) -> Claim | None:
    """Begin to run the next job."""
    return town.store.write(lambda tx: claims.claim_run(tx, ranking.fair, "worker", after(1)))


def test_as_many_run_as_may(town: Town) -> None:
    """Of a project, and of all projects of a hub together; those of others go on."""
    limit(town, town.home.spot, max_running=1)
    first, _ = queued(town), queued(town)
    other = town.store.write(lambda tx: a_job(tx, town, State.QUEUED, place=town.annex, who=town.bob, now=after(1)))
    begun = [run(town) for _ in range(3)]

    assert [claim.job.id if claim else None for claim in begun] == [first.id, other.id, None]


def test_the_limit_of_a_hub_counts_all_its_projects(town: Town) -> None:
    """However they are divided."""
    limit(town, Spot(town.home.hub), max_running=2)
    for _ in range(3):
        queued(town)

    assert [run(town) is not None for _ in range(3)] == [True, True, False]


def test_a_limit_stays_when_the_device_is_taken_away(town: Town) -> None:
    """What waits still runs, but not all at once."""
    limit(town, town.home.spot, max_running=1, max_shots=50)
    job, _ = queued(town), queued(town)
    town.store.write(lambda tx: grants.withdraw(tx, town.home.spot, town.device, after(1)))

    assert [run(town) is not None for _ in range(2)] == [True, False]
    assert isinstance(refusal(town, job, shots=51), tasks.Refused)


def refusal(town: Town, job: Job, **more: int | str) -> tasks.Refused | None:
    """Check a job of some size."""
    summary = tasks.Summary(**{name: getattr(SUMMARY, name) for name in SUMMARY.__struct_fields__} | more)

    def work(tx: Transaction) -> tasks.Refused | None:
        return limits.beyond(tx, job, summary)

    return town.store.read(work)


def test_sizes_are_limited(town: Town) -> None:
    """Up to the limit and no further; the message names the project."""
    limit(town, town.home.spot, max_shots=200, max_experiments=3)
    job = queued(town)

    assert refusal(town, job, shots=200, experiments=3) is None
    for code, more in ((8006, {"shots": 201}), (8007, {"experiments": 4})):
        refused = refusal(town, job, **more)
        assert refused is not None
        assert (refused.code, "ibm-q/open/main" in refused.message) == (code, True)


def test_pulses_are_allowed_or_not(town: Town) -> None:
    """Also those inside a circuit; circuits without any run as before."""
    limit(town, town.home.spot, open_pulse=False)
    job = queued(town)

    assert refusal(town, job) is None
    for more in ({"kind": "PULSE", "pulsed": 2, "channels": 3}, {"pulsed": 1}):
        refused = refusal(town, job, **more)
        assert refused is not None
        assert (refused.code, "ibm-q/open/main" in refused.message) == (8011, True)


def test_pulses_are_limited_in_qubits_and_channels(town: Town) -> None:
    """Up to the limit and no further; the message says what is too much. Circuits may act on any number of qubits."""
    limit(town, town.home.spot, pulse_qubits=2, pulse_channels=3)
    job = queued(town)

    assert refusal(town, job, pulsed=2, channels=3) is None
    assert refusal(town, job, qubits=5) is None
    for word, more in (("3 qubits", {"pulsed": 3}), ("4 channels", {"pulsed": 1, "channels": 4})):
        refused = refusal(town, job, **more)
        assert refused is not None
        assert (refused.code, word in refused.message) == (8015, True)
