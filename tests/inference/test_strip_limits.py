"""When a picture is cut into strips, what is refused before the work, and what is left behind where that fails."""

import io
import sys
import warnings

import numpy as np
import pytest
from PIL import Image

import npbsrn
from npbsrn.cli.parser import main
from npbsrn.errors import PictureError, TooLargeError
from npbsrn.images import opening
from npbsrn.images.layout import layout_of
from npbsrn.images.picture import Picture
from npbsrn.images.reading import read_picture
from npbsrn.images.writing import encode_picture
from npbsrn.inference.any_scale import runner_for
from npbsrn.inference.jobs import StripsJob, WholeJob, begin
from npbsrn.inference.runners import Reference
from npbsrn.inference.tasks import How, Task
from npbsrn.runtime import buffers
from tests.images.files import ramp
from tests.images.strips.kinds import KINDS

MODULES = "npbsrn.inference.tasks", "npbsrn.inference.strips", "npbsrn.inference.needs", "npbsrn.images.opening"


@pytest.fixture
def memory(monkeypatch):
    """Sets how much memory there is."""
    buffers.clear()  # which earlier tests may have filled, and which would be there for the asking

    def have(size):
        for module in MODULES:
            monkeypatch.setattr(f"{module}.available_bytes", lambda: size)

    return have


def picture(side=400, suffix="png"):
    return encode_picture(Picture(ramp((side, side, 3), np.uint8)), suffix)


def job_of(source, target, **how):
    runner = how.pop("runner", None) or runner_for("bicubic", 4)
    return begin(Task(source, target, How(runner, 1, **how)))


def need_of(job):
    """Memory behind what has been read."""
    if isinstance(job, StripsJob):
        return job.strips.need
    return job.task.how.needed_bytes(layout_of(job.picture))


@pytest.mark.parametrize("suffix", ["png", "tif", "ppm", "jpg"])
def test_a_picture_is_cut_into_strips_where_it_would_not_fit(tmp_path, memory, suffix):
    source, out = picture(suffix=suffix), tmp_path / "out.png"
    whole = job_of(source, out)
    need = 400 * 400 * (3 + 8) + need_of(whole) if suffix != "jpg" else need_of(whole)
    assert isinstance(whole, WholeJob)
    memory(need)
    assert isinstance(job_of(source, out), WholeJob)
    memory(need - 1)
    with pytest.MonkeyPatch.context() as patch:  # what a strip takes beside its rows is more than these pictures take
        patch.setattr("npbsrn.inference.strips.PLANE", 0)
        patch.setattr("npbsrn.inference.strips.PIECE", 0)
        patch.setattr("npbsrn.inference.strips.BAND", 1)
        strips = job_of(source, out)
    assert isinstance(strips, StripsJob)
    assert need_of(strips) < need


def test_strips_are_as_high_as_there_is_memory_for(tmp_path, memory):
    needs = []
    for size in (12 * 10**7, 8 * 10**7, 72 * 10**6):
        memory(size)
        job = job_of(picture(1200), tmp_path / "out.png")
        assert need_of(job) <= size
        needs.append((job.strips.strip, need_of(job)))
    assert needs == sorted(needs, reverse=True)
    assert len({strip for strip, _ in needs}) > 1
    memory(None)
    assert job_of(picture(1200), tmp_path / "out.png", strip=7).strips.strip == 7


@pytest.mark.parametrize("target", ["out.jpg", "out.webp"])
def test_what_would_not_fit_and_cannot_be_cut_is_refused_in_one_sentence(tmp_path, memory, target):
    source = picture()
    memory(need_of(job_of(source, tmp_path / target)) - 1)
    with pytest.raises(
        TooLargeError, match=r"400x400 pixels need 0\.\d\d GB of memory at x4, and .*, or write a file .png"
    ):
        job_of(source, tmp_path / target)
    assert not list(tmp_path.iterdir())


def test_the_sentence_says_what_keeps_it_from_being_cut(tmp_path, memory, tiny_model):
    source, out = picture(), tmp_path / "out.png"
    memory(10**6)
    with pytest.raises(TooLargeError, match="or leave --ensemble out, which needs the whole picture"):
        job_of(source, out, ensemble=True)
    with pytest.raises(TooLargeError, match="or take a model that the packed engine runs"):
        job_of(source, out, runner=Reference(tiny_model))
    with pytest.raises(
        TooLargeError, match=r"at x4 even in strips, and 0\.00 GB are available; take a smaller picture"
    ):
        job_of(source, out)


def test_what_could_not_even_be_decoded_is_refused(memory, monkeypatch):
    monkeypatch.setattr(opening, "SMALL", 100)
    memory(7 * 400 * 400)
    read_picture(picture())
    memory(7 * 400 * 400 - 1)
    with pytest.raises(TooLargeError, match=r"400x400 pixels take 0\.00 GB of memory to be decoded, .* take a smaller"):
        read_picture(picture())


def test_a_tiff_of_more_than_four_gigabytes_is_written_in_strips(tmp_path, monkeypatch):
    source, out = picture(20), tmp_path / "out.tif"
    form = npbsrn.images.formats.TIFF
    monkeypatch.setattr("npbsrn.images.strips.tiff.CLASSIC", 100)
    before = form.most
    object.__setattr__(form, "most", 100)
    try:
        assert npbsrn.upscale_file(source_of(tmp_path, source), out, 4, "bicubic") == (80, 80)
    finally:
        object.__setattr__(form, "most", before)
    assert out.read_bytes()[2] == 43
    np.testing.assert_array_equal(read_picture(out).colour, npbsrn.upscale(ramp((20, 20, 3), np.uint8), 4, "bicubic"))


def source_of(folder, data, name="in.png"):
    (folder / name).write_bytes(data)
    return folder / name


def run(folder, data, name="in.png", target="out.png"):
    """The command, cut into strips; its exit code."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.resetwarnings()  # as they are where nobody has chosen any
        patch.setattr(How, "__init__", cut_into_strips(How.__init__))
        for module in ("png", "ppm", "tiff"):
            patch.setattr(f"npbsrn.images.strips.{module}.PIECE", 200)
        return main([str(source_of(folder, data, name)), "-o", str(folder / target), "-m", "bicubic", "--quiet"])


def cut_into_strips(init):
    def begin(self, *args, **kwargs):
        init(self, *args, **kwargs)
        object.__setattr__(self, "strip", 4)

    return begin


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("in.png", "png: by Pillow: RGB"),
        ("in.ppm", "ppm: by Pillow: RGB"),
        ("in.tif", "tiff: uint8 (23, 11, 3), strips of 3"),
    ],
)
@pytest.mark.parametrize("share", [0.3, 0.5, 0.8, 0.95, 0.999])
def test_a_file_that_is_cut_short_is_refused_and_leaves_nothing(tmp_path, capfd, name, kind, share):
    data = KINDS[kind]()
    assert run(tmp_path, data[: int(len(data) * share)], name) == 2
    said = capfd.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith(f"npbsrn: {tmp_path / name} is damaged (")
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("share", [0, 0.2, 0.4, 0.6, 0.8, 1])
def test_a_png_with_a_wrong_byte_is_refused_and_leaves_nothing(tmp_path, capfd, share):
    data = bytearray(KINDS["png: by Pillow: RGBA"]())
    data[41 + int(share * (len(data) - 12 - 41 - 1))] ^= 0x55  # from the first to the last byte of IDAT and its sum
    assert run(tmp_path, bytes(data)) == 2
    assert capfd.readouterr().err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["in.png"]


@pytest.mark.skipif(sys.platform == "win32", reason="the limit of a file's size is POSIX's")
@pytest.mark.parametrize("target", ["out.png", "out.tif", "out.ppm"])
def test_a_disk_that_fills_up_leaves_nothing(tmp_path, capfd, target):
    import resource

    (tmp_path / "before").mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (80, 80, 3), np.uint8)
    # Compiles all that the second run takes, as what is compiled is kept in files.
    assert run(tmp_path / "before", encode_picture(Picture(noise), "png"), target=target) == 0
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    source = encode_picture(Picture(noise), "png")
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(source) + 1000, before[1]))
    try:
        assert run(tmp_path, source, target=target) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    said = capfd.readouterr().err
    assert f"{target}: File too large; nothing was left behind" in said
    assert said.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"before", "in.png"}


@pytest.mark.parametrize(
    ("target", "dtype", "least"),
    [
        ("out.ppm", np.uint8, 1600 * 1600 * 3), ("out.bmp", np.uint8, 1600 * 1600 * 3),
        ("out.tif", np.uint8, 1600 * 1600 * 3), ("out.png", np.uint8, 1600 * 1600 * 3 // 1032),
        ("out.tif", np.uint16, 1600 * 1600 * 6 // 1032), ("out.jpg", np.uint8, 0),
    ],
)  # fmt: skip
def test_a_result_for_which_the_disk_has_no_room_is_refused_before_the_work(
    tmp_path, monkeypatch, target, dtype, least
):
    class Usage:
        free = least

    monkeypatch.setattr("npbsrn.storage.files.shutil.disk_usage", lambda _: Usage)
    source = encode_picture(Picture(ramp((400, 400, 3), dtype)), "png")
    job_of(source, tmp_path / target)
    Usage.free = least - 1
    if least:
        with pytest.raises(PictureError, match=r"it takes \d+ MB or more, and \d+ MB are free on its disk; make room"):
            job_of(source, tmp_path / target)


def test_pictures_of_a_folder_pass_in_strips(tmp_path, capsys):
    for n in range(3):
        file = io.BytesIO()
        Image.fromarray(ramp((30 + n, 20, 3), np.uint8)).save(file, "PNG")
        source_of(tmp_path, file.getvalue(), f"{n}.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(How, "__init__", cut_into_strips(How.__init__))
        assert main([str(tmp_path), "-o", str(tmp_path.parent / "cut"), "-m", "bicubic", "--quiet"]) == 0
    assert main([str(tmp_path), "-o", str(tmp_path.parent / "whole"), "-m", "bicubic", "--quiet"]) == 0
    for n in range(3):
        cut, whole = (read_picture(tmp_path.parent / folder / f"{n}.png") for folder in ("cut", "whole"))
        np.testing.assert_array_equal(cut.colour, whole.colour)
        assert cut.tags == whole.tags
