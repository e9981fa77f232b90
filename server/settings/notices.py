"""When people are told that somebody has written to them (S5)."""

from pydantic import Field
from pydantic_settings import BaseSettings


class MessageNotices(BaseSettings):
    """Patience before a notice, and between two of them."""

    notice_after_s: int = Field(default=5, ge=0, le=300)
    """Whoever is reading has read it by then, and is not told."""
    notice_shown_s: int = Field(default=60, ge=0, le=3600)
    """The same, where a device of theirs has it already: a screen that stands open with nobody before it."""
    notice_again_minutes: int = Field(default=30, ge=1, le=1440)
    """While something told of is unread, more of it is told of no sooner."""
    notice_spread_s: float = Field(default=10.0, ge=0, le=300)
    """Each waits up to so much longer, for a time of its own: or whoever sees them go would see who writes to whom."""
