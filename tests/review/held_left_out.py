"""What is not in the file of all that is held about a person (GDPR article 15), field by field, with why: written by
hand. A model or a field that is in no section and not here fails `test_held_whole.py`: whoever adds one decides."""

TABLE = "*"
LINK = "whose row it is: the person's own, or its place is told by name"
DIGEST = "a digest or key material: whoever has it might sign in or forge; told to nobody"
ROW = "the row's own id, which is told, or says nothing"
SEAL = "the signature, and the key's id, over what is told; the document says it"
COPY = "repeats what is told, for searching"
NOT_THEIRS = "about an organisation and nobody in particular"
SHORT = "lives for minutes, holds digests and moments, and leads to nothing that is not told"
KEY = "the id of a data key"
HIDDEN = (
    "suspicion is no access, and telling of it would tell what is hidden for now; what officers did stands in the log"
)
REASONS = "an officer's own words about why they looked; that they did stands in the log"
LOG = "the log itself: its entries about the person are told line by line"
TREE = "hashes, numbers and keys of the sealed log: about nobody"
ACTS = "who did it stands among the acts of whoever did, and is told by name to the patient where it is about one"
OTHERS = "what somebody does for others: the patients', or the service's; that they did it stands among their acts"
DELAYED = "why telling would have endangered somebody, who may be who reads it on the phone; officers tell it in person"
STATE = "how the machine goes about it"

LEFT_OUT: dict[str, dict[str, str]] = {
    "common.IdempotencyRecord": {TABLE: "answers kept for a day, encrypted, for retries; what they say is told"},
    "vault.DataKey": {TABLE: DIGEST},
    "audit.AuditEvent": {TABLE: LOG},
    **{f"audit.{name}": {TABLE: TREE} for name in ("Pending", "Tree", "Head", "Leaf", "Node", "Checkpoint")},
    "audit.VerifierKey": {TABLE: TREE},
    "audit.CheckpointMail": {
        TABLE: "when a checkpoint went to an officer's address, which is told with the appointment"
    },
    "people.Controller": {TABLE: NOT_THEIRS},
    "people.Unit": {TABLE: NOT_THEIRS},
    "people.Agreement": {TABLE: NOT_THEIRS},
    "people.AgreementParty": {TABLE: NOT_THEIRS},
    "people.ContactPoint": {"id": ROW, "user": LINK},
    "people.User": {"id": ROW, "name_folded": COPY},
    "people.Engagement": {"id": ROW, "user": LINK, "role_folded": COPY, "effect_done_at": STATE},
    "people.Officer": {"id": ROW, "user": LINK},
    "people.Patient": {
        "id": ROW,
        "user": "the account, which is told",
        "key": KEY,
        "nin_sealed": "that it is held is said; the number itself is shown nowhere in this product",
        "nin_index": DIGEST,
    },
    "people.Relation": {"id": ROW, "patient": LINK},
    "people.Session": {
        "digest": DIGEST,
        "refresh_digest": DIGEST,
        "user": LINK,
        "rotated_at": STATE,
    },
    "people.SpentRefresh": {TABLE: SHORT},
    "people.OidcAttempt": {TABLE: SHORT},
    "people.HandOver": {TABLE: SHORT},
    "people.Challenge": {TABLE: SHORT},
    "people.Identity": {"id": ROW, "user": LINK, "nin_index": DIGEST},
    "people.InPersonCode": {
        "id": ROW,
        "patient": LINK,
        "code_digest": DIGEST,
        "secret_digest": DIGEST,
        "replaced_by": "when it ended is told; the newer one stands beside it",
        "session": SHORT,
        "made_by": ACTS,
        "seconded_by": ACTS,
    },
    "people.Passkey": {
        "id": ROW,
        "user": LINK,
        "credential_id": DIGEST,
        "public_key": DIGEST,
        "sign_count": STATE,
        "transports": STATE,
    },
    "people.TotpSecret": {"id": ROW, "user": LINK, "sealed": DIGEST, "last_step": STATE},
    "people.RecoveryCode": {"id": ROW, "user": LINK, "code_digest": DIGEST},
    "duties.Duty": {
        "id": ROW,
        "patient": LINK,
        "object_id": "the row that it is about, which is told in its own section",
        "concerns": ACTS,
    },
    "consent.Consent": {"id": ROW, "patient": LINK, "verified_at": STATE},
    "consent.Version": {"id": ROW, "signature": SEAL, "key": SEAL},
    "consent.StatutoryGround": {"id": ROW, "patient": LINK, "signature": SEAL, "key": SEAL},
    "rooms.Room": {"id": ROW, "patient": LINK, "key": KEY, "access_epoch": STATE},
    "rooms.Member": {"id": ROW},
    "rooms.Span": {TABLE: "which part of a timeline somebody may see: what the patient sees is told"},
    "rooms.Notice": {TABLE: "up to where somebody was told that there is something"},
    "rooms.RoomEvent": {"id": ROW, "txn_id": "a client's own mark for one attempt", "fingerprint": DIGEST},
    "rooms.EmergencyAccess": {
        "id": ROW,
        "delay_reason_sealed": DELAYED,
        "document": SEAL,
        "hash": SEAL,
        "signature": SEAL,
        "key": SEAL,
    },
    "notify.Address": {
        "id": ROW,
        "user": LINK,
        "index": DIGEST,
        "vapid": STATE,
        "session": "the session, which is told",
    },
    "notify.Delivery": {
        "id": ROW,
        "about": "which call or room: of people at work, the patients' own",
        "generation": STATE,
        "user": LINK,
        "address": "the address, which is told",
        "to_sealed": "a duty telephone's number, which is nobody's own",
        "ttl_s": STATE,
        "topic": STATE,
        "due_at": STATE,
        "expires_at": STATE,
        "lease": STATE,
    },
    "notify.QuietHours": {"user": LINK},
    "notify.CallbackSeen": {TABLE: STATE},
    "alerts.Programme": {TABLE: NOT_THEIRS},
    "alerts.Policy": {TABLE: OTHERS},
    "alerts.Rotation": {TABLE: "the rule of a roster; the shifts that it gave somebody are told"},
    "alerts.RouterBeat": {TABLE: STATE},
    "alerts.TeamMember": {"id": ROW, "user": LINK, "programme": "by its unit"},
    "alerts.Override": {"id": ROW, "made_by": ACTS},
    "alerts.Shift": {"id": ROW, "user": LINK, "source": STATE},
    "alerts.ShiftCheck": {"id": ROW},
    "alerts.CalendarFeed": {"id": ROW, "digest": DIGEST, "user": LINK},
    "alerts.Enrolment": {"id": ROW, "patient": LINK},
    "alerts.Admission": {"id": ROW, "patient": LINK},
    "alerts.Plan": {"id": ROW, "patient": LINK},
    "alerts.AlertKey": {"id": ROW, "patient": LINK, "digest": DIGEST},
    "alerts.Alert": {
        "id": ROW,
        "patient": LINK,
        "policy": "who was called in which order: what happened is told event by event",
        "alert_key": "which phone: it is in its own section",
        "offered_from": STATE,
        "offered_at": STATE,
        **dict.fromkeys(("synthetic", "generation", "version", "step", "step_at", "duty", "due_at"), STATE),
    },
    "alerts.AlertAlias": {"id": ROW},
    "alerts.AlertEvent": {
        "id": ROW,
        **dict.fromkeys(("generation", "step", "page"), STATE),
        "contact": "whom a page went to: told by name once they answered",
    },
    "alerts.AlertTask": {"id": ROW},
    "review.Line": {TABLE: LOG},
    "review.Progress": {TABLE: STATE},
    "review.Reveal": {TABLE: REASONS},
    "review.Finding": {TABLE: HIDDEN},
    "review.FindingNote": {TABLE: HIDDEN},
    "review.Watch": {TABLE: STATE},
    "review.Shield": {
        "id": ROW,
        "user": LINK,
        "reason_sealed": REASONS,
        "decided_by": "officers decide for the controller, which is told",
        "ended_by": "the same",
    },
    "review.Export": {
        "id": ROW,
        "patient": LINK,
        "about": LINK,
        "filters": "as officers narrowed the log; that they did stands in it",
        "reason_sealed": REASONS,
        "snapshot": TREE,
    },
    "review.Erasure": {"id": ROW, "patient": LINK, "reason_sealed": REASONS},
    "review.ErasurePart": {TABLE: "what controllers said of their own records; that they did stands in the log"},
    "operate.WatchReport": {TABLE: STATE},
}
