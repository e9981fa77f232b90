"""When the log is worth a question (`server/review/odd.py`): every limit as a setting, with its reason beside it.

Low limits ask much and wear officers out, who then stop reading; high ones ask too late. Nobody has measured the right
ones: these are where to begin, and each controller's officers and employees' representatives decide what they keep.
"""

from pydantic import Field
from pydantic_settings import BaseSettings


class OddAccess(BaseSettings):
    """Limits of the rules for odd access."""

    odd_act_days: int = Field(default=7, ge=1, le=60)
    """Days in which something done for the patient explains a look. A week: a case conference, a letter or a part-time
    colleague's next day at work lies within it."""
    odd_patients: int = Field(default=20, ge=2, le=1000)
    """Different patients opened one by one within `odd_patients_minutes`. More than a morning's appointments, fewer
    than somebody opens who goes through a list."""
    odd_patients_minutes: int = Field(default=30, ge=1, le=1440)
    """Half an hour: too short for meeting twenty people."""
    odd_own_door_hours: int = Field(default=24, ge=1, le=720)
    """Hours between opening the door for oneself and looking. Whoever needs it for work today looks today; later looks
    have been seen by others who work with the patient."""
    odd_before_minutes: int = Field(default=60, ge=1, le=1440)
    """Minutes before a withdrawal. Who reads for themself what will soon be closed has mostly just heard of it from the
    patient."""
    odd_before_pages: int = Field(default=10, ge=1, le=1000)
    """Pages of the timeline read in that time. One page is fifty events; ten are far more than catching up."""
    odd_after_hours: int = Field(default=24, ge=1, le=720)
    """Hours after a withdrawal in which another way in, or tries, are asked about: the day on which it is new."""
    odd_after_tries: int = Field(default=3, ge=1, le=1000)
    """Denials in that time. One or two are a page that was still open."""
    odd_denied: int = Field(default=5, ge=2, le=1000)
    """Denials within `odd_denied_minutes`. An old link is tried twice; five are a search for what is not open."""
    odd_denied_minutes: int = Field(default=60, ge=1, le=1440)
    """An hour: tries on different days are different matters."""
    odd_dormant_days: int = Field(default=90, ge=14, le=1000)
    """Days without any act. Longer than any holiday: after it somebody else may have the password, or the person other
    work. Whoever comes back from leave is asked about once, and that explains it."""
    odd_again_days: int = Field(default=180, ge=1, le=3650)
    """Days after which a shared surname or place of work is asked about again: it stays, the reason may not."""
    finding_due_days: int = Field(default=14, ge=1, le=365)
    """Days in which an officer is to look at a finding: people still remember then why they looked."""
