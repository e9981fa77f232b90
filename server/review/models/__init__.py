"""Tables of the review: what officers read, find, decide and take out."""

from server.review.models.erasures import Erasure, ErasurePart
from server.review.models.findings import Finding, FindingNote, Watch
from server.review.models.lines import Line, Progress, Reveal
from server.review.models.shields import Export, Shield

__all__ = [
    "Erasure",
    "ErasurePart",
    "Export",
    "Finding",
    "FindingNote",
    "Line",
    "Progress",
    "Reveal",
    "Shield",
    "Watch",
]
