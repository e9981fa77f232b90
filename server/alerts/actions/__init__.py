"""The verbs of this app, by what they are about."""
