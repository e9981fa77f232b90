"""Every type of event that the code can write, found in the code itself."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from server.alerts.store import AUDITED
from server.consent.models import Act
from server.rooms.models import EventType

SERVER = Path(__file__).resolve().parents[2] / "server"
DOTTED = re.compile(r"[a-z][a-z_]*\.[a-z][a-z_]*\Z")
ELSEWHERE = {
    "review/words.py",
    "review/meanings.py",
    "review/rights_words.py",
    "review/night_words.py",
    "people/decide.py",  # what a client may offer
    "operate/night.py",
    "operate/players.py",
    "operate/story.py",  # what they wait for
    "audit/verify.py",  # what others wrote
}
"""Files whose dotted words are no types that they write."""
FILES = (".css", ".html", ".js", ".json", ".jsonl", ".key", ".pem", ".yaml")
OF_OTHERS = ("daphne.", "django.", "lifespan.", "psycopg.", "server.", "samsnakk.", "uvicorn.", "websocket.")
OTHER_WORDS = {
    *("consent.emergency", "consent.ground", "consent.version"),  # what is signed
    *("consent.id", "e.at", "e.created_at", "t.created_at", "c.id", "w.patient"),  # columns
    *("consent_version.minute", "consent_version.remark", "consent_version.text", "duty.answer"),  # places of the vault
    *("emergency_access.delay_reason", "emergency_access.reason", "room_event.sealed", "review_reveal.reason"),
    *("notify_address.sealed", "people_totp_secret.sealed"),
    *("people.in_person_code", "people.recovery_code"),  # blind indexes
    *("people.national_identity_number", "statutory_ground.remark", "audit_auditevent.detail"),
    *(
        "audit.recipients",
        "people.access_effects",
        "people.exclusions",
        "people.owners_told",
        "people.session_devices",
        "vault.custody",
    ),  # ports
    "vault.erased",  # what is signed
    "http.request",  # a message of ASGI
    "room.closed",  # a frame
}
MADE = {
    "f'alert.{note.type}'": {f"alert.{type_}" for type_ in AUDITED},
    "f'consent.{document.act}'": {f"consent.{act}" for act in Act.values},
    "f'message.{type_}'": {f"message.{type_}" for type_ in (EventType.EDIT, EventType.RETRACTION)},
}
"""Types that are put together, by how."""
FIELDS = ("f'steps.{number}'", "f'actor.{name}'", "f'grantees.{index}'", "f'propose.{index}'")
"""What is put together likewise and is no type: fields of a leaf or a request."""


def written() -> set[str]:
    """All of them. Raises AssertionError for one that is put together in a way not known here."""
    found: set[str] = set()
    for path, node in _nodes():
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and DOTTED.match(node.value):
            found |= {node.value} if _may_be(node.value) else set()
        elif isinstance(node, ast.JoinedStr) and re.fullmatch(r"f'[a-z_]+\.\{[^{}]+\}'", ast.unparse(node)):
            how = ast.unparse(node)
            if how not in FIELDS:
                assert how in MADE, f"{path}: which types does {how} make? Add them to MADE."
                found |= MADE[how]
    return found


def _may_be(word: str) -> bool:
    table_or_file = word.endswith(("_sealed", *FILES))
    return not table_or_file and not word.startswith(OF_OTHERS) and word not in OTHER_WORDS


def _nodes() -> Iterator[tuple[str, ast.AST]]:
    for path in sorted(SERVER.rglob("*.py")):
        name = path.relative_to(SERVER).as_posix()
        if name in ELSEWHERE or name.startswith("settings/") or ("migrations/" in name and "0004_seal" not in name):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            yield name, node
