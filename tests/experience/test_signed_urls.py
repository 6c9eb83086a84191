# SPDX-License-Identifier: Apache-2.0
"""Signed URLs: what opens them, what does not, and how much may be sent."""

import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import desk as desks
import pytest
from desk import Desk, OpenDesk

import factories
from chandelier.jobs import records
from chandelier.jobs.lifecycle import State

LIMIT = desks.SMALL["max_job_bytes"]
#: Headers that clients' sessions send along.
SESSIONS: dict[str, dict[str, str]] = {
    "none": {},
    "a token": {"X-Access-Token": "whatever", "X-Qx-Client-Application": "IBMQClient.jl", "Accept": "*/*"},
    "another type": {"Content-Type": "text/csv"},
    "a form": {"Content-Type": "application/x-www-form-urlencoded"},
    "authorization": {"Authorization": "Bearer x", "Cookie": "a=b", "Accept-Encoding": "gzip", "Expect": "nothing"},
}


def parts(url: str) -> tuple[bytes, bytes]:
    """Return path and query of a URL."""
    split = urlsplit(url)
    return split.path.encode(), split.query.encode()


def forged(url: str) -> Iterator[str]:
    """Return the URL with each thing changed that its signature covers."""
    path, _, query = url.partition("?")
    given = {name: values[0] for name, values in parse_qs(query).items()}
    expires, signature = given["expires"], given["signature"]
    last = "0" if signature[-1] != "0" else "1"
    yield path
    yield f"{path}?expires={expires}"
    yield f"{path}?signature={signature}"
    yield f"{path}?expires={expires}&signature={signature[:-1]}{last}"
    yield f"{path}?expires={expires}&signature={signature[:-1]}"
    yield f"{path}?expires={expires}&signature=%F0%9F%92%A1"
    yield f"{path}?expires={int(expires) + 1}&signature={signature}"
    yield f"{path}?expires={'9' * 400}&signature={signature}"
    yield f"{path}?expires=soon&signature={signature}"
    yield f"{path}?expires=%C2%B2&signature={signature}"
    yield path.replace("/api/objects/", "/api/objects/other/") + "?" + query


@pytest.fixture
def job(desk: Desk) -> dict[str, Any]:
    """A job whose program is still to come."""
    opened: dict[str, Any] = desk.opened()
    return opened


def upload_url(desk: Desk, job: dict[str, Any]) -> str:
    """Return a fresh URL of the upload."""
    return str(desk.get(f"/Jobs/{job['id']}/jobUploadUrl")["url"])


@pytest.mark.parametrize("headers", SESSIONS.values(), ids=SESSIONS)
def test_headers_do_not_matter(desk: Desk, job: dict[str, Any], headers: dict[str, str]) -> None:
    """Neither on upload nor on download; the URL from the submission and the one asked for are as good."""
    content = factories.a_program()
    for url in (job["objectStorageInfo"]["uploadUrl"], upload_url(desk, job)):
        assert url.startswith("http://testserver/api/objects/programs/")
        answer = desk.http.put(url, content=content, headers=headers)
        assert (answer.status_code, answer.content) == (200, b"")
    fetched = desk.http.get(desk.get(f"/Jobs/{job['id']}/jobDownloadUrl")["url"], headers=headers)

    assert (fetched.content, fetched.headers["content-type"]) == (content, "application/json")


def test_no_content_type_is_needed(desk: Desk, job: dict[str, Any]) -> None:
    """One client sends none at all."""
    path, query = parts(upload_url(desk, job))

    assert desk.knock("PUT", path, query=query, chunks=[factories.a_program()]).status == 200
    assert desk.post(f"/Jobs/{job['id']}/jobDataUploaded")["job"]["status"] == "VALIDATING"


def test_forged_urls_are_refused(desk: Desk) -> None:
    """All that is signed counts: the object, the method, the time."""
    done = desk.brought(State.COMPLETED)
    job = desk.opened()
    uploads = job["objectStorageInfo"]["uploadUrl"]
    downloads = [desk.get(f"/Jobs/{done}/{name}")["url"] for name in ("jobDownloadUrl", "resultDownloadUrl")]
    for method, url in (("PUT", uploads), *(("GET", url) for url in downloads)):
        for wrong in forged(url):
            answer = desk.http.request(method, wrong, content=b"evil")
            if "/other/" in wrong:
                desks.error(answer, 404, 1004)
            else:
                desks.error(answer, 403, 2004)


def test_a_url_is_good_for_one_object_and_one_method(desk: Desk) -> None:
    """A download's is none for an upload, and Ann's job is not Bob's."""
    job = desk.uploaded()
    other = desk.opened("bob")
    download = desk.get(f"/Jobs/{job}/jobDownloadUrl")["url"]
    upload = other["objectStorageInfo"]["uploadUrl"]
    swaps = (
        ("PUT", download),
        ("GET", upload),
        ("GET", download.replace(job, other["id"])),
        ("PUT", upload.replace(other["id"], job)),
        ("GET", download.replace("programs", "results")),
    )
    for method, url in swaps:
        desks.error(desk.http.request(method, url, content=b"evil"), 403, 2004)


def test_an_expired_url_is_refused(desk: Desk, job: dict[str, Any]) -> None:
    """However well it is signed."""
    name = job["id"]
    for method, moment in (("PUT", int(time.time()) - 1), ("GET", 0)):
        query = desk.store.objects.sign("PUT" if method == "PUT" else "GET", "programs", name, moment)
        answer = desk.http.request(method, f"http://testserver/api/objects/programs/{name}?{query}", content=b"late")
        assert "expired" in desks.error(answer, 403, 2004)["message"]


def test_urls_expire_when_the_settings_say(open_desk: OpenDesk) -> None:
    """In seconds from now."""
    desk = open_desk(url_seconds=1000)
    before = int(time.time())
    expires = int(parse_qs(urlsplit(desk.opened()["objectStorageInfo"]["uploadUrl"]).query)["expires"][0])

    assert before + 1000 <= expires <= int(time.time()) + 1000


def test_what_was_deleted_is_not_found(desk: Desk, job: dict[str, Any]) -> None:
    """A signed URL of something that is not stored."""
    query = desk.store.objects.sign("GET", "programs", job["id"], int(time.time()) + 60)

    desks.error(desk.http.get(f"http://testserver/api/objects/programs/{job['id']}?{query}"), 404, 3252)


@pytest.mark.parametrize("name", ["x", "..%2fsecret", "%00", "A" * 24, "é" * 12])
def test_only_names_of_objects_are_looked_up(desk: Desk, name: str) -> None:
    """A signature for anything else does not exist, but if it did, no file would be touched."""
    plain = {"..%2fsecret": "../secret", "%00": "\x00"}.get(name, name)
    query = desk.store.objects.sign("GET", "programs", plain, int(time.time()) + 60)
    answer = desk.http.get(f"http://testserver/api/objects/programs/{name}?{query}")

    desks.error(answer, 404, 1004 if "/" in plain else 3250)


def test_the_last_upload_counts(desk: Desk, job: dict[str, Any]) -> None:
    """Until the job is handed over."""
    url = job["objectStorageInfo"]["uploadUrl"]
    for name in ("first", "second"):
        assert desk.http.put(url, content=factories.a_program(name=name)).status_code == 200
    desk.post(f"/Jobs/{job['id']}/jobDataUploaded")

    fetched = desk.http.get(desk.get(f"/Jobs/{job['id']}/jobDownloadUrl")["url"])
    assert fetched.content == factories.a_program(name="second")


@pytest.mark.parametrize("state", [state for state in State if state is not State.CREATING])
def test_nothing_is_uploaded_after_the_hand_over(desk: Desk, state: State) -> None:
    """The URL that is still valid is refused, and there is no new one."""
    job = desk.opened()
    url = job["objectStorageInfo"]["uploadUrl"]
    desk.post(f"/Jobs/{job['id']}/cancel")
    desks.error(desk.http.put(url, content=b"late"), 409, 3251)
    handed = desk.brought(state)
    query = desk.store.objects.sign("PUT", "programs", handed, int(time.time()) + 60)
    late = desk.http.put(f"http://testserver/api/objects/programs/{handed}?{query}", content=b"late")

    desks.error(late, 409, 3251)
    desks.error(desk.ask("GET", f"/Jobs/{handed}/jobUploadUrl"), 409, 3251)


def test_an_upload_that_is_overtaken_by_the_hand_over_is_dropped(desk: Desk, job: dict[str, Any]) -> None:
    """What was checked and taken in is what will run."""
    url = job["objectStorageInfo"]["uploadUrl"]
    assert desk.http.put(url, content=factories.a_program(name="first")).status_code == 200
    path, query = parts(url)

    def slow() -> Iterator[bytes]:
        yield factories.a_program(name="second")[:10]
        desk.store.write(lambda tx: hand_over(tx, job["id"]))
        yield factories.a_program(name="second")[10:]

    reply = desk.knock("PUT", path, query=query, chunks=slow())

    assert reply.status == 409
    fetched = desk.http.get(desk.get(f"/Jobs/{job['id']}/jobDownloadUrl")["url"])
    assert fetched.content == factories.a_program(name="first")


def hand_over(tx: Any, job_id: str) -> None:
    """Hand a job over, as the notice does."""
    records.advance(tx, records.JobId(job_id), (State.CREATED, State.VALIDATING), desks.now())


def test_an_upload_may_be_as_large_as_was_told(desk: Desk, job: dict[str, Any]) -> None:
    """Whether it announces its length or comes in chunks."""
    assert job["objectStorageInfo"]["maxJobSizeInBytes"] == LIMIT
    path, query = parts(job["objectStorageInfo"]["uploadUrl"])
    announced = [(b"content-length", str(LIMIT).encode())]

    assert desk.knock("PUT", path, query=query, headers=announced, chunks=[b"x" * LIMIT]).status == 200
    assert desk.knock("PUT", path, query=query, chunks=[b"x" * (LIMIT // 2)] * 2).status == 200


@pytest.mark.parametrize("announced", [True, False])
def test_a_larger_upload_is_refused(desk: Desk, job: dict[str, Any], announced: bool) -> None:
    """Before it is read if it says so, else as soon as it is too much; nothing of it stays."""
    path, query = parts(job["objectStorageInfo"]["uploadUrl"])
    headers = [(b"content-length", str(LIMIT + 1).encode())] if announced else []
    reply = desk.knock("PUT", path, query=query, headers=headers, chunks=[b"x" * (LIMIT // 2)] * 2 + [b"x"])

    assert reply.status == 413
    assert b'"code":1006' in reply.body
    assert str(LIMIT).encode() in reply.body
    assert [*(desk.store.objects.root / "incoming").iterdir()] == []
    desks.error(desk.ask("GET", f"/Jobs/{job['id']}/jobDownloadUrl"), 404, 3253)


def test_a_forged_upload_is_not_read(desk: Desk, job: dict[str, Any]) -> None:
    """Nobody fills the disk without a signature."""
    path, _ = parts(job["objectStorageInfo"]["uploadUrl"])
    taken = []

    def endless() -> Iterator[bytes]:
        for chunk in range(3):
            taken.append(chunk)
            yield b"x"

    assert desk.knock("PUT", path, query=b"expires=1&signature=0", chunks=endless()).status == 403
    assert taken == []


@pytest.mark.parametrize("chunked", [True, False])
def test_an_inline_program_beyond_the_limit_is_refused(desk: Desk, chunked: bool) -> None:
    """The same limit, in the other way of submitting."""
    program = factories.a_program(name="x" * LIMIT)
    body = b'{"backend": {"name": "device"}, "qObject": ' + program + b"}"
    headers = [desk.token()] if chunked else [desk.token(), (b"content-length", str(len(body)).encode())]
    reply = desk.knock("POST", b"/api/Jobs", headers=headers, chunks=[body[:1000], body[1000:]])

    assert (reply.status, b'"code":1006' in reply.body) == (413, True)
    assert desk.listed() == []


@pytest.mark.parametrize("chunked", [True, False])
def test_other_requests_have_short_bodies(desk: Desk, chunked: bool) -> None:
    """A login of many megabytes is not kept in memory."""
    body = b'{"apiToken": "' + b"x" * (3 << 20) + b'"}'
    headers = [] if chunked else [(b"content-length", str(len(body)).encode())]
    reply = desk.knock("POST", b"/api/users/loginWithToken", headers=headers, chunks=[body])

    assert (reply.status, b'"code":1006' in reply.body) == (413, True)


def test_a_broken_upload_leaves_nothing(desk: Desk, job: dict[str, Any]) -> None:
    """The client is gone in the middle; the job still waits for its program."""
    path, query = parts(job["objectStorageInfo"]["uploadUrl"])
    reply = desk.knock("PUT", path, query=query, chunks=[b"half"], cut=True)

    assert reply.status == 400
    assert [*(desk.store.objects.root / "incoming").iterdir()] == []
    desks.error(desk.ask("GET", f"/Jobs/{job['id']}/jobDownloadUrl"), 404, 3253)
