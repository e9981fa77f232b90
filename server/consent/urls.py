"""Addresses of this app, under `/api/v1/`."""

from django.urls import path

from server.consent.api import answers, asks, others

urlpatterns = [
    path("consent-forms", asks.Forms.as_view()),
    path("consents", asks.Consents.as_view()),
    path("consents/<uuid:consent_id>", asks.OneConsent.as_view()),
    path("consents/<uuid:consent_id>/history", asks.History.as_view()),
    path("consents/<uuid:consent_id>/receipt", asks.Receipt.as_view()),
    path("consents/<uuid:consent_id>/text", asks.Text.as_view()),
    path("consents/<uuid:consent_id>/renewal", asks.Renewal.as_view()),
    path("consents/<uuid:consent_id>/give", answers.Give.as_view()),
    path("consents/<uuid:consent_id>/decline", answers.Decline.as_view()),
    path("consents/<uuid:consent_id>/withdraw", answers.Withdraw.as_view()),
    path("consents/<uuid:consent_id>/change", answers.Alter.as_view()),
    path("consents/<uuid:consent_id>/renew", answers.Renew.as_view()),
    path("consents/<uuid:consent_id>/record", answers.Record.as_view()),
    path("consents/<uuid:consent_id>/correct", answers.Correct.as_view()),
    path("consents/<uuid:consent_id>/assessment", answers.Assess.as_view()),
    path("exclusions", others.Exclusions.as_view()),
    path("exclusions/<uuid:user_id>", others.OneExclusion.as_view()),
    path("rooms/<uuid:room_id>/statutory-grounds", others.Grounds.as_view()),
    path("rooms/<uuid:room_id>/statutory-grounds/<uuid:ground_id>", others.OneGround.as_view()),
]
