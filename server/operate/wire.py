"""How much a client may say, and how slowly: limits on the bytes as they arrive, before anything is kept of them.

Twisted reads a whole body, however long, before daphne sees it, and lets a client that sends a byte a minute go on for
ever. Here a request has so many bytes and seconds for its headers and so many for its body; what is refused gets a
problem document like every other refusal.
"""

from typing import Any

from daphne import server as daphne_server
from daphne.http_protocol import HTTPFactory, WebRequest
from django.conf import settings
from twisted.web import http

from server.common.doors import refusal

HEADERS_S = 10.0
"""From the first byte of a request to the end of its headers."""
BODY_S = 30.0
"""From there to the end of its body, which has at most a megabyte."""
READ_S = 75.0
"""For whoever reads a last answer slowly, once it is made. Streams have their own limit (`common.asgi.FLOW`)."""
LINGER_S = 3.0
"""After a refusal what still comes is thrown away for so long, or the answer would be lost with the connection."""
MOST_HEADERS = 100
HEADER_BYTES = 16 * 1024
"""The request line and all headers."""

STATUS = {
    400: (b"Bad Request", "malformed"),
    408: (b"Request Timeout", "too_slow"),
    413: (b"Content Too Large", "too_large"),
    431: (b"Request Header Fields Too Large", "headers_too_large"),
    500: (b"Internal Server Error", "internal"),
    503: (b"Service Unavailable", "unavailable"),
}


class Channel(http.HTTPChannel):
    """One connection."""

    maxHeaders = MOST_HEADERS
    totalHeadersSize = HEADER_BYTES
    MAX_LENGTH = HEADER_BYTES
    abortTimeout = 5
    transport: Any
    _deadline: Any = None
    refused = False

    def connectionMade(self) -> None:
        super().connectionMade()
        self._have(HEADERS_S)

    def connectionLost(self, reason: Any = None) -> None:
        self._have(None)
        super().connectionLost(reason)

    def dataReceived(self, data: bytes) -> None:
        if self.refused:
            return
        if self._deadline is None and not self._handlingRequest:
            self._have(HEADERS_S)  # the next request on this connection
        super().dataReceived(data)

    def lineReceived(self, line: bytes) -> None:
        if not self.refused:
            super().lineReceived(line)

    def rawDataReceived(self, data: bytes) -> None:
        if not self.refused:
            super().rawDataReceived(data)

    def allHeadersReceived(self) -> None:
        if self.length is not None and self.length > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            self.refuse(413)
            return
        self._have(BODY_S)
        super().allHeadersReceived()

    def allContentReceived(self) -> None:
        if not self.refused:
            self._have(None)
            super().allContentReceived()

    def requestDone(self, request: Any) -> None:
        super().requestDone(request)
        if not self.persistent and self._abortingCall is None:
            self._abortingCall = self.callLater(READ_S, self.forceAbortClient)

    def lineLengthExceeded(self, line: bytes) -> None:
        self.refuse(431)

    def refuse(self, status: int) -> None:
        """Say why, take nothing more, and close."""
        if self.refused:
            return
        self.refused, self.persistent = True, 0
        self._have(None)
        self.setTimeout(None)
        headers, body = refusal(status, STATUS[status][1])
        lines = [b"HTTP/1.1 %d %s" % (status, STATUS[status][0]), b"Connection: close"]
        lines += [f"{name}: {value}".encode() for name, value in headers.items()]
        self.transport.write(b"\r\n".join(lines) + b"\r\n\r\n" + body)
        self.transport.loseWriteConnection()
        self._abortingCall = self.callLater(LINGER_S, self.forceAbortClient)

    def _respondToBadRequestAndDisconnect(self) -> None:
        too_many = self._receivedHeaderCount > self.maxHeaders or self._receivedHeaderSize > self.totalHeadersSize
        self.refuse(431 if too_many else 400)

    def _have(self, seconds: float | None) -> None:
        """Give the client so long for what comes next."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.callLater(seconds, self._too_slow)

    def _too_slow(self) -> None:
        self._deadline = None
        if self.requests or self._receivedHeaderSize or self._buffer:
            self.refuse(408)
        else:
            self.refused = True
            self.timeoutConnection()  # nothing was asked


class Request(WebRequest):
    """One request; its body is counted as it comes."""

    received = 0

    def __init__(self, channel: Channel, queued: object) -> None:
        super().__init__(channel, queued, parsePOSTFormSubmission=False)  # nobody reads forms here

    def handleContentChunk(self, data: bytes) -> None:
        self.received += len(data)
        if self.received > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            self.channel.refuse(413)
        elif not self.channel.refused:
            super().handleContentChunk(data)

    def basic_error(self, status: int, status_text: bytes, body: str) -> None:
        """Daphne's own pages name it and say what went wrong; ours are those of the API."""
        headers, octets = refusal(status, STATUS[status][1])
        head = [(name.encode(), value.encode()) for name, value in headers.items()]
        self.handle_reply({"type": "http.response.start", "status": status, "headers": head})
        self.handle_reply({"type": "http.response.body", "body": octets})


class Factory(HTTPFactory):
    """Makes them."""

    def protocol(self) -> Channel:
        """No HTTP/2 here: a proxy speaks it to browsers."""
        return Channel()

    def buildProtocol(self, addr: Any) -> Any:
        made = super().buildProtocol(addr)
        made.requestFactory = Request
        return made


def listen_with_limits() -> None:
    """Daphne makes its factory itself, by this name."""
    daphne_server.HTTPFactory = Factory
