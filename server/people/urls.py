"""Routes of this app, mounted at `/api/v1/`. The demo sign-in exists in demo mode only."""

from django.conf import settings
from django.urls import URLPattern, path

from server.people.api.organisations import Directory, Organisations
from server.people.api.own_sessions import OwnSession, OwnSessions, PatientSessions, RefreshTokens
from server.people.api.patients import PatientDetail, Patients
from server.people.api.sessions import ChooseEngagement, DemoSignIn, Me, SignOut

urlpatterns: list[URLPattern] = [
    path("me", Me.as_view(), name="me"),
    path("me/sign-out", SignOut.as_view(), name="sign-out"),
    path("me/sessions", OwnSessions.as_view(), name="own-sessions"),
    path("me/sessions/<uuid:sid>", OwnSession.as_view(), name="own-session"),
    path("me/engagement", ChooseEngagement.as_view(), name="choose-engagement"),
    path("organisations", Organisations.as_view(), name="organisations"),
    path("directory", Directory.as_view(), name="directory"),
    path("patients", Patients.as_view(), name="patients"),
    path("patients/<uuid:patient_id>", PatientDetail.as_view(), name="patient"),
    path("patients/<uuid:patient_id>/sessions", PatientSessions.as_view(), name="patient-sessions"),
    path("sign-in/refresh", RefreshTokens.as_view(), name="refresh"),
]
if settings.DEMO:
    urlpatterns.append(path("demo/sign-in", DemoSignIn.as_view(), name="demo-sign-in"))
