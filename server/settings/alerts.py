"""How long somebody may take while a person waits for help (M3), in seconds. Shorter is stricter; nothing may be longer
than what the service has promised."""

from pydantic import Field
from pydantic_settings import BaseSettings


class AlertTimes(BaseSettings):
    """Limits of the after-hours service, and of those who keep watch over it."""

    alert_receipt_s: int = Field(default=30, ge=1, le=30)
    """Without a device's receipt by then, the next channel."""
    alert_calling_s: int = Field(default=180, ge=2, le=600)
    """From acceptance to «calling now»; else calling people resumes."""
    alert_contact_s: int = Field(default=300, ge=2, le=1200)
    """From «calling now» to «in contact» or «not reached»; else it resumes."""
    alert_offer_s: int = Field(default=600, ge=2, le=3600)
    """For so long a handover is offered."""
    alert_task_s: int = Field(default=600, ge=2, le=3600)
    """For calling those whom the plan names; twice as long for 113, which comes after."""
    alert_follow_up_s: int = Field(default=1800, ge=2, le=7200)
    """For speaking with the patient alone after a cancel."""
    alert_remind_s: int = Field(default=3600, ge=2, le=14400)
    """How often whoever is responsible is reminded to close, or to hand over."""
    roster_days: int = Field(default=60, ge=14, le=370)
    """How far ahead shifts are laid out."""
    readiness_hours: float = Field(default=6.0, gt=0, le=48)
    """So long before a shift whoever has it gets a test page that must come back."""
    readiness_answer_minutes: int = Field(default=60, ge=1, le=600)
    """Then the leader is told."""

    watchdog: bool = True
    """Keep watch in a child process of this one; false where `manage.py watchdog` runs by itself."""
    dead_man_url: str = Field(default="", repr=False)
    """Pinged while all is well; whoever stands behind it raises the alarm when the pings stop."""
    dead_man_every_s: int = Field(default=30, ge=1, le=600)
    synthetic_user: str = ""
    """Username of the test responder, who is called each hour over the whole way; nobody: no such trial."""
    synthetic_every_s: int = Field(default=3600, ge=5, le=86400)
    synthetic_answer_s: int = Field(default=120, ge=2, le=600)
    """The trial has failed when nothing has come back by then."""
