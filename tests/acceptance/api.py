# SPDX-License-Identifier: Apache-2.0
"""The plain HTTP client that the tests themselves use where no old client is in play."""

import time
from typing import Any, Final, cast

import httpx

FINAL: Final = ("COMPLETED", "CANCELLED", "ERROR_")


class Api:
    """One user's way to the server.

    Args:
        url: Base URL, ending in `/api`.
        token: API token; exchanged for an access token at the first request that needs one.
        secrets: Receives every token and signed URL seen.
    """

    def __init__(self, url: str, token: str, secrets: set[str]) -> None:
        self.url = url
        self._token = token
        self._secrets = secrets
        self._access: str | None = None
        # Without the environment's proxies: everything is on this machine.
        self.http = httpx.Client(timeout=60, trust_env=False, follow_redirects=False)

    @property
    def access(self) -> str:
        """The access token, valid for two weeks."""
        if self._access is None:
            answer = self.http.post(f"{self.url}/users/loginWithToken", json={"apiToken": self._token})
            assert answer.status_code == 200, answer.text
            self._access = str(answer.json()["id"])
            self._secrets.add(self._access)
        return self._access

    def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request with the access token in the header and return the answer, whatever it is."""
        headers = {"X-Access-Token": self.access} | options.pop("headers", {})
        return self.http.request(method, f"{self.url}{path}", headers=headers, **options)

    def get(self, path: str, **options: Any) -> Any:
        """Return the JSON answer of a GET that must succeed."""
        return succeed(self.send("GET", path, **options))

    def post(self, path: str, **options: Any) -> Any:
        """Return the JSON answer of a POST that must succeed."""
        return succeed(self.send("POST", path, **options))

    def submit(self, program: dict[str, Any], device: str = "ibmq_qasm_simulator", **fields: Any) -> str:
        """Submit a program inline and return the id of its job."""
        job = self.post("/Jobs", json={"qObject": program, "backend": {"name": device}, **fields})
        return str(job["id"])

    def status(self, job: str) -> str:
        """Return the state of a job as modern clients see it."""
        return str(self.get(f"/Jobs/{job}/status/v/1")["status"])

    def wait(self, job: str, limit: float = 90.0) -> dict[str, Any]:
        """Return the job's document once it is final."""
        end = time.monotonic() + limit
        while not (status := self.status(job)).startswith(FINAL):
            assert time.monotonic() < end, f"job {job} is {status} after {limit} s"
            time.sleep(0.02)
        return cast("dict[str, Any]", self.get(f"/Jobs/{job}/v/1"))

    def signed(self, job: str, kind: str) -> str:
        """Return the signed URL of a job's `jobUploadUrl`, `jobDownloadUrl` or `resultDownloadUrl`."""
        url = str(self.get(f"/Jobs/{job}/{kind}")["url"])
        self._secrets.add(url)
        return url

    def result(self, job: str) -> dict[str, Any]:
        """Wait for a job that must succeed and return its result document."""
        done = self.wait(job)
        assert done["status"] == "COMPLETED", done
        return cast("dict[str, Any]", succeed(self.http.get(self.signed(job, "resultDownloadUrl"))))

    def counts(self, job: str, experiment: int = 0) -> dict[str, int]:
        """Return the counts of one experiment of a job that must succeed."""
        return cast("dict[str, int]", self.result(job)["results"][experiment]["data"]["counts"])


def succeed(answer: httpx.Response) -> Any:
    """Return the JSON of an answer that must be 200: the oldest clients take anything else for a failure."""
    assert answer.status_code == 200, f"{answer.request.method} {answer.url.path}: {answer.text}"
    return answer.json()


def error(answer: httpx.Response) -> dict[str, Any]:
    """Return the error of an answer after checking that its envelope is complete.

    Source: protocol, section 2.3: both status fields, an integer code, a name and a message.
    """
    assert answer.status_code >= 400, answer.text
    document = answer.json()
    assert set(document) == {"error"}, document
    body = document["error"]
    assert body["status"] == body["statusCode"] == answer.status_code, body
    assert isinstance(body["code"], int), body
    assert isinstance(body["name"], str), body
    assert isinstance(body["message"], str), body
    assert body["name"], body
    assert body["message"], body
    return cast("dict[str, Any]", body)
