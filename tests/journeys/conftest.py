"""One real server for the journeys, in a town with telephones."""

import socket
from collections.abc import Iterator

import pytest

from tests.gateway.servers import Server, free_port, site


@pytest.fixture(scope="package")
def town_port() -> int:
    """Where the town's gateway will be, and its push service one port higher."""
    while True:
        port = free_port()
        with socket.socket() as next_one:
            if next_one.connect_ex(("127.0.0.1", port + 1)) != 0:
                return port


@pytest.fixture(scope="package")
def served(django_db_setup: None, town_port: int) -> Iterator[Server]:
    with site() as found, found.server(TOWN_PORT=str(town_port)) as server:
        yield server
