"""Whether all that is held about a person is told: every field of every model is in a section, or on the list of what
is left out, with why (GDPR article 15)."""

from collections import defaultdict

from django.apps import apps
from django.db import models

from server.common.ids import new_id
from server.review.held import patient, staff
from server.review.held.words import LABELS, TITLES
from tests.review.held_left_out import LEFT_OUT, TABLE
from tests.support.served import sqlite_only

pytestmark = sqlite_only
WHERE = (
    "put it into a section of server/review/held, or into LEFT_OUT in tests/review/held_left_out.py, and say why not"
)


def ours() -> list[type[models.Model]]:
    return [one for one in apps.get_models() if one.__module__.startswith("server.")]


def told() -> dict[str, set[str]]:
    """By model, the fields that some section tells."""
    found: dict[str, set[str]] = defaultdict(set)
    for section in (*patient.SECTIONS, *staff.SECTIONS):
        model = section.rows(new_id()).model
        named = {field.attname: field.name for field in model._meta.concrete_fields}
        found[model._meta.label] |= {named.get(one, one) for one in section.told}
    return found


def undecided(model: type[models.Model], shown: set[str]) -> list[str]:
    left = LEFT_OUT.get(model._meta.label, {})
    if TABLE in left:
        return []
    return [
        f"{model._meta.label}.{field.name}"
        for field in model._meta.concrete_fields
        if field.name not in shown and field.name not in left
    ]


def test_every_field_is_told_or_left_out_for_a_reason(db: None) -> None:
    """Red when a model or a field is added and nobody has decided."""
    shown = told()
    missing = [one for model in ours() for one in undecided(model, shown[model._meta.label])]
    assert not missing, f"{WHERE}: {missing}"


def test_what_is_left_out_is_there_and_has_a_reason(db: None) -> None:
    """Red when the list names what exists no more, or what is told after all."""
    shown, known = told(), {model._meta.label: model for model in ours()}
    for label, fields in LEFT_OUT.items():
        assert label in known, label
        names = {field.name for field in known[label]._meta.concrete_fields} | {TABLE}
        for field, why in fields.items():
            assert field in names, (label, field)
            assert len(why) > 5, (label, field)
            assert field not in shown[label], f"{label}.{field} is told"
        assert TABLE not in fields or not shown[label] or label == "audit.AuditEvent", label


def test_a_new_table_is_missed(db: None) -> None:
    class Fresh(models.Model):
        patient = models.ForeignKey("people.Patient", on_delete=models.PROTECT)

        class Meta:
            app_label = "review_fresh"
            managed = False

    assert undecided(Fresh, set()) == ["review_fresh.Fresh.id", "review_fresh.Fresh.patient"]


def test_every_section_has_a_title_and_no_label_is_idle(db: None) -> None:
    sections = (*patient.SECTIONS, *staff.SECTIONS)
    assert {one.name for one in sections} == set(TITLES)
    fields = {name for one in sections for name in one.told} | {"at", "words"}
    assert set(LABELS) <= fields
