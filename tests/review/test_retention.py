"""How long lines are kept: one period with its reason for every type; what is due is told, and nothing goes."""

import json
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from uuid import UUID

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from server.common.clock import now
from server.common.ids import new_id
from server.operate.preflight import choice_faults
from server.review import retention
from server.review.models import Line
from server.review.retention import Rules, Unusable, years_before
from tests.base import JSON, Client
from tests.review.officers import OfficersTestCase

HELSE, NAV = "Helse Fjord", "NAV Fjordvik"
DAY = timedelta(days=1)


class Retention(OfficersTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.helse = self.controller_id(HELSE)
        self.places = iter(range(1, 1000))

    def line(self, type_: str, years: int, more: timedelta = DAY, controller: UUID | None = None) -> datetime:
        """A line that is that old, and a little more; when it was."""
        at = years_before(now(), years) - more
        Line.objects.create(
            controller_id=controller or self.helse,
            position=next(self.places),
            event_id=new_id(),
            at=at,
            type=type_,
            outcome="success",
        )
        return at

    def due(self) -> list[JSON]:
        found: list[JSON] = self.person("ola").ok("get", "review/retention")["due"]
        return found

    def test_what_is_due(self) -> None:
        """Type by type, by its own period, of the officer's own controller. Red when the shortest period is taken for
        all, a line is counted before its time, or of another controller."""
        years = retention.rules().of("session.started").years
        oldest = self.line("session.started", years, 20 * DAY)
        self.line("session.started", years)
        self.line("session.started", years, -DAY)
        self.line("events.viewed", years)
        self.line("session.started", years, controller=self.controller_id(NAV))
        [told] = self.due()
        assert (told["type"], told["count"], told["years"]) == ("session.started", 2, years)
        assert datetime.fromisoformat(told["oldest"]) == oldest
        assert "GDPR" in told["reason"]
        assert Line.objects.count() == 5, "nothing is removed"
        assert self.audit(type="review.retention_viewed")

    def test_the_longest_beginning_decides(self) -> None:
        rules = Rules.model_validate(
            {
                "periods": [
                    {"types": "", "years": 1, "reason": "all the rest"},
                    {"types": "room.", "years": 3, "reason": "about rooms"},
                    {"types": "room.opened", "years": 7, "reason": "one type of them"},
                ]
            }
        )
        kinds = ("session.started", "room.viewed", "room.opened")
        assert [rules.of(one).years for one in kinds] == [1, 3, 7]
        self.enterContext(pytest.MonkeyPatch.context()).setattr(retention, "rules", lambda: rules)
        for one in kinds:
            self.line(one, 3)
        assert {one["type"] for one in self.due()} == {"session.started", "room.viewed"}

    def test_a_file_of_one_s_own(self) -> None:
        rules = {"confirmed_by": "Ledelsen, sak 12", "periods": [{"types": "", "years": 2, "reason": "decided here"}]}
        told = self.with_file(json.dumps(rules)).ok("get", "review/retention")
        assert (told["confirmed_by"], told["periods"]) == ("Ledelsen, sak 12", rules["periods"])

    def test_a_file_that_cannot_be_used(self) -> None:
        """Told at the start, and by the command, in one line."""
        period = {"types": "", "years": 2, "reason": "decided here"}
        wrongs = [{"periods": []}, {"periods": [period, period]}, {"periods": [period | {"years": 0}]}, {"period": []}]
        for wrong in ("{", *map(json.dumps, wrongs)):
            self.with_file(wrong)
            with pytest.raises(Unusable):
                retention.rules()
            assert [one for one in choice_faults() if one.startswith("RETENTION_FILE cannot be used: ")]
            with pytest.raises(CommandError):
                call_command("review", "retention")

    def with_file(self, text: str) -> Client:
        path = Path(self.folder) / f"{new_id()}.json"
        path.write_text(text)
        self.enterContext(self.settings(ENV=settings.ENV.model_copy(update={"retention_file": path})))
        return self.person("ola")

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def test_the_command(self) -> None:
        self.line("session.started", 50)
        self.line("consent.given", 50, controller=self.controller_id(NAV))
        out = StringIO()
        call_command("review", "retention", stdout=out)
        first, second, last = out.getvalue().splitlines()
        assert first.startswith("313000303 session.started: 1, the oldest of 19")
        assert second.startswith("313000400 consent.given: 1, ")
        assert last == "2 lines are due. Nothing was removed."

    def test_nobody_else(self) -> None:
        for name in ("sara", "are", "admin"):
            answer = self.person(name).get("review/retention")
            assert (answer.status_code, answer.json()["code"]) == (403, "officer_only"), name


def test_a_leap_day() -> None:
    assert years_before(datetime(2028, 2, 29, 12, tzinfo=UTC), 1) == datetime(2027, 3, 1, 12, tzinfo=UTC)
    assert years_before(datetime(2028, 2, 29, 12, tzinfo=UTC), 4) == datetime(2024, 2, 29, 12, tzinfo=UTC)
