"""The server: a socket on the loopback address, an event loop in a thread, and a folder that is deleted at the end."""

import asyncio
import os
import secrets
import shutil
import socket
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from npbsrn.errors import HeldError, UsageError
from npbsrn.runtime.interrupts import ENDING, UNFINISHED
from npbsrn.serving.visits import Limits, Visits
from npbsrn.storage.files import lock

CURE = "pip install 'npbsrn[serve]'"
HOST = "127.0.0.1"  # and never another: what is meant for the network needs more than this server has
NAME, LOCK = "npbsrn-serve-", "lock"
YOUNG = 60.0  # seconds of a folder whose server may be about to lock it
PATIENCE = 10.0  # seconds for the server's thread to end, which waits for no work


class Server:
    """Serves the page while the context is open.

    Parameters
    ----------
    port : int
        0 takes one that is free.
    limits : Limits
    threads : int, optional
        For a picture.

    Raises
    ------
    UsageError
        If Starlette or Uvicorn is missing, or the port is taken.
    """

    def __init__(self, port: int = 0, limits: Limits | None = None, threads: int | None = None) -> None:
        self._uvicorn = _uvicorn()
        self.limits, self.threads = limits or Limits(), threads
        self.socket = _listening(port)
        self.port = int(self.socket.getsockname()[1])
        self.address = self.once = ""  # see `npbsrn.serving.guard.Guard`
        self.folder = Path()
        self.visits: Visits
        self._ready = threading.Event()
        self._stop: Callable[[], object] = bool  # nothing, until there is something to stop
        self._thread = threading.Thread(target=self._run, name=NAME, daemon=True)
        self._error: BaseException | None = None
        self._held = ExitStack()

    def __enter__(self) -> "Server":
        remove_left()
        with ENDING:
            self.folder = Path(tempfile.mkdtemp(prefix=NAME))  # which only its owner may read
            UNFINISHED.add(str(self.folder))
        self._held.enter_context(lock(self.folder / LOCK, "another server has this folder"))
        self._thread.start()
        self._ready.wait()
        if self._error is not None:
            self.__exit__(None, None, None)
            raise self._error
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop()
        self._thread.join(PATIENCE)
        apart = self.folder.with_name(f"{self.folder.name}-{secrets.token_hex(4)}")
        with suppress(OSError):
            os.rename(self.folder, apart)  # so that work that has not ended yet makes no new files in it
        self._held.close()
        for folder in (apart, self.folder):  # which cannot be renamed everywhere
            shutil.rmtree(folder, ignore_errors=True)
        UNFINISHED.discard(str(self.folder))

    def wait(self) -> None:
        """Wait until the server ends, which an interrupt makes it."""
        while self._thread.is_alive():
            self._thread.join(1.0)
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            self._error = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        from npbsrn.serving.guard import Guard
        from npbsrn.serving.hearing import hearing
        from npbsrn.serving.routes import Routes
        from npbsrn.serving.turns import Turns

        self.visits = Visits(self.folder, self.limits)
        turns = Turns(self.visits, self.threads)
        routes = Routes(self.visits, turns)
        guard = Guard(routes.app(), self.port)
        self.address, self.once = guard.address, guard.once
        config = self._uvicorn.Config(
            guard, log_config=None, access_log=False, lifespan="off", server_header=False, date_header=False,
            timeout_graceful_shutdown=1,
        )  # fmt: skip
        server, loop = self._uvicorn.Server(config), asyncio.get_running_loop()

        def stop() -> None:
            server.should_exit = True
            routes.end()
            self.visits.close_all()

        def stop_soon() -> None:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(stop)

        self._stop = stop_soon
        loop.call_soon(self._ready.set)
        with hearing():
            working = asyncio.ensure_future(turns.run())
            await server.serve(sockets=[self.socket])
            working.cancel()
            with suppress(asyncio.CancelledError):
                await working


def remove_left() -> None:
    """Remove the folders of servers that were killed, or lost their power."""
    for folder in Path(tempfile.gettempdir()).glob(NAME + "*"):
        with suppress(OSError, HeldError):
            found = folder.lstat()
            ours = stat.S_ISDIR(found.st_mode) and found.st_uid == getattr(os, "getuid", int)()
            if ours and time.time() - found.st_mtime > YOUNG:
                with lock(folder / LOCK, "its server is at work"):
                    shutil.rmtree(folder, ignore_errors=True)


def _uvicorn() -> Any:
    try:
        import starlette as starlette
        import uvicorn
    except ImportError:
        raise UsageError(f"npbsrn serve needs two more packages: {CURE}") from None
    return uvicorn


def _listening(port: int) -> socket.socket:
    """A socket on the loopback address."""
    if not 0 <= port <= 65535:
        raise UsageError(f"a port is a whole number up to 65535, not {port}")
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if sys.platform != "win32":  # where it would let two programs have one port
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
        listening.listen(128)
    except OSError as error:
        listening.close()
        raise UsageError(
            f"the port {port} cannot be had ({error.strerror}); give another --port, or none for a free one"
        ) from None
    return listening
