"""The verifier against a server: what it asks, with which secret, and what it does not put up with."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from server.audit import verify
from tests.audit.exported import OLDER, Check
from tests.audit.naive import Log
from tests.support.served import sqlite_only

pytestmark = sqlite_only

TOKEN = "the-verifiers-own"
Odd = Callable[[str, int], int | bytes | None]
"""(path below the base, how often it was asked for) -> a status, other bytes, or None for what the export holds."""


class Live:
    """Serves an export as the product does: entries with a token only."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[tuple[str, str | None]] = []
        self.odd: Odd = lambda path, times: None
        self.lengthen = 0
        self.only_with_token: tuple[str, ...] = ("tile/entries/",)
        live = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path.removeprefix("/audit/")
                token = self.headers["Authorization"]
                live.asked.append((path, token))
                answer = live.odd(path, [one for one, _ in live.asked].count(path))
                if answer is None and path.startswith(live.only_with_token) and token != f"Bearer {TOKEN}":
                    answer = 403 if token else 401
                if answer is None:
                    answer = (folder / path).read_bytes() if (folder / path).is_file() else 404
                status, body = (answer, b"") if isinstance(answer, int) else (200, answer)
                self.send_response(status)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", str(len(body) + live.lengthen))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Nothing: what was asked is in `asked`."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.url = f"http://127.0.0.1:{self.server.server_port}/audit/"


@pytest.fixture
def live(whole: Log) -> Iterator[Live]:
    made = Live(whole.folder)
    made.thread.start()
    yield made
    made.server.shutdown()
    made.thread.join()
    made.server.server_close()


@pytest.fixture
def token(tmp_path: Path) -> Path:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    return tmp_path / "token"


def test_a_log_verifier_checks_all(
    live: Live, whole: Log, token: Path, check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9/")  # what runs on this machine is asked without going round
    status, answer = check(live.url, "--token-file", token, "--older", whole.folder / "older")
    assert (status, "Every entry is what was sealed" in answer) == (0, True), answer
    assert f"the first {OLDER} entries are unchanged" in answer
    assert {secret for _, secret in live.asked} == {f"Bearer {TOKEN}"}


@pytest.mark.parametrize("with_token", [False, True])
def test_who_is_no_log_verifier_checks_the_tree(live: Live, token: Path, check: Check, with_token: bool) -> None:
    live.odd = lambda path, times: 403 if with_token and path.startswith("tile/entries/") else None
    status, answer = check(live.url, *(["--token-file", token] if with_token else []))
    assert (status, "ENTRIES AND DETAILS WERE NOT CHECKED" in answer) == (verify.TREE_ONLY, True), answer


def test_what_is_newest_is_for_officers(live: Live, token: Path, check: Check) -> None:
    """Below `newest/` nothing is public, so that the token goes with every question."""
    live.only_with_token = ("",)
    status, answer = check(live.url, "--token-file", token)
    assert (status, "Every entry is what was sealed" in answer) == (0, True), answer
    assert check(live.url)[0] == 2


def test_a_full_tile_stands_for_the_partial_one_that_has_gone(
    live: Live, whole: Log, token: Path, check: Check
) -> None:
    """As on a log that grew while it was read."""

    def grown(path: str, times: int) -> int | bytes | None:
        if path == "tile/0/002":
            return b"".join(whole.hashes[512:]) + bytes(168 * 32)
        if path == "tile/entries/002":
            return whole.path("entries", 2, 88).read_bytes() + b"\x00\x01x" * 168
        return 404 if path in ("tile/0/002.p/88", "tile/entries/002.p/88") else None

    live.odd = grown
    status, answer = check(live.url, "--token-file", token)
    assert (status, "Every entry is what was sealed" in answer) == (0, True), answer
    assert {"tile/0/002", "tile/entries/002"} <= {path for path, _ in live.asked}


@pytest.mark.parametrize(
    ("odd", "status", "words"),
    [
        (lambda path, times: 302 if path == "tile/0/001" else None, 2, "answered 302 to tile/0/001"),
        (lambda path, times: 500 if path == "tile/0/001" else None, 2, "answered 500 to tile/0/001"),
        (lambda path, times: 404 if path == "tile/0/001" else None, 2, "tile/0/001 is missing"),
        (lambda path, times: 404 if path == "tile/entries/001" else None, 2, "tile/entries/001 is missing"),
        (lambda path, times: 401 if path == "tile/entries/000" else None, 2, "answered 401 to tile/entries/000"),
        (lambda path, times: 429 if path == "tile/0/001" and times < 3 else None, 0, "has 600 entries"),
        (lambda path, times: 429 if path == "tile/0/001" else None, 2, "answered 429 to tile/0/001"),
        (lambda path, times: bytes(32 * 256) if path == "tile/0/001" else None, 4, "and 251 more (tile/entries/001)"),
        (lambda path, times: bytes(9999) if path == "tile/0/001" else None, 2, "larger than any such file can be"),
        (lambda path, times: b"<html>" if path == "checkpoint" else None, 3, "not a signed note"),
        (lambda path, times: 404 if path == "checkpoint" else None, 2, "There is no checkpoint"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_odd_answers(
    odd: Odd, status: int, words: str, live: Live, token: Path, check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "PAUSES_S", (0.001, 0.001, 0))
    live.odd = odd
    found, answer = check(live.url, "--token-file", token)
    assert (found, words in answer) == (status, True), answer
    assert "/elsewhere" not in [path for path, _ in live.asked]


def test_an_answer_that_breaks_off_and_a_server_that_is_not_there(
    live: Live, token: Path, check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    live.lengthen = 5
    monkeypatch.setattr(verify, "TIMEOUT_S", 5)
    live.server.RequestHandlerClass.protocol_version = "HTTP/1.0"  # type: ignore[attr-defined]
    status, answer = check(live.url)
    assert (status, "broke off in the middle of checkpoint" in answer) == (2, True), answer
    status, answer = check("http://127.0.0.1:9/audit/")
    assert (status, "gave no answer" in answer) == (2, True), answer
    token.write_text("two words")
    status, answer = check(live.url, "--token-file", token)
    assert (status, "something else than a token" in answer) == (1, True), answer
