"""What a package index shows of the README."""

import runpy
from pathlib import Path

from tests.docs.test_links import LINK

ROOT = Path(__file__).parents[2]


def for_an_index(text, **options):
    return runpy.run_path(str(ROOT / "setup.py"))["for_an_index"](text, **options)


def test_no_link_leads_to_a_file_that_an_index_has_not():
    text = for_an_index((ROOT / "README.md").read_text())
    targets = [found[2] for found in LINK.finditer(text)]
    assert targets
    assert all(target.startswith("https://") for target in targets)
    assert "[docs/" not in text
    assert "## Two commands" in text
    assert "picture on the left" not in text


def test_words_stay_and_pictures_go():
    text = "![a picture](docs/a.png)\n\nThe picture shows\nthis.\n\n"
    text += "See [the guide](docs/b.md#c), [the paper](https://doi.org/1) and [here](#two)."
    assert for_an_index(text, base="") == "See the guide, [the paper](https://doi.org/1) and [here](#two)."


def test_with_an_address_all_links_lead_there():
    text = "![a picture](docs/a.png) [the guide](docs/b.md#c)"
    assert (
        for_an_index(text, base="https://x/") == "![a picture](https://x/docs/a.png) [the guide](https://x/docs/b.md#c)"
    )
