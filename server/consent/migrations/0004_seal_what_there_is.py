"""Versions from before they were sealed become sealed ones, word for word; the log is told which."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from server.common.ids import new_id
from server.consent import sealing
from server.consent.document import Basis, Document, Grantor, GrantPart, Method, Terms, TextPart
from server.vault import actions as vault
from server.vault.errors import Unreadable

REMARK = "consent_version.remark"


def convert(apps: Any, _: BaseDatabaseSchemaEditor) -> None:
    consents, old = apps.get_model("consent", "Consent"), apps.get_model("consent", "ConsentVersion")
    numbers = dict(apps.get_model("people", "Unit").objects.values_list("id", "org_number"))
    for consent in consents.objects.select_related("patient").order_by("id").iterator():
        for version in old.objects.filter(consent_id=consent.id).order_by("number"):
            _convert(apps, consent, version, numbers)
        consent.save(update_fields=["newest_hash", "ends_at", "remind_at"])


def _convert(apps: Any, consent: Any, version: Any, numbers: dict[UUID, str]) -> None:
    own = version.acted_by_id is not None and version.acted_by_id == consent.patient.user_id
    clock = version.acted_by_id is None
    document = Document(
        id=version.id,
        consent=consent.id,
        number=version.number,
        previous=consent.newest_hash or None,
        form="room",
        patient=consent.patient_id,
        room=consent.room_id,
        act=version.act,
        state=version.state,
        terms=Terms(
            purpose=version.purpose,
            categories=("conversation",),
            grants=_parts(version.grants, numbers),
            asked=_parts(version.asked, numbers),
            valid_from=version.valid_from,
            valid_to=version.valid_to,
        ),
        grantor=Grantor(user=version.acted_by_id) if own else None,
        competence=None,
        method=Method(kind="clock") if clock else Method(kind="sign_in", sign_in=version.method, level=0),
        given_at=version.recorded_at,
        recorded_at=version.recorded_at,
        recorder=version.acted_by_id,
        text=TextPart(
            form=version.form, version=version.form_version, language=version.language, sha256=version.text_sha256
        ),
        remark=_keyed(consent.patient.key, version),
        basis=Basis(),
    )
    sealed = sealing.seal(document, sealing.VERSION)
    apps.get_model("consent", "Version").objects.create(
        id=version.id,
        consent_id=consent.id,
        number=version.number,
        document=sealed.document,
        hash=sealed.hash,
        signature=sealed.signature,
        key=sealed.key,
        text_sealed=version.text_sealed,
        remark_sealed=version.remark_sealed,
    )
    apps.get_model("audit", "AuditEvent").objects.create(
        id=new_id(),
        type="consent.sealed",
        role="system",
        subject_id=consent.patient_id,
        room_id=consent.room_id,
        object_id=consent.id,
        purpose=consent.purpose,
        outcome="success",
        record_ids=[str(version.id)],
        detail={"version": version.number},
        sealed_hash=sealed.hash,
    )
    consent.newest_hash = sealed.hash
    consent.ends_at = version.valid_to if version.state == "active" else None
    consent.remind_at = consent.ends_at - timedelta(days=14) if consent.ends_at else None


def _keyed(key: UUID, version: Any) -> str | None:
    if version.remark_sealed is None:
        return None
    try:
        words = vault.unseal(bytes(version.remark_sealed), place=REMARK, row=version.id)
        return vault.fingerprint(key, words).hex()
    except Unreadable:
        return None


def _parts(rows: list[dict[str, Any]], numbers: dict[UUID, str]) -> tuple[GrantPart, ...]:
    return tuple(
        GrantPart(unit=UUID(row["unit"]), org_number=numbers[UUID(row["unit"])], person=row["person"], role=row["role"])
        for row in rows
    )


class Migration(migrations.Migration):
    dependencies = [
        ("consent", "0003_records"),
        ("audit", "0003_sealed_hash"),
        ("vault", "0001_initial"),
    ]
    operations = [migrations.RunPython(convert)]
