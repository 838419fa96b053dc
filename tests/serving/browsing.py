"""The page in headless Chromium."""

import io
import shutil
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image

from tests.images.files import ramp

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
PATIENCE = 20_000  # milliseconds
TIMES = "\N{MULTIPLICATION SIGN}"
IN_A_BROWSER = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")]


@contextmanager
def opened(browser, server, refused=0, **options):
    """The page; it asks nobody else, and nothing fails but as many requests as are to be refused."""
    context = browser.new_context(viewport={"width": 1000, "height": 900}, **options)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    errors, asked = [], []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type in ("error", "warning") else None)
    page.on("request", lambda request: asked.append(request.url))
    page.goto(server.address)
    page.get_by_role("radio", name="bicubic").wait_for()
    yield page
    context.close()
    assert len(errors) <= refused, errors
    assert all("responded with a status of 4" in error for error in errors), errors
    assert all(url.startswith(server.address) for url in asked)


def picture(form="PNG", **options):
    file = io.BytesIO()
    Image.fromarray(ramp((40, 60, 3), np.uint8)).save(file, form, **options)
    return file.getvalue()


def choose(page, *named):
    page.get_by_label("Choose pictures").set_input_files(
        [{"name": name, "mimeType": "", "buffer": content} for name, content in named]
    )


def enlarge(page, scale=2, model="bicubic"):
    page.get_by_role("radio", name=f"{scale}{TIMES}" if isinstance(scale, int) else scale).check()
    page.get_by_role("radio", name=model).check()
    page.locator("#start:enabled").click()


def card(page, name):
    return page.get_by_role("listitem").filter(has=page.get_by_role("heading", name=name, exact=True))


def seen(locator):
    return np.asarray(Image.open(io.BytesIO(locator.screenshot())).convert("RGB")).astype(int)
