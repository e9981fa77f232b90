"""The log is asked by every rule: each meets it, finds nothing twice, and costs the same whatever a batch holds."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from unittest import mock

from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext

from server.audit.entry import SYSTEM
from server.common.clock import now
from server.common.ids import new_id
from server.people import actions as people
from server.people.models import User
from server.review import evidence, scanning
from server.review.models import Finding, Line, Watch
from tests.review.test_findings import HELSE_FJORD, KOMMUNE, SAID, Findings


class Scanning(Findings):
    @contextmanager
    def limits(self, **changed: int) -> Iterator[None]:
        with (
            self.settings(ENV=settings.ENV.model_copy(update=changed)),
            mock.patch.object(evidence, "SLACK", timedelta()),
        ):
            yield

    def test_each_rule_meets_the_log(self) -> None:
        """The rules stand in `test_odd`; here they are given what they compare. Red when the legesenter, who helps Are
        too, is told that he works where Kari works."""
        trine = self.patient_id("trine")
        nils = self.engagement_of("nils")
        Line.objects.create(
            controller_id=nils.unit.controller_id,
            position=-1,
            event_id=new_id(),
            at=now() - timedelta(days=100),
            actor_id=nils.user_id,
            type="session.started",
            outcome="success",
        )
        people.engage(
            user=User.objects.get(username="are"),
            unit=self.engagement_of("kari").unit,
            role="renholder",
            health_personnel=False,
            actor=SYSTEM,
        )
        self.open_the_room()
        with self.limits(odd_patients=2, odd_before_pages=2, odd_act_days=0):
            self.person("nils").ok("get", f"patients/{trine}")
            for patient in ("are", "trine"):
                self.person("kari").ok("get", f"patients/{self.patient_id(patient)}")
            self.relate("sara", "are")
            self.person("sara").ok("get", f"patients/{self.patient_id('are')}")
            for _ in range(2):
                self.person("sara").ok("get", f"{self.room.path}/events")
            self.person("trine").ok("post", f"{self.room.asks}/withdraw", {})
            self.scan()
        kinds = {(one.controller.name, one.kind) for one in Finding.objects.select_related("controller")}
        assert kinds == {
            (HELSE_FJORD, "dormant"),
            (HELSE_FJORD, "look_without_act"),
            (HELSE_FJORD, "many_patients"),
            (HELSE_FJORD, "self_granted"),
            (HELSE_FJORD, "withdrawal"),
            (KOMMUNE, "colleague"),
            (KOMMUNE, "look_without_act"),
            (KOMMUNE, "many_patients"),
            (KOMMUNE, "self_granted"),
            (KOMMUNE, "withdrawal"),
            ("Fjordvik legesenter", "self_granted"),
        }

    def test_found_again_is_no_double_and_open_ones_grow(self) -> None:
        """Red when the case is not looked up, or a second worker reads the same lines."""
        finding = self.same_name()
        self.person("sara").ok("get", f"patients/{self.patient_id('trine')}")
        self.scan()
        (grown,) = self.found("same_surname")
        assert (grown.id, len(grown.events)) == (finding.id, 2)
        Watch.objects.update(position=0, settled=0)
        self.scan()
        (again,) = self.found("same_surname")
        assert (again.id, again.events) == (finding.id, grown.events)
        ola = self.person("ola")
        self.done(ola, finding, "take")
        self.done(ola, finding, "explain", text=SAID)
        self.person("sara").ok("get", f"patients/{self.patient_id('trine')}")
        self.scan()
        (answered,) = self.found("same_surname")
        assert answered.events == grown.events, "what was answered is what was seen"
        assert len(self.audit(type="finding.found", object_id=finding.id)) == 1

    def test_asked_again_when_it_is_long_ago(self) -> None:
        finding = self.same_name()
        Finding.objects.filter(id=finding.id).update(
            first_at=now() - timedelta(days=181), last_at=now() - timedelta(days=181), state="open"
        )
        self.person("sara").ok("get", f"patients/{self.patient_id('trine')}")
        self.scan()
        assert len(self.found("same_surname")) == 2

    def test_a_fixed_number_of_statements_whatever_is_in_a_batch(self) -> None:
        """Red when something is looked up for each line or person."""

        def cost(times: int) -> int:
            for name in ("sara", "kari", "nils")[: 1 + times]:
                for _ in range(times):
                    self.person(name).ok("get", f"patients/{self.patient_id('trine')}")
            self.follow()
            with CaptureQueriesContext(
                connection,
            ) as seen:
                scanning.tick()
            return len(seen)

        self.person("sara").ok("get", f"patients/{self.patient_id('trine')}")
        self.scan()
        few = cost(1)
        assert cost(5) <= few + 2
        assert few < 60
