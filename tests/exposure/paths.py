"""What each path of the product shows or takes of a room: every route and method, every frame, every command, every
loop. `test_classified.py` fails for whatever exists and does not stand here; `test_walk.py` and `test_sockets.py` walk
what is `Content` as those who are out, and look through what is `Plain` for what it must not hold.

To add a path: is there anything of a room in it, or in what it answers? Timeline, members, receipts, marks, typing, the
room's card, its consent and that consent's history, whoever waits, an export, a duty that names a room: `Content`, with
how to make a request that succeeds for those who are in. Else `Plain`, and why in one line. Commands and loops stand in
`inside.py`.
"""

from tests.exposure import after_hours, proofs, rights, sign_in
from tests.exposure.asks import (
    ANSWER,
    BUNDLE,
    EMERGENCY,
    EXPLAINED,
    EXPORT,
    GROUND,
    IDA_OUT,
    NO_DEVICE,
    NO_ON_PAPER,
    NO_PAGE,
    NOBODY,
    NOT_FOR_ALL,
    OF_ARE,
    OF_ASKER,
    OF_NILS,
    OFFICER,
    OFFICERS_ONLY,
    ON_PAPER,
    ORDERED,
    OUTSIDE,
    OWN_MESSAGE,
    PATIENT,
    RELATED,
    REVEALED,
    SHIELDED,
    STAFF,
    TAKEN,
    TILE,
    Ask,
    Content,
    First,
    Plain,
    codes,
    officer,
)

WHERE = "tests/exposure/paths.py"

ROUTES: dict[str, Content | Plain] = {
    **after_hours.ROUTES,
    **sign_in.ROUTES,
    **proofs.ROUTES,
    # --- rooms ---
    "GET rooms": Content("my rooms, with head, unread and the patient's name", (Ask(otherwise=codes("absent")),)),
    "POST rooms": Content(
        "the card of a room that is there already",
        (
            Ask(
                by=RELATED,
                body={"patient": "{patient_id}", "propose": []},
                shows='"waiting":false',
                otherwise=codes("staff_only", "waiting"),
            ),
        ),
    ),
    "GET rooms/{room_id}": Content("a room's card", (Ask(shows="{patient_name}"),)),
    "GET rooms/{room_id}/members": Content("who is in and who is proposed", (Ask(shows="{member_of_nils}"),)),
    "POST rooms/{room_id}/members": Content(
        "whether somebody is in already",
        (
            Ask(body={"user": "{user_of_ida}"}, shows="{user_of_ida}"),
            Ask(by=STAFF, body={"user": "{user_of_asker}"}, shows='"state":"joined"'),
        ),
    ),
    "PATCH rooms/{room_id}/members/{member_id}": Content(
        "how the patient takes part",
        (Ask(by=PATIENT, body={"participation": "away"}, use=OF_ARE, shows="{member_of_are}"),),
    ),
    "DELETE rooms/{room_id}/members/{member_id}": Content(
        "whether somebody is in", (Ask(by=STAFF, use=OF_ASKER, shows=""), Ask(by=PATIENT, use=OF_NILS, shows=""))
    ),
    "GET rooms/{room_id}/events": Content(
        "the timeline",
        (
            Ask(shows="{words_of_vera}"),
            Ask(query="after=0&limit=500", shows="{words_of_kari}"),
        ),
    ),
    "GET rooms/{room_id}/own-posts": Content("what I wrote myself", (Ask(shows="{words_of_asker}", for_authors=True),)),
    "POST rooms/{room_id}/messages": Content(
        "what somebody writes",
        (
            Ask(
                body={"txn_id": "{fresh}", "body": "{more_words}", "reply_to": "{said_by_asker}", "kind": "agreed"},
                shows="{more_words}",
                replayed="ended",
            ),
        ),
    ),
    "POST rooms/{room_id}/events/{seq}/edit": Content(
        "what somebody corrects",
        (Ask(body={"body": "{more_words}"}, use=OWN_MESSAGE, shows="{more_words}", replayed="ended"),),
    ),
    "POST rooms/{room_id}/events/{seq}/retract": Content(
        "what somebody takes back", (Ask(use=OWN_MESSAGE, replayed="ended"),)
    ),
    "PUT rooms/{room_id}/read": Content("how far one has read", (Ask(body={"seq": 1}, shows="{user_of_asker}"),)),
    "GET rooms/{room_id}/receipts": Content("how far everybody has read", (Ask(shows="{user_of_are}"),)),
    # --- consents ---
    "GET consents": Content(
        "everything that is asked and agreed", (Ask(by=PATIENT, otherwise=codes("patient_only", "absent")),)
    ),
    "POST consents": Content("asks for whoever waits in a room", (Ask(by=STAFF, body={"room": "{room_id}"}),)),
    "GET consents/{consent_id}": Content(
        "what is asked and agreed for a room", (Ask(by=PATIENT, shows='"grantees":['), Ask(by=STAFF))
    ),
    "POST consents/{consent_id}/give": Content("the patient's yes", (Ask(by=PATIENT, body=ANSWER),)),
    "POST consents/{consent_id}/change": Content(
        "the patient lets in others, or fewer", (Ask(by=PATIENT, body=ANSWER),)
    ),
    "POST consents/{consent_id}/decline": Content("the patient's no", (Ask(by=PATIENT, body=ANSWER),)),
    "POST consents/{consent_id}/withdraw": Content("the patient stops sharing", (Ask(by=PATIENT, body=ANSWER),)),
    "POST consents/{consent_id}/renew": Content("the patient's yes to a later end", (Ask(by=PATIENT, body=ANSWER),)),
    "GET consents/{consent_id}/text": Content(
        "the text to read out, for whoever writes the answer down", (Ask(by=RELATED, shows='"sha256":"'),)
    ),
    "GET consents/{consent_id}/renewal": Content("the text of a later end", (Ask(by=PATIENT, shows='"sha256":"'),)),
    "GET consents/{consent_id}/receipt": Content("a receipt to print", (Ask(by=PATIENT, shows="{patient_name}"),)),
    "POST consents/{consent_id}/record": Content(
        "staff write down an answer", (Ask(by=RELATED, body={"answer": "decline", **ON_PAPER}),)
    ),
    "POST consents/{consent_id}/correct": Content(
        "staff correct how it was written down",
        (Ask(by=RELATED, body={"why": "{remark}", **ON_PAPER}, first=NO_ON_PAPER),),
    ),
    "POST consents/{consent_id}/assessment": Content(
        "whether the patient can consent", (Ask(by=RELATED, body={"result": "competent", "assessed_at": "{past}"}),)
    ),
    "GET consents/{consent_id}/history": Content(
        "every version of a room's consent", (Ask(by=PATIENT, shows="{user_of_vera}"),)
    ),
    # --- statutes and emergencies ---
    "GET emergency-access/{access_id}": Content(
        "why somebody had emergency access, for whoever reviews it",
        (
            Ask(
                by=OFFICER,
                first=First("POST rooms/{room_id}/emergency-access", EMERGENCY, into="access_id", by="sara"),
                shows="{remark}",
            ),
        ),
    ),
    "GET patients/{patient_id}/rooms": Content(
        "which rooms a patient has", (Ask(by=RELATED, by_relation=True, otherwise=NOT_FOR_ALL),)
    ),
    "POST rooms/{room_id}/emergency-access": Content(
        "emergency access", (Ask(by=OUTSIDE, body=EMERGENCY, by_relation=True, otherwise=NOT_FOR_ALL),)
    ),
    "DELETE rooms/{room_id}/emergency-access": Content(
        "whether one has emergency access",
        (Ask(by=OUTSIDE, shows="", first=First("POST rooms/{room_id}/emergency-access", EMERGENCY)),),
    ),
    "POST rooms/{room_id}/statutory-grounds": Content(
        "why somebody takes part by law", (Ask(by=RELATED, body=GROUND, by_relation=True),)
    ),
    "DELETE rooms/{room_id}/statutory-grounds/{ground_id}": Content(
        "whether somebody takes part by law",
        (
            Ask(
                by=RELATED,
                shows="",
                first=First("POST rooms/{room_id}/statutory-grounds", GROUND, into="ground_id"),
                otherwise=codes("staff_only"),
            ),
        ),
    ),
    # --- the patient's own ---
    "GET exclusions": Content(
        "whom the patient has excluded",
        (Ask(by=PATIENT, first=IDA_OUT, shows="{user_of_ida}", otherwise=codes("patient_only", "absent")),),
    ),
    "POST exclusions": Content(
        "whom the patient has excluded",
        (
            Ask(
                by=PATIENT,
                body={"user": "{user_of_ida}"},
                shows="{user_of_ida}",
                otherwise=codes("patient_only", "absent"),
            ),
        ),
    ),
    "DELETE exclusions/{user_id}": Content(
        "whom the patient has excluded",
        (
            Ask(
                by=PATIENT,
                use={"user_id": "{user_of_ida}"},
                first=IDA_OUT,
                shows='"results":[',
                otherwise=codes("patient_only"),
            ),
        ),
    ),
    "GET duties": Content("what I must do, with the room it is about", (Ask(by=PATIENT, otherwise=codes("absent")),)),
    "POST duties/{duty_id}/done": Content("what I have done, with the room it was about", (Ask(by=PATIENT),)),
    "GET me/access-log": Content(
        "who has seen which room of mine", (Ask(by=PATIENT, otherwise=codes("absent", "patient_only")),)
    ),
    "GET me/access-log/export": Content(
        "who has seen which room of mine, all of it",
        (Ask(by=PATIENT, query="form=jsonl", otherwise=codes("absent", "patient_only")),),
    ),
    # --- officers ---
    "GET review/events": Content(
        "what happened in which room, in codes",
        (Ask(by=OFFICER, query="room={room_id}", otherwise=OFFICERS_ONLY),),
    ),
    "GET review/events/{event_id}": Content(
        "one thing that happened in a room, in codes", (Ask(by=OFFICER, otherwise=OFFICERS_ONLY),)
    ),
    "POST review/events/{event_id}/reveal": Content(
        "who did what in whose room",
        (Ask(by=OFFICER, body={"reason": "{remark}"}, shows="{patient_name}", otherwise=OFFICERS_ONLY),),
    ),
    "GET review/events/{event_id}/reveal": Plain(
        "which officers had a case shown, and why in their own words", (Ask(by=OFFICER, shows=""),)
    ),
    # --- verifying the log ---
    "GET audit/events/{event_id}/proof": Plain("numbers and hashes", (Ask(by=OFFICER, shows="c2sp.org/tlog-proof"),)),
    "GET audit/events/{event_id}/entry": Content("one thing that happened in a room, in codes", (Ask(by=OFFICER),)),
    "GET audit/events/{event_id}/disclosure": Plain(
        "what was looked at: numbers and codes", (Ask(by=OFFICER, first=REVEALED, shows=""),)
    ),
    "GET audit/tile/entries/{rest}": Content("everything that happened, in codes", (BUNDLE,)),
    "GET audit/trees/{tree}/tile/entries/{rest}": Content("everything that happened, in codes", (BUNDLE,)),
    "GET audit/newest/tile/entries/{rest}": Content("everything that happened, in codes", (BUNDLE,)),
    "GET audit/newest/checkpoint": Plain(
        "how many entries the log has now, and one hash over them", (officer(shows=""),)
    ),
    "GET audit/newest/tile/{level}/{rest}": Plain(
        "hashes of entries",
        (Ask(by=OFFICER, use={"level": "0", "rest": "000.p/1"}, shows="", otherwise=OFFICERS_ONLY),),
    ),
    # --- officers' exports of the log ---
    "POST review/exports": Content("which rooms an officer asks about", (officer(body=EXPORT),)),
    "GET review/exports": Content("which rooms officers have asked about", (officer(first=ORDERED),)),
    "GET review/exports/{export_id}": Content("which rooms an officer has asked about", (officer(first=ORDERED),)),
    "GET review/exports/{export_id}/download": Content("who did what in which room", (officer(first=ORDERED),)),
    "POST review/subject-requests": Content(
        "everything that was done about a patient",
        (officer(body={"patient": "{patient_id}", "reason": "Krav om innsyn."}),),
    ),
    # --- nothing of a room ---
    "GET review/findings": Plain("what the log is asked about, and when it was", (officer(shows=""),)),
    "GET review/findings/{finding_id}": Plain("which events are asked about, by their ids", (officer(shows=""),)),
    "POST review/findings/{finding_id}/take": Plain("the same", (officer(shows="", body={}),)),
    "POST review/findings/{finding_id}/note": Plain("the same", (officer(shows="", body={"text": "Spurt."}),)),
    "POST review/findings/{finding_id}/explain": Plain(
        "the same", (officer(shows="", body={"text": "Vikar."}, first=TAKEN),)
    ),
    "POST review/findings/{finding_id}/confirm": Plain(
        "the same", (officer(shows="", body={"text": "Ingen grunn."}, first=TAKEN),)
    ),
    "POST review/findings/{finding_id}/close": Plain("the same", (officer(shows="", body={}, first=EXPLAINED),)),
    "GET review/shields": Plain("which employees patients see by a code", (officer(shows=""),)),
    "POST review/shields": Plain(
        "the same",
        (
            officer(
                body={"user": "{user_of_sara}", "reason": "Konkrete trusler.", "decided_on": "2026-01-01"}, shows=""
            ),
        ),
    ),
    "POST review/shields/{shield_id}/end": Plain("the same", (officer(first=SHIELDED, shows=""),)),
    **rights.ROUTES,
    "GET consent-forms": Plain("texts of forms, the same for everybody"),
    "GET me": Plain("who I am and for whom I act"),
    "PATCH me": Plain("my own language", (Ask(by=STAFF, body={"language": "en"}, shows=""),)),
    "POST me/sign-out": Plain("ends my own session"),
    "GET me/sessions": Plain("where I am signed in"),
    "DELETE me/sessions": Plain("ends my own other sessions"),
    "DELETE me/sessions/{sid}": Plain(
        "ends my own session", (Ask(by=NOBODY, use={"sid": "{user_of_asker}"}, shows=""),)
    ),
    "DELETE patients/{patient_id}/sessions": Plain("ends a patient's sessions", (Ask(by=RELATED, shows=""),)),
    "POST sign-in/refresh": Plain("my own next tokens", (Ask(by=NOBODY, body={"refresh": "x"}, shows=""),)),
    "POST me/engagement": Plain(
        "for whom I act", (Ask(by=STAFF, body={"engagement": "{engagement_of_asker}"}, shows=""),)
    ),
    "POST demo/sign-in": Plain("a session of a demo persona", (Ask(by=STAFF, body={"persona": "kari"}, shows=""),)),
    # --- devices ---
    "GET push/key": Plain("a public key"),
    "GET devices": Plain("my own devices"),
    "POST devices": Plain("my own device", (Ask(by=NOBODY, body={"subscription": {}}, shows=""),)),
    "PATCH devices/{device_id}": Plain(
        "what I call my own device",
        (Ask(by=NOBODY, use={"device_id": "{user_of_asker}"}, body={"name": "Mobilen"}, shows=""),),
    ),
    "DELETE devices/{device_id}": Plain("my own device", NO_DEVICE),
    "POST devices/{device_id}/test": Plain("a fixed text to my own device", NO_DEVICE),
    "GET me/quiet-hours": Plain("when I am not told of messages"),
    "PUT me/quiet-hours": Plain("when I am not told of messages", (Ask(by=STAFF, body={"every": None}, shows=""),)),
    "GET me/reach": Plain("my own telephone and mailbox"),
    "PUT me/reach": Plain(
        "my own telephone and mailbox", (Ask(by=STAFF, body={"email": "kari@example.org"}, shows=""),)
    ),
    "POST pages/{token}/receipt": Plain("a word, for whoever holds what the notification carried", NO_PAGE),
    "POST pages/{token}/accept": Plain("a word, for whoever holds what the notification carried", NO_PAGE),
    "POST pages/{token}/decline": Plain("a word, for whoever holds what the notification carried", NO_PAGE),
    "POST notify/callback": Plain("a word, for the gateway", (Ask(by=NOBODY, body={}, shows=""),)),
    "GET organisations": Plain("units and their contact points"),
    "GET directory": Plain("staff by organisation and role", (Ask(by=STAFF, query="q=Lunde", shows=""),)),
    "GET patients": Plain("patients to whom the unit has a relation, whatever rooms there are"),
    "POST patients": Plain(
        "registers a relation, whatever rooms there are",
        (
            Ask(
                by=STAFF,
                body={
                    "name": "{patient_name}",
                    "national_identity_number": "{number}",
                    "relation": {"kind": "treatment", "reason": "henvist"},
                },
                shows="",
            ),
        ),
    ),
    "GET patients/{patient_id}": Plain("a patient to whom the unit has a relation, whatever rooms there are"),
    "GET audit/checkpoint": Plain("how many entries the log had at the last full ten minutes, and one hash over them"),
    "GET audit/tile/{level}/{rest}": Plain("hashes of entries, each of which holds an id that nobody can guess", TILE),
    "GET audit/keys": Plain("public keys"),
    "GET audit/trees": Plain("names and sizes of logs"),
    "GET audit/trees/{tree}/checkpoint": Plain("as above", (Ask(by=STAFF, use={"tree": "1"}, shows=""),)),
    "GET audit/trees/{tree}/tile/{level}/{rest}": Plain("as above", TILE),
    "GET schema/": Plain("the OpenAPI document"),
    "ANY asyncapi.yaml": Plain("the AsyncAPI document"),
    "ANY docs/": Plain("the page of the API"),
    "ANY docs/{name}": Plain("what that page loads", (Ask(by=STAFF, use={"name": "start.js"}, shows=""),)),
    "ANY /health/live": Plain("whether the process answers"),
    "ANY /health/ready": Plain("whether the database answers, and codes of what to look at"),
    "ANY /metrics": Plain("totals and ages"),
}

WAITING = {
    "GET rooms": "the card of a room as new",
    "POST rooms": "the card of a room as new",
    "GET rooms/{room_id}": "the card of a room as new",
    "POST rooms/{room_id}/members": "a proposal, as if nobody were in",
    "DELETE rooms/{room_id}/members/{member_id}": "takes back what they proposed themselves",
    "POST consents": "asked for",
    "GET consents/{consent_id}": "asked for",
    "GET consents/{consent_id}/text": "what is asked, to whoever opened the room, while nothing is shared",
    "POST consents/{consent_id}/record": "asked for",
    "POST consents/{consent_id}/correct": "asked for",
    "POST consents/{consent_id}/assessment": "asked for",
    "POST rooms/{room_id}/statutory-grounds": "their own ground",
    "GET patients/{patient_id}/rooms": "which rooms there are, for an emergency",
    "POST rooms/{room_id}/emergency-access": "their own access, which opens the room",
}
"""What is answered to staff who have asked for a room themselves and wait for the patient: they know of it, and of
nothing that is in it. To all else they are refused."""

SAID: dict[str, Content | Plain] = {
    "hello": Content("asks for what was missed in rooms"),
    "post": Content("what somebody writes"),
    "delivered": Content("a mark"),
    "read": Content("a mark"),
    "typing": Content("that somebody types"),
    "ping": Plain("asks for a pong"),
}
"""Frames from a client."""

HEARD: dict[str, Content | Plain] = {
    "welcome": Content("my rooms with their heads"),
    "event": Content("the timeline"),
    "posted": Content("the number of what I wrote"),
    "limited": Content("a room's head"),
    "receipt": Content("how far somebody has read"),
    "typing": Content("that somebody types"),
    "room.opened": Content("that a room is mine now"),
    "heartbeat": Content("my rooms with their heads"),
    "alert": Plain("a call for help, to the patient and those who answer it; nothing of a room"),
    "room.closed": Plain("an id that the client named or followed; the same for one that is nobody's room"),
    "synced": Plain("a word"),
    "pong": Plain("a word"),
    "error": Plain("a code, and the client's own reference"),
}
"""Frames from the server."""

SOCKETS: dict[str, str] = {"^ws/v1$": "the gateway", "": "refused before it is accepted"}
"""Addresses of WebSockets, by pattern."""
