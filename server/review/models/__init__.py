"""Tables of the review: what officers read, find, decide and take out."""

from server.review.models.lines import Line, Progress, Reveal

__all__ = ["Line", "Progress", "Reveal"]
