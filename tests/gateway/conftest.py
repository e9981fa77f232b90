"""Two real servers on one site, started once for all tests here that need them."""

from collections.abc import Iterator

import pytest

from tests.gateway.servers import Server, Site, site


@pytest.fixture(scope="package")
def the_site(django_db_setup: None) -> Iterator[Site]:
    with site() as found:
        yield found


@pytest.fixture(scope="package")
def daphne(the_site: Site) -> Iterator[Server]:
    with the_site.server("daphne") as server:
        yield server


@pytest.fixture(scope="package")
def uvicorn(the_site: Site, daphne: Server) -> Iterator[Server]:
    """Beside the other, which has migrated the database and built the town."""
    with the_site.server("uvicorn") as server:
        yield server


@pytest.fixture(params=["daphne", pytest.param("uvicorn", marks=pytest.mark.prove)])
def server(request: pytest.FixtureRequest) -> Server:
    found: Server = request.getfixturevalue(request.param)
    return found
