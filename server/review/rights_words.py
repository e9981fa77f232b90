"""Lines about what people may ask for (GDPR articles 15 and 17) and about the administrators' pages, in plain words:
the end of `words.py`."""

from typing import Any

from django.utils.translation import gettext_lazy as _

_ERASE_TRIED = _("%(who)s tried to have what is held about you destroyed. It was refused.")
_HELD_TRIED = _("%(who)s tried to take out all that is held about a person. It was refused.")

DONE: dict[str, Any] = {
    "admin.viewed": _("%(who)s looked at a page for administrators."),
    "administrator.appointed": _("%(who)s let somebody administer this product."),
    "administrator.ended": _("%(who)s ended that somebody administers this product."),
    "contact_point.added": _("%(who)s registered a contact point."),
    "contact_point.tended": _("%(who)s said who tends a contact point."),
    "erasure.asked": _("%(who)s asked for all that is held about you to be destroyed."),
    "erasure.begun": _("%(who)s began to destroy all that is held about you."),
    "erasure.cancelled": _("%(who)s decided that what is held about you is not destroyed after all."),
    "erasure.confirmed": _("%(who)s confirmed that all that is held about you is to be destroyed."),
    "erasure.done": _("%(who)s has destroyed all that was held about you."),
    "erasure.part_exported": _("%(who)s recorded that their organisation has taken out what it must keep about you."),
    "erasure.part_waived": _("%(who)s recorded that their organisation needs nothing that is held about you."),
    "erasure.reapplied": _("%(who)s destroyed once more what a back-up had brought back of you."),
    "held.downloaded": _("%(who)s took out all that is held about you."),
    "held.ordered": _("%(who)s ordered all that is held about you."),
    "held.viewed": _("%(who)s saw how far a copy of all that is held about you has come."),
    "user.registered": _("%(who)s registered an account for somebody who works there."),
    "review.erasure_viewed": _("%(who)s saw how a request to destroy what is held about you stands."),
    "review.erasures_viewed": _("%(who)s saw the list of requests to destroy what is held about people."),
}

TRIED: dict[str, Any] = {
    "admin.viewed": _("%(who)s tried to open a page for administrators. It was refused."),
    "erasure.asked": _ERASE_TRIED,
    "erasure.begun": _ERASE_TRIED,
    "erasure.cancelled": _("%(who)s tried to stop that what is held about you is destroyed. It was refused."),
    "erasure.confirmed": _ERASE_TRIED,
    "erasure.part_exported": _ERASE_TRIED,
    "erasure.part_waived": _ERASE_TRIED,
    "held.downloaded": _HELD_TRIED,
    "held.ordered": _HELD_TRIED,
    "held.viewed": _HELD_TRIED,
    "review.erasure_viewed": _("%(who)s tried to see a request to destroy what is held about you. It was refused."),
    "review.erasures_viewed": _(
        "%(who)s tried to see the list of requests to destroy what is held about people. It was refused."
    ),
}
