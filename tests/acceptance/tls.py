# SPDX-License-Identifier: Apache-2.0
"""A door with a test certificate before a cloud, for clients that know their servers by name and speak only TLS.

It does what `docs/howto/serve-for-others.md` asks of a proxy, and remembers what went through.
"""

import datetime
import http.client
import http.server
import json
import ssl
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

#: Headers that belong to one connection, not to the message. Source: RFC 9110, section 7.6.1.
HOP_BY_HOP: Final = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"})


@dataclass(frozen=True)
class Exchange:
    """One request and its answer.

    Args:
        host: The server that the client meant.
        query: The values of the query; of several with one name the first.
        sent: The body, read as JSON; None if it is none.
        answered: The same of the answer.
    """

    method: str
    host: str
    path: str
    query: dict[str, str]
    sent: Any
    status: int
    answered: Any


class Door:
    """What clients are let in by.

    Args:
        port: The cloud's port on this machine.
        certificate: File with a key and its certificate.
    """

    def __init__(self, port: int, certificate: Path) -> None:
        self.certificate = certificate
        self.exchanges: list[Exchange] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(port, self.exchanges))
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)

    @property
    def port(self) -> int:
        """Where the door listens, with TLS."""
        return int(self.server.server_address[1])


@contextmanager
def door(port: int, folder: Path, names: Iterable[str]) -> Iterator[Door]:
    """Open a door before the cloud at a port, with a certificate for some host names."""
    opened = Door(port, write_certificate(folder / "door.pem", names))
    thread = threading.Thread(target=opened.server.serve_forever, name="door", daemon=True)
    thread.start()
    try:
        yield opened
    finally:
        opened.server.shutdown()
        opened.server.server_close()
        thread.join()


def write_certificate(file: Path, names: Iterable[str]) -> Path:
    """Write a key and a certificate that signs itself, good for a day and for some host names."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a test certificate")])
    now = datetime.datetime.now(datetime.UTC)
    public = key.public_key()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    kept = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(kept + certificate.public_bytes(pem))
    return file


def _handler(port: int, exchanges: list[Exchange]) -> type[BaseHTTPRequestHandler]:
    """Return a class whose instances carry requests to the cloud and its answers back."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def carry(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
            headers |= {"X-Forwarded-Proto": "https", "X-Forwarded-For": self.client_address[0]}
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            connection.request(self.command, self.path, body or None, headers)
            answer = connection.getresponse()
            content = answer.read()
            connection.close()
            url = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            exchanges.append(
                Exchange(self.command, headers["Host"], url.path, query, _json(body), answer.status, _json(content))
            )
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in HOP_BY_HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = carry  # noqa: N815

        def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
            """Say nothing: the exchanges are kept instead."""

    return Handler


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return None
