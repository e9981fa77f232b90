"""Ways in, for `paths.ROUTES`: they hold nothing of any room."""

from tests.exposure.asks import NOBODY, STAFF, Ask, Plain

_CHALLENGE = {"challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}
_CODE = {"code": "unknown", "verifier": "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"}
_HERE = {"provider": "id-porten"}

ROUTES: dict[str, Plain] = {
    "GET sign-in/providers": Plain("names of providers", (Ask(by=STAFF, shows='"results":['),)),
    "POST sign-in/{provider}": Plain("a provider's address", (Ask(by=NOBODY, use=_HERE, body=_CHALLENGE, shows=""),)),
    "GET sign-in/callback/{provider}": Plain(
        "a page with fixed words, or a code", (Ask(by=NOBODY, use=_HERE, shows=""),)
    ),
    "POST sign-in/exchange": Plain("a session of one's own", (Ask(by=NOBODY, body=_CODE, shows=""),)),
    "POST me/step-up/provider/{provider}": Plain(
        "a provider's address", (Ask(by=NOBODY, use=_HERE, body=_CHALLENGE, shows=""),)
    ),
    "POST me/step-up/provider": Plain("a moment", (Ask(by=NOBODY, body=_CODE, shows=""),)),
}
