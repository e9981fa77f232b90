"""Every path is classified: one that is new fails here until somebody has said what it shows."""

from typing import Any

import pytest
from django.urls import path
from rest_framework.views import APIView

from server.urls import urlpatterns
from tests.exposure import derive, inside, paths
from tests.exposure.asks import Content
from tests.support.served import sqlite_only

pytestmark = sqlite_only

TABLES: list[tuple[str, Any, Any]] = [
    ("ROUTES", paths.ROUTES, derive.routes),
    ("SAID", paths.SAID, derive.said),
    ("HEARD", paths.HEARD, derive.heard),
    ("SOCKETS", paths.SOCKETS, derive.sockets),
    ("COMMANDS", inside.COMMANDS, derive.commands),
    ("LOOPS", inside.LOOPS, derive.loops),
]


@pytest.mark.parametrize(("name", "table", "found"), TABLES, ids=[name for name, *_ in TABLES])
def test_every_path_is_classified(name: str, table: Any, found: Any) -> None:
    faults = derive.faults(found(), table, name)
    assert not faults, "\n".join(faults)


def test_a_new_one_is_named_with_where_to_add_it() -> None:
    """Red when `derive` overlooks an address or a method."""

    class Fresh(APIView):
        def get(self, request: Any) -> None: ...

        def put(self, request: Any) -> None: ...

    def plain(request: Any) -> None: ...

    more = [
        *urlpatterns,
        path("api/v1/rooms/<uuid:room_id>/fresh", Fresh.as_view()),
        path("fresh", plain),  # type: ignore[arg-type]
    ]
    found = derive.faults(derive.routes(more), paths.ROUTES, "ROUTES")
    assert [one.split(":")[0] for one in found] == [
        f"{name} is not classified" for name in ("ANY /fresh", "GET rooms/{room_id}/fresh", "PUT rooms/{room_id}/fresh")
    ]
    assert all("ROUTES in tests/exposure/paths.py" in one for one in found)


def test_every_reason_is_a_reason() -> None:
    for table in (paths.ROUTES, paths.SAID, paths.HEARD, inside.COMMANDS, inside.LOOPS):
        for name, one in table.items():
            words = one.what if isinstance(one, Content) else one.why
            assert words.strip(), name
            assert "\n" not in words, name
