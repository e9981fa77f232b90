"""TLS as push services speak it: to the address that was judged, checked against the name."""

import datetime
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from server.notify import transport
from server.notify.endpoints import Endpoint
from server.notify.transport import Fault, post
from tests.support.served import sqlite_only

pytestmark = sqlite_only

NAME = "push.test"


@pytest.fixture(scope="module")
def certificate() -> Iterator[Path]:
    """One file with key and certificate, for `push.test` alone."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    at = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - datetime.timedelta(days=1))
        .not_valid_after(at + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    with TemporaryDirectory() as folder:
        path = Path(folder) / "both.pem"
        private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        path.write_bytes(private + made.public_bytes(pem))
        yield path


@pytest.fixture
def service(certificate: Path) -> Iterator[tuple[int, list[str]]]:
    """Port, and the names that clients asked for (SNI); answers each with 201."""
    asked: list[str] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.sni_callback = lambda _socket, name, _context: asked.append(name or "")
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    plain, _ = listener.accept()
                except OSError:
                    return
                with plain:
                    try:
                        with context.wrap_socket(plain, server_side=True) as secure:
                            while not secure.recv(65_536).endswith(b"x"):  # the body
                                continue
                            secure.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
                    except OSError:
                        continue

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1], asked
        listener.shutdown(socket.SHUT_RDWR)


def send(port: int, host: str, trusted: Path | None) -> int:
    """To the service, whatever the name says."""
    context = ssl.create_default_context(cafile=str(trusted) if trusted else None)
    here = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]
    to = Endpoint("https", host, port, "/x", allowed=True)
    with (
        mock.patch.object(transport, "_tls", return_value=context),
        mock.patch.object(socket, "getaddrinfo", return_value=here),
    ):
        return post(to, headers={"TTL": "0"}, body=b"x", limit_s=5).status


def test_the_name_is_asked_for_and_checked(service: tuple[int, list[str]], certificate: Path) -> None:
    port, asked = service
    assert send(port, NAME, certificate) == 201
    assert asked == [NAME]


@pytest.mark.parametrize("host", ["other.test", "127.0.0.1"])
def test_another_name_is_refused(service: tuple[int, list[str]], certificate: Path, host: str) -> None:
    with pytest.raises(Fault, match="unreachable"):
        send(service[0], host, certificate)


def test_a_certificate_that_nobody_vouches_for(service: tuple[int, list[str]]) -> None:
    with pytest.raises(Fault, match="unreachable"):
        send(service[0], NAME, None)


def test_a_handshake_that_hangs() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        here = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]
        with mock.patch.object(socket, "getaddrinfo", return_value=here), pytest.raises(Fault, match="timeout"):
            post(Endpoint("https", NAME, port, "/", allowed=True), headers={}, body=b"", limit_s=0.3)


def test_the_second_address_is_tried() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def serve() -> None:
            used, _ = listener.accept()
            with used:
                used.recv(1000)
                used.sendall(b"HTTP/1.1 202 Accepted\r\n\r\n")

        threading.Thread(target=serve, daemon=True).start()
        with socket.create_server(("127.0.0.1", 0)) as other:
            closed = other.getsockname()[1]
        both = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", one)) for one in (closed, port)]
        with mock.patch.object(socket, "getaddrinfo", return_value=both):
            to = Endpoint("http", "127.0.0.1", port, "/", allowed=True)
            assert post(to, headers={}, body=b"", limit_s=5).status == 202
