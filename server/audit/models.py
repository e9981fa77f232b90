"""The log, and the tree that seals it (laws 1 and 8). `docs/audit.md` says what each part proves."""

from typing import Any

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from server.audit import detail
from server.audit.tiles import LONGEST_ENTRY
from server.common.ids import new_id
from server.common.models import Row
from server.common.octets import Octets

models.TextField.register_lookup(Octets)

INDEX_BITS = 40
"""A position is `tree << 40 | index`: one number that orders all leaves of all trees."""


def position(tree: int, index: int) -> int:
    return tree << INDEX_BITS | index


def index_of(position: int) -> int:
    return position & ((1 << INDEX_BITS) - 1)


def tree_of(position: int) -> int:
    return position >> INDEX_BITS


class AuditEvent(Row):
    """One act, look or refusal, written in the act's own transaction (law 1). The database refuses change.

    `leaf` is what is sealed, byte for byte; the other columns repeat it for questions in SQL, and verifying compares
    them. A trigger puts each new row among the pending ones.
    """

    at = models.DateTimeField(db_default=Now())
    type = models.CharField(max_length=60)
    actor_id = models.UUIDField(null=True)
    unit_id = models.UUIDField(null=True)
    controller_id = models.UUIDField(null=True)
    engagement_id = models.UUIDField(null=True)
    role = models.CharField(max_length=100, blank=True)
    sign_in = models.CharField(max_length=20, blank=True)
    subject_id = models.UUIDField(null=True)
    room_id = models.UUIDField(null=True)
    object_id = models.UUIDField(null=True)
    purpose = models.CharField(max_length=40, blank=True)
    basis = models.CharField(max_length=40, blank=True)
    outcome = models.CharField(max_length=10)
    reason = models.CharField(max_length=60, blank=True)
    record_ids = models.JSONField(default=list)
    request_id = models.CharField(max_length=36, blank=True)
    sealed_hash = models.CharField(max_length=64, null=True)
    """SHA-256 of the sealed record that this act wrote: a record that was taken away is missed."""
    detail_sealed = models.BinaryField(null=True)
    """Salt and details under the subject's own key: erasing the key erases both, and the leaf stays as it is."""
    leaf = models.TextField()
    """RFC 8785 JSON, see `leaf.py`."""

    class Meta:
        indexes = [
            models.Index(fields=["subject_id", "id"], name="audit_subject"),  # a patient's own access log
            models.Index(fields=["object_id"], condition=Q(sealed_hash__isnull=False), name="audit_sealed"),
            models.Index(fields=["room_id"], condition=Q(sealed_hash__isnull=False), name="audit_sealed_in_room"),
            models.Index(fields=["at"], name="audit_at"),  # what was lately written and is in no tree
        ]
        constraints = [
            models.CheckConstraint(condition=~Q(leaf=""), name="audit_leaf_said"),
            models.CheckConstraint(condition=Q(leaf__octets__lte=LONGEST_ENTRY), name="audit_leaf_fits"),
        ]

    @property
    def detail(self) -> dict[str, Any]:
        """The details, opened; empty when there are none. Raises as `vault.unseal` does (`Destroyed` after erasure)."""
        return detail.opened(self.id, self.detail_sealed)[1]


class Pending(models.Model):
    """An event that no tree holds yet. The one table of the log that allows DELETE, for the sequencer alone."""

    event_id = models.UUIDField(primary_key=True)
    since = models.DateTimeField(db_default=Now())


class Tree(models.Model):
    """A tree, and the origin that its checkpoints carry. A new one begins only by `manage.py audit adopt`."""

    number = models.PositiveIntegerField(primary_key=True)
    origin = models.CharField(max_length=200, unique=True)
    follows = models.TextField(blank=True)
    """The last signed checkpoint of the tree before, when there was one."""
    begun_at = models.DateTimeField(db_default=Now())


class Head(models.Model):
    """Where the newest tree stands; one row, locked by whoever extends it."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    tree = models.ForeignKey(Tree, on_delete=models.PROTECT, related_name="+")
    size = models.BigIntegerField(default=0)
    root = models.BinaryField()
    stopped = models.CharField(max_length=30, blank=True)
    """Why sealing has stopped (`worker.py`); empty while it goes on. Here, so that every process can tell."""

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="audit_one_head")]


class Leaf(models.Model):
    """Which event has which place; the hash is RFC 6962's of the event's leaf bytes."""

    position = models.BigIntegerField(primary_key=True)
    event_id = models.UUIDField(unique=True)
    hash = models.BinaryField(max_length=32)


class Node(models.Model):
    """The root of a full subtree of 256 ** level leaves, level 1 and up: what the hash tiles above the first hold."""

    place = models.BigIntegerField(primary_key=True)
    """`tree << 48 | level << 40 | number`."""
    hash = models.BinaryField(max_length=32)


class Checkpoint(models.Model):
    """A size of a tree and its root; there is one root per size, by primary key. Published once it is signed."""

    position = models.BigIntegerField(primary_key=True)
    """`tree << 40 | size`."""
    root = models.BinaryField(max_length=32)
    made_at = models.DateTimeField(db_default=Now())
    note = models.TextField(blank=True)
    """The signed note; written once, after the commit."""


class VerifierKey(models.Model):
    """A key that checkpoints are signed with, as `signed-note` writes it; the sequencer adds its own. Published, and no
    root of trust: officers keep the key that they were handed."""

    line = models.CharField(max_length=300, primary_key=True)
    since = models.DateTimeField(db_default=Now())


class CheckpointMail(models.Model):
    """That one officer's address gets one day's checkpoint; due until it is sent. The row is claimed before the mail
    server is asked, so that of any number of workers one sends."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    day = models.DateField()
    """In Oslo."""
    address = models.CharField(max_length=254)
    due_at = models.DateTimeField(db_default=Now())
    tries = models.PositiveSmallIntegerField(default=0)
    sent_at = models.DateTimeField(null=True)
    position = models.BigIntegerField(null=True)
    """Of the checkpoint that was sent."""

    class Meta:
        constraints = [models.UniqueConstraint(fields=["day", "address"], name="checkpoint_mail_once_a_day")]
