"""Paths by which people get, or have destroyed, what is held about them, for `paths.ROUTES`."""

from tests.exposure.asks import PATIENT, STAFF, Ask, Content, First, Plain, codes, officer

ERASE = {"patient": "{patient_id}", "reason": "Pasienten krever sletting."}
ASKED = First("POST review/erasures", ERASE, into="erasure_id", by="ola")

HELD = First("POST me/held", {"format": "jsonl"}, into="export_id")

ROUTES: dict[str, Content | Plain] = {
    "GET review/retention": Plain("how long the log is kept, and how much of it is older", (officer(shows=""),)),
    "POST review/look-ups": Plain(
        "which patient has a number and which employee a name, by their ids",
        (
            officer(shows="", body={"kind": "patient", "identity_number": "14438810197", "reason": "Krav om innsyn."}),
            officer(shows="", body={"kind": "staff", "name": "Sara", "reason": "Krav om innsyn."}),
        ),
    ),
    "POST me/held": Plain("how many lines are held about whoever asks", (Ask(body={"format": "jsonl"}, shows=""),)),
    "POST review/held": Plain(
        "how many lines are held about somebody",
        (officer(shows="", body={"patient": "{patient_id}", "reason": "Krav om innsyn."}),),
    ),
    "GET held/{export_id}": Plain("the same", (Ask(first=HELD, shows=""),)),
    "GET held/{export_id}/download": Content(
        "everything about whoever asks, and for a patient everything that is hers to see",
        (Ask(by=PATIENT, first=HELD, shows="{words_of_vera}", otherwise=codes("absent")),),
    ),
    "GET review/erasures": Plain("which patients are to be erased, by their ids", (officer(shows=""),)),
    "POST review/erasures": Plain("the same", (officer(shows="", body=ERASE),)),
    "GET review/erasures/{erasure_id}": Plain("what stands in the way, in codes", (officer(shows="", first=ASKED),)),
    "POST review/erasures/{erasure_id}/part": Plain(
        "the same", (officer(shows="", body={"waived": "Vi trenger ingenting."}, first=ASKED),)
    ),
    "POST review/erasures/{erasure_id}/confirm": Plain("the same"),
    "POST review/erasures/{erasure_id}/cancel": Plain("the same", (officer(shows="", first=ASKED),)),
    "POST review/erasures/{erasure_id}/begin": Plain("the same"),
}

_ADMIN = "organisations, people at work and services, for administrators; the common 404 for everybody else"
_TABLES = {
    "people/controller": True,
    "people/unit": True,
    "people/agreement": True,
    "people/user": True,
    "people/engagement": True,
    "people/officer": True,
    "people/contactpoint": True,
    "alerts/programme": False,
    "alerts/teammember": False,
}
"""Whether rows are added there."""
_LISTS = ("people/session", "operate/watchreport", "audit/head")

ADMIN: dict[str, Content | Plain] = {
    "ANY /admin/": Plain(_ADMIN),
    "ANY /admin/jsi18n/": Plain("words of the pages"),
    "ANY /admin/{app_label}/": Plain(_ADMIN, (Ask(by=STAFF, use={"app_label": "people"}, shows=""),)),
    "ANY /static/admin/{name}": Plain("what the pages load", (Ask(by=STAFF, use={"name": "css/base.css"}, shows=""),)),
    **{f"ANY /admin/{table}/": Plain(_ADMIN) for table in (*_TABLES, *_LISTS)},
    **{f"ANY /admin/{table}/add/": Plain(_ADMIN) for table, adds in _TABLES.items() if adds},
    **{
        f"ANY /admin/{table}/{{object_id}}/": Plain(
            _ADMIN, (Ask(by=STAFF, use={"object_id": "{user_of_asker}"}, shows=""),)
        )
        for table in _TABLES
    },
}
ROUTES |= ADMIN
