"""The page's own files: no script, style, font or picture comes from elsewhere."""

from importlib.resources import files
from pathlib import Path

KINDS = {
    ".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}  # fmt: skip


def page_files() -> list[str]:
    """The names of the page's files."""
    folder = files("npbsrn.serving").joinpath("page")
    return sorted(file.name for file in folder.iterdir() if Path(file.name).suffix in KINDS)


def page_file(name: str) -> tuple[bytes, str]:
    """The content of one of the page's files, and its media type."""
    return files("npbsrn.serving").joinpath("page", name).read_bytes(), KINDS[Path(name).suffix]
