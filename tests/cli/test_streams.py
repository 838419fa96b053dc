"""``npbsrn upscale`` from standard input and to standard output."""

import io
import sys
import warnings
from pathlib import Path

import pytest
from PIL import Image

from npbsrn.cli.parser import main


def enlarge(*words):
    return main([*words, "-m", "bicubic"])


def shape(path):
    with Image.open(path) as image:
        return image.format, image.size


class Stream(io.TextIOWrapper):
    """Standard input or output, of bytes."""

    def __init__(self, content=b"", terminal=False):
        super().__init__(io.BytesIO(content))
        self.terminal = terminal

    def isatty(self):
        return self.terminal


@pytest.fixture
def streams(monkeypatch):
    """Stand-ins for standard input and output; a call sets the input, and what was written comes by the second."""
    out = Stream()

    def feed(content=b"", terminal=False):
        out.terminal = terminal
        monkeypatch.setattr(sys, "stdin", Stream(content))
        monkeypatch.setattr(sys, "stdout", out)

    def taken():
        content = out.buffer.getvalue()
        out.buffer.seek(0)
        out.buffer.truncate()
        return content

    return feed, taken


@pytest.mark.parametrize(
    ("words", "kind"),
    [("-", "PNG"), ("- -o -", "PNG"), ("- -f webp", "WEBP"), ("a.png -o -", "PNG"), ("a.png -o - -f jpg", "JPEG")],
)
def test_standard_output_has_nothing_but_the_picture(place, streams, words, kind, capfd):
    feed, taken = streams
    feed(Path("a.png").read_bytes())
    assert enlarge(*words.split()) == 0
    with Image.open(io.BytesIO(taken())) as image:
        assert (image.format, image.size) == (kind, (32, 16))
        image.load()
    assert capfd.readouterr() == ("", "")


def test_standard_input_to_a_file(place, streams):
    feed, _ = streams
    feed(Path("a.png").read_bytes())
    assert enlarge("-", "-o", "b.jpg", "-s", "2") == 0
    assert shape("b.jpg") == ("JPEG", (16, 8))
    feed(Path("a.png").read_bytes())
    assert enlarge("-", "-o", "b.jpg") == 2  # it exists
    assert shape("b.jpg") == ("JPEG", (16, 8))
    feed(Path("a.png").read_bytes())
    assert enlarge("-", "-o", "b.jpg", "--overwrite") == 0
    assert shape("b.jpg") == ("JPEG", (32, 16))


def test_a_file_that_exists_is_left_alone_if_that_is_asked_for(place, streams, capfd):
    feed, taken = streams
    feed(b"no picture")
    Path("b.jpg").write_bytes(b"before")
    assert enlarge("-", "-o", "b.jpg", "--skip-existing") == 0
    sys.stdout.flush()
    assert taken() == b"b.jpg exists already and is left alone\n"
    assert enlarge("-", "-o", "b.jpg", "--skip-existing", "--quiet") == 0
    sys.stdout.flush()
    assert taken() == b""
    assert Path("b.jpg").read_bytes() == b"before"


def test_a_warning_names_the_stream(place, streams, capfd):
    feed, _ = streams
    frames = [Image.new("L", (3, 2), level) for level in (0, 200)]
    frames[0].save("m.gif", save_all=True, append_images=frames[1:])
    feed(Path("m.gif").read_bytes())
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert enlarge("-", "-o", "n.gif") == 0
    assert capfd.readouterr().err.count("GIF holds 256 colours") == 1


def test_an_animation_through_streams(place, streams):
    frames = [Image.new("L", (3, 2), level) for level in (0, 200)]
    frames[0].save("m.webp", save_all=True, append_images=frames[1:], duration=70)
    feed, taken = streams
    feed(Path("m.webp").read_bytes())
    assert enlarge("-", "-s", "2") == 0
    with Image.open(io.BytesIO(taken())) as image:
        assert (image.format, image.n_frames, image.size) == ("WEBP", 2, (6, 4))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "standard input is empty; send a picture to it"),
        (b"no picture at all", "standard input is not a picture that can be read"),
    ],
)
def test_bad_standard_input(place, streams, capsys, content, message):
    feed, taken = streams
    feed(content)
    assert enlarge("-") == 2
    assert message in capsys.readouterr().err
    assert not taken()


def test_a_terminal_gets_no_picture(place, streams, capsys):
    feed, _ = streams
    feed(Path("a.png").read_bytes(), terminal=True)
    assert enlarge("-") == 2
    assert "the picture would go to the terminal; name a file by -o" in capsys.readouterr().err
