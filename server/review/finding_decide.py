"""What may be done with a finding, and by whom. Pure."""

from enum import StrEnum


class State(StrEnum):
    """Open, then explained or confirmed, then closed: each step once, and none back."""

    OPEN = "open"
    EXPLAINED = "explained"
    CONFIRMED = "confirmed"
    CLOSED = "closed"


class Verb(StrEnum):
    TAKE = "take"
    NOTE = "note"
    SET_DUE = "set_due"
    EXPLAIN = "explain"
    CONFIRM = "confirm"
    CLOSE = "close"


STEPS: dict[Verb, tuple[frozenset[State], State]] = {
    Verb.EXPLAIN: (frozenset({State.OPEN}), State.EXPLAINED),
    Verb.CONFIRM: (frozenset({State.OPEN}), State.CONFIRMED),
    Verb.CLOSE: (frozenset({State.EXPLAINED, State.CONFIRMED}), State.CLOSED),
}


def refusal(verb: Verb, state: State, *, mine: bool, anothers: bool, by_duty: bool) -> str | None:
    """The code of why not, or None. `mine` and `anothers` say who has taken it, of those who are officers now;
    `by_duty` that a duty answers it, and closes it.

    First match: closed is closed; a duty's finding is answered there; whoever has taken it goes on with it.
    """
    if state == State.CLOSED:
        return None if verb == Verb.NOTE else "finding_closed"
    if by_duty and verb in STEPS:
        return "duty_answers"
    if verb == Verb.NOTE:
        return None
    if anothers:
        return "finding_taken"
    if verb == Verb.TAKE:
        return None
    if not mine:
        return "take_first"
    if verb in STEPS and state not in STEPS[verb][0]:
        return "answer_first" if verb == Verb.CLOSE else "finding_answered"
    return None
