"""Who is counted before anybody knows who asks: no session, a wrong token, what a session may not do, `/admin/`."""

import time
from http.cookies import SimpleCookie

from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext

from server.alerts.demo import build_programme
from server.audit.models import AuditEvent
from server.common.ids import new_id
from server.people.authentication import COOKIE
from tests.base import Client, TownTestCase
from tests.sessions.base import Devices, env
from tests.support.limits import limited
from tests.support.served import sqlite_only

pytestmark = sqlite_only

HERE, THERE = "203.0.113.7", "203.0.113.8"
MANY = 3
LOW = f"address={MANY}/60"


def with_token(token: str = "0" * 64) -> Client:
    client = Client()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


def statuses(client: Client, path: str = "me", times: int = MANY + 3, address: str = HERE) -> list[int]:
    return [client.get(path, REMOTE_ADDR=address).status_code for _ in range(times)]


class Counted(Devices, TownTestCase):
    def given(self) -> None:
        build_programme()

    def test_whoever_has_no_session(self) -> None:
        for client in (Client(), with_token(), with_token("short")):
            with limited(LOW):
                assert statuses(client) == [401] * MANY + [429] * 3
                answer = client.get("me", REMOTE_ADDR=HERE)
                assert answer.json()["code"] == "too_many"
                assert int(answer["Retry-After"]) > 0
                assert answer["RateLimit"].startswith('"address"')
                assert statuses(client, times=1, address=THERE) == [401]

    def test_where_none_is_left_nobody_is_looked_up(self) -> None:
        with limited(LOW):
            statuses(with_token())
            with CaptureQueriesContext(connection) as asked:
                assert statuses(with_token(), times=2) == [429, 429]
            assert len(asked) == 0

    def test_help_is_reached_from_there(self) -> None:
        key = self.person("trine").ok("post", "alert-keys", {"label": "Mobilen"})["key"]
        phone, wrong = Client(), Client()
        phone.credentials(HTTP_AUTHORIZATION=f"Alert-Key {key}")
        wrong.credentials(HTTP_AUTHORIZATION=f"Alert-Key {'0' * 64}")
        with limited(LOW):
            statuses(with_token())
            for client in (phone, self.person("trine")):
                assert client.put(f"alerts/{new_id()}", {}, REMOTE_ADDR=HERE).status_code in (200, 201)
            attempts = [wrong.put(f"alerts/{new_id()}", {}, REMOTE_ADDR=THERE).status_code for _ in range(MANY + 2)]
            assert set(attempts) == {401}
            assert statuses(Client(), times=1, address=THERE) == [401], "and none of these was counted"

    def test_refusals_of_what_a_session_may_not_do_are_counted_before_they_are_written(self) -> None:
        phone = self.device("are", method="in_person", level=2, as_patient=True).client
        with env(in_person_may=["read"]), limited(f"act={MANY}/60"):
            answers = [phone.post("me/held", {"format": "jsonl"}, REMOTE_ADDR=HERE) for _ in range(MANY + 3)]
        assert [one.status_code for one in answers] == [403] * MANY + [429] * 3
        assert AuditEvent.objects.filter(outcome="refused", type="session.limited").count() == MANY

    def test_an_ordinary_request_is_counted_once(self) -> None:
        with limited("address=10/60"):
            assert statuses(self.person("kari"), times=12) == [200] * 10 + [429] * 2
        with limited("look=10/60"):
            assert self.person("kari").get("me")["RateLimit"].startswith('"look";r=9')

    def test_a_door_that_was_closed_opens_again(self) -> None:
        with limited("address=1/1"):
            assert statuses(Client(), times=2) == [401, 429]
            for _ in range(40):
                if statuses(Client(), times=1) == [401]:
                    return
                time.sleep(0.1)
        raise AssertionError("it did not")


class Administration(Devices, TownTestCase):
    def browser(self, who: str) -> Browser:
        browser = Browser(REMOTE_ADDR=HERE)
        browser.cookies = SimpleCookie({COOKIE: self.person(who).token})
        return browser

    def test_a_patient_at_the_administrators_door(self) -> None:
        for path in ("/admin/", "/static/admin/css/base.css"):
            before = AuditEvent.objects.filter(outcome="refused").count()
            browser = self.browser("are")
            with limited(f"look={MANY}/60"):
                assert [browser.get(path).status_code for _ in range(MANY + 3)] == [404] * MANY + [429] * 3
            assert AuditEvent.objects.filter(outcome="refused").count() == before + MANY

    def test_whoever_has_no_session(self) -> None:
        for token in ("", "0" * 64):
            with limited(LOW):
                browser = Browser(REMOTE_ADDR=HERE)
                browser.cookies = SimpleCookie({COOKIE: token})
                assert [browser.get("/admin/").status_code for _ in range(MANY + 3)] == [404] * MANY + [429] * 3
                assert statuses(Client(), times=1) == [429], "the same count"

    def test_administrators_too_and_forms_as_acts(self) -> None:
        with limited(f"act={MANY}/60"):
            browser = self.browser("are")
            assert [browser.post("/admin/").status_code for _ in range(MANY + 1)] == [404] * MANY + [429]
