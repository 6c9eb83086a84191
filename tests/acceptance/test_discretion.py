# SPDX-License-Identifier: Apache-2.0
"""Logs and metrics are read by people who must not be able to log in as somebody else with them."""

import httpx
import programs
import pytest
import streams
from clouds import Cloud, Start

# Last, so that whatever all other tests sent to the common cloud has had its chance to be logged.
pytestmark = [pytest.mark.acceptance, pytest.mark.last]


def test_no_token_and_no_signed_url_is_logged_or_counted(cloud: Cloud) -> None:
    """After all other tests the log and the metrics of the common cloud have none of their tokens and URLs."""
    provoke(cloud)
    assert found(cloud) == []


def test_a_talkative_log_keeps_secrets_too(start_cloud: Start) -> None:
    """At the level `debug`, too, nothing that opens an account or an object is logged."""
    cloud = start_cloud({"log_level": "debug"})
    provoke(cloud)
    assert found(cloud) == []


def provoke(cloud: Cloud) -> None:
    """Send tokens in query strings, bodies, headers and sockets, and signed URLs, good and bad."""
    api = cloud.api()
    job = api.submit(programs.bell())
    api.wait(job)
    for url in (
        f"{cloud.url}/users/me?access_token={api.access}",
        f"{cloud.url}/nothing/here?access_token={api.access}",
        f"{cloud.url}/users/me?apiToken={cloud.token}&access_token={cloud.token}",
        api.signed(job, "resultDownloadUrl"),
        api.signed(job, "resultDownloadUrl") + "0",
    ):
        api.http.get(url)
    api.http.request("GET", f"{cloud.url}/Jobs/", json={"access_token": api.access})
    api.http.post(f"{cloud.url}/users/loginWithToken", content=f'{{"apiToken": "{cloud.token}"'.encode())
    with streams.dial(cloud, job, query=f"?access_token={api.access}") as socket:
        streams.authenticate(socket, api.access)
        streams.hear(socket)


def found(cloud: Cloud) -> list[str]:
    """Return those of the secrets that went over the wire which the log or the metrics have."""
    said = cloud.log.read_text(errors="replace")
    assert "ready" in said
    said += httpx.get(f"{cloud.root}/metrics", trust_env=False).text
    urls = [httpx.URL(secret) for secret in cloud.secrets if secret.startswith("http")]
    secrets = cloud.secrets | {url.params["signature"] for url in urls}
    assert len(secrets) >= 4
    return [secret for secret in secrets if secret in said]
