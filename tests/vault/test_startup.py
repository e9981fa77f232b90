"""What production refuses to start with, one clear line each; and where the demo key comes from."""

import base64
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest import mock
from uuid import uuid4

import pytest
from django.core import checks
from django.db import OperationalError, connection
from pytest_django import Settings

from server.vault import actions, ring
from server.vault.actions import create_key, rotate, seal, startup_check, unseal
from server.vault.errors import MasterKeyFault
from server.vault.models import DataKey
from tests.vault.conftest import SetRing, key_line
from tests.vault.test_envelope import FORMAT_1

NO_KEY = "no master key: set MASTER_KEY_FILE or MASTER_KEYS (`manage.py vault keygen` makes one)"


def line(material: bytes, version: int = 1) -> str:
    return f"{version}:{base64.b64encode(material).decode()}"


pytestmark = pytest.mark.django_db


def test_one_good_key_may_start() -> None:
    create_key(scope="room", owner=uuid4())
    assert startup_check() == []


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        pytest.param([], NO_KEY, id="none"),
        pytest.param([" ", ""], NO_KEY, id="blank"),
        pytest.param(
            ["nonsense"], "MASTER_KEYS, entry 1: expected version:base64, with a version from 1 up", id="no colon"
        ),
        pytest.param(
            [1, "0:AAAA"], "MASTER_KEYS, entry 2: expected version:base64, with a version from 1 up", id="version 0"
        ),
        pytest.param(["1:not base64!"], "MASTER_KEYS, entry 1: master key version 1 is not base64", id="not base64"),
        pytest.param([line(bytes(range(7, 23)))], "master key version 1 is 16 bytes long, not 32", id="too short"),
        pytest.param([1, 2, 1], "master key version 1 is given more than once", id="duplicate version"),
        pytest.param([line(bytes(32))], "master key version 1 is weak: not random bytes", id="all zero"),
        pytest.param([line(bytes(range(32)))], "master key version 1 is weak: not random bytes", id="counting"),
        pytest.param(
            [line(b"correct horse battery staple! 12")],
            "master key version 1 is weak: not random bytes",
            id="a pass phrase",
        ),
        pytest.param([line(os.urandom(16) * 2)], "master key version 1 is weak: not random bytes", id="half a key"),
        pytest.param([FORMAT_1["master_key"]], "master key version 7 is weak: a published test key", id="published"),
        pytest.param(
            [1, key_line(1).replace("1:", "2:", 1)], "master key versions 1 and 2 are the same key", id="one key twice"
        ),
    ],
)
def test_production_refuses(set_ring: SetRing, given: list[int | str], fault: str) -> None:
    set_ring(*given)
    assert startup_check() == [fault]


def test_several_faults_are_all_told(set_ring: SetRing) -> None:
    set_ring("nonsense", 1, 1)
    assert len(startup_check()) == 2
    with pytest.raises(MasterKeyFault, match=r"entry 1: expected.*; master key version 1 is given more than once"):
        create_key(scope="room", owner=uuid4())


def test_no_fault_repeats_what_was_given(set_ring: SetRing) -> None:
    secret = "bm90IGEga2V5IGJ1dCBzZWNyZXQ"
    for given in (secret, f"1:{secret}", f"x:{secret}", f"1:{secret}=", f"1:{secret}!"):
        set_ring(given)
        assert startup_check()
        assert secret not in "".join(startup_check())


def test_a_version_that_stored_keys_need(set_ring: SetRing) -> None:
    for _ in range(3):
        create_key(scope="room", owner=uuid4())
    set_ring(2)
    assert startup_check() == ["master key version 1 is not given, but 3 stored keys need it"]


@pytest.mark.parametrize("changed_after", ["oldest", "newest"])
def test_a_key_that_does_not_open_what_is_stored(set_ring: SetRing, changed_after: str) -> None:
    """Somebody put another key in place under the same version number."""
    first, last = create_key(scope="room", owner=uuid4()), create_key(scope="room", owner=uuid4())
    other = ring.parse([("", key_line(2), False)]).keys[2]
    DataKey.objects.filter(id=first if changed_after == "oldest" else last).update(wrapped=other.wrap(bytes(32)))
    assert startup_check() == ["master key version 1 does not open what is stored under it"]


def test_a_file_marked_demo_and_what_it_wrapped(set_ring: SetRing, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"#demo\n{key_line(1)}\n")
    set_ring(file=file)
    create_key(scope="room", owner=uuid4())
    assert startup_check() == [
        "master key version 1 is a demo key",
        "1 stored keys are wrapped under a demo master key (`manage.py vault rotate` moves them to yours)",
    ]
    # The way out: a key of one's own beside it, rotate, then leave the demo key out.
    set_ring(2, file=file)
    list(rotate())
    assert startup_check() == ["master key version 1 is a demo key"]
    set_ring(2)
    assert startup_check() == []


def test_a_demo_key_given_without_its_mark_is_known(set_ring: SetRing, settings: Settings) -> None:
    set_ring(mode="demo")
    create_key(scope="room", owner=uuid4())
    set_ring(ring.demo_file().read_text().splitlines()[1])
    assert startup_check()[0] == "master key version 1 is a demo key"


def test_a_file_is_read_with_comments_and_again_when_it_changes(set_ring: SetRing, tmp_path: Path) -> None:
    file, row = tmp_path / "keys", uuid4()
    file.write_text(f"# ours\n\n{key_line(1)}\n")
    set_ring(file=file)
    blob = seal(create_key(scope="room", owner=uuid4()), "tekst", place="t.f", row=row)
    aside = tmp_path / "keys.new"
    aside.write_text(f"{key_line(1)}\n{key_line(2)}\n")
    aside.rename(file)
    list(rotate())
    actions.forget_keys()
    assert unseal(blob, place="t.f", row=row) == "tekst"
    assert startup_check() == []


def test_a_file_that_cannot_be_read(set_ring: SetRing, tmp_path: Path) -> None:
    set_ring(file=tmp_path / "nothing")
    assert startup_check() == [f"master key file {tmp_path / 'nothing'} cannot be read: No such file or directory"]
    set_ring(file=tmp_path)
    assert startup_check() == [f"master key file {tmp_path} cannot be read: Is a directory"]
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    set_ring(file=tmp_path / "binary")
    assert startup_check() == [f"master key file {tmp_path / 'binary'} is not text"]


def test_a_database_that_does_not_answer(set_ring: SetRing) -> None:
    with mock.patch.object(connection.introspection, "table_names", side_effect=OperationalError("down")):
        assert startup_check() == [
            "the database does not answer, so it is unknown whether the master key opens what is stored"
        ]
    with mock.patch.object(connection.introspection, "table_names", return_value=[]):
        assert startup_check() == []


def test_demo_mode_makes_a_key_of_its_own(set_ring: SetRing) -> None:
    set_ring(mode="demo")
    row = uuid4()
    blob = seal(create_key(scope="room", owner=uuid4()), "tekst", place="t.f", row=row)
    file = ring.demo_file()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text().startswith("#demo\n1:")
    assert list(file.parent.iterdir()) == [file]
    assert DataKey.objects.get().demo
    assert startup_check() == []
    actions.forget_keys()
    assert unseal(blob, place="t.f", row=row) == "tekst"
    # Somebody deleted the file: the next start makes another key, and says that it does not fit.
    file.unlink()
    assert startup_check() == ["master key version 1 does not open what is stored under it"]


def test_many_processes_make_one_demo_key(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "master.key"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: ring._make_demo_file(file), range(24)))
    assert len(file.read_text().splitlines()) == 2
    assert list(file.parent.iterdir()) == [file]


def test_a_demo_key_that_cannot_be_made(set_ring: SetRing, settings: Settings, tmp_path: Path) -> None:
    set_ring(mode="demo")
    (tmp_path / "var").write_text("in the way")
    faults = startup_check()
    assert len(faults) == 1
    assert faults[0].startswith("cannot make the demo master key")


def test_production_takes_no_demo_key_by_itself(set_ring: SetRing) -> None:
    set_ring(mode="demo")
    ring.ring()
    set_ring()
    assert startup_check() == [NO_KEY]


def test_the_deployment_check_says_the_same(set_ring: SetRing) -> None:
    def ours() -> list[Any]:
        found = checks.run_checks(tags=[checks.Tags.security], include_deployment_checks=True)
        return [message.msg for message in found if message.id == "vault.E001"]

    assert ours() == []
    set_ring(line(bytes(32)), "2:short")
    assert ours() == startup_check() != []
    assert not [m for m in checks.run_checks(tags=[checks.Tags.security]) if m.id == "vault.E001"]
