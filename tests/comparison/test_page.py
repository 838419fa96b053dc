import base64
import io
import json
import os
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from npbsrn.comparison.page import WEBP, make_page
from npbsrn.comparison.results import Result
from tests.comparison.places import holds

HOSTILE = "</script><script>alert(1)</script>&\"'"
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture
def results():
    pictures = np.random.default_rng(0).integers(0, 256, (3, 12, 20, 3), np.uint8)
    return [Result("bicubic", pictures[0], 25.5, 0.75), Result(HOSTILE, pictures[1], 30.25, 0.875),
            Result("original", pictures[2])]  # fmt: skip


class Elements(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data


def test_the_pictures_are_in_it_to_the_bit(results):
    page = make_page(results, "a picture", 4)
    pictures = json.loads(re.search(r"const pictures = (\[.*\]);", page)[1])
    assert [own["label"] for own in pictures] == [result.label for result in results]
    for own, result in zip(pictures, results, strict=True):
        data = base64.b64decode(own["url"].removeprefix("data:image/webp;base64,"))
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(data))), result.picture)


def test_a_picture_too_wide_for_webp_is_in_it_too():
    wide = np.random.default_rng(0).integers(0, 256, (2, WEBP + 1, 3), np.uint8)
    page = make_page([Result("bicubic", wide, 25.5, 0.75), Result("original", wide)], "a picture", 4)
    data = base64.b64decode(re.search(r"data:image/png;base64,([^\"]+)", page)[1])
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(data))), wide)


def test_it_needs_nothing_from_elsewhere(results):
    elements = Elements(make_page(results, "a picture", 4))
    for _, attributes in elements.tags:
        assert not {"src", "href"} & {name for name, value in attributes.items() if value}
    (policy,) = (own["content"] for tag, own in elements.tags if own.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")


def test_names_are_text(results):
    plain = [Result(f"b{n}", result.picture, result.psnr, result.ssim) for n, result in enumerate(results)]
    hostile = Elements(make_page(results, HOSTILE, 4))
    assert [tag for tag, _ in hostile.tags] == [tag for tag, _ in Elements(make_page(plain, "t", 4)).tags]
    assert HOSTILE in hostile.text
    assert "{{TITLE}}" in make_page(results, "{{TITLE}}", 4)


def test_every_control_has_a_label(results):
    elements = Elements(make_page(results, "a picture", 4))
    named = {own.get("for") for tag, own in elements.tags if tag == "label"}
    assert {own["id"] for tag, own in elements.tags if tag == "input"} <= named
    tags = [tag for tag, _ in elements.tags]
    assert tags.count("label") == tags.count("input") + tags.count("select")


def test_a_model_alone_is_shown_beside_the_original(results):
    assert "? 0 : 1;" in make_page([results[0], results[-1]], "a picture", 4)
    assert "? 0 : 1;" in make_page(results[:3], "a picture", 4)


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")
def test_the_slider_in_a_browser(results, tmp_path):
    sync_api = pytest.importorskip("playwright.sync_api")
    (tmp_path / "page.html").write_text(make_page(results, "a picture", 4), encoding="utf-8")
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"] if os.name == "posix" else [])
        page = browser.new_page()
        errors = []

        def note(message):
            if getattr(message, "type", "error") == "error":
                errors.append(str(message))

        page.on("pageerror", note)
        page.on("console", note)
        page.goto((tmp_path / "page.html").as_uri())

        def seen():
            return np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB"))

        def show(part):
            page.get_by_role("slider").fill(str(part))
            return seen()

        page.locator("#choose-left").focus()
        assert holds(show(100), results[0].picture[:, :18])
        assert holds(show(0), results[1].picture[:, 2:])
        half = show(50)
        assert holds(half, results[0].picture[:, :9])
        assert holds(half, results[1].picture[:, 12:])
        page.locator("#choose-right").select_option(label="original")
        assert holds(show(0), results[2].picture[:, 2:])
        page.get_by_role("slider").focus()
        for _ in range(100):
            page.keyboard.press("ArrowRight")
        assert holds(seen(), results[0].picture[:, :18])
        browser.close()
    assert errors == []
