"""REST for reviewing: officers, and patients looking into their own log."""
