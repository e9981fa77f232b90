"""Over TLS: only to whom we trust, and no longer than the limit, whatever drips."""

import datetime
import ipaddress
import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from unittest import mock

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from server.people.oidc import wire
from tests.support.served import sqlite_only

pytestmark = [sqlite_only, pytest.mark.django_db]


class Drips(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        try:
            for byte in b'{"x": 1}':
                self.wfile.write(bytes([byte]))
                time.sleep(0.2 if self.path == "/slow" else 0)
        except OSError:
            return  # whoever asked has gone

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For this machine, signed by itself; its key is in the same file."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    at = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(at - datetime.timedelta(hours=1))
        .not_valid_after(at + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(made.public_bytes(Encoding.PEM) + secret)
    return path


@pytest.fixture(scope="module")
def address(certificate: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Drips)
    server.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # type: ignore[method-assign] # refused handshakes
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"https://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def trusted(certificate: Path) -> Iterator[None]:
    with mock.patch.object(wire, "_tls", return_value=ssl.create_default_context(cafile=str(certificate))):
        yield


def test_whom_nobody_vouches_for(address: str) -> None:
    with pytest.raises(wire.Away, match="unreachable"):
        wire.get(f"{address}/")


@pytest.mark.usefixtures("trusted")
def test_another_name(address: str) -> None:
    with pytest.raises(wire.Away, match="unreachable"):
        wire.get(f"{address.replace('127.0.0.1', 'localhost')}/")


@pytest.mark.usefixtures("trusted")
def test_whom_we_trust(address: str) -> None:
    assert wire.get(f"{address}/").said == {"x": 1}


@pytest.mark.usefixtures("trusted")
def test_it_drips(address: str) -> None:
    began = time.monotonic()
    with mock.patch.object(wire, "WHOLE_S", 0.5), pytest.raises(wire.Away, match="slow"):
        wire.get(f"{address}/slow")
    assert time.monotonic() - began < 1.4, "all of it would take longer"
