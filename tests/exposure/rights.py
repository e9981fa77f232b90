"""Paths by which people get, or have destroyed, what is held about them, for `paths.ROUTES`."""

from tests.exposure.asks import Content, First, Plain, officer

ERASE = {"patient": "{patient_id}", "reason": "Pasienten krever sletting."}
ASKED = First("POST review/erasures", ERASE, into="erasure_id", by="ola")

ROUTES: dict[str, Content | Plain] = {
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
