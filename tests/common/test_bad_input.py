"""Whatever arrives: never a 500, always problem+json with a code (`Client` looks at every answer), nothing written, and
nothing repeated of what was sent (law 9)."""

import itertools
import json
from unittest.mock import patch
from uuid import uuid4

from hypothesis import given, settings
from hypothesis import strategies as st

from server.audit.models import AuditEvent
from server.rooms.models import RoomEvent
from tests.base import API, Client, Opened, TownPropertyTestCase, TownTestCase

MARK = "Kjempehemmelig"


def addresses(room: Opened, seq: int, member: object) -> dict[str, list[str]]:
    """Every address of rooms and consents that takes a body, by method."""
    return {
        "post": [
            "rooms",
            "consents",
            f"{room.path}/members",
            f"{room.path}/messages",
            f"{room.path}/events/{seq}/edit",
            f"{room.path}/events/{seq}/retract",
            f"{room.asks}/give",
            f"{room.asks}/change",
            f"{room.asks}/decline",
            f"{room.asks}/withdraw",
        ],
        "put": [f"{room.path}/read"],
        "patch": [f"{room.path}/members/{member}"],
    }


class Malformed(TownTestCase):
    def given(self) -> None:
        self.room = self.open_shared_room()
        self.seq = self.post(self.room, "kari", "hei")["seq"]
        self.addresses = addresses(self.room, self.seq, self.members(self.room)["are"]["id"])

    def raw(self, client: Client, method: str, path: str, body: bytes, kind: str = "application/json") -> int:
        answer = client.generic(method.upper(), API + path, body, content_type=kind)
        assert MARK not in answer.content.decode()
        code: int = answer.status_code
        return code

    def everywhere(self, body: bytes, kind: str = "application/json") -> set[int]:
        before = RoomEvent.objects.count()
        found = {
            self.raw(self.person(name), method, path, body, kind)
            for method, paths in self.addresses.items()
            for path in paths
            for name in ("kari", "are")
            if not path.endswith(("/retract", "/withdraw", "/decline", "/give", "/change"))
        }
        assert RoomEvent.objects.count() == before
        return found

    def test_what_is_not_json(self) -> None:
        for body in (
            b"{",
            b'{"a":',
            b"hello",
            b'{"a": 1,}',
            b"{'a': 1}",
            b"\xff\xfe{}",
            b'{"body": "\xc3\x28"}',
            b"NaN",
            b'{"seq": NaN}',
            b'{"seq": Infinity}',
            b'{"a": "' + MARK.encode() + b"\n",
            b"[" * 100_000,
            b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
            b'{"body": ' + b"9" * 6_000 + b"}",
            '{"body": "x"}'.encode("utf-16"),
            b"\x00",
            b'{"body": "a\x00b"}',
        ):
            assert self.everywhere(body) <= {400}, body[:40]

    def test_text_that_cannot_be_stored(self) -> None:
        """NUL and lone surrogates, in values and in names."""
        for text in ("\\u0000", "\\ud800", "\\udfff x", "a\\ud83dz"):
            for template in ('{"body": "%s", "txn_id": "a"}', '{"%s": 1}', '{"body": {"a": ["%s"]}}', '"%s"', '["%s"]'):
                assert self.everywhere((template % text).encode()) <= {400}, (text, template)

    def test_a_pair_of_surrogates_is_text(self) -> None:
        body = b'{"body": "\\ud83d\\ude42", "txn_id": "pair"}'
        assert self.raw(self.person("kari"), "post", f"{self.room.path}/messages", body) == 201
        assert self.events(self.room)[-1]["content"]["body"] == "🙂"

    def test_json_that_is_no_object(self) -> None:
        for body in (b"[]", b"1", b'"x"', b"null", b"true", b'[{"body": "x"}]', b"1e400", b"-0"):
            assert self.everywhere(body) <= {400}, body

    def test_wrong_types(self) -> None:
        values: list[object] = [None, True, [], {}, "x", -1, 2**63, 10**40, 1e300, [[]], {"a": {"b": []}}, "9" * 4_000]
        messages = f"{self.room.path}/messages"
        member = self.addresses["patch"][0]
        fields = {
            "patient": [("kari", "post", "rooms")],
            "purpose": [("kari", "post", "rooms")],
            "propose": [("kari", "post", "rooms")],
            "user": [("kari", "post", f"{self.room.path}/members")],
            "room": [("kari", "post", "consents")],
            "participation": [("are", "patch", member)],
            "seq": [("kari", "put", f"{self.room.path}/read")],
            "reply_to": [("kari", "post", messages)],
            "kind": [("kari", "post", messages)],
            "txn_id": [("kari", "post", messages)],
            "grantees": [("are", "post", f"{self.room.asks}/give"), ("are", "post", f"{self.room.asks}/change")],
            "remark": [("are", "post", f"{self.room.asks}/change")],
        }
        patient = str(self.patient_id())
        for field, places in fields.items():
            for value in values:
                for name, method, path in places:
                    correct = {"body": "x", "txn_id": str(uuid4()), "patient": patient, "purpose": "coordination"}
                    self.raw(self.person(name), method, path, json.dumps(correct | {field: value}).encode())

    def test_too_large(self) -> None:
        big = b'{"txn_id": "a", "body": "' + b"x" * (1024 * 1024) + b'"}'
        assert self.everywhere(big) == {413}
        nearly = b'{"txn_id": "a", "body": "' + b"x" * (1024 * 1024 - 40) + b'"}'
        assert self.everywhere(nearly) <= {400}

    def test_other_media_types(self) -> None:
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "x", ""):
            found = self.everywhere(b'{"body": "hei", "txn_id": "a"}', kind)
            assert found <= {415, 400}, (kind, found)
        assert (
            self.raw(
                self.person("kari"), "post", f"{self.room.path}/messages", b"{}", "application/json; charset=utf-8"
            )
            == 400
        )

    def test_other_methods(self) -> None:
        for method, path in (
            ("PUT", "rooms"),
            ("DELETE", "rooms"),
            ("PATCH", self.room.path),
            ("DELETE", self.room.path),
            ("GET", f"{self.room.path}/messages"),
            ("GET", f"{self.room.asks}/give"),
            ("POST", f"{self.room.path}/read"),
            ("BREW", "rooms"),
        ):
            answer = self.person("kari").generic(method, API + path)
            assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed"), (method, path)

    def test_other_answers_asked_for(self) -> None:
        answer = self.person("kari").get("rooms", HTTP_ACCEPT="text/html")
        assert answer.status_code in (200, 406)
        assert self.person("kari").get("rooms?format=xml").status_code in (200, 404, 406)

    def test_without_a_session(self) -> None:
        for header in (
            None,
            "Bearer",
            "Bearer x",
            f"Bearer {'0' * 64}",
            f"Basic {'0' * 64}",
            "Bearer \x00",
            "é",
            "Bearer " + "a" * 9_000,
        ):
            client = Client()
            if header is not None:
                client.credentials(HTTP_AUTHORIZATION=header)
            for path in ("rooms", self.room.path, f"{self.room.path}/events", self.room.asks, "me/access-log"):
                answer = client.get(path)
                assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer"), (header, path)

    def test_addresses_that_are_none(self) -> None:
        for path in (
            "rooms/x",
            "rooms/00000000-0000-0000-0000-00000000000",
            f"rooms/{uuid4()}x",
            f"{self.room.path}/",
            f"{self.room.path}/events/-1/edit",
            f"{self.room.path}/events/x/edit",
            f"{self.room.path}/nothing",
            "nothing",
            "rooms/%00",
            "rooms/%ff",
            f"rooms/{MARK}",
        ):
            answer = self.person("kari").get(path)
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), path
            assert MARK not in answer.content.decode()
            assert answer.content == self.person("kari").get(f"rooms/{uuid4()}").content, "every 404 is the same"

    def test_errors_name_the_field_and_never_the_value(self) -> None:
        answer = self.person("kari").post(f"{self.room.path}/messages", {"txn_id": "a", "body": "x", "kind": MARK})
        assert answer.json()["errors"] == [
            {"field": "kind", "code": "invalid_choice", "detail": answer.json()["errors"][0]["detail"]}
        ]
        for data in (
            {"patient": MARK},
            {"patient": str(uuid4()), "propose": [MARK]},
            {"patient": MARK, "purpose": MARK * 9},
        ):
            answer = self.person("kari").post("rooms", data)
            assert answer.status_code in (400, 404)
            assert MARK not in answer.content.decode()

    def test_a_fault_of_ours_says_nothing_of_the_request(self) -> None:
        client = self.person("kari")
        client.expects_500 = True
        with patch("server.rooms.writing.post", side_effect=ValueError(MARK)):
            answer = client.post(f"{self.room.path}/messages", {"txn_id": "a", "body": MARK})
        assert (answer.status_code, answer.json()["code"]) == (500, "internal")
        assert MARK not in answer.content.decode()


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
FIELDS = (
    "txn_id",
    "body",
    "kind",
    "reply_to",
    "patient",
    "purpose",
    "propose",
    "user",
    "room",
    "participation",
    "seq",
    "grantees",
    "remark",
    "text_sha256",
)


class Anything(TownPropertyTestCase):
    @settings(max_examples=max(4, settings().max_examples // 6))
    @given(
        bodies=st.lists(
            st.one_of(JSON_VALUES, st.dictionaries(st.sampled_from(FIELDS), JSON_VALUES, max_size=5)),
            min_size=4,
            max_size=4,
        )
    )
    def test_anything_at_all(self, bodies: list[object]) -> None:
        self._arrive()
        room = self.open_shared_room()
        seq = self.post(room, "kari", "hei")["seq"]
        member = self.members(room)["are"]["id"]
        for body, name in zip(bodies, itertools.cycle(("kari", "are"))):
            raw = json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")
            for method, paths in addresses(room, seq, member).items():
                for path in paths:
                    self.person(name).generic(method.upper(), API + path, raw, content_type="application/json")
        assert AuditEvent.objects.exists()
