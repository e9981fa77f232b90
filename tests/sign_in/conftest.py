"""One provider for all tests here."""

from collections.abc import Iterator

import pytest

from tests.sign_in.stage import Stage


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    made = Stage()
    try:
        yield made
    finally:
        made.stop()
