"""HTTP/1.1 for clients that begin requests and do not end them, whether they are slow or mean it (slowloris).

uvicorn by itself waits for ever for the rest of a head or of a body, and keeps as much of a head as comes.
"""

from __future__ import annotations

import asyncio
import re
from enum import Enum

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

HEAD_LIMIT = 65_536  # bytes

_GRACE = 1.0  # seconds after which a late body is refused here, and not by the app in its own words
_LINGERING = 1.0  # seconds for which a client may go on sending after a refusal, so that it comes to read that

_TOLD = {
    400: b"Invalid HTTP request received.",  # uvicorn's words
    408: b"The request did not come in time.\n",
    431: b"The head of the request may have %d bytes.\n" % HEAD_LIMIT,
}


# Java's own client asks each server for HTTP/2 in this way, which RFC 9113 has dropped, and goes on in HTTP/1.1 with
# one that takes no notice. The parser would take notice, and give up the body.
_HTTP2 = re.compile(rb"\r\nupgrade:[ \t]*h2c[ \t]*(?=\r\n)", re.IGNORECASE)


def _without_http2(data: bytes) -> bytes:
    head, end, rest = data.partition(b"\r\n\r\n")
    return _HTTP2.sub(b"", head + end, count=1) + rest


class _Awaited(Enum):
    """What is to come next on a connection."""

    REQUEST = "a further request, if the client likes"
    HEAD = "the rest of a head; the first one is awaited from the start"
    BODY = "the rest of a body"


class PromptHttp(HttpToolsProtocol):
    """uvicorn's HTTP/1.1, where a request has to come within a time, and a size.

    A head must be whole within `read_timeout` seconds of the connection's opening, or of its own first byte, and its
    body within as many seconds after it. A head has at most HEAD_LIMIT bytes; nor may more come at a time of what is
    no part of a body, such as trailers. Two heads that come in one packet may have twice as many together.

    The answer is 408 or 431, and the connection is closed. It is closed without a word where nothing was sent, or
    where the request was answered already; and where another answer is on its way, when that has left.

    For a request that comes at once this costs no timer and no look at the clock.
    """

    read_timeout: float

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's own
        """Wait for the first request."""
        super().connection_made(transport)
        self._awaited = _Awaited.HEAD
        self._passed = 0  # bytes, since the last of a body, or the last end of a head or a body
        self._is_deaf = False
        self._was_held_up = False  # by us, when the time was looked at last
        self._deadline: float | None = None  # by the loop's clock
        self._timer: asyncio.TimerHandle | None = None
        self._expect(self.read_timeout)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._listen_no_more()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        """Leave the connection to another protocol."""
        self._listen_no_more()
        super().handle_websocket_upgrade()

    def data_received(self, data: bytes) -> None:
        """Parse what came, in pieces after each of which the sizes are known."""
        while data and not self._is_deaf:
            room = HEAD_LIMIT - self._passed
            self._parse(data[:room])
            data = data[room:]

    def _parse(self, data: bytes) -> None:
        if self._awaited is _Awaited.REQUEST:  # an empty line is the beginning of one
            self._awaited = _Awaited.HEAD
        if self._awaited is _Awaited.HEAD and b"h2c" in data:
            data = _without_http2(data)
        self._passed += len(data)
        super().data_received(data)
        if self._is_deaf or self.transport.is_closing():
            self._is_deaf = True
        elif self._passed >= HEAD_LIMIT:
            self._give_up(431)
        elif self._deadline is None and self._awaited is not _Awaited.REQUEST:
            self._expect(self.read_timeout + (_GRACE if self._awaited is _Awaited.BODY else 0))

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP; uvicorn's own might stand within another answer, or be lost."""
        self._give_up(400)

    # What the parser comes to

    def on_message_begin(self) -> None:
        """Begin a head."""
        self._awaited = _Awaited.HEAD
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Begin a body; most have come with the head. A head that asks for another protocol is a whole request."""
        super().on_headers_complete()
        self._awaited = _Awaited.BODY
        self._passed, self._deadline = 0, None

    def on_body(self, body: bytes) -> None:
        """Take a part of a body."""
        self._passed = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Have a request."""
        self._awaited = _Awaited.REQUEST
        self._passed, self._deadline = 0, None
        super().on_message_complete()

    # Time

    def _expect(self, seconds: float) -> None:
        """Have something come within so many seconds. One timer serves one deadline after the other."""
        self._deadline = deadline = self.loop.time() + seconds
        if self._timer is None:
            self._timer = self.loop.call_at(deadline, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._deadline is None:
            return
        if self._deadline > self.loop.time():
            self._timer = self.loop.call_at(self._deadline, self._look)
        elif self.pipeline or self._was_held_up:  # we do not read before earlier requests are answered
            self._was_held_up = bool(self.pipeline)
            self._expect(self.read_timeout)
        else:
            self._give_up(408)

    # The end

    def _give_up(self, status: int) -> None:
        """Read no more, and close the connection when no answer is on its way; say why, if something was asked."""
        self._listen_no_more()
        cycle: RequestResponseCycle | None = self.cycle
        in_body = self._awaited is _Awaited.BODY  # of the request that the cycle answers
        if cycle is None or cycle.response_complete:
            if in_body or not self._passed:
                self.transport.close()
            else:
                self._tell(status)
        elif cycle.response_started or self.pipeline or not in_body:
            cycle.keep_alive = False
        else:
            cycle.disconnected = True  # the app's own answer would come second
            cycle.message_event.set()
            self._tell(status)

    def _tell(self, status: int) -> None:
        text = _TOLD[status]
        head = b"content-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(text)
        self.transport.write(STATUS_LINE[status] + head + text)
        self.transport.write_eof()
        self.loop.call_later(_LINGERING, self.transport.close)

    def _listen_no_more(self) -> None:
        self._is_deaf = True
        self._deadline = None
        if self._timer:
            self._timer.cancel()
            self._timer = None
