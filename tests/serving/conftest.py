import os
import threading
import time
from dataclasses import dataclass, field

import numpy as np
import pytest


@pytest.fixture(scope="module")
def shared():
    """A server for tests that need none of their own: starting and ending one takes a fifth of a second."""
    from tests.serving.client import serving  # which skips its module without the extra

    with serving(pages=100) as server:
        yield server


@pytest.fixture
def page(shared):
    from tests.serving.client import Page

    with Page(shared) as page:
        yield page


@pytest.fixture(scope="module")
def chromium():
    sync_api = pytest.importorskip("playwright.sync_api", reason="no Playwright")
    from tests.serving.browsing import CHROMIUM

    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"] if os.name == "posix" else [])
        yield browser
        browser.close()


@dataclass
class Slow:
    """A runner that works until it is let go, or stopped by an exception of its callback."""

    scale: float = 2
    name: str = "slow"
    digest: None = None
    deaf: bool = False  # whether it does not ask its callback
    begun: threading.Event = field(default_factory=threading.Event)
    go: threading.Event = field(default_factory=threading.Event)
    stopped: list = field(default_factory=list)
    widths: list = field(default_factory=list)  # of the pictures, in their order

    def run(self, picture, threads=None, tile=None, progress=None):
        self.widths.append(picture.shape[1])
        self.begun.set()
        try:
            while not self.go.is_set():
                if not self.deaf:
                    progress(1, 2)
                time.sleep(0.005)
        except BaseException as error:
            self.stopped.append(type(error).__name__)
            raise
        return np.repeat(np.repeat(picture, 2, 0), 2, 1)

    def needed_bytes(self, height, width, threads=None, tile=None):
        return 0

    def can_run_rows(self):
        return False


@pytest.fixture
def slow(monkeypatch):
    """A runner that all pictures are enlarged by."""
    runner = Slow()
    monkeypatch.setattr("npbsrn.serving.turns.runner_for", lambda model, scale: runner)
    yield runner
    runner.go.set()
