"""Bad input: what is no frame closes the socket, what is a wrong frame is answered, and nothing of it is quoted."""

import asyncio
import json
import math
from typing import Any
from unittest import mock
from uuid import uuid4

import pytest
from django.test import SimpleTestCase
from hypothesis import example, given
from hypothesis import strategies as st

from server.common.origins import is_own
from server.gateway import frames, socket
from server.gateway.frames import BadFrame, Malformed
from tests.gateway.driver import SLACK_S, GatewayTestCase, Phone

ROOM = "01890a5d-ac96-774b-bcce-b302099a8057"

# --- parsing, without a socket ---------------------------------------------------------------------------------

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([ROOM, "text", "agreed"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8) | st.just(ROOM), inner, max_size=4),
    max_leaves=12,
)
FIELDS = ("protocol", "token", "cursors", "room", "txn_id", "body", "kind", "reply_to", "seq")
KINDS = ("hello", "post", "delivered", "read", "typing", "ping", "welcome", "")
almost = st.fixed_dictionaries(
    {"type": st.sampled_from(KINDS) | anything},
    optional={name: anything | st.just(ROOM) | st.integers(-1, 2**63) for name in FIELDS},
)


def parsed(text: str) -> frames.Frame | Malformed | BadFrame:
    try:
        return frames.parse(text)
    except (Malformed, BadFrame) as refusal:
        return refusal


class Parsing(SimpleTestCase):
    def parse(self, text: str) -> None:
        """Total: a frame, Malformed, or BadFrame with a code that the document lists."""
        found = parsed(text)
        if isinstance(found, BadFrame):
            assert found.code in frames.ERROR_CODES
            assert found.ref is None or json.loads(text)["txn_id"] == found.ref
        elif isinstance(found, Malformed):
            assert str(found) == "", "nothing is quoted"
        else:
            self._holds(found)

    def _holds(self, frame: frames.Frame) -> None:
        """What comes through can be stored, compared and said again."""
        match frame:
            case frames.PostFrame(message=message):
                assert not message.problems()
                assert "\x00" not in message.body + message.txn_id
                (message.body + message.txn_id).encode()
            case frames.MarkFrame(seq=seq):
                assert type(seq) is int
                assert 0 <= seq < 2**62
            case frames.Hello(cursors=cursors):
                assert len(cursors) <= frames.MAX_CURSORS

    @given(st.text())
    @example("")
    @example("[" * 100_000)
    @example('{"type":' * 50_000)
    @example("1" * 10_000)
    @example("NaN")
    @example('{"type":"ping","x":1e999}')
    @example('{"type":"read","room":"' + ROOM + '","seq":' + "9" * 5_000 + "}")
    @example('{"type":"read","room":"' + ROOM + '","seq":true}')
    @example('{"type":"read","room":"' + ROOM + '","seq":1.0}')
    @example('{"type":"post","room":"' + ROOM + '","txn_id":"a","body":"\\ud800"}')
    @example('{"type":"post","room":"' + ROOM + '","txn_id":"a\\u0000","body":"b"}')
    @example('{"type":"post","room":"' + ROOM + '","txn_id":"a","body":"b","reply_to":false}')
    @example('{"type":"post","room":"{01890a5d-ac96-774b-bcce-b302099a8}","txn_id":"a","body":"b"}')
    @example('{"type":"ping","type":"hello"}')
    def test_any_text(self, text: str) -> None:
        self.parse(text)

    @given(anything)
    def test_any_json(self, value: Any) -> None:
        self.parse(json.dumps(value))

    @given(almost)
    def test_anything_that_looks_like_a_frame(self, value: dict[str, Any]) -> None:
        self.parse(json.dumps(value))
        self.parse(json.dumps(value, ensure_ascii=False))

    @given(
        st.text(min_size=1, max_size=64).filter(str.isprintable),
        st.text(min_size=1).filter(str.strip).filter(lambda body: "\x00" not in body),
        st.none() | st.integers(1, 2**62 - 1),
    )
    def test_every_right_post_comes_through_unchanged(self, txn_id: str, body: str, reply_to: int | None) -> None:
        said = {"type": "post", "room": ROOM, "txn_id": txn_id, "body": body, "reply_to": reply_to}
        frame = frames.parse(json.dumps(said))
        assert isinstance(frame, frames.PostFrame)
        message = frame.message
        assert (message.txn_id, message.body, message.reply_to, message.kind) == (txn_id, body, reply_to, "text")

    def test_the_largest_body_fits_in_a_frame_however_it_is_written(self) -> None:
        text = json.dumps({"type": "post", "room": ROOM, "txn_id": "t" * 64, "body": "😀" * 10_000})
        assert len(text) <= frames.MAX_FRAME
        frames.parse(text)

    def test_an_origin(self) -> None:
        with self.settings(CSRF_TRUSTED_ORIGINS=["https://app.example.org"]):
            for origin, own in {
                "https://rooms.example.org": True,
                "https://app.example.org": True,
                "https://evil.example.org": False,
                "https://rooms.example.org.evil.org": False,
                "https://rooms.example.org@evil.org": False,
                "null": False,
                "": False,
                "http://[": False,
            }.items():
                assert is_own(origin, "rooms.example.org") is own, origin
        assert not is_own("null", "")


# --- on a socket -------------------------------------------------------------------------------------------------

MALFORMED = [
    "",
    "hei",
    "null",
    "[]",
    '"ping"',
    "{",
    '{"type":7}',
    '{"typ":"ping"}',
    '{"type":"ping","x":NaN}',
    '{"type":"ping","x":"\\u0000"}',
    '{"type":"ping","x":"\\ud800"}',
    '{"type":"ping","x":"\ud800"}',
    '{"type":"ping","\\udfff":1}',
    "[" * 5_000,
    '{"type":"ping","x":' + "9" * 5_000 + "}",
]
INVALID = [
    {"type": "post"},
    {"type": "post", "room": 7, "txn_id": "a", "body": "b"},
    {"type": "post", "room": ROOM, "txn_id": 7, "body": "b"},
    {"type": "post", "room": ROOM, "txn_id": "", "body": "b"},
    {"type": "post", "room": ROOM, "txn_id": "x" * 65, "body": "b"},
    {"type": "post", "room": ROOM, "txn_id": "a\n", "body": "b"},
    {"type": "post", "room": ROOM, "txn_id": "a", "body": ["b"]},
    {"type": "post", "room": ROOM, "txn_id": "a", "body": "  "},
    {"type": "post", "room": ROOM, "txn_id": "a", "body": "x" * 10_001},
    {"type": "post", "room": ROOM, "txn_id": "a", "body": "b", "kind": "vedtak"},
    {"type": "post", "room": ROOM, "txn_id": "a", "body": "b", "reply_to": "1"},
    {"type": "post", "room": ROOM, "txn_id": "a", "body": "b", "reply_to": 0},
    {"type": "post", "room": ROOM, "txn_id": "a", "body": "b", "reply_to": 10**30},
    {"type": "read", "room": ROOM},
    {"type": "read", "room": ROOM, "seq": -1},
    {"type": "read", "room": ROOM, "seq": 2**63},
    {"type": "read", "room": ROOM, "seq": 1.5},
    {"type": "delivered", "room": ROOM[:-1], "seq": 1},
    {"type": "typing", "room": None},
    {"type": "hello", "protocol": 1},
]
BAD_HELLOS = [
    {"protocol": "1"},
    {"protocol": True},
    {"protocol": 2},
    {"protocol": 1, "token": 7},
    {"protocol": 1, "cursors": []},
    {"protocol": 1, "cursors": {"x": 1}},
    {"protocol": 1, "cursors": {ROOM: -1}},
    {"protocol": 1, "cursors": {ROOM: "1"}},
    {"protocol": 1, "cursors": {ROOM: 2**63}},
    {"protocol": 1, "cursors": {str(uuid4()): 1 for _ in range(frames.MAX_CURSORS + 1)}},
]


class OnASocket(GatewayTestCase):
    heartbeat_s = 5.0

    async def test_what_is_no_frame_closes_with_4400(self) -> None:
        async with self.gateway() as gateway:
            for text in MALFORMED:
                kari = await self.phone(gateway, "kari")
                kari.say_text(text)
                assert await kari.until_closed() == frames.MALFORMED, text[:40]

    async def test_binary_frames_close_with_4400(self) -> None:
        async with self.gateway() as gateway:
            kari = await self.phone(gateway, "kari")
            kari.say_bytes(b'{"type":"ping"}')
            assert await kari.until_closed() == frames.MALFORMED

    async def test_a_frame_too_large_closes_with_4413_at_once(self) -> None:
        async with self.gateway() as gateway:
            for size in (frames.MAX_FRAME + 1, 1024 * 1024):
                kari = await self.phone(gateway, "kari")
                kari.say_text('{"type":"ping","x":"' + "a" * size + '"}')
                assert await kari.until_closed(SLACK_S) == frames.TOO_LARGE, "before any heartbeat"

    async def test_a_wrong_frame_is_answered_and_the_socket_stays(self) -> None:
        async with self.gateway() as gateway:
            kari = await self.phone(gateway, "kari")
            for said in INVALID:
                seen = len(kari.frames)
                kari.say(**said)
                answer = await kari.wait("error", after=seen)
                assert answer["code"] == "invalid", said
                txn_id = said.get("txn_id")
                known = txn_id if isinstance(txn_id, str) and len(txn_id) <= 64 else None
                assert answer["ref"] == known
            kari.say(type="ping")
            await kari.wait("pong")
            assert kari.closed is None

    async def test_unknown_types_are_answered_and_the_socket_stays(self) -> None:
        async with self.gateway() as gateway:
            kari = await self.phone(gateway, "kari")
            for kind in ("", "welcome", "PING", "post ", "x" * 1000):
                seen = len(kari.frames)
                kari.say(type=kind)
                assert await kari.wait("error", after=seen) == {"type": "error", "code": "unknown_type", "ref": None}
            kari.say(type="ping")
            await kari.wait("pong")

    async def test_other_frames_before_hello_close_with_4400(self) -> None:
        async with self.gateway() as gateway:
            post = {"type": "post", "room": str(self.room.id), "txn_id": "a", "body": "b"}
            for said in (post, {"type": "ping"}, {"type": "unknown"}, {"type": "read", "room": ROOM, "seq": 1}):
                phone = await self.connect(gateway)
                phone.say(**said)
                assert await phone.until_closed() == frames.MALFORMED
                assert phone.of("welcome") == []

    async def test_bad_hellos_close_with_4400(self) -> None:
        token = (await self.rest(self.person, "kari")).token
        async with self.gateway() as gateway:
            for said in BAD_HELLOS:
                phone = await self.connect(gateway)
                phone.say(**{"type": "hello", "token": token, **said})
                assert await phone.until_closed() == frames.MALFORMED, said
                assert phone.of("welcome") == []

    async def test_an_unsupported_protocol_is_said_before_the_close(self) -> None:
        async with self.gateway() as gateway:
            phone = await self.connect(gateway)
            phone.say(type="hello", protocol=2, token="x")
            await phone.until_closed()
            [said] = phone.of("error")
            assert (said["code"], said["supported"]) == ("unsupported_protocol", list(frames.PROTOCOLS))

    async def test_clients_of_before_and_of_now_are_both_understood(self) -> None:
        """During an upgrade, and for as long as old apps are about: each is answered in the version that it named."""
        token = (await self.rest(self.person, "kari")).token
        with mock.patch.object(frames, "PROTOCOLS", (1, 2)):
            async with self.gateway() as gateway:
                for version in (1, 2):
                    phone = await self.connect(gateway)
                    phone.say(type="hello", protocol=version, token=token)
                    await phone.wait("synced")
                    assert phone.of("welcome")[0]["protocol"] == version
                phone = await self.connect(gateway)
                phone.say(type="hello", protocol=3, token=token)
                assert await phone.until_closed() == frames.MALFORMED
                assert phone.of("error")[0]["supported"] == [1, 2]

    async def test_the_most_cursors_allowed(self) -> None:
        async with self.gateway() as gateway:
            cursors = {str(uuid4()): 0 for _ in range(frames.MAX_CURSORS - 1)} | {str(self.room.id): 0}
            phone = await self.phone(gateway, "kari", cursors)
            assert len(phone.of("room.closed")) == frames.MAX_CURSORS - 1
            assert phone.events(self.room)

    async def test_no_hello_in_time(self) -> None:
        async with self.gateway(hello_timeout_s=0.1) as gateway:
            phone = await self.connect(gateway)
            assert await phone.until_closed(0.1 + SLACK_S) == frames.NO_HELLO

    async def test_a_flood_closes_with_4429_and_others_go_on(self) -> None:
        with mock.patch.multiple(socket, BURST=50.0, FRAMES_PER_S=1.0):
            async with self.gateway() as gateway:
                flooder, frida = await self.phones(gateway, "kari", "frida")
                for _ in range(200):
                    flooder.say(type="ping")
                assert await flooder.until_closed() == frames.TOO_MANY
                frida.say(type="ping")
                await frida.wait("pong")

    async def test_a_slow_reader_is_closed_and_resumes_with_everything(self) -> None:
        head = await self.rest(self.head)
        with mock.patch.object(socket, "OUTBOX_BYTES", 20_000):
            async with self.gateway() as gateway:
                slow, kari = await self.phones(gateway, "frida", "kari")
                slow.reads.clear()
                for number in range(12):
                    kari.say(type="post", room=str(self.room.id), txn_id=f"n{number}", body="x" * 4_000)
                    await kari.wait(lambda _, n=number: len(kari.of("event")) > n)  # type: ignore[misc]
                slow.reads.set()
                assert await slow.until_closed() == frames.TOO_MANY
                assert len(slow.events(self.room)) < 12
        async with self.gateway() as gateway:
            again = await self.phone(gateway, "frida", {str(self.room.id): (slow.seqs(self.room) or [head])[-1]})
            assert slow.seqs(self.room) + again.seqs(self.room) == list(range(head + 1, head + 13))

    async def test_a_reader_that_takes_not_even_the_close_is_abandoned(self) -> None:
        with mock.patch.multiple(socket, OUTBOX_BYTES=20_000, CLOSE_S=0.3):
            async with self.gateway() as gateway:
                for takes in (False, True):
                    kari = await self.phone(gateway, "kari")
                    slow = await self.phone(gateway, "frida", takes=takes)
                    slow.reads.clear()
                    for number in range(8):
                        name = f"{takes}{number}"
                        kari.say(type="post", room=str(self.room.id), txn_id=name, body="x" * 4_000)
                        await kari.wait(lambda _, p=kari, n=number: len(p.of("event")) > n)  # type: ignore[misc]
                    assert slow._task is not None
                    done, _ = await asyncio.wait([slow._task], timeout=5)
                    assert done
                    assert gateway.hub is not None
                    assert len(gateway.hub.sockets) == 1
                    self._phones.remove(slow)
                    await kari.leave()
                    self._phones.remove(kari)

    # --- who may come in ---------------------------------------------------------------------------------------

    async def _hello_with(self, gateway: Any, headers: dict[str, str]) -> Phone:
        phone = await self.connect(gateway, [(k.encode(), v.encode("latin1")) for k, v in headers.items()])
        phone.say(type="hello", protocol=1)
        await phone.wait_or_close()
        return phone

    async def test_the_token_in_the_authorization_header(self) -> None:
        token = (await self.rest(self.person, "kari")).token
        async with self.gateway() as gateway:
            for header in (f"Bearer {token}", f"bearer {token}"):
                assert (await self._hello_with(gateway, {"authorization": header})).closed is None
            for header in (token, f"Basic {token}", "Bearer", "Bearer ", f"Alert-Key {token}", "Bearer \xff"):
                phone = await self._hello_with(gateway, {"authorization": header})
                assert phone.closed == frames.SESSION_ENDED, header

    async def test_the_cookie_counts_with_our_own_origin_only(self) -> None:
        token = (await self.rest(self.person, "kari")).token
        cookie = {"cookie": f"other=1; samsnakk_session={token}", "host": "rooms.example.org"}
        async with self.gateway() as gateway:
            fine = await self._hello_with(gateway, {**cookie, "origin": "https://rooms.example.org"})
            assert fine.closed is None
            for origin in ("https://evil.org", "null", "http://[", "https://rooms.example.org:444", ""):
                phone = await self._hello_with(gateway, {**cookie, "origin": origin})
                assert phone.closed == frames.SESSION_ENDED, origin
            assert (await self._hello_with(gateway, cookie)).closed == frames.SESSION_ENDED, "no Origin"
            bad = {"cookie": "samsnakk_session=\x01;;;=", "host": "a", "origin": "http://a"}
            assert (await self._hello_with(gateway, bad)).closed == frames.SESSION_ENDED

    async def test_a_token_in_the_url_is_not_looked_at(self) -> None:
        token = (await self.rest(self.person, "kari")).token
        async with self.gateway() as gateway:
            phone = Phone(gateway)
            self._phones.append(phone)
            phone._scope["query_string"] = f"token={token}".encode()
            await phone.connect()
            phone.say(type="hello", protocol=1)
            assert await phone.until_closed() == frames.SESSION_ENDED

    async def test_tokens_that_are_none(self) -> None:
        async with self.gateway() as gateway:
            for token in ("", "x", "0" * 64, "a" * 100_000, "😀" * 64):
                phone = await self.connect(gateway)
                phone.say(type="hello", protocol=1, token=token)
                assert await phone.until_closed() == frames.SESSION_ENDED

    async def test_the_token_in_hello_goes_before_that_of_the_upgrade(self) -> None:
        kari, frida = await self.rest(self.person, "kari"), await self.rest(self.person, "frida")
        async with self.gateway() as gateway:
            header = (b"authorization", f"Bearer {kari.token}".encode())
            phone = await self.connect(gateway, [header])
            assert (await phone.hello(frida.token))["user"] == str(frida.user_id)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_no_infinities(value: float) -> None:
    with pytest.raises((Malformed, BadFrame)):
        frames.parse(json.dumps({"type": "read", "room": ROOM, "seq": value}))
