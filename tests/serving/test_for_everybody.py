"""The page for those who use keys or a screen reader, in the dark, and in a narrow window; in headless Chromium."""

from contextlib import contextmanager

import pytest

from tests.serving.browsing import IN_A_BROWSER, card, choose, enlarge, opened, picture
from tests.serving.client import serving

pytestmark = IN_A_BROWSER


TEXTS = """() => [...document.querySelectorAll("*")].flatMap(e => [...e.childNodes]
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
        texts = page.evaluate(TEXTS)
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
        content = {"name": "a.png", "mimeType": "", "buffer": picture()}
        page.on("filechooser", lambda chooser: chooser.set_files(content))
        page.wait_for_timeout(200)  # until Chromium asks Playwright, which would otherwise miss what it asks
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
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
