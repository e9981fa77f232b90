"""E-mail by SMTP. It says that there is something, and nothing else."""

import smtplib

from django.conf import settings
from django.core.mail import EmailMessage, get_connection

from server.notify import words
from server.notify.jobs import Job, Outcome


def send(job: Job) -> Outcome:
    """One attempt. Repeated, it has the same Message-ID."""
    if not settings.ENV.email_url:
        return Outcome("not_configured")
    message = EmailMessage(
        subject=words.title(job.kind, job.language),
        body=words.body(job.language),
        from_email=settings.ENV.notify_mail_from or settings.DEFAULT_FROM_EMAIL,
        to=[job.place.to],
        headers={"Message-ID": f"<{job.delivery}@notify.samsnakk>", "Auto-Submitted": "auto-generated"},
        connection=get_connection(timeout=settings.ENV.send_limit_s),
    )
    try:
        message.send()
    except smtplib.SMTPAuthenticationError:
        return Outcome(401)
    except smtplib.SMTPRecipientsRefused as error:
        return Outcome(_meaning(max(code for code, _ in error.recipients.values())))
    except smtplib.SMTPResponseException as error:
        return Outcome(_meaning(error.smtp_code))
    except TimeoutError:
        return Outcome("timeout")
    except (OSError, smtplib.SMTPException):
        return Outcome("unreachable")
    except ValueError:
        return Outcome("refused")  # an address that no header can hold
    return Outcome(200)


def _meaning(code: int) -> int | str:
    """SMTP's 4xx are for now, its 5xx for good (RFC 5321 section 4.2.1)."""
    return 503 if 400 <= code < 500 else "refused"
