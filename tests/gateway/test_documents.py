"""The socket's document and the code say the same, and the page of the API needs nothing from elsewhere."""

import ast
import asyncio
import inspect
import json
import re
import textwrap
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin

import jsonschema
import pytest
import yaml
from django.test import Client

from server.alerts.api.call_shapes import AlertOut
from server.alerts.models.alerts import State
from server.gateway import api, frames, hub
from server.operate.players import Device
from server.operate.story import AresStory
from server.rooms.models import EventType
from tests.gateway.servers import Server
from tests.support import plain

DOCUMENT: dict[str, Any] = yaml.safe_load(api.ASYNCAPI.read_text())
MESSAGES: dict[str, Any] = DOCUMENT["components"]["messages"]
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]


def fits(name: str, frame: Any) -> None:
    """Raises jsonschema.ValidationError when the frame is not what the document says."""
    schema = {**MESSAGES[name]["payload"], "components": DOCUMENT["components"]}
    jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(frame)


def names_of(operation: str) -> set[str]:
    return {one["$ref"].rsplit("/", 1)[1] for one in DOCUMENT["operations"][operation]["messages"]}


def types_of(operation: str) -> set[str]:
    return {MESSAGES[name]["payload"]["properties"]["type"]["const"] for name in names_of(operation)}


def strings_in_cases(function: Callable[..., Any]) -> set[str]:
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    values = [node.value for node in ast.walk(tree) if isinstance(node, ast.MatchValue)]
    return {one.value for one in values if isinstance(one, ast.Constant)}


def server_frames() -> set[str]:
    """The functions of frames.py that make a frame: they return the text."""
    makers = {
        name
        for name, one in inspect.getmembers(frames, inspect.isfunction)
        if one.__module__ == frames.__name__ and inspect.signature(one).return_annotation is str and name[0] != "_"
    }
    return {name.replace("room_", "room.") for name in makers}


def test_every_frame_of_a_client_is_in_both() -> None:
    assert types_of("say") == strings_in_cases(frames.parse)


def test_every_frame_of_the_server_is_in_both() -> None:
    assert types_of("hear") == names_of("hear") == server_frames()


def test_every_message_belongs_to_the_channel_and_an_operation() -> None:
    channel = DOCUMENT["channels"]["socket"]["messages"]
    assert set(channel) == set(MESSAGES) == names_of("say") | names_of("hear")
    assert {one["$ref"] for one in channel.values()} == {f"#/components/messages/{name}" for name in MESSAGES}


def test_codes_are_in_both() -> None:
    assert DOCUMENT["components"]["schemas"]["error_code"]["enum"] == list(frames.ERROR_CODES)
    words = DOCUMENT["components"]["schemas"]["error_code"]["description"]
    assert re.findall(r"^- `(\w+)`", words, re.MULTILINE) == list(frames.ERROR_CODES)
    assert DOCUMENT["channels"]["socket"]["x-close-codes"] == sorted(frames.CLOSE_CODES)
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", DOCUMENT["info"]["description"], re.MULTILINE)} == set(
        frames.CLOSE_CODES
    )


def test_limits_and_kinds_are_in_both() -> None:
    assert DOCUMENT["components"]["schemas"]["event"]["properties"]["type"]["enum"] == EventType.values
    assert MESSAGES["hello"]["payload"]["properties"]["cursors"]["maxProperties"] == frames.MAX_CURSORS
    assert f"{frames.MAX_FRAME // 1024} KiB" in DOCUMENT["info"]["description"]
    assert SCHEMAS["alert"]["properties"]["state"]["enum"] == State.values
    reasons = set(re.findall(r'self\.leave\(\w+, "(\w+)"\)', inspect.getsource(hub))) | {"not_open"}
    assert set(MESSAGES["room.closed"]["payload"]["properties"]["reason"]["enum"]) == reasons


def test_an_alert_is_what_rest_answers() -> None:
    """Red when one of the two gets a member that the other has not."""
    alert: Any = AlertOut()
    for name, fields in (("alert", alert.fields), ("alert_team", alert.fields["team"].fields)):
        assert set(SCHEMAS[name]["properties"]) == set(SCHEMAS[name]["required"]) == set(fields), name


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_examples_fit(name: str) -> None:
    assert MESSAGES[name]["examples"]
    for example in MESSAGES[name]["examples"]:
        fits(name, example["payload"])
        if name in names_of("say"):
            frames.parse(json.dumps(example["payload"]))


def test_the_document_is_asyncapi_3() -> None:
    assert DOCUMENT["asyncapi"] == "3.0.0"
    for name in MESSAGES:
        jsonschema.Draft202012Validator.check_schema(MESSAGES[name]["payload"])
    text = json.dumps(DOCUMENT)
    for pointer in set(re.findall(r'"\$ref": "#/([^"]+)"', text)):
        found: Any = DOCUMENT
        for part in pointer.split("/"):
            found = found[part]


def test_what_the_schemas_refuse_the_code_refuses() -> None:
    bad: list[dict[str, Any]] = [
        {"type": "read", "room": "x", "seq": 1},
        {"type": "post", "room": "x", "txn_id": "", "body": ""},
        {"type": "hello", "protocol": 1, "token": "x", "alert_key": "y"},
        {"type": "hello", "protocol": 1, "alert_key": 7},
    ]
    for frame in bad:
        with pytest.raises(jsonschema.ValidationError):
            fits(str(frame["type"]), frame)
        with pytest.raises(frames.BadFrame):
            frames.parse(json.dumps(frame))


def test_every_frame_of_the_story_fits(daphne: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[dict[str, Any]] = []
    send = Device.send

    async def recorded(self: Device, **frame: Any) -> None:
        said.append(frame)
        await send(self, **frame)

    monkeypatch.setattr(Device, "send", recorded)
    story = AresStory(daphne.url, lambda _: None)
    asyncio.run(story.play())
    heard = [frame for person in story.people.values() for frame in person.device.frames]
    for frame in heard:
        fits(frame["type"], frame)
    for frame in said:
        fits("typing.said" if frame["type"] == "typing" else frame["type"], frame)
    kinds = {frame["type"] for frame in heard}
    assert kinds >= {"welcome", "synced", "event", "posted", "receipt", "room.opened", "room.closed"}


# --- the page ------------------------------------------------------------------------------------------------------


class Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in ("src", "href") and value]


def test_the_page_and_all_it_loads_are_answered(server: Server) -> None:
    """Without a session and without the network."""
    page = f"{server.url}/api/v1/docs/"
    answer = plain.get(page, timeout=20)
    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    links = Links()
    links.feed(answer.text)
    start = plain.get(urljoin(page, "start.js"), timeout=20).text
    schema = re.search(r'url: "([^"]+)"', start)
    assert schema is not None
    maps = {"swagger-ui-bundle.js.map", "swagger-ui.css.map"}
    for link in {*links.found, schema.group(1), *maps}:
        assert "//" not in link, "nothing from elsewhere"
        found = plain.get(urljoin(page, link), timeout=20)
        assert found.status_code == 200, link
        assert found.content
    assert plain.get(urljoin(page, "swagger-ui.css"), timeout=20).headers["Content-Type"] == "text/css"
    assert plain.get(urljoin(page, schema.group(1)), timeout=20).json()["openapi"].startswith("3.1")
    document = plain.get(f"{server.url}/api/v1/asyncapi.yaml", timeout=20)
    assert yaml.safe_load(document.text) == DOCUMENT


def test_other_names_and_methods_are_refused() -> None:
    client = Client(raise_request_exception=False)
    for name in ("../../settings/__init__.py", "LICENSE", "index.html", "%2e%2e%2fapi.py", ".."):
        answer = client.get(f"/api/v1/docs/{name}")
        assert answer.status_code == 404
        assert answer.headers["Content-Type"] == "application/problem+json"
    for path in ("docs/", "docs/start.js", "asyncapi.yaml"):
        answer = client.post(f"/api/v1/{path}")
        assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
        assert client.head(f"/api/v1/{path}").status_code == 200
