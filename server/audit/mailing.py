"""The newest checkpoint by e-mail, once a day, to each officer: a copy that no operator can call back (L4).

Once a day, whatever the number of workers: a row is claimed, and put off, before the mail server is asked. If we die
after that, or are refused, it is due again later; if we die between the server's yes and the note of it, the officer
gets the same mail twice, under the same Message-ID.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from smtplib import SMTPException
from zoneinfo import ZoneInfo

import structlog
from django.conf import settings
from django.core.mail import EmailMessage
from django.db.models import F, QuerySet

from server.audit.keeping import name_of
from server.audit.models import Checkpoint, CheckpointMail, index_of
from server.audit.ports import RECIPIENTS
from server.audit.reading import signed
from server.common.clock import now

log = structlog.get_logger(__name__)

WORDS = Path(__file__).with_name("checkpoint_mail.nb.txt")
"""First the subject, then an empty line and the text."""
OSLO = ZoneInfo("Europe/Oslo")
FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=5), timedelta(hours=4)
WORRYING = 3
"""Tries without success, after which health says so."""


def mail_newest() -> int:
    """Send what is due today; returns how many mails. One that fails is logged and stays due. Raises what the database
    raises."""
    newest, wanted = signed().order_by("-position").first(), recipients()
    if not wanted or newest is None:
        return 0
    day, sent = _today(), 0
    _make_due(day, wanted)
    for mail in _open(day, wanted).filter(due_at__lte=now()):
        mine = CheckpointMail.objects.filter(id=mail.id, tries=mail.tries, sent_at=None)
        if not mine.update(tries=F("tries") + 1, due_at=now() + wait(mail.tries)):
            continue  # another worker's
        try:
            _message(mail, newest).send()
        except (OSError, SMTPException, ValueError) as error:  # the last: an address that no header can hold
            # Neither the address nor the server's words, which may repeat it.
            code = getattr(error, "smtp_code", None)
            kind = type(error).__name__
            log.error("checkpoint_not_mailed", mail=str(mail.id), tries=mail.tries + 1, error=kind, reply=code)
            continue
        CheckpointMail.objects.filter(id=mail.id).update(sent_at=now(), position=newest.position)
        sent += 1
    return sent


def recipients() -> list[str]:
    """Officers who are appointed now, and whom the installation names besides, each once. Nobody where there is no mail
    server."""
    if not settings.ENV.email_url:
        return []
    found: dict[str, str] = {}
    for one in (*RECIPIENTS().addresses(), *settings.ENV.audit_mail_to):
        found.setdefault(one.lower(), one)
    return list(found.values())


def failing() -> bool:
    """Whether an officer waits for today's mail after several tries."""
    wanted = recipients()
    return bool(wanted) and _open(_today(), wanted).filter(tries__gte=WORRYING).exists()


def said() -> str:
    """For people at a terminal."""
    wanted = recipients()
    sent = CheckpointMail.objects.filter(day=_today(), address__in=wanted).exclude(sent_at=None).count()
    return f"{sent} of {len(wanted)} officers have today's" if wanted else "to nobody"


def wait(tries: int) -> timedelta:
    """How long after the try with so many before it."""
    return min(FIRST_WAIT * 2 ** min(tries, 10), LONGEST_WAIT)


def _today() -> date:
    return now().astimezone(OSLO).date()


def _open(day: date, wanted: Sequence[str]) -> QuerySet[CheckpointMail]:
    return CheckpointMail.objects.filter(day=day, sent_at=None, address__in=wanted)


def _make_due(day: date, wanted: Sequence[str]) -> None:
    known = set(CheckpointMail.objects.filter(day=day).values_list("address", flat=True))
    fresh = [CheckpointMail(day=day, address=one) for one in wanted if one not in known]
    if fresh:
        CheckpointMail.objects.bulk_create(fresh, ignore_conflicts=True)


def _message(mail: CheckpointMail, checkpoint: Checkpoint) -> EmailMessage:
    subject, _, body = WORDS.read_text(encoding="utf-8").partition("\n\n")
    name = name_of(checkpoint)
    said = {
        "origin": checkpoint.note.partition("\n")[0],
        "size": index_of(checkpoint.position),
        "made": checkpoint.made_at.astimezone(OSLO).strftime("%d.%m.%Y kl. %H.%M"),
        "name": name,
        "note": checkpoint.note,
    }
    message = EmailMessage(
        subject=subject.format(**said),
        body=body.format(**said),
        to=[mail.address],
        headers={"Message-ID": f"<{mail.id}@checkpoints.samsnakk>"},
    )
    # As bytes: a letter that is changed on the way is a signature that does not hold.
    message.attach(name, checkpoint.note.encode(), "application/octet-stream")
    return message
