"""What an administrator sees and does: organisations, people at work, sessions, services, problems. No patient's name,
no identity number, no telephone of a person, nothing that anybody wrote; who a session belongs to is an id, and not
even that of who acts as a patient."""

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from server.alerts.models import Programme, TeamMember
from server.audit.models import Head
from server.operate.admin_site.site import SITE, Page, acting_of, at_work
from server.operate.models import WatchReport
from server.people import actions as people
from server.people.actions import accounts
from server.people.actors import Acting
from server.people.models import (
    Agreement,
    ContactPoint,
    Controller,
    Engagement,
    Officer,
    Session,
    Unit,
    User,
)

REASON = "administrator"
"""Why something ended, as the log says it."""


class NamedMany(forms.ModelMultipleChoiceField):
    def label_from_instance(self, obj: Any) -> str:
        return str(obj.name)


@admin.register(Controller, site=SITE)
class Controllers(Page):
    adds = True
    list_display = ("name", "org_number", "article_6", "article_9", "statute")
    fields = ("name", "org_number", "article_6", "article_9", "statute")

    def add(self, acting: Acting, said: dict[str, Any]) -> Controller:
        return people.register_controller(actor=acting.actor, **said)


@admin.register(Unit, site=SITE)
class Units(Page):
    adds = True
    list_display = ("name", "controller_name", "kind", "org_number", "response_hours")
    list_select_related = ("controller",)
    fields = ("controller", "name", "org_number", "kind", "response_hours", "office_hours")

    @admin.display(description=_("Controller"))
    def controller_name(self, row: Unit) -> str:
        return row.controller.name

    def add(self, acting: Acting, said: dict[str, Any]) -> Unit:
        return people.register_unit(actor=acting.actor, **said)


MADE = ("title", "between", "valid_from", "valid_to", "ended_at")


class AgreementForm(forms.ModelForm):
    controllers = NamedMany(queryset=Controller.objects.order_by("name"))

    class Meta:
        model = Agreement
        fields = ("title", "valid_to")


@admin.register(Agreement, site=SITE)
class Agreements(Page):
    adds = True
    form = AgreementForm
    list_display = ("title", "between", "valid_from", "valid_to", "ended_at")
    actions = ("end",)

    def get_fields(self, request: Any, obj: Any = None) -> Any:
        return ("title", "controllers", "valid_to") if obj is None else MADE

    def get_readonly_fields(self, request: Any, obj: Any = None) -> Any:
        return () if obj is None else MADE

    @admin.display(description=_("Between"))
    def between(self, row: Agreement) -> str:
        return ", ".join(row.parties.order_by("controller__name").values_list("controller__name", flat=True))

    def add(self, acting: Acting, said: dict[str, Any]) -> Agreement:
        return people.register_agreement(
            title=said["title"], controllers=list(said["controllers"]), valid_to=said["valid_to"], actor=acting.actor
        )

    @admin.action(description=_("End now"))
    def end(self, request: Any, rows: QuerySet[Agreement]) -> None:
        for row in rows.order_by("id"):
            people.end_agreement(agreement_id=row.id, actor=acting_of(request).actor, reason=REASON)


@admin.register(User, site=SITE)
class Users(Page):
    adds = True
    list_display = ("name", "username", "is_active", "is_administrator", "language")
    list_filter = ("is_active", "is_administrator")
    fields = ("name", "username", "language")
    actions = ("deactivate",)

    def get_queryset(self, request: Any) -> QuerySet[User]:
        return at_work()

    def add(self, acting: Acting, said: dict[str, Any]) -> User:
        return accounts.register_user(actor=acting.actor, **said)

    @admin.action(description=_("Close the account"))
    def deactivate(self, request: Any, rows: QuerySet[User]) -> None:
        for row in rows.order_by("id"):
            people.deactivate_user(user_id=row.id, actor=acting_of(request).actor, reason=REASON)


@admin.register(Engagement, site=SITE)
class Engagements(Page):
    adds = True
    list_display = ("who", "where", "role", "health_personnel", "leads", "valid_from", "valid_to", "ended_at")
    list_filter = ("health_personnel", "leads")
    list_select_related = ("user", "unit")
    fields = ("user", "unit", "role", "health_personnel", "leads", "valid_to")
    actions = ("end",)

    @admin.display(description=_("Who"))
    def who(self, row: Engagement) -> str:
        return row.user.name

    @admin.display(description=_("Unit"))
    def where(self, row: Engagement) -> str:
        return row.unit.name

    def add(self, acting: Acting, said: dict[str, Any]) -> Engagement:
        return people.engage(actor=acting.actor, **said)

    @admin.action(description=_("End now"))
    def end(self, request: Any, rows: QuerySet[Engagement]) -> None:
        for row in rows.order_by("id"):
            people.end_engagement(engagement_id=row.id, actor=acting_of(request).actor, reason=REASON)


@admin.register(Officer, site=SITE)
class Officers(Page):
    adds = True
    list_display = ("who", "where", "verifies_log", "email", "valid_from", "valid_to", "ended_at")
    list_select_related = ("user", "controller")
    fields = ("user", "controller", "email", "valid_to")
    actions = ("let_verify_the_log", "end")

    @admin.display(description=_("Who"))
    def who(self, row: Officer) -> str:
        return row.user.name

    @admin.display(description=_("Controller"))
    def where(self, row: Officer) -> str:
        return row.controller.name

    def add(self, acting: Acting, said: dict[str, Any]) -> Officer:
        return people.appoint_officer(actor=acting.actor, **said)

    @admin.action(description=_("Let verify the whole log"))
    def let_verify_the_log(self, request: Any, rows: QuerySet[Officer]) -> None:
        for row in rows.order_by("id"):
            people.appoint_log_verifier(officer_id=row.id, actor=acting_of(request).actor)

    @admin.action(description=_("End now"))
    def end(self, request: Any, rows: QuerySet[Officer]) -> None:
        for row in rows.order_by("id"):
            people.end_appointment(officer_id=row.id, actor=acting_of(request).actor, reason=REASON)


@admin.register(ContactPoint, site=SITE)
class ContactPoints(Page):
    adds = True
    list_display = ("label", "where", "who")
    list_select_related = ("user", "unit")
    fields = ("unit", "label", "user")

    def has_change_permission(self, request: Any, obj: Any = None) -> bool:
        return True

    def get_readonly_fields(self, request: Any, obj: Any = None) -> Any:
        return () if obj is None else ("unit", "label")

    @admin.display(description=_("Unit"))
    def where(self, row: ContactPoint) -> str:
        return row.unit.name

    @admin.display(description=_("Tended by"))
    def who(self, row: ContactPoint) -> str:
        return row.user.name if row.user is not None else ""

    def add(self, acting: Acting, said: dict[str, Any]) -> ContactPoint:
        return accounts.add_contact_point(actor=acting.actor, **said)

    def change(self, acting: Acting, row: ContactPoint, said: dict[str, Any]) -> None:
        accounts.tend_contact_point(point_id=row.pk, user=said["user"], actor=acting.actor)


@admin.register(Session, site=SITE)
class Sessions(Page):
    list_display = ("sid", "whose", "sign_in", "level", "device", "created", "last_seen_at", "ended_at", "end_reason")
    list_filter = ("sign_in", "device")
    ordering = ("-created",)
    list_display_links = None
    actions = ("end",)

    def get_urls(self) -> Any:
        return super().get_urls()[:1]  # a session's key is its token's digest: it has no page of its own

    @admin.display(description=_("Account"))
    def whose(self, row: Session) -> str:
        """Of who acts as a patient not even the id: they may work here too, and be found by it among the people."""
        return "" if row.as_patient else str(row.user_id)

    @admin.display(description="")
    def action_checkbox(self, obj: Any) -> Any:
        """By its public name."""
        box = forms.CheckboxInput({"class": "action-select"}, lambda value: False)
        return box.render(ACTION_CHECKBOX_NAME, str(obj.sid))

    def response_action(self, request: Any, queryset: Any) -> Any:  # type: ignore[override]
        named = request.POST.copy()
        sids = [one for one in named.getlist(ACTION_CHECKBOX_NAME) if _is_id(one)]
        digests = Session.objects.filter(sid__in=sids).values_list("digest", flat=True)
        named.setlist(ACTION_CHECKBOX_NAME, list(digests))
        request.POST = named
        return super().response_action(request, queryset)

    @admin.action(description=_("End now"))
    def end(self, request: Any, rows: QuerySet[Session]) -> None:
        for row in rows.order_by("sid"):
            people.end_session(session=row, reason=REASON, actor=acting_of(request).actor)


@admin.register(Programme, site=SITE)
class Programmes(Page):
    list_display = ("code", "name", "where", "is_default", "opened_at", "closed_at")
    list_select_related = ("unit",)
    fields = ("code", "name", "is_default", "opened_at", "closed_at")

    @admin.display(description=_("Unit"))
    def where(self, row: Programme) -> str:
        return row.unit.name


@admin.register(TeamMember, site=SITE)
class TeamMembers(Page):
    list_display = ("who", "where", "leads", "day_contact", "valid_from", "valid_to", "ended_at")
    list_select_related = ("user", "programme")
    fields = ("leads", "day_contact", "valid_from", "valid_to", "ended_at")

    @admin.display(description=_("Who"))
    def who(self, row: TeamMember) -> str:
        return row.user.name

    @admin.display(description=_("Programme"))
    def where(self, row: TeamMember) -> str:
        return row.programme.name


@admin.register(WatchReport, site=SITE)
class WatchReports(Page):
    list_display = ("at", "findings")
    list_display_links = None

    def get_urls(self) -> Any:
        return super().get_urls()[:1]


@admin.register(Head, site=SITE)
class Heads(Page):
    list_display = ("tree_id", "size", "stopped")
    list_display_links = None

    def get_urls(self) -> Any:
        return super().get_urls()[:1]


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
