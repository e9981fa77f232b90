"""What answers tell a browser, whose pages may speak to us, and whose word counts for an address."""

import asyncio
import runpy
from typing import Any
from unittest import mock
from uuid import uuid4

from django.test import SimpleTestCase, override_settings

from server.common.doors import Doors
from server.common.origins import own_host
from server.common.proxies import PASSED_ON, address_key, believed
from tests.base import Client, TownTestCase
from tests.support.limits import limited
from tests.support.served import ROOT, sqlite_only

pytestmark = sqlite_only

DATA = "default-src 'none'; frame-ancestors 'none'"
OURS = "https://rooms.example.org"


class Answers(TownTestCase):
    def test_every_kind_of_answer(self) -> None:
        kari = self.person("kari")
        answers = {
            "data": kari.get("me"),
            "refusal": Client().get("me"),
            "missing": kari.get("there-is-no-such-thing"),
            "health": Client().get("/health/live"),
            "public": Client().get("audit/checkpoint"),
            "schema": Client().get("schema/"),
            "page": Client().get("docs/"),
            "script": Client().get("docs/start.js"),
        }
        for name, answer in answers.items():
            headers = answer.headers
            policy = headers["Content-Security-Policy"]
            if name == "page":
                assert "default-src 'none'" in policy
                assert "frame-ancestors 'none'" in policy
                assert "script-src 'self';" in policy, "no script stands in the page"
            else:
                assert policy == DATA, name
            assert headers["X-Content-Type-Options"] == "nosniff", name
            assert headers["X-Frame-Options"] == "DENY", name
            assert headers["Referrer-Policy"] == "no-referrer", name
            assert headers["Cross-Origin-Opener-Policy"] == "same-origin", name
            assert headers["Cross-Origin-Resource-Policy"] == "same-origin", name
            for closed in ("camera", "geolocation", "microphone", "payment", "usb"):
                assert f"{closed}=()" in headers["Permissions-Policy"], name
            assert not [one for one in headers if one.lower().startswith("access-control-")], name

    def test_a_preflight_is_told_nothing(self) -> None:
        for origin in ("https://evil.example", OURS, "null"):
            asked = {
                "Origin": origin,
                "Access-Control-Request-Method": "PUT",
                "Access-Control-Request-Headers": "authorization",
            }
            for path in ("me", "rooms", f"alerts/{uuid4()}", "audit/checkpoint", "/health/ready"):
                answer = Client().options(path, headers=asked)
                assert answer.status_code in (200, 401, 403, 405), path
                assert not [one for one in answer.headers if one.lower().startswith("access-control-")], path

    def test_asking_what_an_address_can_do_is_no_look(self) -> None:
        """Red when OPTIONS describes fields: it would open the object to do so."""
        answer = self.person("kari").options("patients")
        assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")

    def test_a_page_of_another_site_is_refused_whatever_it_holds(self) -> None:
        kari = self.person("kari")
        for origin in ("https://evil.example", "null", "", "http://testserver.evil.example", "https://testserver:444"):
            for method, path in (("get", "me"), ("post", "rooms"), ("post", "demo/sign-in"), ("patch", "me")):
                answer = getattr(kari, method)(
                    path, **({} if method == "get" else {"data": {}}), headers={"Origin": origin}
                )
                assert (answer.status_code, answer.json()["code"]) == (403, "foreign_origin"), (origin, path)

    def test_our_own_page_and_one_that_is_named_are_not(self) -> None:
        kari = self.person("kari")
        assert kari.get("me", headers={"Origin": "http://testserver"}).status_code == 200
        with override_settings(CSRF_TRUSTED_ORIGINS=[OURS]):
            assert kari.get("me", headers={"Origin": OURS}).status_code == 200

    def test_in_production_our_own_page_came_over_tls(self) -> None:
        kari = self.person("kari")
        with override_settings(DEMO=False), mock.patch("server.people.authentication.refusal_code", return_value=None):
            assert kari.get("me", headers={"Origin": "http://testserver"}).status_code == 403
            assert kari.get("me", headers={"Origin": "https://testserver"}).status_code == 200

    def test_a_call_for_help_is_not_asked_where_it_comes_from(self) -> None:
        are = self.person("are")
        answer = are.put(f"alerts/{uuid4()}", {}, headers={"Origin": "capacitor://localhost"})
        assert answer.status_code in (200, 201, 503), answer.content
        page = Client().post("pages/unknown/receipt", headers={"Origin": "null"})
        assert page.status_code == 404

    def test_a_host_that_is_not_ours(self) -> None:
        with override_settings(ALLOWED_HOSTS=["rooms.example.org"]):
            for host in (
                "evil.example",
                "rooms.example.org.evil.example",
                "rooms.example.org@evil.example",
                "",
                "[",
                "a b",
            ):
                answer = Client().get("me", headers={"Host": host})
                assert (answer.status_code, answer.json()["code"]) == (400, "malformed"), host
                assert host not in answer.content.decode() or not host

    def test_what_is_left_of_a_limit(self) -> None:
        kari = self.person("kari")
        with limited("look=3/60", "act=2/60", "message=5/60"):
            said = [kari.get("me") for _ in range(4)]
            assert [one.status_code for one in said] == [200, 200, 200, 429]
            assert [one.headers["RateLimit-Policy"] for one in said] == ['"look";q=3;w=60'] * 4
            assert [one.headers["RateLimit"].partition(";t=")[0] for one in said[:3]] == [
                '"look";r=2',
                '"look";r=1',
                '"look";r=0',
            ]
            after = int(said[3].headers["Retry-After"])
            assert said[3].headers["RateLimit"] == f'"look";r=0;t={after}'
            assert said[3].json()["code"] == "too_many"
            assert kari.patch("me", {}).headers["RateLimit-Policy"] == '"act";q=2;w=60', "what changes is counted apart"
            assert self.person("frida").get("me").status_code == 200, "another person"

    def test_what_is_said_of_limits_is_documented(self) -> None:
        answers = Client().get("schema/").json()["paths"]["/api/v1/me"]["get"]["responses"]
        assert set(answers["429"]["headers"]) == {"Retry-After", "RateLimit-Policy", "RateLimit"}
        assert {"408", "413", "431"} <= set(answers)

    def test_one_address_and_one_device(self) -> None:
        kari, frida = self.person("kari"), self.person("frida")
        with limited("device=2/60"):
            assert [kari.get("me").status_code for _ in range(3)] == [200, 200, 429]
            assert frida.get("me").status_code == 200
            assert self.sign_in("kari").get("me").status_code == 200, "another device of the same person"
        with limited("address=3/60"):
            assert [one.get("me").status_code for one in (kari, frida, kari, frida)] == [200, 200, 200, 429]
            elsewhere = {"REMOTE_ADDR": "198.51.100.9"}
            assert kari.get("me", **elsewhere).status_code == 200


class Addresses(SimpleTestCase):
    def scope(self, peer: str, **headers: str) -> dict[str, Any]:
        said = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        return {"type": "http", "client": [peer, 5], "headers": said}

    def found(self, peer: str, forwarded: str) -> str:
        return str(believed(self.scope(peer, x_forwarded_for=forwarded))["client"][0])

    def test_nobody_but_a_named_proxy_says_where_somebody_is(self) -> None:
        with limited(trusted_proxies=["10.0.0.5", "10.1.0.0/16", "fd00::/8"]):
            assert self.found("10.0.0.5", "198.51.100.7") == "198.51.100.7"
            assert self.found("10.0.0.6", "198.51.100.7") == "10.0.0.6"
            assert self.found("fd00::1", "2001:db8::7") == "2001:db8::7"
            assert self.found("::ffff:10.0.0.5", "198.51.100.7") == "198.51.100.7"

    def test_what_a_client_says_before_the_proxy_does_not_count(self) -> None:
        with limited(trusted_proxies=["10.0.0.5", "10.1.0.0/16"]):
            assert self.found("10.0.0.5", "127.0.0.1, 198.51.100.7") == "198.51.100.7"
            assert self.found("10.0.0.5", "127.0.0.1, 198.51.100.7, 10.1.2.3") == "198.51.100.7", "two proxies"
            for nonsense in ("", "unknown", "198.51.100.7, unknown", "198.51.100.7:80", "'; --", "10.1.2.3"):
                assert self.found("10.0.0.5", nonsense) == "10.0.0.5", nonsense

    def test_the_headers_of_strangers_are_gone(self) -> None:
        said = {
            "x_forwarded_for": "127.0.0.1",
            "x_forwarded_proto": "https",
            "forwarded": "for=127.0.0.1",
            "x_forwarded_host": "evil.example",
            "x_real_ip": "127.0.0.1",
        }
        with limited(trusted_proxies=["10.0.0.5"]):
            kept = believed(self.scope("198.51.100.7", **said, accept="x"))
            assert (kept["headers"], kept[PASSED_ON]) == ([(b"accept", b"x")], True)
            kept = believed(self.scope("10.0.0.5", **said))
            assert [name for name, _ in kept["headers"]] == [b"x-forwarded-for", b"x-forwarded-proto"]
            assert PASSED_ON not in kept
        assert believed({"type": "http", "headers": []})["headers"] == [], "no address, as on a socket file"

    def test_what_is_counted_together(self) -> None:
        assert address_key("2001:db8:1:2:3::4") == address_key("2001:db8:1:2:ffff::1") != address_key("2001:db8:1:3::4")
        assert address_key("::ffff:198.51.100.7") == address_key("198.51.100.7") == "198.51.100.7"
        assert address_key("") == address_key("nonsense")

    def test_hosts(self) -> None:
        with override_settings(ALLOWED_HOSTS=["rooms.example.org", ".care.example", "[::1]"]):
            for host, own in {
                "rooms.example.org": True,
                "ROOMS.example.org:8000": True,
                "a.care.example": True,
                "[::1]": True,
                "[::1]:8000": True,
                "evil.example": False,
                "rooms.example.org:port": False,
                "rooms.example.org:80:80": False,
                "": False,
                ":80": False,
            }.items():
                assert own_host(host) is own, host


class Sockets(SimpleTestCase):
    """Before the upgrade."""

    def passed(self, **headers: str) -> bool:
        came: list[str] = []
        sent: list[str] = []

        async def gateway(scope: Any, receive: Any, send: Any) -> None:
            came.append(scope["type"])

        async def receive() -> dict[str, Any]:
            return {"type": "websocket.connect"}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message["type"])

        said = [(name.encode(), value.encode()) for name, value in headers.items()]
        asyncio.run(Doors(gateway)({"type": "websocket", "headers": said, "client": ["::1", 1]}, receive, send))
        assert bool(came) is not (sent == ["websocket.close"])
        return bool(came)

    def test_who_comes_as_far_as_hello(self) -> None:
        with override_settings(ALLOWED_HOSTS=["rooms.example.org"], CSRF_TRUSTED_ORIGINS=["https://app.example.org"]):
            host = "rooms.example.org"
            assert self.passed(host=host), "an app: it has a token, or nothing"
            assert self.passed(host=host, origin=OURS)
            assert self.passed(host=host, origin="https://app.example.org")
            for origin in ("https://evil.example", "null", "", "file://", f"{OURS}.evil.example", "http://["):
                assert not self.passed(host=host, origin=origin), origin
            assert not self.passed(host="evil.example")
            assert not self.passed()
            assert not self.passed(host="evil.example", origin="https://evil.example")


def test_what_production_sets() -> None:
    """Read as a production process reads it, from an environment of its own."""
    env = {"MODE": "production", "SECRET_KEY": "x" * 64, "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}
    with mock.patch.dict("os.environ", env, clear=True):
        found = runpy.run_path(str(ROOT / "server" / "settings" / "__init__.py"))
    for name in ("SESSION", "CSRF"):
        assert found[f"{name}_COOKIE_SECURE"] is True
        assert found[f"{name}_COOKIE_SAMESITE"] == "Strict"
        assert found[f"{name}_COOKIE_NAME"].startswith("__Host-"), "no other host of the domain sets it"
    assert found["SESSION_COOKIE_HTTPONLY"] is True
    assert found["SECURE_HSTS_SECONDS"] >= 365 * 24 * 3600
    assert found["SECURE_HSTS_INCLUDE_SUBDOMAINS"] is found["SECURE_SSL_REDIRECT"] is True
    assert found["SECURE_CONTENT_TYPE_NOSNIFF"] is True
    assert found["DEBUG"] is False
    assert "SECURE_PROXY_SSL_HEADER" not in found, "nobody's word for TLS, unless a proxy is named"
