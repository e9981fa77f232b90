"""The worker loops beside the requests of one process."""

import os
import time

import pytest

from tests.gateway.servers import site


@pytest.mark.skipif("DATABASE_URL" not in os.environ, reason="SQLite has no pool")
def test_loops_that_sleep_keep_no_connection_from_a_request(django_db_setup: None) -> None:
    """Two connections for requests, one for sockets; every loop has had its turn. Mutation: keep the loops' open."""
    with site(DB_POOL="2", DB_THREADS="1") as installation, installation.server() as server:
        time.sleep(2.5)  # the slowest of the frequent loops ticks every two seconds
        for _ in range(3):
            assert server.sign_in("kari")["token"]
