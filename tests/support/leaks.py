"""Secrets, the forms in which a log might show them, and the search for them (law 9)."""

import base64
import io
import json
import logging
import logging.config
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote
from uuid import uuid4

from django.conf import settings

from server.common.logs import logging_config
from server.people.demo import town

NUMBER = "13486040011"
UNKNOWN = "13486040283"
"""Synthetic national identity numbers that nobody in the demo town has."""


PIECE = 6
"""What is searched for is at least so long."""


def told_of_patients() -> set[str]:
    """Everything the demo town tells of its patients."""
    found = set()
    for one in town()["patients"]:
        found |= {one["name"], one["name"].split()[-1], one["number"], one["phone"], one["phone"].removeprefix("+47")}
        found |= {relation["reason"] for relation in one["relations"] if len(relation["reason"]) > 10}
        found |= {one["safe_contact"]["others_may_answer"]} - {""}
    return found


def disguises(secret: str) -> set[bytes]:
    """The forms in which a log might show a text: as it is, escaped, quoted, in hexadecimal, in base64."""
    raw = secret.encode()
    escaped = {json.dumps(secret)[1:-1], repr(secret)[1:-1], ascii(secret)[1:-1], repr(raw)[2:-1], quote(secret)}
    whole = base64.b64encode(raw).rstrip(b"=")[:-1]  # the last character depends on what follows
    return {raw, raw.hex().encode(), whole, *(one.encode() for one in escaped)}


def leaks(log: bytes, secrets: set[str]) -> list[tuple[str, str]]:
    """Secrets that stand in the log, each with the line."""
    assert all(len(secret) >= PIECE for secret in secrets), "too short to search for"
    pieces = {log[at : at + PIECE] for at in range(len(log) - PIECE + 1)}
    found = []
    for secret in secrets:
        for form in disguises(secret):
            if any(form[at : at + PIECE] not in pieces for at in range(len(form) - PIECE + 1)):
                continue  # quicker than a search of the whole log for each
            at = log.find(form)
            if at >= 0:
                found.append((secret, log[max(0, at - 200) : at + 200].decode(errors="replace")))
                break
    return found


class Writer:
    """Whatever it says is remembered as a secret."""

    def __init__(self) -> None:
        self.secrets: set[str] = set()

    def words(self, about: str) -> str:
        secret = f"hemmelig om {about} æøå {uuid4().hex}"
        self.secrets.add(secret)
        return secret


@contextmanager
def captured() -> Iterator[io.StringIO]:
    """Everything the product's own logging says, at debug level, in memory."""
    stream = io.StringIO()
    config = logging_config(level="DEBUG", style="json")
    config["handlers"]["stderr"] |= {"class": "logging.StreamHandler", "stream": stream}
    logging.config.dictConfig(config)
    try:
        yield stream
    finally:
        logging.config.dictConfig(settings.LOGGING)
