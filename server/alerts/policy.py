"""Who is called in which order, as data: parsing what is stored, and what holds when nothing usable is. Pure.

A policy is a list of steps, `{"targets": […], "wait_s": n, "channels": […], "voice_after_s": n}`. Whatever it says,
a voice call starts at latest `VOICE_S` into each step, and after the last everybody is called until somebody answers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

ON_CALL_NOW, ON_CALL_NEXT, TEAM, DAY_CONTACT, FINAL = "on_call_now", "on_call_next", "team", "day_contact", "final"
PERSON = "person:"
"""Followed by a user's id: one named person."""
TARGETS = (ON_CALL_NOW, ON_CALL_NEXT, TEAM, DAY_CONTACT, FINAL)
CHANNELS = ("push", "sms", "voice", "email")
"""In the order in which they are tried; e-mail wakes nobody, and is only ever one among others."""
VOICE_S = 60
MIN_WAIT_S, MAX_WAIT_S, MAX_STEPS = 60, 1800, 10


class Unusable(ValueError):
    """A policy that says nothing a router can follow; the message is a stable code."""


@dataclass(frozen=True, slots=True)
class Step:
    """`targets` are called at once, each over the first of `channels` that reaches them, then the next.

    `wait_s`: seconds until the next step begins; `voice_after_s`: until the telephone rings, unless somebody accepted.
    """

    targets: tuple[str, ...]
    wait_s: int = 180
    channels: tuple[str, ...] = ("push", "sms", "voice")
    voice_after_s: int = VOICE_S


@dataclass(frozen=True, slots=True)
class Policy:
    steps: tuple[Step, ...]

    def step(self, number: int) -> Step:
        """The step of this number; beyond the last, everybody at once, round after round (law 6: no silence)."""
        return self.steps[number] if number < len(self.steps) else EVERYBODY

    def is_last_resort(self, number: int) -> bool:
        return number >= len(self.steps)


EVERYBODY = Step((ON_CALL_NOW, ON_CALL_NEXT, DAY_CONTACT, TEAM, FINAL), wait_s=120, channels=CHANNELS, voice_after_s=0)
BUILT_IN = Policy(
    (
        Step((ON_CALL_NOW,)),
        Step((ON_CALL_NOW, ON_CALL_NEXT, DAY_CONTACT)),
        Step((TEAM,)),
        Step((FINAL,)),
    )
)
"""Holds where a programme has none, or one that cannot be read: a call for help is never refused for form."""


def parse(steps: Any) -> Policy:
    """The policy that stored or entered `steps` say. Raises Unusable with a code."""
    if not isinstance(steps, list) or not 0 < len(steps) <= MAX_STEPS:
        raise Unusable("steps")
    policy = Policy(tuple(_step(one) for one in steps))
    if FINAL not in {target for step in policy.steps for target in step.targets}:
        raise Unusable("no_final_target")
    return policy


def stored(steps: Any) -> tuple[Policy, bool]:
    """The policy to follow, and whether it is the one that was stored."""
    try:
        return parse(steps), True
    except Unusable:
        return BUILT_IN, False


def people(policy: Policy) -> tuple[UUID, ...]:
    """Users whom it names."""
    named = (target for step in policy.steps for target in step.targets if target.startswith(PERSON))
    return tuple(UUID(target[len(PERSON) :]) for target in named)


def _step(said: Any) -> Step:
    if not isinstance(said, Mapping) or not set(said) <= {"targets", "wait_s", "channels", "voice_after_s"}:
        raise Unusable("step")
    targets, channels = said.get("targets"), said.get("channels", ["push", "sms", "voice"])
    if not isinstance(targets, list) or not 0 < len(targets) <= 20 or not all(map(_is_target, targets)):
        raise Unusable("targets")
    if not isinstance(channels, list) or not channels or not set(map(str, channels)) <= set(CHANNELS):
        raise Unusable("channels")
    if set(channels) == {"email"}:
        raise Unusable("email_alone")
    return Step(
        tuple(dict.fromkeys(targets)),
        _seconds(said.get("wait_s", 180), MIN_WAIT_S, MAX_WAIT_S, "wait_s"),
        tuple(one for one in CHANNELS if one in channels),
        _seconds(said.get("voice_after_s", VOICE_S), 0, VOICE_S, "voice_after_s"),
    )


def _is_target(said: Any) -> bool:
    if not isinstance(said, str):
        return False
    if said in TARGETS:
        return True
    try:
        return said.startswith(PERSON) and str(UUID(said[len(PERSON) :])) == said[len(PERSON) :]
    except ValueError:
        return False


def _seconds(said: Any, least: int, most: int, code: str) -> int:
    if type(said) is not int or not least <= said <= most:
        raise Unusable(code)
    return said
