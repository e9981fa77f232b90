"""Every test: its environment, its database, and how property tests are drawn."""

from tests.support import environment  # noqa: I001 - before anything of Django's

import gc
import os
from collections.abc import Iterator

import django
import hypothesis

environment.prepare()
django.setup()

import pytest  # noqa: E402
from django.test import TransactionTestCase  # noqa: E402
from pytest_django.plugin import DjangoDbBlocker  # noqa: E402

from tests.support import database  # noqa: E402
from tests.support.deployed import deployed as deployed  # noqa: E402

database.file_for_tests()

hypothesis.settings.register_profile(
    "ci",
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=25,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.register_profile("long", parent=hypothesis.settings.get_profile("ci"), max_examples=300)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def _restore(self: TransactionTestCase) -> None:
    database.restore()


# Django's own flush cannot empty append-only tables; this holds for pytest's mark and for our classes alike.
TransactionTestCase._fixture_teardown = _restore  # type: ignore[attr-defined]


def pytest_collection_finish() -> None:
    """What has been loaded by now stays: the garbage collector need not look through it again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """pytest-django's, and the template that tests which commit start from."""
    with django_db_blocker.unblock():
        database.remember_empty()
    yield
    with django_db_blocker.unblock():
        database.drop_strangers()
