"""All that is held about one person (GDPR article 15): sections, each a table narrowed to the person."""
