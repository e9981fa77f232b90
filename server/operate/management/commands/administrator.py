"""`manage.py administrator USERNAME`: who may come to the administrators' pages. Nothing else in the product makes an
administrator. Prints ids only."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, transaction

from server.audit.entry import SYSTEM
from server.common.errors import Conflict, NotFound
from server.people.actions import accounts

UNUSABLE = 2


class Command(BaseCommand):
    help = "Let somebody administer, or end it; on record."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username", help="of the account")
        parser.add_argument("--register", metavar="NAME", default="", help="make the account first, with this name")
        parser.add_argument("--end", action="store_true", help="they administer no more, and their sessions end")

    def handle(self, *args: Any, **options: Any) -> None:
        username = options["username"]
        try:
            with transaction.atomic():
                if options["register"]:
                    accounts.register_user(username=username, name=options["register"], actor=SYSTEM)
                verb = accounts.end_administrator if options["end"] else accounts.appoint_administrator
                user = verb(username=username, actor=SYSTEM)
        except NotFound:
            raise CommandError(
                "there is no account with this name (--register makes one)", returncode=UNUSABLE
            ) from None
        except Conflict as conflict:
            raise CommandError(f"refused: {conflict.code}", returncode=UNUSABLE) from None
        except DatabaseError:
            raise CommandError("the database does not answer", returncode=UNUSABLE) from None
        self.stdout.write(f"{user.id}: {'administers no more' if options['end'] else 'administers'}")
