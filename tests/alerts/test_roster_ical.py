"""The iCalendar feed, read back by the rules of RFC 5545."""

from datetime import date
from uuid import UUID

from server.alerts.roster import Shift, expand, ics
from tests.alerts.rosters import IDA, NAMES, NILS, OFFICE, oslo, rotation
from tests.support.served import sqlite_only

pytestmark = sqlite_only

SHIFTS = expand([rotation()], [], OFFICE, date(2026, 3, 27), 3)
HOST = "muli.example"


def lines(feed: str) -> list[str]:
    """Content lines, unfolded (section 3.1)."""
    assert feed.endswith("\r\n")
    raw = feed.removesuffix("\r\n").split("\r\n")
    assert all(len(line.encode()) <= 75 and "\n" not in line and "\r" not in line for line in raw)
    return feed.replace("\r\n ", "").removesuffix("\r\n").split("\r\n")


def test_ones_own_feed_has_times_in_utc_and_no_names() -> None:
    feed = lines(ics(SHIFTS[:1], lambda user: "", HOST))
    assert feed[:2] == ["BEGIN:VCALENDAR", "VERSION:2.0"]
    assert feed[-1] == "END:VCALENDAR"
    assert feed[4] == "BEGIN:VEVENT"
    assert feed[5].startswith("UID:")
    assert feed[5].endswith(f"@{HOST}")
    assert feed[6:-1] == [
        "DTSTAMP:20260326T143000Z",
        "DTSTART:20260326T143000Z",
        "DTEND:20260327T070000Z",
        "SUMMARY:Vakt",
        "CLASS:PRIVATE",
        "TRANSP:TRANSPARENT",
        "END:VEVENT",
    ]


def test_the_teams_feed_names_colleagues_below_the_summary() -> None:
    feed = lines(ics(SHIFTS, NAMES.__getitem__, HOST))
    assert feed.count("SUMMARY:Vakt") == len(SHIFTS) == feed.count("BEGIN:VEVENT") == feed.count("END:VEVENT")
    assert [line for line in feed if line.startswith("DESCRIPTION:")] == [
        f"DESCRIPTION:{NAMES[shift.user]}" for shift in SHIFTS
    ]


def test_a_shift_keeps_its_uid_and_no_two_share_one() -> None:
    def uids(shifts: list[Shift]) -> list[str]:
        return [line for line in lines(ics(shifts, lambda user: "", HOST)) if line.startswith("UID:")]

    assert len(set(uids(SHIFTS))) == len(SHIFTS)
    assert uids(SHIFTS[1:]) == uids(SHIFTS)[1:]
    shorter = Shift(SHIFTS[0].user, SHIFTS[0].begins, SHIFTS[1].begins, SHIFTS[0].source)
    assert uids([shorter]) == uids(SHIFTS)[:1]
    other = IDA if SHIFTS[0].user == NILS else NILS
    assert uids([Shift(other, SHIFTS[0].begins, SHIFTS[0].ends, SHIFTS[0].source)]) != uids(SHIFTS)[:1]


def test_the_same_shifts_in_any_order_are_the_same_bytes() -> None:
    assert ics(SHIFTS, NAMES.__getitem__, HOST) == ics(SHIFTS[::-1], NAMES.__getitem__, HOST)
    stamped = ics(SHIFTS, NAMES.__getitem__, HOST, stamp=oslo("2026-03-01T13:00"))
    assert stamped.count("DTSTAMP:20260301T120000Z") == len(SHIFTS)


def test_names_are_escaped_and_folded_between_characters() -> None:
    name = "Åse; \\ Øy, " + "æøå€😀" * 30 + "\r\nEND:VCALENDAR\x00"
    (line,) = (line for line in lines(ics(SHIFTS[:1], lambda user: name, HOST)) if line.startswith("DESCRIPTION:"))
    assert line == "DESCRIPTION:Åse\\; \\\\ Øy\\, " + "æøå€😀" * 30 + "\\nEND:VCALENDAR"


def test_a_line_is_as_long_as_it_may_be() -> None:
    feed = ics(SHIFTS[:1], lambda user: "n" * 200, HOST)
    assert max(len(line) for line in feed.split("\r\n")) == 75


def test_nobody() -> None:
    assert lines(ics([], lambda user: str(UUID(int=0)), HOST))[-1] == "END:VCALENDAR"
