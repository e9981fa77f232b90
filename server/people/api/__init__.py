"""The REST API of this app: parse, call, answer."""
