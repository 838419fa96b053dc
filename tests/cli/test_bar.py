"""The progress bar: what it counts, and that what is said meanwhile stands above it."""

import io
import struct
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tqdm import tqdm

from npbsrn.cli.bar import COMPUTED, Bar, Stopped, at_work, named_warnings
from npbsrn.cli.parser import main
from npbsrn.images.writing import write_picture


class Terminal(io.StringIO):
    """An error stream that is a terminal."""

    def isatty(self):
        return True

    def lines(self):
        """What stands on the terminal in the end, a carriage return going back to a line's beginning."""
        shown = []
        for line in self.getvalue().split("\n"):
            cells = []
            for part in line.split("\r"):
                cells[: len(part)] = part
            shown.append("".join(cells).rstrip())
        return shown


@pytest.fixture
def terminal(monkeypatch):
    """Makes the error stream one, and returns it: in the test itself, as pytest sets its own behind fixtures."""
    monkeypatch.setattr("npbsrn.cli.bar.LEAST", 0.0)  # every step is drawn

    def made():
        monkeypatch.setattr(sys, "stderr", Terminal())
        return sys.stderr

    return made


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """One of two megapixels, one of one, and one that cannot be read."""
    monkeypatch.chdir(tmp_path)
    Image.new("1", (2000, 1000)).save("two.png")
    Image.new("1", (1000, 1000)).save("one.png")
    Path("none.png").write_text("no picture")
    return [Path("two.png"), Path("one.png"), Path("none.png")]


def test_it_counts_megapixels_within_a_picture_too(pictures, terminal):
    stream = terminal()
    with Bar(pictures, False) as bar:
        assert bar._bar.total == pytest.approx(3)
        two, one = bar.of(pictures[0]), bar.of(pictures[1])
        two(50, 100)
        assert bar._bar.n == pytest.approx(1 * COMPUTED)
        one(100, 100)
        assert bar._bar.n == pytest.approx(2 * COMPUTED)
        bar.end(pictures[1])
        two(100, 100)
        assert bar._bar.n == pytest.approx(1 + 2 * COMPUTED)
        bar.end(pictures[2])
        bar.end(pictures[0])
        assert bar._bar.n == pytest.approx(3)
    drawn = [part for part in stream.getvalue().split("\r") if "megapixels" in part]
    assert drawn
    assert all("/3.0 megapixels" in part for part in drawn)
    assert not any("megapixels" in line for line in stream.lines())  # it goes when all is done


def test_threads_lose_nothing(pictures, terminal):
    terminal()
    with Bar(pictures, False) as bar:

        def work(path):
            tell = bar.of(path)
            for done in range(200):
                tell(done, 200)
            bar.end(path)

        threads = [threading.Thread(target=work, args=(path,)) for path in pictures]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert bar._bar.n == 3


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=6), st.integers(1, 50))
def test_it_never_goes_beyond_its_end(pixels, steps):
    """By rounding neither, of which tqdm warns."""
    paths = [Path(f"{n}.png") for n in range(len(pixels))]
    sizes = {str(path): size / 1e6 for path, size in zip(paths, pixels, strict=True)}
    with (
        mock.patch.object(sys, "stderr", Terminal()),
        mock.patch("npbsrn.cli.bar.megapixels", lambda path: sizes[str(path)]),
        mock.patch("npbsrn.cli.bar.LEAST", 0.0),
        Bar(paths, False) as bar,
    ):
        for step in range(1, steps + 1):
            for path in paths:
                bar.of(path)(step, steps)
        for path in paths:
            bar.end(path)
            assert bar._bar.n <= bar._bar.total
        assert bar._bar.n == pytest.approx(bar._bar.total)


def test_there_is_none_where_nobody_sees_it(pictures, monkeypatch):
    for stream, hidden in ((io.StringIO(), False), (Terminal(), True), (None, False)):
        monkeypatch.setattr(sys, "stderr", stream)
        with Bar(pictures, hidden) as bar:
            bar.of(pictures[0])(1, 2)
            bar.end(pictures[0])
        assert not stream or not stream.getvalue()


def test_work_ends_when_all_is_to_end(pictures):
    stop = threading.Event()
    with Bar(pictures, True) as bar:
        tell = bar.of(pictures[0], stop)
        tell(1, 2)
        stop.set()
        with pytest.raises(Stopped):
            tell(2, 2)


def test_a_warning_names_its_picture_once_for_each_of_them(capsys):
    shown = []
    with warnings.catch_warnings():
        warnings.resetwarnings()
        warnings.showwarning = lambda message, *_: shown.append(str(message))
        with named_warnings():
            for name in ("a.png", "b.png"):
                with at_work(Path("in") / name):
                    for _ in range(2):
                        warnings.warn("something is odd", stacklevel=1)
                    warnings.warn(f"in/{name} is odd", stacklevel=1)
            warnings.warn("all is odd", stacklevel=1)
    assert shown == [
        *(line for name in ("a.png", "b.png") for line in (f"in/{name}: something is odd", f"in/{name} is odd")),
        "all is odd",
    ]


def test_what_the_user_has_chosen_for_warnings_counts():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with named_warnings(), pytest.raises(UserWarning, match="odd"):
            warnings.warn("odd", stacklevel=1)


def test_warnings_of_lanes_stand_above_the_bar(pictures, terminal, monkeypatch):
    """Each in a line of its own, with nothing of the bar in it."""

    def warn(*words):
        warnings.warn("something is odd", stacklevel=1)
        return write_picture(*words)

    monkeypatch.setattr("npbsrn.inference.jobs.write_picture", warn)
    stream = terminal()
    with warnings.catch_warnings():
        warnings.resetwarnings()  # as they are where nobody has chosen any
        assert main(["two.png", "one.png", "none.png", "-o", "out", "-s", "1.01", "-m", "bicubic", "-j", "2"]) == 1
    assert not tqdm._instances
    assert "megapixels" in stream.getvalue()
    said = [line for line in stream.lines() if line]
    assert sorted(said[:2]) == [f"npbsrn: warning: {name}.png: something is odd" for name in ("one", "two")]
    assert said[2].startswith("npbsrn: none.png is not a picture that can be read")
    assert said[3:] == ["npbsrn: out: 1 of 3 pictures could not be enlarged"]


def test_a_bigtiff_of_the_other_byte_order_is_read_without_a_word(tmp_path, capfd):
    """Of whose directory Pillow would say, twice, that it is corrupt."""
    tifffile = pytest.importorskip("tifffile", reason="tifffile is not installed: pip install .[deep]")
    tifffile.imwrite(tmp_path / "in.tif", np.full((5, 5, 3), 9, np.uint8), bigtiff=True, byteorder=">")
    with warnings.catch_warnings():
        warnings.resetwarnings()
        assert (
            main([str(tmp_path / "in.tif"), "-o", str(tmp_path / "out.png"), "-s", "2", "-m", "bicubic", "--quiet"])
            == 0
        )
    assert capfd.readouterr().err == ""


def test_what_is_wrong_with_a_jpegs_exif_is_said_once(tmp_path, capfd):
    exif = b"Exif\0\0II*\0" + struct.pack("<IHHHIHH", 8, 5, 0x112, 3, 1, 6, 0)  # five entries, of which one is there
    Image.new("RGB", (5, 4)).save(tmp_path / "in.jpg", exif=exif)
    with warnings.catch_warnings():
        warnings.resetwarnings()
        assert main([str(tmp_path / "in.jpg"), "-o", str(tmp_path / "out.png"), "-s", "2", "-m", "bicubic"]) == 0
    assert capfd.readouterr().err.count("Corrupt EXIF data") == 1


def test_no_bar_begins_without_tqdm(tmp_path):
    """`tqdm` is imported where a bar is drawn."""
    Image.new("RGB", (3, 3)).save(tmp_path / "in.png")
    program = (
        "import sys; from npbsrn.cli.parser import main\n"
        "assert main([sys.argv[1], '-m', 'bicubic', '-s', '2']) == 0; assert 'tqdm' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "in.png")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
