"""The request of each row of the table, where `tests/exposure/paths.py` has none or another one is wanted here.

`by` is who it succeeds for in the house (`house.py`); everybody else in the table repeats it as it stands.
"""

from tests.exposure.asks import MEMBERS, OFFICER, OUTSIDE, PATIENT, RELATED, SHIELDED, STAFF, Ask, First
from tests.exposure.paths import ROUTES

PRIME = {MEMBERS: "kari", STAFF: "kari", RELATED: "kari", OUTSIDE: "sara", OFFICER: "ola", PATIENT: "are"}
"""Who is meant, in the house, by the words of `tests/exposure/asks.py`; other words are names."""
STEPS = {"steps": [{"targets": ["on_call_now"]}, {"targets": ["final"]}]}
ALONE = {"alone": True}
CLOSING = {"outcome": "helped_by_phone", "children": "none", "done": "Snakket i 20 minutter."}
ROTATION = {
    "name": "Natt",
    "people": ["{user_of_ida}"],
    "every": "daily",
    "days": 1,
    "starts_on": "2026-01-05",
    "handover": "15:30",
}
OVERRIDE = {"user": "{user_of_mona}", "begins": "{begins}", "ends": "{ends}"}
PLAN = {"danger": "Alene.", "helps": "En tur.", "bring_in": "Broren.", "made_with_patient": True}
QUIET = {"hours": {"every": ["22:00", "07:00"]}}
NEW_PROGRAMME = {"code": "natt", "name": "Natt", "unit": "{unit_id}"}
BROWSER = {"endpoint": "http://127.0.0.1:9/new", "keys": {"p256dh": "{p256dh}", "auth": "{auth}"}}

PASSKEY = {
    "id": "{passkey}",
    "rawId": "{passkey}",
    "type": "public-key",
    "clientExtensionResults": {},
    "response": {name: f"{{passkey_{name}}}" for name in ("clientDataJSON", "authenticatorData", "signature")},
}
NEW_PASSKEY = {
    "id": "{new_passkey}",
    "rawId": "{new_passkey}",
    "type": "public-key",
    "clientExtensionResults": {},
    "response": {name: f"{{new_passkey_{name}}}" for name in ("clientDataJSON", "attestationObject")},
}

LOOK_UP = {"kind": "patient", "identity_number": "{number}", "reason": "Krav om innsyn."}

ERASE = {"patient": "{patient_id}", "reason": "Pasienten krever sletting."}
HELD = First("POST me/held", {"format": "jsonl"}, into="export_id", by="are")
ERASURE = First("POST review/erasures", ERASE, into="erasure_id", by="ola")
CONFIRMED = First("POST review/erasures/{erasure_id}/confirm", {}, by="officer2", first=ERASURE)
ACCEPTED = First("POST alerts/{alert_id}/accept", {}, by="ida")
SPOKEN = First("POST alerts/{alert_id}/in-contact", ALONE, by="ida", first=ACCEPTED)
NOT_REACHED = First("POST alerts/{alert_id}/not-reached", {}, by="ida", first=ACCEPTED)
TURNED = First("POST programmes/{programme_id}/rotations", ROTATION, into="rotation_id", by="mona")
CHANGED = First("POST programmes/{programme_id}/overrides", OVERRIDE, into="override_id", by="mona")
CLOSED = First("POST alerts/{alert_id}/close", CLOSING, by="ida", first=SPOKEN)
LEFT = First("POST programmes/{programme_id}/enrolments/{enrolment_id}/end", {}, by="mona", first=CLOSED)
ALL_LEFT = First(LEFT.route, {}, use={"enrolment_id": "{enrolment_of_trine}"}, by="mona", first=LEFT)


def by(
    who: str, body: object = None, *, first: First | None = None, query: str = "", shows: str = "", **use: str
) -> Ask:
    return Ask(by=who, body=body, first=first, query=query, shows=shows, use=use)


REQUESTS: dict[str, Ask] = {
    # --- calls for help ---
    "GET alerts": by("are", shows="{alert_id}"),
    "GET alerts/{alert_id}": by("are", shows="{alert_id}"),
    "PUT alerts/{alert_id}": by("are", {}, shows="{alert_id}"),
    "GET alerts/{alert_id}/first-screen": by("ida", first=ACCEPTED),
    "GET alerts/{alert_id}/timeline": by("ida"),
    "POST alerts/{alert_id}/accept": by("ida", {}),
    "POST alerts/{alert_id}/calling": by("ida", {}, first=ACCEPTED),
    "POST alerts/{alert_id}/cancel": by("are", {}),
    "POST alerts/{alert_id}/close": by("ida", CLOSING, first=SPOKEN),
    "POST alerts/{alert_id}/hand-over": by("ida", {"to": "{user_of_mona}"}, first=ACCEPTED),
    "POST alerts/{alert_id}/in-contact": by("ida", ALONE, first=ACCEPTED),
    "POST alerts/{alert_id}/not-reached": by("ida", {}, first=ACCEPTED),
    "POST alerts/{alert_id}/notes": by("ida", {"text": "Ringte."}),
    "POST alerts/{alert_id}/tasks/{kind}/done": by("ida", {}, first=NOT_REACHED, kind="plan_contacts"),
    # --- nights and figures ---
    "GET programmes/{programme_id}/figures": by("mona", query="from=2026-01-01&to=2026-03-01"),
    "GET programmes/{programme_id}/nights/{night}": by("mona", night="{today}"),
    "GET programmes/{programme_id}/weekly": by("mona"),
    # --- who is on call ---
    "GET on-call": by("ida", shows="{programme_id}"),
    "GET on-call/now": by("ida", shows="{programme_id}"),
    "GET on-call/feeds": by("ida", shows="{feed_id}"),
    "POST on-call/feeds": by("ida", {"programme": "{programme_id}"}),
    "DELETE on-call/feeds/{feed_id}": by("ida"),
    "GET on-call/feeds/{token}/shifts.ics": by("nobody", token="{feed_token}"),
    "GET on-call/shifts.ics": by("ida", shows="BEGIN:VEVENT"),
    "POST on-call/shifts/{shift_id}/confirm": by("ida", {}),
    "POST on-call/shifts/{shift_id}/start": by("ida", {}),
    "GET programmes/{programme_id}/overrides": by("mona"),
    "POST programmes/{programme_id}/overrides": by("mona", OVERRIDE),
    "DELETE programmes/{programme_id}/overrides/{override_id}": by("mona", first=CHANGED),
    "GET programmes/{programme_id}/roster-report": by("mona"),
    "GET programmes/{programme_id}/rotations": by("mona"),
    "POST programmes/{programme_id}/rotations": by("mona", ROTATION),
    "POST programmes/{programme_id}/rotations/{rotation_id}/end": by("mona", {}, first=TURNED),
    "GET programmes/{programme_id}/shifts": by("mona", query="from={today}&to={today}"),
    # --- phones that can call for help ---
    "GET alert-keys": by("are", shows="{key_id}"),
    "POST alert-keys": by("are", {"label": "Ny"}),
    "DELETE alert-keys/{key_id}": by("are"),
    "POST alert-keys/{key_id}/lost": by("are", {}),
    "GET patients/{patient_id}/alert-keys": by("mona"),
    "DELETE patients/{patient_id}/alert-keys/{key_id}": by("mona"),
    # --- the patient in the service ---
    "GET me/plan": by("are", shows="Alene om natta."),
    "GET patients/{patient_id}/admissions": by("mona"),
    "POST patients/{patient_id}/admissions": by("mona", {"ward": "{ward_id}", "admitted_on": "2026-01-03"}),
    "POST patients/{patient_id}/admissions/{admission_id}/take-back": by("mona", {}),
    "GET patients/{patient_id}/plan": by("mona"),
    "POST patients/{patient_id}/plan": by("mona", PLAN),
    "GET patients/{patient_id}/plan/history": by("mona"),
    # --- services ---
    "GET programmes": by("mona", shows="{programme_id}"),
    "POST programmes": by("admin", NEW_PROGRAMME),
    "GET programmes/{programme_id}": by("mona"),
    "PATCH programmes/{programme_id}": by("mona", {"name": "MULI Fjord"}),
    "POST programmes/{programme_id}/close": by("mona", {}, first=ALL_LEFT),
    "POST programmes/{programme_id}/open": by("mona", {}),
    "GET programmes/{programme_id}/enrolments": by("mona"),
    "POST programmes/{programme_id}/enrolments": by("mona", {"patient": "{patient_id}"}),
    "POST programmes/{programme_id}/enrolments/{enrolment_id}/end": by("mona", {}),
    "GET programmes/{programme_id}/policies": by("mona"),
    "POST programmes/{programme_id}/policies": by("mona", STEPS),
    "GET programmes/{programme_id}/team": by("mona"),
    "POST programmes/{programme_id}/team": by("mona", {"user": "{user_of_sara}"}),
    "PATCH programmes/{programme_id}/team/{member_id}": by(
        "mona", {"day_contact": True}, member_id="{member_of_ida_in_team}"
    ),
    "DELETE programmes/{programme_id}/team/{member_id}": by("mona", member_id="{member_of_ida_in_team}"),
    # --- devices and pages ---
    "GET devices": by("are", shows="{device_id}"),
    "POST devices": by("are", {"subscription": BROWSER}),
    "DELETE devices/{device_id}": by("are"),
    "PATCH devices/{device_id}": by("are", {"name": "Min andre"}),
    "GET me/quiet-hours": by("are"),
    "GET me/sessions": by("are", shows="{sid}"),
    "DELETE me/sessions": by("are"),
    "DELETE me/sessions/{sid}": by("are"),
    "DELETE patients/{patient_id}/sessions": by("kari"),
    "POST sign-in/refresh": by("nobody", {"refresh": "{refresh}"}),
    "PUT me/quiet-hours": by("are", QUIET),
    # --- what people prove who they are with ---
    "GET me/passkeys": by("are"),
    "POST me/passkeys": by("are", {"credential": NEW_PASSKEY}),
    "POST me/passkeys/options": by("are"),
    "DELETE me/passkeys/{passkey_id}": by("are"),
    "GET me/totp": by("are"),
    "POST me/totp": by("are"),
    "POST me/totp/confirm": by("are", {"code": "{first_time}"}),
    "DELETE me/totp": by("are"),
    "GET me/recovery-codes": by("are"),
    "POST me/recovery-codes": by("are"),
    "GET me/step-up": by("are"),
    "POST me/step-up/options": by("are"),
    "POST me/step-up/passkey": by("are", {"credential": PASSKEY}),
    "POST me/step-up/totp": by("are", {"code": "{one_time}"}),
    "POST me/step-up/recovery": by("are", {"code": "{recovery}"}),
    "GET patients/{patient_id}/sign-in-codes": by("kari"),
    "POST patients/{patient_id}/sign-in-codes": by("kari", {"how": "passport"}),
    "DELETE patients/{patient_id}/sign-in-codes/{code_id}": by("kari"),
    "POST patients/{patient_id}/sign-in-codes/{code_id}/confirm": by("sara"),
    "POST sign-in/in-person": by("nobody", {"code": "{sign_in_code}"}),
    "GET sign-in/providers": by("nobody"),
    "POST sign-in/{provider}": by("nobody", {"challenge": "{challenge}"}, provider="id-porten"),
    "GET sign-in/callback/{provider}": Ask(
        by="nobody", query="state={state}&code={state}", use={"provider": "id-porten"}, shows="code="
    ),
    "POST sign-in/exchange": by("nobody", {"code": "handed-over", "verifier": "{verifier}"}),
    "POST me/step-up/provider/{provider}": by("are", {"challenge": "{challenge}"}, provider="id-porten"),
    "POST me/step-up/provider": by("are", {"code": "proved", "verifier": "{verifier}"}),
    "POST devices/{device_id}/test": by("are", {}),
    "POST pages/{token}/receipt": by("nobody", {}, token="{page_token}"),
    "POST pages/{token}/accept": by("nobody", {}, token="{page_token}"),
    "POST pages/{token}/decline": by("nobody", {}, token="{page_token}"),
    "POST notify/callback": by("nobody", {}),
    # --- all that is held about somebody, and its end ---
    "POST me/held": by("are", {"format": "jsonl"}),
    "POST review/held": by("ola", {"patient": "{patient_id}", "reason": "Krav om innsyn."}),
    "GET held/{export_id}": by("are", first=HELD),
    "GET held/{export_id}/download": by("are", first=HELD, shows="{patient_id}"),
    "GET review/erasures": by("ola", first=ERASURE, shows="{patient_id}"),
    "POST review/erasures": by("ola", ERASE),
    "GET review/erasures/{erasure_id}": by("ola", first=ERASURE),
    "POST review/erasures/{erasure_id}/part": by("ola", {"waived": "Vi trenger ingenting."}, first=ERASURE),
    "POST review/erasures/{erasure_id}/confirm": by("officer2", {}, first=ERASURE),
    "POST review/erasures/{erasure_id}/cancel": by("ola", {}, first=ERASURE),
    "POST review/erasures/{erasure_id}/begin": by("ola", {}, first=CONFIRMED),
    # --- lists, and what of Are's stands in them ---
    "GET patients": by("kari", shows="{patient_id}"),
    "GET review/findings": by("ola", shows="{finding_id}"),
    "GET review/shields": by("ola", first=SHIELDED, shows="{user_of_sara}"),
    "POST review/look-ups": by("ola", LOOK_UP, shows="{patient_id}"),
    "PUT alerts/{alert_id} · for a patient": by("kari", {"patient": "{patient_id}"}, alert_id="{another_id}"),
}


def request_of(row: str) -> Ask | None:
    """How this row of the table is asked in the house; None where nobody has said."""
    if row in REQUESTS:
        return REQUESTS[row]
    known = ROUTES.get(row)
    return known.asks[0] if known is not None and known.asks else None


def prime(ask: Ask) -> str:
    """Whom the request is written for."""
    return PRIME.get(ask.by, ask.by)
