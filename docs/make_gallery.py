"""Draw the pictures of docs/gallery.md again: run the commands that stand there above them.

``python docs/make_gallery.py``, from anywhere.
"""

import os
import re
import shlex
from pathlib import Path

from npbsrn.cli.parser import main as npbsrn

DOCS = Path(__file__).resolve().parent
COMMAND = re.compile(r"^npbsrn (compare docs/images/.*)$", re.MULTILINE)


def main() -> None:
    """Run them, from the repository's root."""
    os.chdir(DOCS.parent)
    page = (DOCS / "gallery.md").read_text().replace("\\\n", "")  # lines that go on
    for command in COMMAND.findall(page):
        print(f"npbsrn {command}")
        if npbsrn([*shlex.split(command), "--overwrite"]):
            raise SystemExit("the command has failed")


if __name__ == "__main__":
    main()
