"""Django's admin site without its sign-in, its own log, its deletions and its sessions."""

import mimetypes
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.contrib.staticfiles import finders
from django.db.models import Count, ForeignKey, Model, Q, QuerySet
from django.http import FileResponse, HttpRequest
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, path
from django.utils.translation import gettext_lazy as _

from server.common.errors import NotFound, Problem
from server.common.words import WORDS
from server.notify.models import Address
from server.operate.admin_site.door import guarded, known_administrator
from server.operate.watch import warnings
from server.people.actors import Acting
from server.people.models import User

STATIC = "admin/"
"""Below `STATIC_URL`."""


def acting_of(request: HttpRequest) -> Acting:
    """Who acts, as the door has found."""
    found: Acting = request.acting  # type: ignore[attr-defined]
    return found


class Site(admin.AdminSite):
    site_header = "Samsnakk"
    site_title = "Samsnakk"
    index_title = _("Administration")
    index_template = "admin/samsnakk_index.html"
    site_url = None
    enable_nav_sidebar = False
    empty_value_display = "-"

    def has_permission(self, request: HttpRequest) -> bool:
        return True  # whoever is here has come through the door

    def admin_view(self, view: Any, cacheable: bool = False, filters: Mapping[str, str] | None = None) -> Any:
        return guarded(view, self.refused, self.ask_for_proof, filters or {})

    def ask_for_proof(self, request: HttpRequest) -> HttpResponseBase:
        """In place of any page: who has not shown a passkey of late sees nothing else."""
        words = {
            "why": _("These pages ask for your passkey, and for a sign-in of a moment ago."),
            "prove": _("Show my passkey"),
            "make": _("Make a passkey on this device"),
            "waiting": _("Your device asks you now."),
            "none": _("You have no passkey yet. Make one on this device."),
            "stale": _("Sign in again first; then make a passkey at once."),
            "failed": _("That did not work. Try again, or sign in again."),
        }
        context = self.each_context(request) | {"title": "", "words": words}
        return TemplateResponse(request, "admin/prove.html", context, status=403)

    def refused(self, request: HttpRequest, problem: Problem) -> HttpResponseBase:
        words = str(WORDS.get(problem.code, problem.title))
        context = self.each_context(request) | {"title": "", "words": words, "errors": problem.errors}
        return TemplateResponse(request, "admin/refused.html", context, status=problem.status)

    def get_urls(self) -> list[URLResolver | URLPattern]:
        """Only these: no sign-in, no passwords, no redirects by content type, no autocompletion."""
        found: list[URLResolver | URLPattern] = [
            path("", self.admin_view(self.index), name="index"),
            path("jsi18n/", self.admin_view(self.i18n_javascript), name="jsi18n"),
        ]
        for model, page in self._registry.items():
            opts = model._meta  # noqa: SLF001 - Django's own name for it
            name = f"{opts.app_label}/{opts.model_name}/"
            found += [path(name + str(one.pattern), one.callback, name=one.name) for one in page.urls]
        return [*found, path("<slug:app_label>/", self.admin_view(self.app_index), name="app_list")]

    def each_context(self, request: Any) -> dict[str, Any]:
        return super().each_context(request) | {"request": request, "user": request.user, "has_permission": True}

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        live = Address.objects.live().values("kind").annotate(count=Count("id")).order_by("kind")
        devices = [f"{one['kind']}: {one['count']}" for one in live]
        told = [(_("Problems"), warnings()), (_("Where people are reached"), devices)]
        return super().index(request, {"told": told, "nothing": _("Nothing."), **(extra_context or {})})


def at_work() -> QuerySet[User]:
    """Accounts of people who work here; a patient's is none of an administrator's business."""
    works = Q(engagements__isnull=False) | Q(appointments__isnull=False) | Q(is_administrator=True)
    return User.objects.filter(Q(patient=None) | works).distinct().order_by("name", "id")


class Named(forms.ModelChoiceField):
    def label_from_instance(self, obj: Any) -> str:
        return str(obj.name)


class Page(admin.ModelAdmin):
    """A table to look at. `adds`: rows can be added, by `add`; what ends is ended by an action of the page. It is
    filtered by `list_filter` alone, whatever an address asks: by any other field it would tell what it does not show,
    as who of the people at work is a patient."""

    adds = False
    list_filter: ClassVar[tuple[str, ...]] = ()
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    show_full_result_count = False
    ordering = ("-pk",)
    actions_selection_counter = False

    def add(self, acting: Acting, said: dict[str, Any]) -> Model:
        """The verb by which a row is added; returns it."""
        raise NotImplementedError

    def change(self, acting: Acting, row: Any, said: dict[str, Any]) -> None:
        """The verb by which a row is changed."""
        raise NotImplementedError

    def has_module_permission(self, request: HttpRequest) -> bool:
        return True

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return True

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.adds

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def formfield_for_dbfield(self, db_field: Any, request: Any, **more: Any) -> Any:
        """Without buttons that would add or change another row in a window of its own."""
        if isinstance(db_field, ForeignKey):
            return self.formfield_for_foreignkey(db_field, request, **more)
        return super().formfield_for_dbfield(db_field, request, **more)

    def formfield_for_foreignkey(self, db_field: Any, request: Any, **more: Any) -> Any:
        """Rows are chosen by name, and people at work alone."""
        rows = at_work() if db_field.related_model is User else db_field.related_model.objects.order_by("name", "id")
        return Named(queryset=rows, required=not db_field.blank, label=db_field.verbose_name)

    def get_urls(self) -> list[URLPattern]:
        opts = self.opts
        name = f"{opts.app_label}_{opts.model_name}"
        view: Any = self.admin_site.admin_view
        listed = view(self.changelist_view, filters=self.filters())
        found = [path("", listed, name=f"{name}_changelist")]
        if self.adds:
            found.append(path("add/", view(self.add_view), name=f"{name}_add"))
        return [*found, path("<uuid:object_id>/", view(self._one), name=f"{name}_change")]

    def filters(self) -> dict[str, str]:
        """What an address may say, and by which field that is."""
        return {asked: name for name in self.list_filter for asked in (name, f"{name}__exact")}

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        return lookup in self.filters()

    def _one(self, request: HttpRequest, object_id: Any) -> Any:
        """As the path names it: an id that nobody has is the common 404, and not a message on another page."""
        if not self.get_queryset(request).filter(pk=object_id).exists():
            raise NotFound
        return self.change_view(request, str(object_id))

    def save_model(self, request: Any, obj: Any, form: Any, change: bool) -> None:
        """Never the row itself: the verb, with its rules and its record, within the page's transaction."""
        if change:
            self.change(acting_of(request), obj, form.cleaned_data)
        else:
            made = self.add(acting_of(request), form.cleaned_data)
            obj.pk = made.pk

    def save_form(self, request: Any, form: Any, change: bool) -> Any:
        return form.instance

    def save_related(self, request: Any, form: Any, formsets: Any, change: bool) -> None:
        """Verbs have done it."""

    def log_addition(self, request: Any, obj: Any, message: Any) -> Any:
        """Verbs have written it, where it cannot be changed."""

    def log_change(self, request: Any, obj: Any, message: Any) -> Any:
        """The same."""

    def message_user(self, *args: Any, **kwargs: Any) -> None:
        """There is no store of messages: the page shows how it is."""


def static(request: HttpRequest, name: str) -> HttpResponseBase:
    """What the pages load, for whoever may see the pages. Raises NotFound."""
    known_administrator(request)
    found = finders.find(STATIC + name) if ".." not in name else None
    if not isinstance(found, str) or not Path(found).is_file():
        raise NotFound
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return FileResponse(Path(found).open("rb"), content_type=kind, headers={"Cache-Control": "private, max-age=3600"})


SITE = Site(name="admin")
