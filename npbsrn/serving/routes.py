"""What the server answers: the page, its pictures, and the stream that tells it of them."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from npbsrn import __version__
from npbsrn.errors import NpbsrnError, PictureError, printable
from npbsrn.inference.any_scale import LARGEST
from npbsrn.serving.assets import page_file, page_files
from npbsrn.serving.guard import Message, Receive, Send
from npbsrn.serving.turns import BICUBIC, Turns, check_wish
from npbsrn.serving.views import look_at, small_of, view_of
from npbsrn.serving.visits import RefusedError, Visits
from npbsrn.shipped import DEFAULT, MODELS

BEAT = 10.0  # seconds after which a stream says something, so that a lost connection is noticed
LONGEST_NAME = 1000  # letters

Endpoint = Callable[[Request], Awaitable[Response]]


class Routes:
    """The application.

    Parameters
    ----------
    visits : Visits
    turns : Turns
    """

    def __init__(self, visits: Visits, turns: Turns) -> None:
        self.visits, self.turns = visits, turns
        self.ended = asyncio.Event()  # ends all streams
        self._looking = ThreadPoolExecutor(1, "npbsrn-view")  # beside the work, which may take long

    def app(self) -> Any:
        """The ASGI application."""
        picture = "/visits/{visit}/pictures/{number:int}"
        routes = [
            *(Route(f"/{'' if name == 'index.html' else name}", page(name)) for name in page_files()),
            Route("/about", self.about),
            Route("/visits", self.open, methods=["POST"]),
            Route("/visits/{visit}/events", self.events),
            Route("/visits/{visit}/pictures", self.take, methods=["POST"]),
            Route(picture, self.remove, methods=["DELETE"]),
            Route(f"{picture}/work", self.work, methods=["POST"]),
            Route(f"{picture}/work", self.cancel, methods=["DELETE"]),
            Route(f"{picture}/small", self.small),
            Route(f"{picture}/before", self.before),
            Route(f"{picture}/after", self.after),
            Route(f"{picture}/result", self.result),
        ]
        handlers: Mapping[Any, Any] = {NpbsrnError: refused, HTTPException: not_found}
        return Starlette(routes=routes, exception_handlers=handlers)

    async def about(self, request: Request) -> Response:
        """What the page needs to know."""
        limits = self.visits.limits
        models = [{"name": name, "words": model.words, "scales": model.scales} for name, model in MODELS.items()]
        plain = {"name": BICUBIC, "words": "no network: plain interpolation, to compare with", "scales": []}
        told = {"version": __version__, "models": [*models, plain], "default": DEFAULT, "largest": LARGEST}
        return JSONResponse({**told, "upload": limits.upload})

    # --- pages ---

    async def open(self, request: Request) -> Response:
        """A page opens."""
        return JSONResponse({"visit": self.visits.open().token}, 201)

    async def events(self, request: Request) -> Any:
        """The stream by which a page learns of its pictures; it is also what tells that the page is open."""
        return Stream(self, request.path_params["visit"])

    # --- pictures ---

    async def take(self, request: Request) -> Response:
        """Take a picture's file, which is the request's body."""
        visit = self.visits[request.path_params["visit"]]
        name = name_from(request.query_params.get("name", ""))
        length = request.headers.get("content-length", "")
        self.visits.refuse_long(int(length) if length.isdecimal() else 0)
        with self.visits.coming(name) as coming:
            async for data in request.stream():
                coming.add(data)
            coming.flush()
            entry, most = coming.entry, self.visits.limits.pixels
            entry.width, entry.height = await self._apart(look_at, entry.source, name, most)
            coming.into(self.visits[visit.token])  # which may be closed by now
        return JSONResponse(entry.told(), 201)

    async def remove(self, request: Request) -> Response:
        """Delete a picture and its result."""
        entry = self._entry(request)
        self.visits[request.path_params["visit"]].entries.pop(entry.number).remove()
        return Response(status_code=204)

    async def work(self, request: Request) -> Response:
        """Let a picture be enlarged."""
        wish, entry = request.query_params, self._entry(request)
        scale, model = check_wish(wish.get("scale", ""), wish.get("model", "")), wish.get("model", "")
        self.visits.refuse_full()
        self.turns.add(self.visits[request.path_params["visit"]], entry, scale, model)
        return JSONResponse(entry.told(), 202)

    async def cancel(self, request: Request) -> Response:
        """Let the work on a picture end."""
        entry = self._entry(request)
        entry.end()
        self.visits[request.path_params["visit"]].tell(entry)
        return JSONResponse(entry.told())

    async def small(self, request: Request) -> Response:
        """The picture as it came, as small as in a list."""
        entry = self._entry(request)
        return file_response(await self._apart(small_of, entry.source, entry.name), "image/png")

    async def before(self, request: Request) -> Response:
        """The picture as it came, for the browser to show."""
        entry = self._entry(request)
        path, kind = await self._apart(view_of, entry.source, entry.name)
        return file_response(path, kind)

    async def after(self, request: Request) -> Response:
        """The result, for the browser to show."""
        path, name = self._done(request)
        view, kind = await self._apart(view_of, path, name)
        return file_response(view, kind)

    async def result(self, request: Request) -> Response:
        """The result's file, to be kept."""
        path, name = self._done(request)
        return file_response(path, "application/octet-stream", name)

    def _entry(self, request: Request) -> Any:
        return self.visits.entry(request.path_params["visit"], request.path_params["number"])

    def _done(self, request: Request) -> tuple[Path, str]:
        attempt = self._entry(request).attempt
        if attempt is None or attempt.state != "done":
            raise RefusedError(409, (attempt and attempt.error) or "this picture is not enlarged yet")
        return attempt.target, attempt.name

    async def _apart(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call something that takes a while in a thread of its own."""
        return await asyncio.get_running_loop().run_in_executor(self._looking, function, *arguments)

    def end(self) -> None:
        """End all streams."""
        self.ended.set()
        self._looking.shutdown(wait=False, cancel_futures=True)


class Stream:
    """Server-sent events of one visit, an ASGI application: a line of JSON for each picture that has changed."""

    def __init__(self, routes: Routes, token: str) -> None:
        self.routes, self.visit = routes, routes.visits[token]

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Send news until the page closes."""
        headers = [(b"content-type", b"text/event-stream; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        with self.routes.visits.listening(self.visit) as listener:
            closed: asyncio.Future[Any] = asyncio.ensure_future(_closed(receive))
            ended: asyncio.Future[Any] = asyncio.ensure_future(self.routes.ended.wait())
            news: asyncio.Future[Any] = asyncio.ensure_future(listener.news())
            words = b"retry: 1000\n: open\n\n"
            try:
                while not (closed.done() or ended.done()):
                    await send({"type": "http.response.body", "body": words, "more_body": True})
                    await asyncio.wait({closed, ended, news}, timeout=BEAT, return_when=asyncio.FIRST_COMPLETED)
                    words = b": still open\n\n"
                    if news.done():
                        words = b"".join(b"data: %s\n\n" % json.dumps(told).encode() for told in news.result())
                        news = asyncio.ensure_future(listener.news())
            finally:
                for task in (closed, ended, news):
                    task.cancel()
        with suppress(OSError):
            await send({"type": "http.response.body", "body": b""})


async def _closed(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


# --- answers ---


def page(name: str) -> Endpoint:
    """What answers with one of the page's files."""
    content, kind = page_file(name)

    async def answer(request: Request) -> Response:
        return Response(content, headers={"content-type": kind})

    return answer


def name_from(given: str) -> str:
    """A picture's name as the user reads it: of a path the last part, in one line. It never becomes a path."""
    name = printable(given.replace("\\", "/").split("/")[-1][:LONGEST_NAME])
    if name in ("", ".", ".."):
        raise RefusedError(400, "a picture needs a name")
    return name


def file_response(path: Path, kind: str, name: str | None = None) -> Response:
    """A file, to be kept under a name where there is one."""
    try:
        found = path.stat()
    except OSError:
        raise RefusedError(404, "this picture is deleted") from None
    return FileResponse(path, media_type=kind, filename=name, stat_result=found)


async def refused(request: Request, error: Exception) -> Response:
    """A refusal as JSON."""
    status = error.status if isinstance(error, RefusedError) else 422 if isinstance(error, PictureError) else 400
    return JSONResponse({"error": str(error)}, status)


async def not_found(request: Request, error: Exception) -> Response:
    """What there is no route for, as JSON."""
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code)
