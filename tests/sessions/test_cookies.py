"""A browser's refresh token: in a cookie that scripts cannot read, and no other host can set."""

from django.test import override_settings
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIClient, APIRequestFactory

from server.people.api.cookies import REFRESH_COOKIE, set_cookies
from server.people.authentication import COOKIE
from tests.base import API, TownTestCase
from tests.sessions.base import Device, Devices
from tests.support.served import sqlite_only

pytestmark = sqlite_only
REFRESH_PATH = f"{API}sign-in/refresh"


class Cookies(Devices, TownTestCase):
    def browser(self, device: Device) -> APIClient:
        request, response = Request(APIRequestFactory().get("/")), Response()
        set_cookies(request, response, device.session, device.token, device.refresh)
        client = APIClient(enforce_csrf_checks=True)
        client.cookies.update(response.cookies)
        return client

    def test_it_goes_to_no_script_and_no_other_host_may_set_it(self) -> None:
        """A browser takes `__Host-` only with path `/` and without a domain. Red when another host of the domain can
        plant a token of its own: the next refresh would sign the browser in as somebody else."""
        cookies = self.browser(self.device("kari")).cookies
        for name in (COOKIE, REFRESH_COOKIE):
            assert (cookies[name]["path"], cookies[name]["domain"]) == ("/", "")
            assert cookies[name]["httponly"]
            assert cookies[name]["samesite"] == "Strict"
            assert cookies[name]["expires"]

    def test_over_tls_they_are_secure(self) -> None:
        with override_settings(SESSION_COOKIE_SECURE=True):
            cookies = self.browser(self.device("kari")).cookies
        assert cookies[COOKIE]["secure"]
        assert cookies[REFRESH_COOKIE]["secure"]

    def test_a_browser_goes_on_and_its_tokens_stay_in_cookies(self) -> None:
        browser = self.browser(self.device("kari"))
        before, secret = browser.cookies[REFRESH_COOKIE].value, browser.cookies["csrftoken"].value
        answer = browser.post(REFRESH_PATH, {}, format="json", HTTP_X_CSRFTOKEN=secret)
        assert answer.status_code == 200, answer.content
        assert (answer.json()["token"], answer.json()["refresh"]) == (None, None)
        assert answer["Cache-Control"] == "no-store"
        assert browser.cookies[REFRESH_COOKIE].value != before
        assert browser.get(f"{API}me").status_code == 200

    def test_another_site_refreshes_nothing(self) -> None:
        device = self.device("kari")
        browser = self.browser(device)
        for secret in ("", "x" * 32):
            answer = browser.post(REFRESH_PATH, {}, format="json", HTTP_X_CSRFTOKEN=secret)
            assert (answer.status_code, answer.json()["code"]) == (403, "csrf_failed")
        device.again()

    def test_a_foreign_origin_is_refused_with_the_right_secret_too(self) -> None:
        browser = self.browser(self.device("kari"))
        secret = browser.cookies["csrftoken"].value
        answer = browser.post(
            REFRESH_PATH, {}, format="json", HTTP_X_CSRFTOKEN=secret, HTTP_ORIGIN="https://evil.example.org"
        )
        assert answer.json()["code"] in ("csrf_failed", "foreign_origin")

    def test_over_tls_a_request_says_where_it_comes_from(self) -> None:
        """With the right secret and neither Origin nor Referer: no browser sends that over TLS."""
        device = self.device("kari")
        browser = self.browser(device)
        said = {"format": "json", "secure": True, "HTTP_X_CSRFTOKEN": browser.cookies["csrftoken"].value}
        for path, more in ((REFRESH_PATH, {}), (f"{API}me/sign-out", {}), (f"{API}me/held", {"format": "jsonl"})):
            answer = browser.post(path, more, **said)
            assert (answer.status_code, answer.json()["code"]) == (403, "csrf_failed"), path
        assert browser.get(f"{API}me", secure=True).status_code == 200, "looking changes nothing"
        own = "https://testserver"
        for name, value in (("HTTP_ORIGIN", own), ("HTTP_REFERER", f"{own}/app")):
            answer = browser.post(REFRESH_PATH, {}, **said, **{name: value})
            assert answer.status_code == 200, (name, answer.content)
            said["HTTP_X_CSRFTOKEN"] = browser.cookies["csrftoken"].value

    def test_signing_out_takes_both(self) -> None:
        browser = self.browser(self.device("kari"))
        secret = browser.cookies["csrftoken"].value
        answer = browser.post(f"{API}me/sign-out", HTTP_X_CSRFTOKEN=secret)
        assert {name for name, one in answer.cookies.items() if one["max-age"] == 0} == {COOKIE, REFRESH_COOKIE}
