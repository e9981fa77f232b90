"""Where we connect to, and where never."""

import base64
import socket
import threading
from typing import Any
from unittest import mock

import pytest
from django.test import SimpleTestCase
from hypothesis import given
from hypothesis import strategies as st

from server.notify import endpoints
from server.notify.endpoints import Forbidden, addresses_of, is_public, parse, vetted
from server.notify.names import GATEWAY, PUSHING
from tests.support.push_service import Subscription
from tests.support.served import sqlite_only

pytestmark = sqlite_only

KEYS = Subscription("https://push.example.com/x")["keys"]


@pytest.mark.parametrize(
    "url",
    [
        "https://updates.push.services.mozilla.com/wpush/v2/gAAAAA",
        "https://fcm.googleapis.com/fcm/send/abc:def",
        "https://web.push.apple.com/QK?x=1",
        "https://wns2-par02p.notify.windows.com/w/?token=BQY%2b",
        "https://push.example.com:8443/x",
    ],
)
def test_push_services_are_taken(url: str) -> None:
    assert parse(url).scheme == "https"
    assert url.startswith(parse(url).origin)
    assert url.endswith(parse(url).target)


@pytest.mark.parametrize(
    "url",
    [
        *("http://push.example.com/x", "ftp://push.example.com/x", "file:///etc/passwd", "javascript:alert(1)"),
        *("https://user@push.example.com/", "https://user:word@push.example.com/", "https://@push.example.com/"),
        *("https://", "https:///x", "//push.example.com/x", "push.example.com", "", " ", "https:push.example.com"),
        *("https://push.example.com/ x", "https://push.example.com/\nHost: a", "https://push.example.com\\@127.0.0.1/"),
        *("https://push.example.com/#part", "https://push.example.com:0/", "https://push.example.com:99999/"),
        *("https://push.example.com:x/", "https://[::1]/", "https://[::ffff:127.0.0.1]/", "https://[fe80::1%25eth0]/"),
        *("https://ex%61mple.com/", "https://æ.no/", "https://-a.no/", "https://push.example.com/" + "a" * 2000),
    ],
)
def test_others_are_not(url: str) -> None:
    with pytest.raises(Forbidden):
        parse(url)


def test_hosts_that_are_named() -> None:
    assert parse("http://127.0.0.1:9000/x", {"127.0.0.1:9000"}).allowed
    assert parse("http://127.0.0.1:9000/x", {"127.0.0.1"}).allowed
    for other in ("http://127.0.0.1:9001/x", "http://localhost:9000/x", "http://127.0.0.1/x"):
        with pytest.raises(Forbidden):
            parse(other, {"127.0.0.1:9000"})


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]
)
def test_public_addresses(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *(
            "127.0.0.1",
            "127.8.8.8",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
        ),
        *("192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "fc00::1"),
        *("fec0::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1"),
        *("2002:7f00:1::", "2001:0:7f00:1::", "2001:db8::1", "fe80::1%eth0", "nonsense", ""),
    ],
)
def test_addresses_inside(address: str) -> None:
    assert not is_public(address)


def resolved(*addresses: str) -> Any:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 443)) for one in addresses]
    return mock.patch.object(socket, "getaddrinfo", return_value=found)


def test_one_address_inside_spoils_the_name() -> None:
    with resolved("1.1.1.1", "10.0.0.1"), pytest.raises(Forbidden, match="address"):
        vetted({"endpoint": "https://push.example.com/x", "keys": KEYS})
    with resolved("1.1.1.1"):
        assert vetted({"endpoint": "https://push.example.com/x", "keys": KEYS}).endpoint.endswith("/x")


@pytest.mark.parametrize("number", ["2130706433", "0x7f000001", "017700000001", "127.1"])
def test_other_spellings_of_loopback(number: str) -> None:
    """The resolver reads them as 127.0.0.1; what it answers is what is judged."""
    with pytest.raises(Forbidden, match=r"address|unknown_host"):
        vetted({"endpoint": f"https://{number}/x", "keys": KEYS})


def test_a_name_that_nobody_knows() -> None:
    with mock.patch.object(socket, "getaddrinfo", side_effect=socket.gaierror), pytest.raises(Forbidden) as refused:
        vetted({"endpoint": "https://nobody.example/x", "keys": KEYS})
    assert str(refused.value) == "unknown_host"


def test_a_resolver_that_hangs() -> None:
    """Red when what strangers register holds up what is being sent, or each other."""
    answered = threading.Event()

    def slow(host: str, *_: object, **__: object) -> list[tuple[object, ...]]:
        if host.endswith("slow.example"):
            answered.wait(10)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.215.14", 443))]

    with mock.patch.object(endpoints, "LOOK_UP_S", 0.05), mock.patch.object(socket, "getaddrinfo", slow):
        for number in range(20):
            with pytest.raises(Forbidden, match="unknown_host"):
                vetted({"endpoint": f"https://{number}.slow.example/x", "keys": KEYS})
        assert sum(one.name == "name" for one in threading.enumerate()) <= 4, "and no more threads than a few"
        for names in (PUSHING, GATEWAY):
            assert addresses_of(parse("https://push.example/x"), 1.0, names)
        answered.set()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KEY = JSON | st.binary(max_size=70).map(lambda raw: base64.urlsafe_b64encode(raw).decode())
SUBSCRIPTIONS = JSON | st.fixed_dictionaries(
    {
        "endpoint": JSON | st.text(max_size=30).map(lambda rest: f"https://{rest}"),
        "keys": JSON
        | st.fixed_dictionaries({"p256dh": KEY | st.just(KEYS["p256dh"]), "auth": KEY | st.just(KEYS["auth"])}),
    }
)


class WhateverComes(SimpleTestCase):
    @given(SUBSCRIPTIONS)
    def test_a_subscription_that_nobody_made_is_refused(self, subscription: object) -> None:
        nobody = mock.patch.object(socket, "getaddrinfo", side_effect=socket.gaierror)
        with nobody, pytest.raises(Forbidden, match=r"^(endpoint|scheme|address|unknown_host|keys)$"):
            vetted(subscription)

    @given(st.text(max_size=60) | st.from_regex(r"https?://[a-z0-9.@:\[\]\\/%-]{0,30}", fullmatch=True))
    def test_what_is_taken_is_what_it_says(self, url: str) -> None:
        try:
            found = parse(url)
        except Forbidden:
            return
        assert found.scheme == "https"
        assert not set(found.host) & set("@:/\\#?% []")
        assert url.lower().startswith(f"https://{found.host}")

    @given(st.ip_addresses(v=4))
    def test_mapped_addresses_are_judged_as_what_they_are(self, address: Any) -> None:
        assert is_public(f"::ffff:{address}") == is_public(f"64:ff9b::{address}") == is_public(str(address))

    @given(st.text(max_size=50))
    def test_no_address_at_all(self, text: str) -> None:
        is_public(text)
