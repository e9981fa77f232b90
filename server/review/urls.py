"""Addresses of this app, under `/api/v1/`."""

from django.urls import path

from server.review.api import proofs
from server.review.api.access_log import AccessLog, AccessLogExport
from server.review.api.events import Events, OneEvent, Reveals

urlpatterns = [
    path("me/access-log", AccessLog.as_view()),
    path("me/access-log/export", AccessLogExport.as_view()),
    path("audit/events/<uuid:event_id>/proof", proofs.Proof.as_view()),
    path("audit/events/<uuid:event_id>/entry", proofs.EventEntry.as_view()),
    path("audit/events/<uuid:event_id>/disclosure", proofs.Disclosure.as_view()),
    path("audit/tile/entries/<path:rest>", proofs.Entries.as_view()),
    path("audit/trees/<tree:tree>/tile/entries/<path:rest>", proofs.TreeEntries.as_view()),
    path("review/events", Events.as_view()),
    path("review/events/<uuid:event_id>", OneEvent.as_view()),
    path("review/events/<uuid:event_id>/reveal", Reveals.as_view()),
]
