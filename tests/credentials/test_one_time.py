"""One-time codes and recovery codes: each proves once, in nobody else's place, and nothing stored tells them."""

from base64 import b32encode
from datetime import timedelta

import pyotp
from django.db.models import F

from server.common.clock import now
from server.people import codes
from server.people.models import RecoveryCode, Session, TotpSecret
from tests.base import Client, TownTestCase, TownTransactionTestCase
from tests.credentials.base import Proving
from tests.support.limits import limited
from tests.support.served import sqlite_only
from tests.support.threads import at_once


class Codes(Proving):
    def begin(self, client: Client) -> pyotp.TOTP:
        """Codes are set up, and none of the present ones has been used."""
        totp = pyotp.TOTP(client.ok("post", "me/totp")["secret"])
        client.ok("post", "me/totp/confirm", {"code": totp.at(now())})
        TotpSecret.objects.filter(user_id=client.user_id).update(last_step=0)
        return totp

    def prove(self, client: Client, totp: pyotp.TOTP, steps: int = 0) -> int:
        code = totp.at(now(), counter_offset=steps)
        status: int = client.post("me/step-up/totp", {"code": code}).status_code
        return status


@sqlite_only
class OneTime(Codes, TownTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.kari = self.person("kari")

    def test_nothing_is_proved_before_the_first_right_code(self) -> None:
        begun = self.kari.ok("post", "me/totp")
        totp = pyotp.TOTP(begun["secret"])
        assert begun["secret"] in begun["uri"]
        assert begun["qr"].startswith("<svg")
        assert self.kari.ok("get", "me/totp") == {"set": False, "confirmed_at": None}
        assert self.prove(self.kari, totp) == 403
        wrong = f"{(int(totp.at(now())) + 1) % 1_000_000:06}"
        self.refused(self.kari.post("me/totp/confirm", {"code": wrong}), 403, "proof_wrong")
        assert self.kari.ok("post", "me/totp/confirm", {"code": totp.at(now())})["set"]
        assert self.kari.ok("get", "me/step-up")["ways"] == ["totp"]
        assert self.told(self.kari.user_id, "way_in_changed") == ["totp_set"]

    def test_the_secret_stands_nowhere_in_the_open(self) -> None:
        """Red when it is stored as it is, or kept after it was taken away."""
        secret = self.kari.ok("post", "me/totp")["secret"]
        (row,) = TotpSecret.objects.all()
        assert secret.encode() not in bytes(row.sealed)
        assert b32encode(bytes(row.sealed)) != secret
        assert not any(secret in str(one.leaf) for one in self.audit())
        totp = self.begin(self.kari)
        self.kari.ok("delete", "me/totp")
        assert {bytes(one.sealed) for one in TotpSecret.objects.all()} == {b""}
        assert self.prove(self.kari, totp) == 403
        assert self.told(self.kari.user_id, "way_in_changed") == ["totp_set", "totp_removed"]

    def test_a_code_is_good_once_and_for_a_step_around(self) -> None:
        """Red when `last_step` is not kept, or the window is wider than one step."""
        totp = self.begin(self.kari)
        self.grow_stale(self.kari)
        assert [self.prove(self.kari, totp, steps) for steps in (-3, 3)] == [403, 403]
        assert not self.is_fresh(self.kari)
        assert self.prove(self.kari, totp) == 200
        assert self.is_fresh(self.kari)
        assert self.session_of(self.kari).strong_by == "totp"
        assert self.prove(self.kari, totp) == 403
        assert self.prove(self.kari, totp, -1) == 403, "nor one before it"
        TotpSecret.objects.update(last_step=0)
        assert self.prove(self.kari, totp, -1) == 200

    def test_a_new_one_takes_the_place_of_the_old(self) -> None:
        old = self.begin(self.kari)
        begun = pyotp.TOTP(self.kari.ok("post", "me/totp")["secret"])
        assert self.prove(self.kari, old) == 200, "until the new one is confirmed"
        self.kari.ok("post", "me/totp/confirm", {"code": begun.at(now())})
        TotpSecret.objects.filter(removed_at=None).update(last_step=0)
        assert self.prove(self.kari, old) == 403
        assert self.prove(self.kari, begun) == 200

    def test_it_is_confirmed_soon_or_not_at_all(self) -> None:
        totp = pyotp.TOTP(self.kari.ok("post", "me/totp")["secret"])
        TotpSecret.objects.update(made_at=F("made_at") - timedelta(minutes=16))
        self.refused(self.kari.post("me/totp/confirm", {"code": totp.at(now())}), 409, "nothing_to_confirm")

    def test_anothers_codes_prove_nothing(self) -> None:
        totp = self.begin(self.kari)
        assert self.prove(self.person("vera"), totp) == 403

    def test_what_is_no_code_is_malformed(self) -> None:
        for said in ("12345", "1234567", "12345a", "१२३४५६", "", None, 123456.5, []):
            assert self.kari.post("me/step-up/totp", {"code": said}).status_code == 400, said

    def test_guesses_are_limited_for_the_person(self) -> None:
        self.begin(self.kari)
        other = self.sign_in("kari")
        with limited("totp-person=4/3600"):
            tried = [one.post("me/step-up/totp", {"code": "000000"}).status_code for one in [self.kari, other] * 3]
        assert tried == [403] * 4 + [429] * 2

    def test_a_session_that_guesses_proves_nothing_by_codes_any_more(self) -> None:
        """A found telephone could try for months. Red when wrong ones are forgotten with the window of a limit, or with
        the refusal that rolls back."""
        totp, elsewhere = self.begin(self.kari), self.sign_in("kari")
        wrong = f"{(int(totp.at(now())) + 500_000) % 1_000_000:06}"
        for n in range(1, 11):
            self.refused(self.kari.post("me/step-up/totp", {"code": wrong}), 403, "proof_wrong")
            assert self.told(self.kari.user_id, "way_in_changed").count("totp_guessed") == (n >= 5)
        self.refused(self.kari.post("me/step-up/totp", {"code": totp.at(now())}), 403, "totp_stopped")
        assert self.kari.ok("get", "me/step-up")["ways"] == []
        assert self.prove(elsewhere, totp) == 200, "their other sessions do"

    def test_another_proof_lets_it_try_again(self) -> None:
        totp, key = self.begin(self.kari), self.register(self.kari)
        Session.objects.filter(sid=self.session_of(self.kari).sid).update(totp_wrong=10)
        assert self.prove(self.kari, totp) == 403
        assert self.step_up(self.kari, key).status_code == 200
        assert self.prove(self.kari, totp) == 200

    def test_right_ones_are_not_counted(self) -> None:
        totp = self.begin(self.kari)
        with limited("totp=2/300"):
            for _ in range(4):
                TotpSecret.objects.update(last_step=0)
                assert self.prove(self.kari, totp) == 200


@sqlite_only
class Recovery(Codes, TownTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.kari = self.person("kari")
        self.ten = self.kari.ok("post", "me/recovery-codes")["codes"]

    def use(self, code: str, client: Client | None = None) -> int:
        status: int = (client or self.kari).post("me/step-up/recovery", {"code": code}).status_code
        return status

    def test_ten_each_good_once(self) -> None:
        assert len(set(self.ten)) == 10
        self.grow_stale(self.kari)
        assert self.use(self.ten[0]) == 200
        assert self.is_fresh(self.kari)
        assert self.use(self.ten[0]) == 403
        assert self.use(self.ten[1].lower().replace("-", " ")) == 200, "as it was typed"
        assert self.kari.ok("get", "me/recovery-codes") == {"left": 8}
        told = self.told(self.kari.user_id, "way_in_changed")
        assert told == ["recovery_made", "recovery_used", "recovery_used"]

    def test_new_ones_end_the_old(self) -> None:
        self.kari.ok("post", "me/recovery-codes")
        assert self.use(self.ten[3]) == 403
        assert self.kari.ok("get", "me/recovery-codes") == {"left": 10}

    def test_nobody_elses(self) -> None:
        assert self.use(self.ten[0], self.person("vera")) == 403
        assert self.use(self.ten[0]) == 200

    def test_the_table_alone_tells_none(self) -> None:
        rows = str(list(RecoveryCode.objects.values()))
        assert not any(one in rows or one.replace("-", "") in rows for one in self.ten)


class AtOnce(Codes, TownTransactionTestCase):
    def test_one_code_proves_once(self) -> None:
        """Red when `left` is asked and then marked, or the secret's row is not locked."""
        kari = self.person("kari")
        code = kari.ok("post", "me/recovery-codes")["codes"][0]
        totp = self.begin(kari)
        same = totp.at(now())
        elsewhere = [self.sign_in("kari") for _ in range(3)]
        used = at_once([lambda one=one: one.post("me/step-up/recovery", {"code": code}) for one in elsewhere])
        assert sorted(one.status_code for one in used) == [200, 403, 403]
        proved = at_once([lambda one=one: one.post("me/step-up/totp", {"code": same}) for one in elsewhere])
        assert sorted(one.status_code for one in proved) == [200, 403, 403]


@sqlite_only
class Typed(TownTestCase):
    def test_codes_as_people_type_them(self) -> None:
        for _ in range(50):
            code = codes.new_code(3)
            plain = code.replace("-", "")
            assert len(plain) == 12
            assert not set("ILOU") & set(plain)
            for typed in (code, code.lower(), f" {plain} ", code.replace("0", "O").replace("1", "l")):
                assert codes.uniform(typed, 3) == plain
        for other in ("", "7QK2-M9TX", "7QK2-M9TX-4HZDA", "7QK2-M9TX-4HZ!", "7QK2-M9TX-4HZÅ", "\u0667QK2M9TX4HZD"):
            assert codes.uniform(other, 3) is None
