"""What becomes of a page, told by the outbox: three facts kept apart. The provider accepted it; the device received it;
the person accepted the alert. Each is put on the timeline, and the router looks again.
"""

from server.alerts import doors, router, store
from server.alerts.actions import alerts as actions
from server.alerts.facts import Note
from server.alerts.models import Alert
from server.audit.entry import SYSTEM, Actor
from server.common.clock import now
from server.common.errors import Conflict, NotFound
from server.notify.models import Delivery


class Pages:
    """`notify.ports.Keeper` of pages, of what follows them, and of the hourly trial."""

    def may_send(self, delivery: Delivery) -> bool:
        """Not when it was accepted meanwhile, and never to whom the patient has excluded or who has left the team."""
        alert = Alert.objects.filter(id=delivery.about).first()
        if alert is None:
            return False
        if alert.synthetic:
            return True
        if delivery.kind == "taken":
            return _is_taken(alert, delivery)
        if alert.state == "closed" or alert.responder_id is not None or delivery.generation != alert.generation:
            return False
        return delivery.user_id is None or doors.may_answer(alert, delivery.user_id)

    def sent(self, delivery: Delivery) -> None:
        self._tell(delivery, "page_sent", soon=False)

    def failed(self, delivery: Delivery, code: str, *, final: bool) -> None:
        self._tell(delivery, "page_failed" if final else "page_retried", code, soon=True)

    def received(self, delivery: Delivery) -> None:
        self._tell(delivery, "page_received", soon=False)
        if delivery.kind == "synthetic":
            actions.answer_trial(delivery.about)

    def answered(self, delivery: Delivery, accept: bool, actor_note: str) -> dict[str, object]:
        """A button of the notification, or a key in the call. Raises Conflict (`already_accepted`, `old_page`)."""
        if delivery.kind == "synthetic":
            actions.answer_trial(delivery.about)
            return {"state": "closed"}
        if delivery.kind != "page":
            raise NotFound
        if not accept:
            self._must_be_present(delivery)
            self._tell(delivery, "page_declined", actor_note, soon=True)
            return {"state": "declined"}
        if delivery.user_id is None:  # a duty telephone: somebody is told, and nobody of ours has it yet
            self._tell(delivery, "duty_phone_answered", actor_note, soon=False)
            return {"state": "told"}
        actions.accept_page(delivery=delivery, how=actor_note)
        return {"state": "accepted"}

    def _must_be_present(self, delivery: Delivery) -> None:
        """Raises Conflict `old_page`: the button is of an earlier round of calling."""
        generation = Alert.objects.filter(id=delivery.about).values_list("generation", flat=True).first()
        if generation != delivery.generation:
            raise Conflict(code="old_page")

    def _tell(self, delivery: Delivery, type_: str, code: str = "", *, soon: bool) -> None:
        if delivery.kind == "taken":
            return
        alert = store.locked(delivery.about)
        if alert is None or alert.state == "closed":
            return
        contact = delivery.user_id or actions.FINAL
        note = Note(type_, code, delivery.id, contact, delivery.channel, delivery.user_id if "decl" in type_ else None)
        actor = Actor(delivery.user_id, role="on_call", sign_in="page") if note.actor else SYSTEM
        store.write_outcome(alert, note, now=now(), soon=soon, actor=actor)
        if soon:
            router.wake()


def _is_taken(alert: Alert, delivery: Delivery) -> bool:
    """Whether it is still true that somebody else has it, and whether this person may know (law 5): a late one would
    take the place of a newer page on the device."""
    if delivery.generation != alert.generation or delivery.user_id is None:
        return False
    others = alert.state == "closed" or alert.responder_id not in (None, delivery.user_id)
    return others and doors.may_answer(alert, delivery.user_id)
