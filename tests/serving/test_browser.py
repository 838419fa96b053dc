"""The page in headless Chromium. With NPBSRN_SCREENSHOTS=1, pictures of it are written to docs/images."""

import io
import os
import shutil
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from npbsrn.cli.parser import main
from tests.images.files import ramp
from tests.serving.client import serving, until

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
IMAGES = Path(__file__).parents[2] / "docs" / "images"
PATIENCE = 20_000  # milliseconds
TIMES = "\N{MULTIPLICATION SIGN}"

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")]


@pytest.fixture(scope="module")
def chromium():
    sync_api = pytest.importorskip("playwright.sync_api", reason="no Playwright")
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"] if os.name == "posix" else [])
        yield browser
        browser.close()


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
        until(lambda: [path.name for path in server.folder.iterdir()] == ["1"])


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
            assert len([*server.folder.iterdir()]) == 2
        until(lambda: len([*server.folder.iterdir()]) == 1)
        with other.expect_download() as download:
            other.get_by_role("link", name="Download b.png").click()
        assert download.value.suggested_filename == "b-x3.png"


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


def test_the_page_says_when_the_server_has_ended(chromium):
    with serving() as server:
        context = chromium.new_context()
        page = context.new_page()
        page.goto(server.address)
        page.get_by_role("radio", name="clean").wait_for()
    page.get_by_text("The connection to npbsrn serve is lost.").wait_for(timeout=PATIENCE)
    context.close()


# --- for everybody ---

NAMES = """() => [...document.querySelectorAll("*")].flatMap(e => [...e.childNodes]
    .filter(n => n.nodeType === 3 && n.data.trim()).map(n => {
        const style = getComputedStyle(e), layers = [];
        for (let at = e; at; at = at.parentElement) layers.push(getComputedStyle(at).backgroundColor);
        return e.checkVisibility({ visibilityProperty: true, opacityProperty: true })
            ? [n.data.trim(), style.color, layers, e.closest(":disabled") !== null] : null;
    }).filter(found => found))"""


def parts(colour):
    """Red, green, blue and alpha of a computed colour."""
    numbers = [float(part) for part in colour[colour.index("(") + 1 : -1].replace(",", " ").split()]
    return [part / 255 for part in numbers[:3]], numbers[3] if len(numbers) > 3 else 1.0


def luminance(colour):
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(colour, layers):
    """WCAG 2's contrast of a text before the first layer behind it that is opaque."""
    behind = next((rgb for rgb, alpha in map(parts, layers) if alpha == 1.0), [1.0, 1.0, 1.0])
    low, high = sorted((luminance(parts(colour)[0]), luminance(behind)))
    return (high + 0.05) / (low + 0.05)


def test_the_contrast_is_that_of_wcag():
    assert contrast("rgb(0, 0, 0)", ["rgba(0, 0, 0, 0)", "rgb(255, 255, 255)"]) == pytest.approx(21)
    assert contrast("rgb(119, 119, 119)", []) == pytest.approx(4.48, abs=0.005)  # as WebAIM's checker has it


@contextmanager
def in_all_states(chromium, server, slow, **options):
    """The page with a result that is looked at, with work, and with an error."""
    with opened(chromium, server, refused=2, **options) as page:
        slow.go.set()
        choose(page, ("done.png", picture()))
        page.locator("#start:enabled").click()
        page.get_by_role("slider").wait_for()
        slow.go.clear()
        choose(page, ("words.png", b"words"), ("working.png", picture()), ("waiting.png", picture()))
        page.locator(".error:visible").wait_for()
        page.get_by_role("button", name="Enlarge 2 pictures").click()
        page.get_by_role("radio", name="Other").check()
        card(page, "working.png").get_by_text("47 %").wait_for()
        yield page


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read(chromium, slow, scheme):
    with serving() as server, in_all_states(chromium, server, slow, color_scheme=scheme) as page:
        page.wait_for_timeout(200)  # for colours that fade
        texts = page.evaluate(NAMES)
        assert {"Enlarge pictures", "done.png", "Before", "waiting its turn"} <= {words for words, *_ in texts}
        faint = [(words, contrast(ink, layers)) for words, ink, layers, off in texts if not off]
        assert not [found for found in faint if found[1] < 4.5]
        paper = luminance(parts(page.evaluate("getComputedStyle(document.body).backgroundColor"))[0])
        assert paper < 0.05 if scheme == "dark" else paper > 0.8


def test_everything_has_a_name(chromium, slow):
    with serving() as server, in_all_states(chromium, server, slow) as page:
        session = page.context.new_cdp_session(page)
        nodes = [node for node in session.send("Accessibility.getFullAXTree")["nodes"] if not node["ignored"]]
        roles = [
            "button",
            "link",
            "radio",
            "slider",
            "spinbutton",
            "progressbar",
            "image",
            "group",
            "region",
            "heading",
        ]
        named = [(node["role"]["value"], node["name"]["value"]) for node in nodes if node["role"]["value"] in roles]
        assert not [role for role, name in named if not name]
        assert {"button", "link", "radio", "slider", "progressbar", "image"} <= {role for role, _ in named}
        assert {
            ("button", "Choose pictures"), ("slider", "done.png: how much is shown as it was before"),
            ("link", "Download done.png"), ("image", "done.png after"), ("spinbutton", "Factor"),
        } <= {*named}  # fmt: skip
        assert page.evaluate("document.documentElement.lang") == "en"


def test_keys_are_enough_and_the_focus_is_seen(chromium):
    with serving() as server, opened(chromium, server) as page:
        page.keyboard.press("Tab")
        with page.expect_file_chooser() as chooser:
            page.keyboard.press("Enter")
        chooser.value.set_files({"name": "a.png", "mimeType": "", "buffer": picture()})
        page.locator("#start:enabled").wait_for()
        focused, marked = [], []

        def tab():
            page.keyboard.press("Tab")
            name, width = page.evaluate(
                """() => {
                    const own = document.activeElement, beside = own.nextElementSibling;
                    const wide = e => e && getComputedStyle(e).outlineStyle !== "none" &&
                        parseFloat(getComputedStyle(e).outlineWidth);
                    const name = own.getAttribute("aria-label") || own.value || own.textContent;
                    return [name, wide(own) || wide(beside) || 0];
                }"""
            )
            focused.append(name)
            marked.append(width)

        tab()
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("ArrowLeft")
        tab()
        for _ in range(4):
            page.keyboard.press("ArrowDown")
        tab()
        page.keyboard.press("Enter")
        page.get_by_role("slider").wait_for()
        for _ in range(6):
            tab()
        assert focused == ["4", "clean", "Enlarge", "Compare a.png", "Download a.png", "Remove a.png", "fit",
                           "a.png: how much is shown as it was before", *focused[8:]]  # fmt: skip
        assert all(width >= 2 for width in marked[:8])


@pytest.mark.parametrize("width", [320, 600])
def test_a_narrow_window_needs_no_scrolling_sideways(chromium, slow, width):
    with serving() as server, in_all_states(chromium, server, slow) as page:
        page.set_viewport_size({"width": width, "height": 700})
        page.wait_for_timeout(100)
        assert page.evaluate("document.scrollingElement.scrollWidth <= innerWidth")


def test_names_are_text(chromium):
    name = "<img src=x onerror=alert(1)>&lt;.png"
    with serving() as server, opened(chromium, server) as page:
        choose(page, (name, picture()))
        enlarge(page)
        page.get_by_role("link", name=f"Download {name}").wait_for()
        assert page.get_by_role("heading", name=name).inner_text() == name
        assert page.locator("img[src=x]").count() == 0


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
