"""Tables of the review: what officers read, find, decide and take out."""
