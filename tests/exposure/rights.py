"""Paths by which people get, or have destroyed, what is held about them, for `paths.ROUTES`."""

from tests.exposure.asks import PATIENT, Ask, Content, First, Plain, codes, officer

ERASE = {"patient": "{patient_id}", "reason": "Pasienten krever sletting."}
ASKED = First("POST review/erasures", ERASE, into="erasure_id", by="ola")

HELD = First("POST me/held", {"format": "jsonl"}, into="export_id")

ROUTES: dict[str, Content | Plain] = {
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
