"""What a notification says, in its receiver's language: that there is something, and never about whom, where or what
(S5, law 9). Written in English; `server/locale` says the same in bokmål and nynorsk."""

from typing import Any

from django.utils import translation
from django.utils.translation import gettext_lazy as _

TITLES: dict[str, Any] = {
    "page": _("On call: answer now"),
    "synthetic": _("On call: answer now"),
    "taken": _("On call: somebody else has answered"),
    "message": _("You have a new message"),
    "test": _("A test of your notifications"),
    "notice": _("Something waits for you in the app"),
}
CALLS: dict[str, Any] = {
    "page": _("This is the on-call service. Somebody needs an answer now. Press 1 to take it, press 2 if you cannot."),
    "test": _("This is a test of the on-call service. Press 1 to confirm that you hear this."),
    "notice": _("This is the on-call service. Something waits for you in the app. Open the app to see it."),
}
BODY = _("Open the app to see it.")
SOUNDS = {"page": "page", "synthetic": "page", "test": "page"}
"""Others sound like messages."""
ANSWERABLE = ("page", "synthetic")
SHOWN = {"synthetic": "page"}
"""Kinds that a device is to treat as another: a rehearsal differs in nothing from what is rehearsed."""
KEYS = {"page": {"1": "accept", "2": "decline"}, "test": {"1": "accept"}}
"""What can be pressed in a call; of other kinds nothing is asked."""


def title(kind: str, language: str) -> str:
    with translation.override(language):
        return str(TITLES[kind])


def spoken(kind: str, language: str) -> str:
    with translation.override(language):
        return str(CALLS.get(SHOWN.get(kind, kind), CALLS["notice"]))


def keys(kind: str) -> dict[str, str]:
    return KEYS.get(SHOWN.get(kind, kind), {})


def body(language: str) -> str:
    with translation.override(language):
        return str(BODY)
