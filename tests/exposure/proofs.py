"""What people prove who they are with, and codes that let a phone in, for `paths.ROUTES`: they hold nothing of a room.
What each of them refuses stands in tests/credentials."""

from tests.exposure.asks import NOBODY, STAFF, Ask, Plain

_OWN = (Ask(by=STAFF, shows=""),)
_PROVED = (Ask(by=NOBODY, shows=""),)
"""Needs a fresh proof, or an authenticator of one's own."""
_HERE = (Ask(by=NOBODY, use={"passkey_id": "{user_of_asker}", "code_id": "{user_of_asker}"}, shows=""),)

ROUTES: dict[str, Plain] = {
    "GET me/passkeys": Plain("one's own passkeys", _OWN),
    "POST me/passkeys": Plain("one's own passkey", _PROVED),
    "POST me/passkeys/options": Plain("a challenge", _PROVED),
    "DELETE me/passkeys/{passkey_id}": Plain("nothing", _HERE),
    "GET me/totp": Plain("whether one has one-time codes", _OWN),
    "POST me/totp": Plain("a secret of one's own", _PROVED),
    "POST me/totp/confirm": Plain("whether one has one-time codes", _PROVED),
    "DELETE me/totp": Plain("nothing", _PROVED),
    "GET me/recovery-codes": Plain("how many are left", _OWN),
    "POST me/recovery-codes": Plain("codes of one's own", _PROVED),
    "GET me/step-up": Plain("a moment, and ways to prove who one is", _OWN),
    "POST me/step-up/options": Plain("a challenge", _PROVED),
    "POST me/step-up/passkey": Plain("a moment", _PROVED),
    "POST me/step-up/totp": Plain("a moment", _PROVED),
    "POST me/step-up/recovery": Plain("a moment", _PROVED),
    "GET patients/{patient_id}/sign-in-codes": Plain("which phones were let in, by whom", _HERE),
    "POST patients/{patient_id}/sign-in-codes": Plain("a code", _HERE),
    "DELETE patients/{patient_id}/sign-in-codes/{code_id}": Plain("nothing", _HERE),
    "POST patients/{patient_id}/sign-in-codes/{code_id}/confirm": Plain("how a code stands", _HERE),
    "POST sign-in/in-person": Plain("a session of one's own", _PROVED),
}
