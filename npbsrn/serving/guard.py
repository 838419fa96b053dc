"""Who may talk to the server: this machine's browser, and of its pages only the server's own.

Any page of the web can make a browser send requests to 127.0.0.1, and a name that its owner lets point there (DNS
rebinding) makes the answers readable. So requests must name this server as their host, must not come from another
site, and must know a secret that is drawn at each start: other users of the machine do not know it either.
"""

import hmac
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

READING = ("GET", "HEAD")
OURS = ("same-origin", "none")  # of Sec-Fetch-Site: from the page itself, or typed by the user
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cache-control", b"no-store"),  # so that the browser's own cache keeps no pictures either
)


class Guard:
    """Lets requests through to an application, or refuses them.

    Paths begin with the secret, which the application does not see: ``/SECRET/about`` is its ``/about``.

    Parameters
    ----------
    app : ASGI application
    port : int
        Where the server listens.
    """

    def __init__(self, app: App, port: int) -> None:
        self.app = app
        self.hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost")}
        self.secret = secrets.token_urlsafe(18)
        self.address = f"http://127.0.0.1:{port}/{self.secret}/"
        # The browser's command line, which other users may read, gets an address that works once.
        ticket = secrets.token_urlsafe(18)
        self.ticket: str | None = f"/open/{ticket}"
        self.once = f"http://127.0.0.1:{port}{self.ticket}"

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it."""
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        refusal = self._refusal(scope["method"], scope["path"], headers)
        if refusal is not None:
            await _answer(send, refusal[0], refusal[1])
        elif scope["path"] == self.ticket:
            self.ticket = None
            await _answer(send, 303, "", [(b"location", f"/{self.secret}/".encode())])
        elif (path := self._below(scope["path"])) is None:
            await _answer(send, 403, "Open the address that npbsrn serve has printed.")
        else:
            await self.app({**scope, "path": path, "raw_path": path.encode()}, receive, _with_headers(send))

    def _below(self, path: str) -> str | None:
        """A path behind the secret; None without it."""
        given, slash, rest = path.removeprefix("/").partition("/")
        return f"/{rest}" if slash and hmac.compare_digest(given.encode(), self.secret.encode()) else None

    def _refusal(self, method: str, path: str, headers: dict[str, str]) -> tuple[int, str] | None:
        """Why a request is refused, and with which status."""
        if headers.get("host") not in self.hosts:
            return 421, "This server answers to 127.0.0.1 and localhost, with its port, and to no other name."
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        # A link may lead here: it is a page of its own then, of which the other one sees nothing.
        link = method in READING and headers.get("sec-fetch-mode") == "navigate" and path.count("/") <= 2
        foreign = (site is not None and site not in OURS and not link) or (
            origin is not None and origin != f"http://{headers['host']}"
        )
        if foreign:
            return 403, "This server takes requests of its own page only."
        if method not in READING and origin is None and site != "same-origin":
            return 403, "A request that changes anything must say that it comes from this server's page."
        return None


async def _answer(send: Send, status: int, words: str, more: list[tuple[bytes, bytes]] | None = None) -> None:
    body = words.encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await _with_headers(send)({"type": "http.response.start", "status": status, "headers": [*headers, *(more or [])]})
    await send({"type": "http.response.body", "body": body})


def _with_headers(send: Send) -> Send:
    """A `send` that adds `HEADERS`."""

    async def added(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *HEADERS]}
        await send(message)

    return added
