"""Routes of this app, mounted at `/api/v1/`. The demo sign-in exists in demo mode only."""

from django.conf import settings
from django.urls import URLPattern, path

from server.people.api.credentials import (
    OnePasskey,
    PasskeyOptions,
    Passkeys,
    RecoveryCodes,
    Totp,
    TotpConfirm,
)
from server.people.api.in_person import InPersonSignIn, SignInCode, SignInCodeConfirm, SignInCodes
from server.people.api.organisations import Directory, Organisations
from server.people.api.own_sessions import OwnSession, OwnSessions, PatientSessions, RefreshTokens
from server.people.api.patients import PatientDetail, Patients
from server.people.api.sessions import ChooseEngagement, DemoSignIn, Me, SignOut
from server.people.api.sign_in import (
    Callback,
    Exchange,
    ProvedAtProvider,
    Providers,
    SignInAtProvider,
    StepUpAtProvider,
)
from server.people.api.step_up import StepUp, StepUpOptions, StepUpPasskey, StepUpRecovery, StepUpTotp

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
    path("patients/<uuid:patient_id>/sign-in-codes", SignInCodes.as_view(), name="sign-in-codes"),
    path("patients/<uuid:patient_id>/sign-in-codes/<uuid:code_id>", SignInCode.as_view(), name="sign-in-code"),
    path(
        "patients/<uuid:patient_id>/sign-in-codes/<uuid:code_id>/confirm",
        SignInCodeConfirm.as_view(),
        name="sign-in-code-confirm",
    ),
    path("sign-in/in-person", InPersonSignIn.as_view(), name="sign-in-in-person"),
    path("me/passkeys", Passkeys.as_view(), name="own-passkeys"),
    path("me/passkeys/options", PasskeyOptions.as_view(), name="own-passkey-options"),
    path("me/passkeys/<uuid:passkey_id>", OnePasskey.as_view(), name="own-passkey"),
    path("me/totp", Totp.as_view(), name="own-totp"),
    path("me/totp/confirm", TotpConfirm.as_view(), name="own-totp-confirm"),
    path("me/recovery-codes", RecoveryCodes.as_view(), name="own-recovery-codes"),
    path("me/step-up", StepUp.as_view(), name="step-up"),
    path("me/step-up/options", StepUpOptions.as_view(), name="step-up-options"),
    path("me/step-up/passkey", StepUpPasskey.as_view(), name="step-up-passkey"),
    path("me/step-up/totp", StepUpTotp.as_view(), name="step-up-totp"),
    path("me/step-up/recovery", StepUpRecovery.as_view(), name="step-up-recovery"),
    path("sign-in/providers", Providers.as_view(), name="sign-in-providers"),
    path("sign-in/exchange", Exchange.as_view(), name="sign-in-exchange"),
    path("sign-in/callback/<slug:provider>", Callback.as_view(), name="sign-in-callback"),
    path("me/step-up/provider", ProvedAtProvider.as_view(), name="step-up-proved"),
    path("me/step-up/provider/<slug:provider>", StepUpAtProvider.as_view(), name="step-up-provider"),
    path("sign-in/<slug:provider>", SignInAtProvider.as_view(), name="sign-in-provider"),  # after all others
]
if settings.DEMO:
    urlpatterns.append(path("demo/sign-in", DemoSignIn.as_view(), name="demo-sign-in"))
