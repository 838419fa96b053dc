import weakref
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from npbsrn.errors import ExistsError, PictureError
from npbsrn.images import png
from npbsrn.images.animation import check_frames, write_frames
from npbsrn.images.fitting import fitted
from npbsrn.images.frames import Frame, read_frames
from npbsrn.images.muxing import Clock
from npbsrn.images.palette import to_palette
from npbsrn.images.picture import Picture, Tags
from npbsrn.images.reading import read_picture
from npbsrn.images.saving import Saving, provenance
from npbsrn.images.writing import encode_picture
from tests.images.files import profile, ramp

MOVING = [".gif", ".webp", ".png", ".apng"]
STILL = ramp((5, 7, 3), np.uint8)


def few_colours(rng, alpha, shape=(12, 15)):
    """A picture of so few colours that a GIF holds all, and of alpha that it holds."""
    palette = rng.integers(0, 256, (20, 3)).astype(np.uint8)
    colour = palette[rng.integers(0, 20, shape)]
    clear = rng.integers(0, 2, shape).astype(np.uint8) * 255
    return Picture(colour, clear if alpha else None, Tags(lossless=True))


def visible(picture):
    alpha = np.full(picture.colour.shape[:2], 255, np.uint8) if picture.alpha is None else picture.alpha
    return np.dstack([np.where(alpha[:, :, None] == 0, 0, picture.colour), alpha])


@pytest.mark.parametrize("suffix", MOVING)
@pytest.mark.parametrize("alpha", [(False,) * 3, (True,) * 3, (False, True, False, True), (True, False, False)])
@pytest.mark.parametrize("loop", [0, 1, 5])
def test_an_animation_comes_back(tmp_path, rng, suffix, alpha, loop):
    """Also where frames become clear that were not, and the other way round."""
    frames = [Frame(few_colours(rng, clear), 40.0 + 10 * n) for n, clear in enumerate(alpha)]
    path = tmp_path / f"a{suffix}"
    write_frames(iter(frames), path, loop=loop)
    again = read_frames(path)
    assert (len(again), again.moving, again.loop) == (len(frames), True, loop)
    for frame, expected in zip(again, frames, strict=True):
        np.testing.assert_array_equal(visible(frame.picture), visible(expected.picture))
        assert frame.duration == pytest.approx(expected.duration)
    with Image.open(path) as image:
        assert image.n_frames == len(frames)


@pytest.mark.parametrize("suffix", MOVING)
def test_what_stays_as_it_is_takes_little_place(tmp_path, rng, suffix):
    picture = few_colours(rng, False, (100, 100))
    moved = picture.colour.copy()
    moved[41:45, 31:37] = 255
    write_frames([Frame(picture, 100)], tmp_path / f"one{suffix}")
    write_frames(
        [Frame(Picture(c, None, picture.tags), 100) for c in (picture.colour, moved, moved)], tmp_path / f"a{suffix}"
    )
    assert (tmp_path / f"a{suffix}").stat().st_size < 1.5 * (tmp_path / f"one{suffix}").stat().st_size
    np.testing.assert_array_equal(list(read_frames(tmp_path / f"a{suffix}"))[2].picture.colour, moved)


@pytest.mark.parametrize("suffix", [*MOVING, ".tif"])
def test_frames_are_written_one_by_one_and_let_go(tmp_path, rng, suffix):
    sizes, pictures = [], []

    def frames():
        for n in range(5):
            colour = rng.integers(0, 256, (64, 64, 3), np.uint8)
            pictures.append(weakref.ref(colour))
            yield Frame(Picture(colour), 100)
            del colour
            sizes.append(sum(path.stat().st_size for path in tmp_path.iterdir()))
            assert n < 2 or pictures[n - 2]() is None

    write_frames(frames(), tmp_path / f"a{suffix}")
    assert len(sizes) == 5
    assert sizes[0] < sizes[2] < sizes[4]  # a GIF's frame waits for the next


@pytest.mark.parametrize("disposal", [0, 1, 2, 3])
def test_frames_of_a_gif_are_whole_however_it_disposes_of_them(tmp_path, disposal):
    """Frames that cover a part: Pillow's own reading of the composed pictures is what is to come out."""
    pictures = []
    for n in range(4):
        image = Image.new("RGBA", (20, 16), (0, 0, 0, 0))
        image.paste((60 * n, 200, 255 - 60 * n, 255), (n, n, n + 9, n + 6))
        pictures.append(image)
    pictures[0].save(tmp_path / "a.gif", save_all=True, append_images=pictures[1:], disposal=disposal, duration=100)
    frames = list(read_frames(tmp_path / "a.gif"))
    with Image.open(tmp_path / "a.gif") as image:
        for n, frame in enumerate(frames):
            image.seek(n)
            theirs = np.asarray(image.convert("RGBA"))
            np.testing.assert_array_equal(visible(frame.picture), np.where(theirs[:, :, 3:] == 0, 0, theirs))
    assert len(frames) == 4


def test_a_picture_for_programs_without_animation_is_no_frame(tmp_path, rng):
    pictures = [Image.fromarray(few_colours(rng, False).colour) for _ in range(3)]
    pictures[0].save(tmp_path / "a.png", save_all=True, append_images=pictures[1:], default_image=True, duration=100)
    frames = read_frames(tmp_path / "a.png")
    assert len(frames) == 2
    for frame, expected in zip(frames, pictures[1:], strict=True):
        np.testing.assert_array_equal(frame.picture.colour, np.asarray(expected))


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_an_animation_keeps_what_its_file_says(tmp_path, rng, suffix):
    tags = Tags(icc=profile(b"RGB "), xmp=b"<x/>", lossless=True)
    frames = [Frame(Picture(few_colours(rng, False).colour, None, tags), 100) for _ in range(2)]
    write_frames(frames, tmp_path / f"a{suffix}", saving=Saving(provenance=provenance("1.2", "clean", 4)))
    again = next(iter(read_frames(tmp_path / f"a{suffix}"))).picture.tags
    assert (again.icc, again.xmp) == (tags.icc, tags.xmp)
    assert b"npbsrn 1.2" in (tmp_path / f"a{suffix}").read_bytes()
    write_frames(frames, tmp_path / f"a{suffix}", saving=Saving(strip=True, provenance=provenance("1.2", "clean", 4)))
    assert next(iter(read_frames(tmp_path / f"a{suffix}"))).picture.tags.xmp is None
    assert b"npbsrn 1.2" not in (tmp_path / f"a{suffix}").read_bytes()


def test_a_lossless_animation_stays_so(tmp_path, rng):
    noise = [Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8)) for _ in range(2)]
    for lossless in (True, False):
        noise[0].save(tmp_path / "in.webp", save_all=True, append_images=noise[1:], lossless=lossless, duration=100)
        frames = list(read_frames(tmp_path / "in.webp"))
        write_frames(frames, tmp_path / "out.webp")
        same = [
            np.array_equal(a.picture.colour, b.picture.colour)
            for a, b in zip(read_frames(tmp_path / "out.webp"), frames, strict=True)
        ]
        assert same == [lossless] * 2


def test_a_png_is_scanned_once(tmp_path, monkeypatch):
    scanned, scan = [], png.scan
    monkeypatch.setattr(png, "scan", lambda data: scanned.append(len(data)) or scan(data))
    still, moving = tmp_path / "still.png", tmp_path / "moving.png"
    Image.fromarray(STILL).save(still)
    frames = [Image.fromarray(STILL // n) for n in (1, 2, 3)]
    frames[0].save(moving, save_all=True, append_images=frames[1:])
    for path, count in ((still, 1), (moving, 3)):
        scanned.clear()
        assert len([*read_frames(path)]) == count
        assert scanned == [path.stat().st_size]


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".qoi"])
def test_an_ordinary_file_is_one_frame(tmp_path, suffix):
    Image.fromarray(STILL).save(tmp_path / f"a{suffix}")
    frames = read_frames(tmp_path / f"a{suffix}")
    assert (len(frames), frames.moving) == (1, False)
    np.testing.assert_array_equal(next(iter(frames)).picture.colour, read_picture(tmp_path / f"a{suffix}").colour)


@pytest.mark.parametrize("suffix", [".jpg", ".bmp", ".tif"])
def test_formats_without_animation_refuse(tmp_path, suffix):
    with pytest.raises(PictureError, match=r"holds no animation; write a \.png, \.webp or \.gif, or take the first"):
        check_frames(True, tmp_path / f"a{suffix}")
    check_frames(True, tmp_path / "a.gif")


def test_formats_without_pages_refuse(tmp_path):
    with pytest.raises(PictureError, match=r"PNG holds no pages; write a \.tif"):
        check_frames(False, tmp_path / "a.png")
    check_frames(False, tmp_path / "a.tif")


def test_nothing_is_left_of_an_animation_that_fails(tmp_path, rng):
    def frames():
        yield Frame(few_colours(rng, False), 100)
        raise PictureError("the second one is bad")

    for suffix in (*MOVING, ".tif"):
        with pytest.raises(PictureError, match="the second one is bad"):
            write_frames(frames(), tmp_path / f"a{suffix}")
    with pytest.raises(PictureError, match="must be of one size"):
        write_frames([Frame(Picture(STILL)), Frame(Picture(STILL[:4]))], tmp_path / "a.webp")
    with pytest.raises(PictureError, match="needs a frame"):
        write_frames([], tmp_path / "a.webp")
    assert not list(tmp_path.iterdir())
    (tmp_path / "a.gif").write_text("mine")
    with pytest.raises(ExistsError):
        write_frames([Frame(Picture(STILL))], tmp_path / "a.gif", overwrite=False)
    assert (tmp_path / "a.gif").read_text() == "mine"


@given(st.lists(st.floats(0, 1000), max_size=30), st.sampled_from([1, 10]))
def test_durations_add_up(durations, unit):
    clock = Clock(unit)
    given_out = [clock.next(duration) for duration in durations]
    assert all(value >= 0 for value in given_out)
    assert abs(sum(given_out) * unit - sum(durations)) <= unit / 2 + 1e-6


@pytest.mark.parametrize("colours", [1, 2, 200, 255])
def test_a_palette_of_all_colours_is_exact(rng, colours):
    picture = np.unique(rng.integers(0, 256, (colours, 3)), axis=0).astype(np.uint8)[None].repeat(3, 0)
    clear = np.zeros(picture.shape[:2], bool)
    clear[1] = True
    image, place = to_palette(picture, clear)
    shown = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(shown[~clear], picture[~clear])
    assert np.all(np.asarray(image)[clear] == place)


def test_a_still_gif_is_near_and_it_is_said():
    picture = Picture(ramp((64, 64, 3), np.uint8))
    with pytest.warns(UserWarning, match=r"GIF holds 256 colours; write a \.png or \.webp to keep all"):
        fitted(picture, None, 1, Saving(format="gif"))
    again = read_picture(encode_picture(picture, "gif"))
    blurred = [
        np.asarray(Image.fromarray(c).resize((16, 16), Image.Resampling.BOX), float)
        for c in (again.colour, picture.colour)
    ]
    assert np.abs(blurred[0] - blurred[1]).max() < 12  # dithered, a mean of 16 pixels is right


def test_a_damaged_animation_is_refused_in_a_sentence(tmp_path, rng):
    write_frames([Frame(few_colours(rng, False), 100) for _ in range(3)], tmp_path / "a.webp")
    whole = (tmp_path / "a.webp").read_bytes()
    for length in range(0, len(whole), 20):
        with suppress(PictureError):  # and nothing else
            assert len(list(read_frames(whole[:length]))) <= 3
