"""Addresses of this app, under `/api/v1/`."""

from django.urls import path

from server.consent import api

urlpatterns = [
    path("consent-forms", api.Forms.as_view()),
    path("consents", api.Consents.as_view()),
    path("consents/<uuid:consent_id>", api.OneConsent.as_view()),
    path("consents/<uuid:consent_id>/give", api.Give.as_view()),
    path("consents/<uuid:consent_id>/change", api.Alter.as_view()),
    path("consents/<uuid:consent_id>/decline", api.Decline.as_view()),
    path("consents/<uuid:consent_id>/withdraw", api.Withdraw.as_view()),
    path("consents/<uuid:consent_id>/history", api.History.as_view()),
]
