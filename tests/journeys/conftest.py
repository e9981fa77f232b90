"""One real server for the journeys."""

from collections.abc import Iterator

import pytest

from tests.gateway.servers import Server, site


@pytest.fixture(scope="package")
def served() -> Iterator[Server]:
    with site() as found, found.server() as server:
        yield server
