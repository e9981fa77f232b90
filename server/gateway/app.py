"""The one WebSocket, as a plain ASGI application: any server that speaks ASGI runs it.

One socket per device carries all its rooms. Accept first, then close: a refusal before the accept would become HTTP 403
and lose its code.
"""

import asyncio
from collections.abc import Awaitable, Callable
from http.cookies import CookieError, SimpleCookie
from typing import Any

import structlog
from django.conf import settings

from server.common.asgi import TAKE
from server.common.db import in_db
from server.common.errors import TooMany, Unauthenticated
from server.common.ids import new_id
from server.common.limiting import spend
from server.common.origins import is_own
from server.common.proxies import address_key
from server.gateway import frames, jobs, metrics
from server.gateway.frames import BadFrame, Hello, Malformed, MarkFrame, Ping, PostFrame, TypingFrame
from server.gateway.hub import Hub
from server.gateway.pulse import begin
from server.gateway.socket import Socket
from server.people.authentication import COOKIE

log = structlog.get_logger(__name__)

TYPING_S = 2.0

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Gateway:
    """The ASGI application of `/ws/v1`. The hub is made on the running loop, with the first request."""

    def __init__(self) -> None:
        self.hub: Hub | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=str(new_id()))
        if (await receive())["type"] != "websocket.connect":
            return
        await send({"type": "websocket.accept"})
        hub = self._hub()
        socket = Socket(send, (scope.get("extensions") or {}).get(TAKE))
        hub.sockets.add(socket)
        socket.task = asyncio.current_task()
        try:
            if hub.draining:
                socket.close(frames.RESTARTING)
                await self._wait_for_end(receive)
            elif await self._greet(hub, socket, scope, receive):
                await self._listen(hub, socket, receive)
        finally:
            socket.closed = socket.closed or 1006
            hub.gone(socket)
            metrics.CLOSED.labels(metrics.label_of(socket.closed)).inc()
            if socket.welcomed:
                metrics.SOCKETS.labels(socket.protocol).dec()
            log.info("socket_closed", code=socket.closed, user=str(socket.user_id) if socket.known else None)

    def wake(self) -> None:
        """Make the hub on the running loop, if it is not there: this process's hints then go through it."""
        self._hub()

    def _hub(self) -> Hub:
        if self.hub is None or self.hub.loop is not asyncio.get_running_loop():
            self.hub = Hub()
        return self.hub

    async def drain(self) -> None:
        """Before the process stops; see `Hub.drain`."""
        if self.hub is not None:
            await self.hub.drain()

    # --- hello -------------------------------------------------------------------------------------------

    async def _greet(self, hub: Hub, socket: Socket, scope: Scope, receive: Receive) -> bool:
        """Wait for `hello` and answer it. False when the socket has ended."""
        try:
            async with asyncio.timeout(settings.ENV.hello_timeout_s):
                hello = await self._hello(socket, receive)
        except TimeoutError:
            socket.close(frames.NO_HELLO)
            hello = None
        if hello is None:
            await self._wait_for_end(receive)
            return False
        try:
            begun = await self._begin(socket, scope, hello)
        except Unauthenticated as refusal:
            socket.close(await _close_code(scope, refusal))
            await self._wait_for_end(receive)
            return False
        except Exception as error:  # noqa: BLE001 - whatever it was, the client is told to come back
            log.warning("hello_failed", error=type(error).__name__)
            socket.close(frames.RESTARTING)  # come back, with jitter
            await self._wait_for_end(receive)
            return False
        await self._welcome(hub, socket, begun)
        return True

    async def _begin(self, socket: Socket, scope: Scope, hello: Hello) -> jobs.Begun:
        """Who it is, and the rooms that it enters. Raises Unauthenticated."""
        if hello.alert_key is not None:
            socket.key = await in_db(jobs.sign_in_with_key, hello.alert_key)
            return await in_db(jobs.begin_with_key, socket.key, hello.cursors)
        token = hello.token if hello.token is not None else token_of_upgrade(scope)
        if token is None:
            raise Unauthenticated
        socket.acting = await in_db(jobs.sign_in, token)
        return await in_db(jobs.begin, socket.acting, hello.cursors)

    async def _hello(self, socket: Socket, receive: Receive) -> Hello | None:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return None
        frame = self._parse(socket, message)
        if isinstance(frame, Hello) and frame.protocol in frames.PROTOCOLS:
            socket.protocol = frame.protocol
            return frame
        if isinstance(frame, Hello):
            socket.push(frames.error("unsupported_protocol"))
            await asyncio.sleep(0.05)  # let the reason leave before the close
        socket.close(frames.MALFORMED)
        return None

    async def _welcome(self, hub: Hub, socket: Socket, begun: jobs.Begun) -> None:
        heads = {room.permit.room_id: room.head for room in begun.rooms}
        socket.push(frames.welcome(socket.user_id, socket.protocol, settings.ENV.heartbeat_s, heads))
        for room_id in begun.closed:
            socket.push(frames.room_closed(room_id, "not_open"))
        await hub.calls.join(socket)  # calls for help before what was missed in rooms
        for room in begun.rooms:
            begin(hub, socket, room, begun.receipts.get(room.permit.room_id))
        socket.push(frames.synced())
        socket.welcomed = True
        metrics.SOCKETS.labels(socket.protocol).inc()
        session = socket.acting.session if socket.acting is not None else None
        if socket.acting is not None and session is not None:  # an alert key does not run out
            hub.expect_end(socket, session.valid_until, socket.acting.at)
        # A session or a membership may have changed while the hello was under way, before hints could find this socket.
        hub.look_again([socket])

    async def _wait_for_end(self, receive: Receive) -> None:
        """After a close of ours: until the peer is gone, or does not answer."""
        try:
            async with asyncio.timeout(5):
                while (await receive())["type"] != "websocket.disconnect":
                    pass
        except TimeoutError:
            pass

    # --- afterwards ----------------------------------------------------------------------------------------

    async def _listen(self, hub: Hub, socket: Socket, receive: Receive) -> None:
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                socket.closed = socket.closed or frames.theirs(message.get("code"))
                return
            if socket.closed is not None:
                continue
            if not socket.allow_frame():
                socket.close(frames.TOO_MANY)
                continue
            frame = self._parse(socket, message)
            if frame is not None:
                self._act(hub, socket, frame)

    def _parse(self, socket: Socket, message: dict[str, Any]) -> frames.Frame | None:
        text = message.get("text")
        if text is None:
            socket.close(frames.MALFORMED)
            return None
        if len(text) > frames.MAX_FRAME:
            socket.close(frames.TOO_LARGE)
            return None
        try:
            return frames.parse(text)
        except Malformed:
            socket.close(frames.MALFORMED)
        except BadFrame as bad:
            socket.push(frames.error(bad.code, bad.ref))
        return None

    def _act(self, hub: Hub, socket: Socket, frame: frames.Frame) -> None:
        match frame:
            case MarkFrame(room=room, seq=seq):
                follow = socket.follows.get(room)
                if follow is None:
                    socket.push(frames.error("not_found", str(room)))
                elif follow.permit.ahead(seq, follow.cursor):
                    socket.push(frames.error("cursor_ahead", str(room)))
                else:
                    hub.pulse.mark(follow, frame)
            case PostFrame():
                hub.poster.post(socket, frame)
            case TypingFrame(room=room) if socket.key is not None:
                socket.push(frames.error("not_found", str(room)))
            case TypingFrame(room=room):
                follow = socket.follows.get(room)
                now = hub.loop.time()
                if follow is not None and now - follow.typed_at >= TYPING_S:
                    follow.typed_at = now
                    hub.typing(follow)
            case Ping():
                socket.push(frames.pong())
            case Hello():
                socket.push(frames.error("invalid"))


async def _close_code(scope: Scope, refusal: Unauthenticated) -> int:
    """Why a hello got nobody in. Tokens that nobody has are counted by address; a right one is never held back."""
    if refusal.code == "account_deactivated":
        return frames.DEACTIVATED
    if refusal.code == Unauthenticated.code:
        address = address_key((scope.get("client") or ("", 0))[0])
        try:
            await asyncio.to_thread(spend, "hello", address)
        except TooMany:
            return frames.TOO_MANY
    return frames.SESSION_ENDED


def token_of_upgrade(scope: Scope) -> str | None:
    """The session token that came with the upgrade: an Authorization header, or the cookie if the Origin is ours."""
    headers = {name.decode("latin1").lower(): value.decode("latin1") for name, value in scope.get("headers", [])}
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return token.strip()
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return None
    if cookie is None or not is_own(headers.get("origin", ""), headers.get("host", "")):
        return None  # cookies travel with other sites' sockets too
    return cookie.value
