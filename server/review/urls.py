"""Addresses of this app, under `/api/v1/`."""

from django.urls import path

from server.review.api import findings, newest, proofs
from server.review.api.access_log import AccessLog, AccessLogExport
from server.review.api.erasures import (
    ErasureBegin,
    ErasureCancel,
    ErasureConfirm,
    ErasureParts,
    Erasures,
    OneErasure,
)
from server.review.api.events import Events, OneEvent, Reveals
from server.review.api.exports import ExportDownload, Exports, OneExport, SubjectRequests
from server.review.api.held import HeldDownload, HeldFor, OneHeld, OwnHeld
from server.review.api.look_ups import LookUps
from server.review.api.retention import Retention
from server.review.api.shields import ShieldEnd, Shields

urlpatterns = [
    path("me/access-log", AccessLog.as_view()),
    path("me/access-log/export", AccessLogExport.as_view()),
    path("audit/events/<uuid:event_id>/proof", proofs.Proof.as_view()),
    path("audit/events/<uuid:event_id>/entry", proofs.EventEntry.as_view()),
    path("audit/events/<uuid:event_id>/disclosure", proofs.Disclosure.as_view()),
    path("audit/tile/entries/<path:rest>", proofs.Entries.as_view()),
    path("audit/newest/checkpoint", newest.NewestCheckpoint.as_view()),
    path("audit/newest/tile/<level:level>/<path:rest>", newest.NewestTile.as_view()),
    path("audit/newest/tile/entries/<path:rest>", proofs.Entries.as_view()),
    path("audit/trees/<tree:tree>/tile/entries/<path:rest>", proofs.TreeEntries.as_view()),
    path("review/events", Events.as_view()),
    path("review/events/<uuid:event_id>", OneEvent.as_view()),
    path("review/events/<uuid:event_id>/reveal", Reveals.as_view()),
    path("review/findings", findings.Findings.as_view()),
    path("review/findings/<uuid:finding_id>", findings.OneFinding.as_view()),
    path("review/findings/<uuid:finding_id>/take", findings.TakeFinding.as_view()),
    path("review/findings/<uuid:finding_id>/note", findings.NoteFinding.as_view()),
    path("review/findings/<uuid:finding_id>/explain", findings.ExplainFinding.as_view()),
    path("review/findings/<uuid:finding_id>/confirm", findings.ConfirmFinding.as_view()),
    path("review/findings/<uuid:finding_id>/close", findings.CloseFinding.as_view()),
    path("review/shields", Shields.as_view()),
    path("review/shields/<uuid:shield_id>/end", ShieldEnd.as_view()),
    path("review/exports", Exports.as_view()),
    path("review/exports/<uuid:export_id>", OneExport.as_view()),
    path("review/exports/<uuid:export_id>/download", ExportDownload.as_view()),
    path("review/subject-requests", SubjectRequests.as_view()),
    path("review/erasures", Erasures.as_view()),
    path("review/erasures/<uuid:erasure_id>", OneErasure.as_view()),
    path("review/erasures/<uuid:erasure_id>/part", ErasureParts.as_view()),
    path("review/erasures/<uuid:erasure_id>/confirm", ErasureConfirm.as_view()),
    path("review/erasures/<uuid:erasure_id>/cancel", ErasureCancel.as_view()),
    path("review/erasures/<uuid:erasure_id>/begin", ErasureBegin.as_view()),
    path("me/held", OwnHeld.as_view()),
    path("review/held", HeldFor.as_view()),
    path("held/<uuid:export_id>", OneHeld.as_view()),
    path("held/<uuid:export_id>/download", HeldDownload.as_view()),
    path("review/look-ups", LookUps.as_view()),
    path("review/retention", Retention.as_view()),
]
