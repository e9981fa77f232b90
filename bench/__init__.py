"""The benchmark: real PostgreSQL, Redis and server processes, driven over real sockets by a process of its own.

`python -m bench --help`; what is measured and how stands in docs/benchmarks.md.
"""
