"""What breaks around us, on real processes and sockets: kills and pauses of the server, of Redis and of PostgreSQL.

Here are the quick rounds that every `make test` plays, and the tools; the long ones are in `tests/prove`.
"""
