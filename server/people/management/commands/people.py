"""`manage.py people identity USER`: whose identity number leads to which account at work; the number is typed or comes
on standard input, never on the command line, where others would see it.

`manage.py people sign-in-key FILE` makes a key towards a provider; `manage.py people providers` says what is set up.
"""

import getpass
import json
import os
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from server.audit.entry import SYSTEM
from server.common.errors import Conflict, NotFound
from server.people.actions.identities import record_identity
from server.people.identity import Unusable, national_identity_number
from server.people.oidc.keys import PrivateKey, public_jwk, thumbprint
from server.people.oidc.providers import fault, missing, providers
from server.vault.errors import MasterKeyFault

REFUSED, UNUSABLE = 1, 2


class Command(BaseCommand):
    help = (
        "Signing in: identity (let somebody who works here sign in with their identity number), sign-in-key (make a "
        "key towards a provider), providers (what is set up)."
    )
    requires_system_checks: list[str] = []  # what is wrong with sign-in is what these commands are for

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        identity = verbs.add_parser("identity", help="the number is read from standard input")
        identity.add_argument("user", help="username")
        key = verbs.add_parser("sign-in-key", help="write a private key (JWK), print its public half")
        key.add_argument("file", type=Path, help="must not be there yet")
        key.add_argument("--kind", choices=["RS256", "PS256", "ES256"], default="RS256", help="default RS256")
        verbs.add_parser("providers", help="read SIGN_IN_FILE and say what is wrong with it")

    def handle(self, *args: Any, **options: Any) -> None:
        verbs = {"identity": self._identity, "sign-in-key": self._key, "providers": self._providers}
        try:
            verbs[options["verb"]](options)
        except DatabaseError:
            raise CommandError("the database does not answer", returncode=UNUSABLE) from None
        except MasterKeyFault as fault:
            raise CommandError(str(fault), returncode=UNUSABLE) from None

    def _identity(self, options: dict[str, Any]) -> None:
        line = getpass.getpass("Identity number: ") if sys.stdin.isatty() else sys.stdin.readline()
        try:
            number = national_identity_number(line.strip())
        except Unusable:
            raise CommandError("that is no usable identity number", returncode=REFUSED) from None
        try:
            done = record_identity(username=options["user"], number=number, actor=SYSTEM)
        except NotFound:
            raise CommandError("there is no such user", returncode=REFUSED) from None
        except Conflict as conflict:
            why = {
                "patient_account": "this is a patient's account; at work the person needs another one",
                "identity_taken": "this number leads to another account already",
            }
            raise CommandError(why[conflict.code], returncode=REFUSED) from None
        self.stdout.write(f"user {done.user_id}: recorded" + (", sessions ended" if done.ended else ""))

    def _key(self, options: dict[str, Any]) -> None:
        kind, path = options["kind"], options["file"]
        private: PrivateKey
        if kind == "ES256":
            private = ec.generate_private_key(ec.SECP256R1())
            jwk = ECAlgorithm.to_jwk(private, as_dict=True)
        else:
            private = rsa.generate_private_key(65537, 3072)
            jwk = RSAAlgorithm.to_jwk(private, as_dict=True)
        public = public_jwk(private)
        named = {"kid": thumbprint(public), "alg": kind, "use": "sig"}
        secret = {name: value for name, value in jwk.items() if name not in ("key_ops", "use")}
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise CommandError(f"{path}: {error.strerror}", returncode=UNUSABLE) from None
        with os.fdopen(handle, "w") as file:
            json.dump({**secret, **named}, file)
        self.stdout.write("Register this with the provider:")
        self.stdout.write(json.dumps({**public, **named}))

    def _providers(self, options: dict[str, Any]) -> None:
        if wrong := fault():
            raise CommandError(wrong, returncode=UNUSABLE)
        for one in providers().values():
            self.stdout.write(f"{one.id}: {one.kind}, {one.issuer}, key {one.own_key.key_id} ({one.own_key.alg})")
        for line in missing():
            self.stderr.write(line)
