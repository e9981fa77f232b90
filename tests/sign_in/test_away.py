"""A provider that is down, slow, huge or odd: an answer soon, with the other ways in; nobody else notices."""

import socket
import threading
import time
from unittest import mock

from server.people.oidc import metadata, providers, wire
from tests.sign_in.base import SignInTestCase
from tests.sign_in.front import JWKS, PAR, TOKEN, WELL_KNOWN, Reply
from tests.sign_in.stage import CITIZENS, STAFF, App
from tests.support.served import sqlite_only
from tests.support.threads import at_once

pytestmark = sqlite_only


class Away(SignInTestCase):
    def unavailable(self, path: str, reply: object = None) -> None:
        """Wherever it happens, whoever signs in is told, and everybody else goes on."""
        metadata.forget()
        began = time.monotonic()
        if path in (WELL_KNOWN, PAR):
            answer = App().client.post(f"sign-in/{CITIZENS}", {"challenge": self.app.challenge})
            assert (answer.status_code, answer.json()["code"]) == (503, "sign_in_unavailable")
            assert answer.headers["Retry-After"] == "30"
            assert "113" in answer.json()["title"]
        else:
            app = App()
            page = app.come_back(app.visit(app.begin(), "are"))
            assert (app.told(page), page.status_code) == ("sign_in_unavailable", 503)
            assert "kode" in page.content.decode(), "staff can let a patient in"
        assert time.monotonic() - began < 5
        assert self.person("kari").get("me").status_code == 200

    def test_down(self) -> None:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))  # nobody listens there
            self.stage.write(issuer=f"http://127.0.0.1:{closed.getsockname()[1]}")
            self.addCleanup(self.stage.write)
            self.stage.forget()
            self.unavailable(WELL_KNOWN)

    def test_odd_answers(self) -> None:
        def redirect(reply: Reply) -> None:
            reply.status, reply.headers = 302, [("Location", self.front.url + "/jwks")]

        def failing(reply: Reply) -> None:
            reply.status, reply.body = 500, b"<h1>Oops</h1>"

        def refusing(reply: Reply) -> None:
            reply.status = 400
            reply.say({"error": "invalid_client", "error_description": "who?"})

        def wordy(reply: Reply) -> None:
            reply.status = 400
            reply.say({"error": {"a": "b"}})

        def text(reply: Reply) -> None:
            reply.body = b"not JSON"

        def listed(reply: Reply) -> None:
            reply.body = b"[]"

        def deep(reply: Reply) -> None:
            reply.body = b"[" * 100_000

        def empty(reply: Reply) -> None:
            reply.body = b""

        def huge(reply: Reply) -> None:
            reply.body = b'{"x": "' + b"x" * wire.MOST_BYTES + b'"}'

        for path in (WELL_KNOWN, PAR, TOKEN, JWKS):
            everything = (redirect, failing, refusing, wordy, text, listed, deep, empty, huge)
            for alter in everything if path == TOKEN else (redirect, failing, text, huge):
                with self.subTest(path=path, alter=alter.__name__):
                    self.front.reset()
                    self.front.alter[path] = alter
                    self.unavailable(path)

    def test_slow(self) -> None:
        """It drips: each byte comes in time, all of them never."""

        def drips(reply: Reply) -> None:
            reply.drips_s = 0.05

        for path in (WELL_KNOWN, TOKEN):
            with self.subTest(path=path), mock.patch.object(wire, "WHOLE_S", 0.4):
                self.front.reset()
                self.front.alter[path] = drips
                self.unavailable(path)

    def test_silent(self) -> None:
        """It takes the connection and says nothing."""
        with socket.socket() as silent, mock.patch.object(wire, "READ_S", 0.2):
            silent.bind(("127.0.0.1", 0))
            silent.listen(5)
            self.stage.write(issuer=f"http://127.0.0.1:{silent.getsockname()[1]}")
            self.addCleanup(self.stage.write)
            self.stage.forget()
            self.unavailable(WELL_KNOWN)

    def test_so_many_wait_for_it_and_no_more(self) -> None:
        gate = threading.Event()
        self.addCleanup(gate.set)

        def hangs(reply: Reply) -> None:
            gate.wait(10)

        self.front.alter["/slow"] = hangs
        waiting = [threading.Thread(target=self._ask, daemon=True) for _ in range(wire.AT_ONCE)]
        for one in waiting:
            one.start()
        while len(self.front.asks("/slow")) < wire.AT_ONCE:
            time.sleep(0.01)
        with mock.patch.object(wire, "QUEUE_S", 0.05):
            self.unavailable(WELL_KNOWN)
        gate.set()
        for one in waiting:
            one.join(10)
        metadata.forget()
        assert App().sign_in("are")["token"], "when it answers again, all is well"

    def test_whoever_waited_is_not_made_to_wait_again(self) -> None:
        """Nobody asks in turn: when it did not answer the first, the others are told so."""

        def drips(reply: Reply) -> None:
            reply.drips_s = 0.05

        self.front.alter[WELL_KNOWN] = drips
        provider = providers.providers()[CITIZENS]
        told: list[str] = []

        def look() -> None:
            try:
                metadata.known(provider).metadata()
            except wire.Away as away:
                told.append(str(away))

        began = time.monotonic()
        with mock.patch.object(wire, "WHOLE_S", 0.6):
            at_once([look] * 6)
        assert len(told) == 6
        assert set(told) <= {"slow", "busy"}
        assert time.monotonic() - began < 3
        assert len(self.front.asks(WELL_KNOWN)) == 1

    def _ask(self) -> None:
        wire.get(self.front.url + "/slow")

    def test_known_keys_are_enough_for_a_while(self) -> None:
        self.app.sign_in("are")

        def failing(reply: Reply) -> None:
            reply.status = 500

        self.front.alter[WELL_KNOWN] = self.front.alter[JWKS] = failing
        assert App().sign_in("are")["token"]

    def test_a_key_of_ours_that_is_gone(self) -> None:
        key = self.stage.folder / "staff.jwk"
        kept = key.read_bytes()
        self.addCleanup(key.write_bytes, kept)
        key.write_bytes(b"")
        answer = self.app.client.post(f"sign-in/{STAFF}", {"challenge": self.app.challenge})
        assert (answer.status_code, answer.json()["code"]) == (503, "sign_in_unavailable")
        assert App().sign_in("are")["token"], "the other provider is not touched by it"
