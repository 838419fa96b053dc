"""The README as a package index shows it; all else is in pyproject.toml."""

import re
from pathlib import Path

# Where the repository's files can be seen, such as "https://HOST/OWNER/npbsrn/blob/main/": the index has none but
# the README. While it is empty, links to them become plain words, and pictures are left out with what is said of them.
BASE = ""


def for_an_index(text: str, base: str = BASE) -> str:
    """Markdown whose links all lead somewhere from any page: absolute ones stay, those to files get `base`.

    Parameters
    ----------
    text : str
    base : str
        Begins what relative links become; if empty, they become their words.
    """
    relative = r"\[([^\]]*)\]\((?!https?:|#)([^)\s]+)\)"
    if base:
        return re.sub(relative, lambda found: f"[{found[1]}]({base}{found[2]})", text)
    text = re.sub(rf"!{relative}\n\n.*?(\n\n|$)", "", text, flags=re.DOTALL)
    return re.sub(relative, lambda found: found[1], text)


if __name__ == "__main__":
    from setuptools import setup  # which is there to build, not to test

    setup(
        long_description=for_an_index((Path(__file__).parent / "README.md").read_text(encoding="utf-8")),
        long_description_content_type="text/markdown",
    )
