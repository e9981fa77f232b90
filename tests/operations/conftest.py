"""One installation for all tests of this folder: starting it is most of what they cost."""

from collections.abc import Iterator

import pytest

from tests.operations.site import Site, built
from tests.support.deployed import Deployed
from tools.servers import ServiceFault


@pytest.fixture(scope="session")
def site(deployed: Deployed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    try:
        with built(deployed, tmp_path_factory.mktemp("site")) as made:
            yield made
    except ServiceFault as fault:
        pytest.fail(str(fault), pytrace=False)
