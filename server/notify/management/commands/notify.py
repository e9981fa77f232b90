"""`manage.py notify keys | rotate-vapid | retire-vapid`: looking after the keys that push services know us by. Prints
ids, times and counts only."""

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from server.notify import vapid
from server.notify.actions import keys
from server.people.hours import OSLO

UNUSABLE = 2
"""Exit code: the database does not answer, or the file of keys cannot be read or written."""
REFUSED = 3
"""Exit code: it would leave somebody unreached, and was not done."""
USUAL_MINUTES = 60
REFUSALS = {
    "one_waits": "the last key that was made is not in use yet: see `manage.py notify keys`",
    "unknown": "no such key: see `manage.py notify keys`",
    "newest": "this is the key that devices are given now: make another first, with `manage.py notify rotate-vapid`",
}


class Command(BaseCommand):
    help = (
        "Keys towards push services: keys (which there are, and how many devices need each), rotate-vapid (a new one "
        "beside the old), retire-vapid (end one that no device needs)."
    )
    requires_system_checks: list[str] = []  # what is wrong with the keys is what these commands are for

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        verbs.add_parser("keys", help="which keys there are, since when, and how many devices need each")
        rotate = verbs.add_parser("rotate-vapid", help="make a new key beside the old")
        rotate.add_argument(
            "--minutes",
            type=int,
            default=USUAL_MINUTES,
            help=f"when devices are given the new one; time to copy the file to every host (default {USUAL_MINUTES})",
        )
        retire = verbs.add_parser("retire-vapid", help=f"end a key; exit code {REFUSED} while devices need it")
        retire.add_argument("key", help="its id, as `keys` tells it")
        retire.add_argument(
            "--devices-too", action="store_true", help="and send nothing to devices that need it, until they come back"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        verbs = {"keys": self._keys, "rotate-vapid": self._rotate, "retire-vapid": self._retire}
        try:
            verbs[options["verb"]](options)
        except keys.KeysFault as fault:
            self._refuse(fault)
        except OSError as error:
            raise CommandError(f"{vapid.file()}: {error.strerror}", returncode=UNUSABLE) from None
        except DatabaseError:
            raise CommandError("the database does not answer", returncode=UNUSABLE) from None

    def _keys(self, options: dict[str, Any]) -> None:
        for one in keys.standing():
            since = f", from {_clock(one.key)}" if one.key.since is not None else ""
            newest = ", given to devices now" if one.is_newest else ""
            self.stdout.write(f"{one.key.id}{since}: {one.devices} devices{newest}")

    def _rotate(self, options: dict[str, Any]) -> None:
        if not 0 <= options["minutes"] <= 7 * 24 * 60:
            raise CommandError("--minutes must be 0 to 10080", returncode=UNUSABLE)
        made = keys.make_key(after=timedelta(minutes=options["minutes"]))
        if made.since is None:
            self.stdout.write(f"The first key, {made.id}. Copy {vapid.file()} to every host now, and keep a copy.")
            return
        self.stdout.write(
            f"A new key, {made.id}. Devices are given it from {_clock(made)}.\n"
            f"1. Before that, copy {vapid.file()} to every host, and keep a copy. Nothing has to be restarted.\n"
            "2. Each device goes on being reached by its old key, and subscribes anew when its app is next opened.\n"
            "3. When `manage.py notify keys` says that the old key has 0 devices, end it with "
            "`manage.py notify retire-vapid`, and copy the file again."
        )

    def _retire(self, options: dict[str, Any]) -> None:
        count = keys.end_key(key_id=options["key"], devices_too=options["devices_too"])
        more = f"; {count} devices get nothing until their apps are opened" if count else ""
        self.stdout.write(f"Ended{more}. Copy {vapid.file()} to every host.")

    def _refuse(self, fault: keys.KeysFault) -> None:
        if fault.code == "needed":
            said = (
                f"{fault.devices} devices are registered for this key, and would get nothing more: neither messages "
                "nor pages. Wait until their apps have been opened, or say --devices-too"
            )
            raise CommandError(said, returncode=REFUSED)
        if fault.code == "unreadable":
            said = f"{vapid.file()} is missing, cannot be read, or holds something that is no private key on P-256"
            raise CommandError(said, returncode=UNUSABLE)
        raise CommandError(REFUSALS[fault.code], returncode=REFUSED)


def _clock(key: vapid.Key) -> str:
    assert key.since is not None, "one that has been in use for ever has no time"
    return f"{key.since.astimezone(OSLO):%Y-%m-%d %H:%M} (Oslo)"
