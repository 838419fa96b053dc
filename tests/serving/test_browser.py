"""The page in headless Chromium. With NPBSRN_SCREENSHOTS=1, pictures of it are written to docs/images."""

import io
import os
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from npbsrn.cli.parser import main
from tests.serving.browsing import IN_A_BROWSER, PATIENCE, TIMES, card, choose, enlarge, opened, picture, seen
from tests.serving.client import held, serving, until

IMAGES = Path(__file__).parents[2] / "docs" / "images"

pytestmark = IN_A_BROWSER


def colour(page):
    """Make what was before red, and what is after blue, so that one can tell them apart."""
    for part, value in (("before", (255, 0, 0)), ("after", (0, 0, 255))):
        file = io.BytesIO()
        Image.new("RGB", (120, 80), value).save(file, "PNG")
        answer = {"body": file.getvalue(), "content_type": "image/png"}
        page.route(f"**/{part}*", partial(fulfil, answer))


def fulfil(answer, route):
    route.fulfill(**answer)


def share_of_red(page):
    """Which share of the view's width shows the picture before."""
    view = seen(page.locator(".pictures"))[-4]  # below the words
    red, blue = view[:, 0] > 200, view[:, 2] > 200
    assert np.all(np.diff((red & ~blue).astype(int)) <= 0)  # all of it is left
    return np.mean(red & ~blue)


def test_a_photograph_comes_back_enlarged_as_by_the_shell(chromium, tmp_path):
    exif = Image.Exif()
    exif[0x010F] = "A camera"
    content = picture("JPEG", exif=exif, quality=90)
    (tmp_path / "photo.jpg").write_bytes(content)
    assert main(["upscale", str(tmp_path / "photo.jpg"), "-m", "bicubic", "-s", "2", "--quiet"]) == 0
    with serving() as server, opened(chromium, server) as page:
        choose(page, ("photo.jpg", content))
        enlarge(page)
        with page.expect_download() as download:
            page.get_by_role("link", name="Download photo.jpg").click()
        assert download.value.suggested_filename == "photo-x2.jpg"
        assert Path(download.value.path()).read_bytes() == (tmp_path / "photo-x2.jpg").read_bytes()
        assert f"60 {TIMES} 40 pixels → 120 {TIMES} 80 by bicubic" in card(page, "photo.jpg").inner_text()
        assert page.get_by_role("status").inner_text() == "photo.jpg is enlarged to 120 by 80 pixels"
        assert page.get_by_role("button", name="Enlarge").is_disabled()  # until something else is wished
        page.get_by_role("radio", name=f"3{TIMES}").check()
        assert page.get_by_role("button", name="Enlarge").is_enabled()


def test_the_slider_moves_by_keys_and_by_mouse(chromium):
    with serving() as server, opened(chromium, server) as page:
        colour(page)
        choose(page, ("a.png", picture()))
        enlarge(page)
        slider = page.get_by_role("slider")
        slider.wait_for()
        assert share_of_red(page) == pytest.approx(0.5, abs=0.03)
        slider.focus()
        for _ in range(20):
            page.keyboard.press("ArrowRight")
        assert share_of_red(page) == pytest.approx(0.7, abs=0.03)
        page.keyboard.press("Home")
        assert share_of_red(page) == pytest.approx(0, abs=0.03)
        page.keyboard.press("End")
        assert share_of_red(page) == pytest.approx(1, abs=0.03)
        box = page.locator(".pictures").bounding_box()
        x, y, width = box["x"], box["y"] + box["height"] / 2, box["width"]
        page.mouse.move(x + width / 2, y)
        page.mouse.down()
        assert share_of_red(page) == pytest.approx(0.5, abs=0.03)
        page.mouse.move(x + width / 4, y)
        page.mouse.up()
        page.mouse.move(x + width, y)  # which moves nothing any more
        assert share_of_red(page) == pytest.approx(0.25, abs=0.03)
        assert slider.get_attribute("aria-valuetext") == "25 % before"


@pytest.mark.parametrize("pixels", [1, 2])
def test_at_100_percent_a_pixel_is_a_pixel(chromium, pixels):
    with serving() as server, opened(chromium, server, device_scale_factor=pixels) as page:
        colour(page)
        choose(page, ("a.png", picture()))
        enlarge(page, "Other")
        page.get_by_role("slider").wait_for()
        for zoom, factor in (("100 %", 1), ("200 %", 2), ("Fit", 1)):  # it fits as it is
            page.get_by_role("radio", name=zoom).check()
            box = page.locator(".pictures").bounding_box()
            assert (box["width"] * pixels, box["height"] * pixels) == (90 * factor, 60 * factor)


def test_a_large_view_scrolls_below_an_edge_that_stays(chromium):
    with serving() as server, opened(chromium, server) as page:
        page.set_viewport_size({"width": 360, "height": 700})
        colour(page)
        choose(page, ("a.png", picture()))
        page.get_by_role("radio", name="Other").check()
        page.get_by_label("Factor").fill("16")
        page.get_by_role("radio", name="bicubic").check()
        page.locator("#start:enabled").click()
        page.get_by_role("slider").wait_for()
        page.get_by_role("radio", name="100 %").check()
        assert page.locator(".pictures").evaluate("e => [e.offsetWidth, e.offsetHeight]") == [960, 640]
        for left in (0, 300, 10_000):
            page.locator(".scroller").evaluate(f"e => e.scrollLeft = {left}")
            page.wait_for_timeout(50)
            view = seen(page.locator(".scroller"))[-30]
            assert np.mean((view[:, 0] > 200) & (view[:, 2] < 100)) == pytest.approx(0.5, abs=0.03)
        page.locator(".scroller").focus()
        before = page.locator(".scroller").evaluate("e => e.scrollLeft")
        page.keyboard.press("ArrowLeft")
        until(lambda: page.locator(".scroller").evaluate("e => e.scrollLeft") < before)


def test_what_cannot_be_done_is_said_beside_what_can(chromium):
    whole = picture()
    with serving(upload=20_000) as server, opened(chromium, server, refused=4) as page:
        choose(page, ("a.png", whole), ("damaged.png", whole[: len(whole) // 2]), ("words.png", b"words"),
               ("large.png", b"\0" * 20_001))  # fmt: skip
        alerts = page.locator(".error:visible")
        alerts.nth(1).wait_for()
        assert (
            "words.png is not a picture that can be read" in card(page, "words.png").get_by_role("alert").inner_text()
        )
        large = card(page, "large.png").get_by_role("alert").inner_text()
        assert large == "a picture's file may have 0.02 MB; npbsrn serve --max-size takes larger ones"
        enlarge(page)
        page.get_by_role("link", name="Download a.png").wait_for()
        card(page, "damaged.png").get_by_role("alert").wait_for()
        words = card(page, "damaged.png").get_by_role("alert").inner_text()
        assert words == "damaged.png is damaged (it is cut short); get a good copy of it"
        for name in ("words.png", "large.png", "damaged.png"):
            page.get_by_role("button", name=f"Remove {name}").click()
        assert page.get_by_role("listitem").count() == 1
        until(lambda: held(server) == ["1"])


def test_two_pages_at_once(chromium):
    with serving() as server, opened(chromium, server) as other:
        with opened(chromium, server) as page:
            choose(page, ("a.png", picture()))
            choose(other, ("b.png", picture()))
            enlarge(page)
            enlarge(other, 3)
            page.get_by_role("link", name="Download a.png").wait_for()
            other.get_by_role("link", name="Download b.png").wait_for()
            assert page.get_by_role("listitem").count() == other.get_by_role("listitem").count() == 1
            assert len(held(server)) == 2
        until(lambda: len(held(server)) == 1)
        with other.expect_download() as download:
            other.get_by_role("link", name="Download b.png").click()
        assert download.value.suggested_filename == "b-x3.png"


def test_all_can_be_downloaded_at_once(chromium):
    with serving() as server, opened(chromium, server) as page:
        downloads = []
        page.on("download", lambda download: downloads.append(download))
        choose(page, *((f"{letter}.png", picture()) for letter in "abc"))
        assert page.get_by_role("button", name="Download all").count() == 0
        enlarge(page)
        page.get_by_role("button", name="Download all 3").click()
        for _ in range(200):
            if len(downloads) < 3:
                page.wait_for_timeout(50)
        assert [download.suggested_filename for download in downloads] == ["a-x2.png", "b-x2.png", "c-x2.png"]


def test_pictures_can_be_dropped(chromium):
    with serving() as server, opened(chromium, server) as page:
        page.evaluate(
            """bytes => {
                const carried = new DataTransfer();
                carried.items.add(new File([new Uint8Array(bytes)], "dropped.png"));
                for (const kind of ["dragenter", "dragover", "drop"])
                    document.body.dispatchEvent(
                        new DragEvent(kind, { dataTransfer: carried, bubbles: true, cancelable: true }));
            }""",
            [*picture()],
        )
        enlarge(page)
        page.get_by_role("link", name="Download dropped.png").wait_for()
        assert not page.locator("body.dragging").count()


def test_work_can_be_watched_and_cancelled(chromium, slow):
    with serving() as server, opened(chromium, server) as page:
        choose(page, ("a.png", picture()), ("b.png", picture()))
        page.get_by_role("button", name="Enlarge 2 pictures").click()
        card(page, "a.png").get_by_text("47 %").wait_for()  # half is computed, and then there is the writing
        bar = page.get_by_role("progressbar", name="a.png, enlarged")
        assert bar.evaluate("e => e.value") == pytest.approx(0.475)
        assert "waiting its turn" in card(page, "b.png").inner_text()
        page.get_by_role("button", name="Cancel a.png").click()
        card(page, "a.png").get_by_text("cancelled").wait_for()
        assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Remove a.png"
        slow.go.set()
        page.get_by_role("link", name="Download b.png").wait_for()
        assert page.get_by_role("link", name="Download a.png").count() == 0


def test_the_page_says_when_the_server_has_ended(chromium, slow):
    with serving() as server:
        context = chromium.new_context()
        page = context.new_page()
        page.goto(server.address)
        page.get_by_role("radio", name="clean").wait_for()
        choose(page, ("a.png", picture()), ("b.png", picture()))
        page.get_by_role("button", name="Enlarge 2 pictures").click()
        card(page, "a.png").get_by_text("47 %").wait_for()
        threading.Timer(0.5, slow.go.set).start()  # so that neither is done before the server ends
    for name in ("a.png", "b.png"):
        card(page, name).get_by_text("the server does not answer").wait_for(timeout=PATIENCE)
    page.get_by_text("The connection to npbsrn serve is lost.").wait_for(timeout=PATIENCE)
    assert page.get_by_text("the server does not answer").count() == 2
    assert page.get_by_role("link", name="Download").count() == 0
    context.close()


# --- pictures for the docs ---


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_as_the_docs_show_it(chromium, scheme, tmp_path):
    """A photograph of 300x200 pixels by the model `fast`."""
    file = io.BytesIO()
    with Image.open(IMAGES / "coffee.png") as image:
        image.convert("RGB").reduce(2).save(file, "JPEG", quality=95)
    with serving() as server, opened(chromium, server, color_scheme=scheme) as page:
        page.set_default_timeout(120_000)  # kernels may have to be compiled
        page.set_viewport_size({"width": 840, "height": 760})
        choose(page, ("coffee.jpg", file.getvalue()))
        enlarge(page, 4, "fast")
        page.get_by_role("slider").wait_for()
        page.get_by_role("slider").evaluate("e => { e.value = 40; e.oninput() }")
        until(lambda: page.evaluate("[...document.images].every(i => i.hidden || i.complete)"))
        page.wait_for_timeout(300)
        with Image.open(io.BytesIO(page.screenshot(full_page=True))) as image:
            assert image.width == 840
            shown = image.convert("RGB").quantize(128, dither=Image.Dither.NONE)
    target = IMAGES if os.environ.get("NPBSRN_SCREENSHOTS") else tmp_path
    path = target / ("serve.png" if scheme == "light" else "serve-dark.png")
    shown.save(path, optimize=True)
    assert path.stat().st_size < 200_000
