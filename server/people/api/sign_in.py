"""`sign-in/…`: through a provider to a session, and `me/step-up/provider…`: once more, for a session that there is.

The app (or the browser client) keeps a PKCE verifier of its own. Whoever has the one-time code but not the verifier
gets nothing, so the link that the code travels in need not be secret.
"""

from typing import Any, ClassVar
from urllib.parse import urlencode
from uuid import UUID

import structlog
from django.conf import settings
from django.db import DatabaseError
from django.http import HttpResponse
from django.utils.translation import get_language
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from server.audit.refusals import record_refusal
from server.common import problems
from server.common.errors import Problem, Unavailable
from server.common.files import AsItIs
from server.common.limiting import spend
from server.common.proxies import address_key
from server.common.schema import PROBLEM_IS
from server.people.actors import acting
from server.people.api import sign_in_pages
from server.people.api.cookies import set_cookies
from server.people.api.lasting import UntilOut, until
from server.people.api.shapes import EngagementOut, engagement_shape
from server.people.api.step_up import StepUpProvedOut, proved_shape
from server.people.decide import Need, device_of
from server.people.oidc import flow
from server.people.oidc.checks import CHALLENGE, VERIFIER
from server.people.oidc.providers import ProviderFault, providers

log = structlog.get_logger(__name__)

RETURNS = ["app", "browser"]
KINDS = ["citizen", "staff", "employer"]
BROWSER_COOKIE = "samsnakk_sign_in_" if settings.DEMO else "__Host-samsnakk_sign_in_"
"""Ties a sign-in to the browser that began it; one for each attempt, so that two tabs do not undo each other. A page of
another site can neither set nor read one so named."""
BROWSER_MOST = 4
"""So many attempts of one browser are under way at most."""
PAGES = (400, 403, 404, 429, 503)
NO_STORE = {"Cache-Control": "no-store"}


class ProviderOut(serializers.Serializer[Any]):
    id = serializers.CharField()
    name = serializers.CharField()
    kind = serializers.ChoiceField(choices=KINDS, help_text="`citizen`: for patients; the others for people at work.")


class ProvidersOut(serializers.Serializer[Any]):
    results = ProviderOut(many=True)


class ProviderSignInIn(serializers.Serializer[Any]):
    challenge = serializers.RegexField(CHALLENGE, help_text="PKCE, S256, of a verifier that only the app knows.")

    def get_fields(self) -> dict[str, Any]:
        way = serializers.ChoiceField(choices=RETURNS, default="app", help_text="Where the answer is to come back to.")
        return {**super().get_fields(), "return": way}


class ProviderSignInOut(serializers.Serializer[Any]):
    url = serializers.CharField(help_text="Open it in the system browser.")
    expires_at = serializers.DateTimeField(help_text="Come back before that.")


class ExchangeIn(serializers.Serializer[Any]):
    code = serializers.CharField(max_length=200)
    verifier = serializers.RegexField(VERIFIER)
    engagement = serializers.UUIDField(required=False, help_text="At work: which engagement to act for.")
    cookie = serializers.BooleanField(default=False, help_text="Set HttpOnly cookies; the tokens are then null.")


class ExchangeOut(UntilOut):
    token = serializers.CharField(allow_null=True)
    refresh = serializers.CharField(allow_null=True, help_text="Good once; it gives the next pair.")
    user = serializers.UUIDField()
    engagements = EngagementOut(many=True, help_text="All that the person may act for; change with `me/engagement`.")


class ProvedIn(serializers.Serializer[Any]):
    code = serializers.CharField(max_length=200)
    verifier = serializers.RegexField(VERIFIER)


class Providers(APIView):
    authentication_classes = ()
    permission_classes = (AllowAny,)

    @extend_schema(summary="Ways to sign in", responses=ProvidersOut, auth=[])
    def get(self, request: Request) -> Response:
        try:
            found = list(providers().values())
        except ProviderFault as fault:
            log.error("sign_in_file_unusable", fault=str(fault))
            found = []
        return Response(ProvidersOut({"results": found}).data)


def _begin(request: Request, provider_id: str, **more: Any) -> Response:
    asked = ProviderSignInIn(data=request.data)
    asked.is_valid(raise_exception=True)
    said = asked.validated_data
    begun = flow.begin(
        provider=flow.provider_of(provider_id),
        challenge=said["challenge"],
        returns_to=said["return"],
        language=get_language() or "nb",
        **more,
    )
    response = Response(ProviderSignInOut({"url": begun.url, "expires_at": begun.expires_at}).data, headers=NO_STORE)
    if said["return"] == "browser":
        for oldest in _ours(request)[: -BROWSER_MOST + 1]:
            response.delete_cookie(oldest, samesite="Lax")
        response.set_cookie(
            BROWSER_COOKIE + begun.browser_name,
            begun.browser,
            max_age=int(flow.ATTEMPT.total_seconds()),
            httponly=True,
            samesite="Lax",  # the way back begins at the provider's
            secure=bool(settings.SESSION_COOKIE_SECURE),
        )
    return response


def _ours(request: Request) -> list[str]:
    """The names of this browser's cookies for attempts, the oldest first: so browsers send them (RFC 6265)."""
    return [name for name, value in request.COOKIES.items() if value and name.startswith(BROWSER_COOKIE)]


class SignInAtProvider(APIView):
    """Nobody is signed in yet."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    throttle_scope = "sign-in"

    @extend_schema(
        summary="Begin to sign in at a provider",
        description="Open `url` in the system browser. It comes back to the app's link with `code`, or with `error`.",
        request=ProviderSignInIn,
        responses=ProviderSignInOut,
        auth=[],
        examples=[
            OpenApiExample(
                "An app",
                value={"challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "return": "app"},
                request_only=True,
            )
        ],
    )
    def post(self, request: Request, provider: str) -> Response:
        return _begin(request, provider)


class Callback(APIView):
    """Where the provider sends the browser back to. What goes wrong here is told on a page."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    content_negotiation_class = AsItIs
    http_method_names = ["get", "options"]  # no HEAD: what looks ahead at links would use it up

    @extend_schema(
        summary="Come back from a provider",
        description="For browsers, not for apps: answers 303 to the app's link or to the browser client, or a page.",
        parameters=[
            OpenApiParameter("state", str, required=False),
            OpenApiParameter("code", str, required=False),
            OpenApiParameter("iss", str, required=False),
            OpenApiParameter("error", str, required=False),
        ],
        responses={
            303: None,
            # A page, but for what is refused before this is reached.
            **{(status, "text/html"): str for status in PAGES},
            **{(status, "application/problem+json"): PROBLEM_IS for status in PAGES},
        },
        auth=[],
    )
    def get(self, request: Request, provider: str) -> HttpResponse:
        spend("come-back", address_key(request.META.get("REMOTE_ADDR", "")))
        found = flow.provider_of(provider)
        query = dict(request.query_params.lists())
        cookies = {name.removeprefix(BROWSER_COOKIE): request.COOKIES[name] for name in _ours(request)}
        returned = flow.come_back(provider=found, query=query, cookies=cookies)
        if returned.returns_to == "app":
            to = f"{settings.ENV.app_link}?{urlencode({'code': returned.code})}"
        else:  # behind `#`, so that no server, log or proxy sees it
            to = f"{settings.ENV.browser_link}#{urlencode({'sign-in': returned.code})}"
        response = HttpResponse(status=303, headers={**sign_in_pages.HEADERS, "Location": to})
        if returned.returns_to == "browser":
            response.delete_cookie(BROWSER_COOKIE + returned.browser_name, samesite="Lax")
        return response

    def handle_exception(self, error: Exception) -> HttpResponse:  # type: ignore[override] # a page, not JSON
        """The refusal on record, then the page."""
        problem = problems.to_problem(error)
        if problem is None:
            log.error("request_failed", exc_info=error)
            problem = problems.InternalProblem()
        elif problem.refusal is not None:
            try:
                record_refusal(flow.NOBODY, problem.refusal)
            except DatabaseError:
                problem = Unavailable()
        return _page(problem)


def _page(problem: Problem) -> HttpResponse:
    page = sign_in_pages.failed(problem.code, problem.status, str(problem.title))
    for name, value in problems.headers(problem).items():
        page.headers[name] = value
    return page


class Exchange(APIView):
    """From the one-time code to a session."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    throttle_scope = "exchange"

    @extend_schema(
        summary="Fetch the session of a sign-in",
        description="The code is good once, for a minute, and only with the verifier of the challenge that began it.",
        request=ExchangeIn,
        responses=ExchangeOut,
        auth=[],
        examples=[
            OpenApiExample(
                "An app",
                value={"code": "Xk3…", "verifier": "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"},
                request_only=True,
            )
        ],
    )
    def post(self, request: Request) -> Response:
        asked = ExchangeIn(data=request.data)
        asked.is_valid(raise_exception=True)
        said = asked.validated_data
        wanted: UUID | None = said.get("engagement")
        done = flow.exchange(
            code=said["code"],
            verifier=said["verifier"],
            engagement_id=wanted,
            device=device_of(request.META.get("HTTP_USER_AGENT", ""), request.META.get("HTTP_SEC_CH_UA_PLATFORM", "")),
        )
        session, cookie = done.signed_in.session, said["cookie"]
        response = Response(
            ExchangeOut(
                {
                    "token": None if cookie else done.signed_in.token,
                    "refresh": None if cookie else done.signed_in.refresh,
                    **until(session),
                    "user": session.user_id,
                    "engagements": [engagement_shape(one, session.engagement_id) for one in done.engagements],
                }
            ).data,
            headers=NO_STORE,
        )
        if cookie:
            set_cookies(request, response, session, done.signed_in.token, done.signed_in.refresh)
        return response


class StepUpAtProvider(APIView):
    """For a session that there is: the same person proves who they are once more."""

    needs: ClassVar[Need] = "nothing"
    device_scope = "step-up"

    @extend_schema(
        operation_id="me_step_up_provider_begin",
        summary="Begin to prove at a provider who one is",
        description="As signing in; the provider asks anew even where it knows the person. 403 `other_provider` for a "
        "way in that is not for this kind of session.",
        request=ProviderSignInIn,
        responses=ProviderSignInOut,
    )
    def post(self, request: Request, provider: str) -> Response:
        return _begin(request, provider, acting=acting(request))


class ProvedAtProvider(APIView):
    needs: ClassVar[Need] = "nothing"
    device_scope = "step-up"

    @extend_schema(summary="Finish proving who one is", request=ProvedIn, responses=StepUpProvedOut)
    def post(self, request: Request) -> Response:
        asked = ProvedIn(data=request.data)
        asked.is_valid(raise_exception=True)
        said = asked.validated_data
        since = flow.strengthen(acting=acting(request), code=said["code"], verifier=said["verifier"])
        return Response(proved_shape(since))
