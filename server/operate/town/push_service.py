"""A push service on this machine and the browsers behind it: answers as it is told to, checks what a real one checks
(VAPID, TTL, Topic, Urgency), and decrypts what arrives as the browser would (RFC 8291), with code of its own.

    with PushService() as push:
        sub = push.subscribe()                     # {"endpoint", "keys"}, to be registered as a device
        push.script(sub, [500, 201])               # then 201 for ever
        push.received(sub)                         # what the device has shown: dicts, with `.ttl`, `.topic`, …
"""

import base64
import contextlib
import hashlib
import hmac
import json
import secrets
import socket
import struct
import threading
import time
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

Answer = int | str | tuple[int, str]
"""A status; `(429, "Retry-After")`; `silence` (201, and the device never gets it); `hang`; `reset` (after the body);
`drip` (a byte now and then, for ever); `redirect`; `garbage`."""
LONGEST_HANG_S = 30.0


class Message(dict[str, Any]):
    """What a device got, decrypted."""

    ttl: int
    topic: str
    urgency: str
    claims: dict[str, Any]
    at: float
    """`time.monotonic()`."""
    answered: Answer


class Subscription(dict[str, Any]):
    """`{"endpoint", "keys": {"p256dh", "auth"}}`, as a browser gives it."""

    def __init__(self, endpoint: str, key: str = "") -> None:
        self.private, self.auth, self.key = ec.generate_private_key(ec.SECP256R1()), secrets.token_bytes(16), key
        self.public = _point(self.private.public_key())
        super().__init__(endpoint=endpoint, keys={"p256dh": _b64(self.public), "auth": _b64(self.auth)})
        self.answers: list[Answer] = []
        self.posts: list[Message] = []
        self.faults: list[str] = []
        self.on_message: Callable[[Message], None] | None = None


class PushService:
    """Threaded; one path for each subscription."""

    def __init__(self, port: int = 0) -> None:
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                service._answer(self)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._known: dict[str, Subscription] = {}
        self._changed = threading.Condition()
        self._ending = threading.Event()
        self.connections = 0

    def __enter__(self) -> "PushService":
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._server.shutdown()
        self._server.server_close()

    # --- for tests ---
    @property
    def host(self) -> str:
        """For PUSH_HOSTS_ALLOWED."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def subscribe(self, *, key: str = "", on_message: Callable[[Message], None] | None = None) -> Subscription:
        """A new browser; with `key` (`GET push/key`) it takes nothing that is signed by another. `on_message` is its
        service worker, called for whatever arrives."""
        path = f"/push/{secrets.token_urlsafe(24)}"
        found = Subscription(self.url + path, key)
        found.on_message = on_message
        self._known[path] = found
        return found

    def script(self, sub: Subscription, answers: Sequence[Answer]) -> None:
        """What it answers next, in this order."""
        with self._changed:
            sub.answers = list(answers)

    def received(self, sub: Subscription) -> list[Message]:
        """What the device has shown, oldest first."""
        with self._changed:
            return [one for one in sub.posts if one.answered == 201]

    def posts(self, sub: Subscription) -> list[Message]:
        """Everything that was sent, whatever the answer was."""
        with self._changed:
            return list(sub.posts)

    def shown(self, sub: Subscription) -> dict[str, Message]:
        """What stands on its screen: by tag, the newest."""
        return {one["tag"]: one for one in self.received(sub)}

    def wait(self, sub: Subscription, count: int = 1, timeout_s: float = 10.0, *, posts: bool = False) -> list[Message]:
        """What it has received (or was sent), as soon as that is `count`; AssertionError when it takes too long."""

        def found() -> list[Message]:
            return [one for one in sub.posts if posts or one.answered == 201]

        with self._changed:
            assert self._changed.wait_for(lambda: len(found()) >= count, timeout_s), f"{len(found())} of {count} came"
            return found()

    # --- the service ---
    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        self.connections += 1
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        sub = self._known.get(request.path)
        if sub is None:
            return _say(request, 404)
        try:
            message = self._opened(request, sub, body)
        except _Refused as fault:
            with self._changed:
                sub.faults.append(f"{fault.status} {fault}")
                self._changed.notify_all()
            return _say(request, fault.status)
        with self._changed:
            answer = sub.answers.pop(0) if sub.answers else 201
            message.answered = answer
            sub.posts.append(message)
            self._changed.notify_all()
        self._give(request, answer)
        if answer == 201 and sub.on_message is not None:
            threading.Thread(target=sub.on_message, args=(message,), daemon=True).start()
        return None

    def _give(self, request: BaseHTTPRequestHandler, answer: Answer) -> None:
        match answer:
            case int(status):
                _say(request, status)
            case (int(status), str(after)):
                _say(request, status, {"Retry-After": after})
            case "silence":
                _say(request, 201)
            case "redirect":
                _say(request, 307, {"Location": f"{self.url}/elsewhere"})
            case "hang":
                self._ending.wait(LONGEST_HANG_S)
            case "drip":
                ends = time.monotonic() + LONGEST_HANG_S
                with contextlib.suppress(OSError):
                    while time.monotonic() < ends and not self._ending.wait(0.2):
                        request.wfile.write(b"H")
                request.close_connection = True
            case "reset":
                request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                request.connection.close()
                request.close_connection = True
            case "garbage":
                request.wfile.write(b"\x00\xff not HTTP at all\r\n\r\n")
                request.close_connection = True
            case _:
                raise AssertionError(f"no such answer: {answer}")

    def _opened(self, request: BaseHTTPRequestHandler, sub: Subscription, body: bytes) -> Message:
        said = request.headers
        if said.get("Content-Encoding") != "aes128gcm":
            raise _Refused(415, "Content-Encoding")
        if not (said.get("TTL") or "").isdigit():
            raise _Refused(400, "TTL")
        if len(body) > 4096:
            raise _Refused(413, "too large")
        topic = said.get("Topic") or ""
        if len(topic) > 32 or not set(topic) <= _URL_SAFE:
            raise _Refused(400, "Topic")
        message = Message(json.loads(decrypted(body, sub)))
        message.ttl, message.topic, message.urgency = int(said["TTL"]), topic, said.get("Urgency") or "normal"
        message.claims, message.at = self._claims(said.get("Authorization") or "", sub), time.monotonic()
        return message

    def _claims(self, authorization: str, sub: Subscription) -> dict[str, Any]:
        """RFC 8292: an ES256 token for this service, by the key that the browser subscribed with."""
        scheme, _, rest = authorization.partition(" ")
        parts = dict(one.strip().split("=", 1) for one in rest.split(",") if "=" in one)
        if scheme.lower() != "vapid" or not {"t", "k"} <= set(parts):
            raise _Refused(401, "no VAPID")
        if sub.key and parts["k"].rstrip("=") != sub.key:
            raise _Refused(403, "another key")
        signed, _, signature = parts["t"].rpartition(".")
        raw = _octets(signature)
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), _octets(parts["k"]))
        pair = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
        try:
            key.verify(pair, signed.encode(), ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            raise _Refused(403, "signature") from None
        claims: dict[str, Any] = json.loads(_octets(signed.split(".")[1]))
        if claims.get("aud") != self.url or not 0 < claims.get("exp", 0) - time.time() <= 86_400:
            raise _Refused(403, "claims")
        if not str(claims.get("sub", "")).startswith(("mailto:", "https:")):
            raise _Refused(403, "sub")
        return claims


class _Refused(Exception):
    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


_URL_SAFE = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def decrypted(body: bytes, sub: Subscription) -> bytes:
    """RFC 8291 and RFC 8188, one record."""
    salt, size, length = body[:16], int.from_bytes(body[16:20], "big"), body[20]
    sender, sealed = body[21 : 21 + length], body[21 + length :]
    assert len(sealed) <= size, "one record"
    shared = sub.private.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), sender))
    secret = _expand(_mac(sub.auth, shared), b"WebPush: info\x00" + sub.public + sender, 32)
    root = _mac(salt, secret)
    key = _expand(root, b"Content-Encoding: aes128gcm\x00", 16)
    nonce = _expand(root, b"Content-Encoding: nonce\x00", 12)
    padded = AESGCM(key).decrypt(nonce, sealed, None).rstrip(b"\x00")
    assert padded[-1:] == b"\x02", "the last record's delimiter"
    return padded[:-1]


def _say(request: BaseHTTPRequestHandler, status: int, headers: dict[str, str] | None = None) -> None:
    with contextlib.suppress(OSError):  # whoever asked has gone
        request.send_response(status)
        for name, value in (headers or {}).items():
            request.send_header(name, value)
        request.send_header("Content-Length", "0")
        request.end_headers()


def _mac(key: bytes, text: bytes) -> bytes:
    return hmac.new(key, text, hashlib.sha256).digest()


def _expand(root: bytes, info: bytes, length: int) -> bytes:
    return _mac(root, info + b"\x01")[:length]


def _point(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


def _b64(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


def _octets(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
