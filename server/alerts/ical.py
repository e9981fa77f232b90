"""Shifts as an iCalendar feed (RFC 5545): when, and "Vakt"; a colleague's name only in the description. Pure."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from uuid import UUID, uuid5

from server.alerts.shifts import Shift, in_order

LINE_OCTETS = 75  # RFC 5545 section 3.1: of a line without its break
HEAD = ("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Samsnakk//Vakt//NO", "CALSCALE:GREGORIAN")
ESCAPED = {"\\": "\\\\", ";": "\\;", ",": "\\,", "\n": "\\n"}


def ics(shifts: Sequence[Shift], name_of: Callable[[UUID], str], host: str, *, stamp: datetime | None = None) -> str:
    """The feed. `name_of` gives the name of who is on call, or nothing (one's own feed needs none); `host` ends each
    UID; `stamp` is when the shifts were read (aware), else a shift is stamped with its beginning, so that the same
    shifts are the same bytes.
    """
    lines = [*HEAD]
    for shift in in_order(shifts):
        lines += _event(shift, name_of(shift.user), host, stamp or shift.begins)
    return "".join(_folded(line) + "\r\n" for line in (*lines, "END:VCALENDAR"))


def _event(shift: Shift, name: str, host: str, stamp: datetime) -> Iterator[str]:
    yield "BEGIN:VEVENT"
    yield f"UID:{uuid5(shift.source, f'{shift.user} {_utc(shift.begins)}')}@{host}"
    yield f"DTSTAMP:{_utc(stamp)}"
    yield f"DTSTART:{_utc(shift.begins)}"
    yield f"DTEND:{_utc(shift.ends)}"
    yield "SUMMARY:Vakt"
    if name:
        yield f"DESCRIPTION:{_text(name)}"
    yield "CLASS:PRIVATE"
    yield "TRANSP:TRANSPARENT"
    yield "END:VEVENT"


def _utc(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def _text(value: str) -> str:
    """A TEXT value (RFC 5545 section 3.3.11): escaped, and without other control characters."""
    return "".join(ESCAPED.get(sign, sign) for sign in value if sign == "\n" or sign.isprintable())


def _folded(line: str) -> str:
    """Cut before a line has more than 75 octets, never inside a character; the rest goes on after a space."""
    parts, size = [""], 0
    for sign in line:
        octets = len(sign.encode())
        if size + octets > LINE_OCTETS:
            parts.append(" ")
            size = 1
        parts[-1] += sign
        size += octets
    return "\r\n".join(parts)
