"""Whatever the verifier is given, there is an answer: no change of a log passes, and no nonsense is a traceback."""

import shutil
from pathlib import Path
from uuid import UUID, uuid4

import rfc8785
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.audit import leaf, verify
from tests.audit import naive
from tests.audit.exported import COMMITTED, Check
from tests.audit.naive import Log
from tests.support.served import sqlite_only

pytestmark = sqlite_only


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_change_of_a_log_passes(whole: Log, tmp_path: Path, check: Check, data: st.DataObject) -> None:
    folder = tmp_path / "altered"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(whole.folder, folder)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    path = data.draw(st.sampled_from(files))
    before = path.read_bytes()
    start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(before))] * 2)))
    after = before[:start] + data.draw(st.binary(max_size=8)) + before[data.draw(st.sampled_from([start, end])) :]
    path.write_bytes(after)
    status, answer = check(folder, "--older", folder / "older")
    assert (status == 0) == (before == after), answer
    assert len(answer.splitlines()) == 2 or status == 0
    assert verify.STATUS[status] in answer


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60), st.sampled_from(["event.tlog-proof", "leaf", "details"]))
def test_no_nonsense_is_more_than_refused(proof: Path, check: Check, nonsense: bytes, file: str) -> None:
    before = (proof / file).read_bytes()
    for wrong in (nonsense, before + nonsense, before[: len(nonsense)] + nonsense):
        (proof / file).write_bytes(wrong)
        arguments = ["proof", proof / "event.tlog-proof", "--leaf", proof / "leaf", "--disclosed", proof / "details"]
        status, answer = check(*arguments)
        assert verify.STATUS[status] in answer
    (proof / file).write_bytes(before)


texts = st.text(max_size=6)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@given(values)
def test_canonical_is_what_the_library_says(value: object) -> None:
    try:
        expected = rfc8785.dumps(value)  # type: ignore[arg-type]
    except (rfc8785.CanonicalizationError, UnicodeEncodeError):
        return
    assert verify.canonical(value).encode() == expected


@given(st.text(max_size=6), st.integers(0, 400), st.integers(0, 3), st.binary(max_size=3))
def test_what_passes_by_its_form_passes_by_parsing(reason: str, place: int, length: int, other: bytes) -> None:
    """The quick way is never kinder than the slow one."""
    entry = naive.entry(4, reason=reason) if reason.isprintable() else naive.entry(4)
    for one in (entry, entry[:place] + other + entry[place + length :]):
        if verify._PLAIN.fullmatch(one):
            verify.parse_entry(one)


def test_our_entries_take_the_quick_way() -> None:
    """One that does not costs five times as much to check."""
    one, other = uuid4(), UUID(int=7)
    written = leaf.parts(
        event=one,
        act="x.done",
        actor=one,
        controller=None,
        unit=other,
        engagement=None,
        role="nurse",
        sign_in="idporten",
        subject=one,
        room=None,
        target=other,
        purpose="TREAT",
        basis="consent",
        outcome="success",
        reason="",
        records=[one, other],
        request="r",
        commitment=COMMITTED,
        sealed=None,
    ).at("2026-01-01T00:00:00.000000Z")
    assert verify._PLAIN.fullmatch(written.encode())
    assert verify.commitment(written.encode()) == (str(one), COMMITTED)
    assert verify.parse_entry(written.encode())["actor"]["unit"] == str(other)
