"""What must be so before a person's data may be destroyed, and where it is remembered that they were."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings


class Erasing(BaseSettings):
    """Archive rules, patience, and the list of destroyed keys."""

    keeping_file: Path | None = None
    """For how long what is held about people must be kept, and by which statute, in place of
    `server/review/keeping.json`. Nobody is erased while nobody has confirmed it."""
    erasure_wait_days: int = Field(default=30, ge=1, le=365)
    """Between the second officer's yes and the destruction: time to find out that it was a mistake."""
    erased_keys_file: Path | None = None
    """Which keys were destroyed, so that a back-up that is restored destroys them again; unset:
    `VAR_DIR/erased-keys.jsonl`. Best on a disk that is not restored with the database."""
