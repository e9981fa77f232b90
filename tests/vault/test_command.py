"""`manage.py vault`: what operators see, and the exit codes that scripts go by."""

from io import StringIO
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from django.core.management import CommandError, call_command

from server.vault import ring
from server.vault.actions import SEAL_OWNER, create_key, forget_keys, public_key, seal_key, sign
from server.vault.models import DataKey
from tests.vault.conftest import SetRing

pytestmark = pytest.mark.django_db


def vault(*words: str) -> str:
    told = StringIO()
    call_command("vault", *words, stdout=told)
    return told.getvalue()


def refused(*words: str) -> CommandError:
    with pytest.raises(CommandError) as raised:
        vault(*words)
    return raised.value


def test_rotate_tells_its_progress_and_check_counts(set_ring: SetRing) -> None:
    for _ in range(5):
        create_key(scope="room", owner=uuid4())
    set_ring(1, 2)
    assert vault("rotate", "--batch", "2").splitlines() == [
        "master key version 2: 0 of 5 data keys re-wrapped",
        "master key version 2: 2 of 5 data keys re-wrapped",
        "master key version 2: 4 of 5 data keys re-wrapped",
        "master key version 2: 5 of 5 data keys re-wrapped",
        "Done. Run `vault check`; keep older master keys until it counts nothing under them.",
    ]
    assert vault("check").splitlines() == [
        "under master key version 2: 5 data keys",
        "destroyed: 0",
        "all 5 data keys open",
    ]


@pytest.mark.parametrize("verb", ["check", "rotate"])
def test_a_key_that_does_not_open_is_listed_with_a_code_of_its_own(set_ring: SetRing, verb: str) -> None:
    owner = uuid4()
    create_key(scope="room", owner=uuid4())
    bad = create_key(scope="subject", owner=owner)
    DataKey.objects.filter(id=bad).update(wrapped=bytes(40))
    set_ring(1, 2)
    error = refused(verb)
    assert error.returncode == 3
    assert str(error) == f"1 data keys do not open:\n{bad} (subject {owner}, master key version 1): key_damaged"


@pytest.mark.parametrize("verb", ["check", "rotate", "seal-key"])
def test_without_usable_master_keys(set_ring: SetRing, verb: str) -> None:
    set_ring()
    error = refused(verb)
    assert error.returncode == 2
    assert str(error).startswith("no master key")


def test_a_batch_of_nothing_is_refused() -> None:
    assert refused("rotate", "--batch", "0").returncode == 2


def test_keygen_prints_one_line_that_is_a_good_key_of_a_new_version(set_ring: SetRing) -> None:
    set_ring(1, 4)
    printed = vault("keygen")
    assert printed.count("\n") == 1
    made = ring.parse([("", printed.strip(), False)])
    assert list(made.keys) == [5]
    assert made.faults == ()
    assert ring.weaknesses(made) == []
    assert vault("keygen") != printed
    assert vault("keygen", "--number", "9").startswith("9:")
    assert refused("keygen", "--number", "0").returncode == 2


def test_keygen_works_before_there_is_any_key_and_never_reuses_a_stored_version(set_ring: SetRing) -> None:
    set_ring()
    assert vault("keygen").startswith("1:")
    set_ring(3)
    create_key(scope="room", owner=uuid4())
    set_ring()
    assert vault("keygen").startswith("4:")


def test_the_printed_seal_key_verifies_what_was_signed_for_its_purpose() -> None:
    printed = vault("seal-key")
    key = DataKey.objects.get(scope="service", owner=SEAL_OWNER).id
    assert printed.splitlines()[0] == f"Ed25519, purpose consent.version, data key {key}"
    public = load_pem_public_key(printed.encode())
    assert isinstance(public, Ed25519PublicKey)
    public.verify(sign(key, "consent.version", b"document"), b"document")
    assert public.public_bytes_raw() == public_key(key, "consent.version")
    assert vault("seal-key") == printed
    other = load_pem_public_key(vault("seal-key", "--purpose", "export").encode())
    assert isinstance(other, Ed25519PublicKey)
    assert other.public_bytes_raw() == public_key(key, "export") != public.public_bytes_raw()


def test_a_damaged_seal_key_is_told() -> None:
    key = seal_key()
    DataKey.objects.filter(id=key).update(wrapped=bytes(40))
    forget_keys()
    error = refused("seal-key")
    assert error.returncode == 3
    assert str(error) == f"a sealed value under data key {key} does not open: key_damaged"
