"""Tables of the review: what officers read, find, decide and take out."""

from server.review.models.findings import Finding, FindingNote, Watch
from server.review.models.lines import Line, Progress, Reveal

__all__ = ["Finding", "FindingNote", "Line", "Progress", "Reveal", "Watch"]
