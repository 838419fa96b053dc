import numpy as np
import pytest
from PIL import Image, ImageCms

from npbsrn.images import colour
from npbsrn.images.picture import Tags
from npbsrn.images.reading import from_pillow
from tests.images.files import profile, ramp

SRGB = ImageCms.createProfile("sRGB")


def cmyk_profile():
    """A profile from CMYK to Lab, made of a table: what ink leaves of each colour."""
    # An ICC version 2 output profile with one lut8 of 2**4 points, by the words of ICC.1:2001-04.
    points = np.indices((2, 2, 2, 2)).reshape(4, -1).T
    rgb = np.rint((1 - points[:, :3]) * (1 - points[:, 3:]) * 200).astype(np.uint8)  # paper is not white
    lab = np.asarray(
        ImageCms.applyTransform(
            Image.fromarray(rgb[None]),
            ImageCms.buildTransform(SRGB, ImageCms.createProfile("LAB"), "RGB", "LAB"),
        )
    )[0]
    matrix = b"".join(int(65536 * one).to_bytes(4, "big") for one in np.eye(3).ravel())
    table = b"".join(
        [b"mft1", bytes(4), bytes([4, 3, 2, 0]), matrix,
         bytes(range(256)) * 4, as_icc(lab), bytes(range(256)) * 3]
    )  # fmt: skip
    table += bytes(-len(table) % 4)
    text = b"desc" + bytes(4) + (5).to_bytes(4, "big") + b"test\0" + bytes(78)
    white = b"XYZ " + bytes(4) + b"".join(round(65536 * v).to_bytes(4, "big") for v in (0.9642, 1.0, 0.8249))
    tags, body, at = [], b"", 128 + 4 + 12 * 4
    for name, content in ((b"desc", text), (b"cprt", b"text" + bytes(5)), (b"wtpt", white), (b"A2B0", table)):
        padded = content + bytes(-len(content) % 4)
        tags.append(name + (at + len(body)).to_bytes(4, "big") + len(content).to_bytes(4, "big"))
        body += padded
    header = bytearray(128)
    header[8:12], header[12:16], header[16:20], header[20:24] = b"\2\x10\0\0", b"prtr", b"CMYK", b"Lab "
    header[36:40] = b"acsp"
    header[68:80] = b"".join(round(65536 * v).to_bytes(4, "big") for v in (0.9642, 1.0, 0.8249))
    whole = bytes(header) + (4).to_bytes(4, "big") + b"".join(tags) + body
    return len(whole).to_bytes(4, "big") + whole[4:]


def as_icc(lab):
    """Pillow's Lab has signed a and b; a profile's are offset by 128."""
    return np.stack([lab[:, 0], lab[:, 1] ^ 128, lab[:, 2] ^ 128], axis=1).tobytes()


def test_cmyk_is_converted_by_its_profile():
    """This one's cyan ink leaves 200 of green and blue; without it 255 is taken."""
    cyan = Image.frombytes("CMYK", (2, 1), bytes([255, 0, 0, 0] * 2))
    plain = from_pillow(cyan)
    assert plain.colour.tolist() == [[[0, 255, 255]] * 2]
    cyan.info["icc_profile"] = cmyk_profile()
    picture = from_pillow(cyan)
    assert picture.tags.icc is None
    assert np.abs(picture.colour[0, 0].astype(int) - (0, 200, 200)).max() <= 15  # sRGB has no such cyan


def test_a_damaged_profile_is_said_and_left_out():
    image = Image.frombytes("CMYK", (5, 4), bytes(80))
    image.info["icc_profile"] = profile(b"CMYK")[:140]
    with pytest.warns(UserWarning, match="has a damaged colour profile, which is left out"):
        assert np.all(from_pillow(image).colour == 255)


def test_lab_is_converted(rng):
    rgb = ramp((6, 7, 3), np.uint8)
    lab = ImageCms.applyTransform(
        Image.fromarray(rgb), ImageCms.buildTransform(SRGB, ImageCms.createProfile("LAB"), "RGB", "LAB")
    )
    assert np.abs(from_pillow(lab).colour.astype(int) - rgb).max() <= 12  # 8 bits of Lab are coarse


def test_the_curve_is_that_of_srgb():
    """Back by the standard's other formula; and known pairs."""
    light = np.arange(256) / 255
    ours = colour.from_gamma(light, 100000)
    np.testing.assert_allclose(
        np.where(ours <= 0.04045, ours / 12.92, ((ours + 0.055) / 1.055) ** 2.4), light, atol=1e-6
    )
    assert colour.from_gamma(np.array(0.5), 100000) == pytest.approx(0.735357, abs=1e-6)
    assert colour.from_gamma(np.array(0.5), 45455) == pytest.approx(0.5, abs=5e-3)  # which stands for sRGB's


@pytest.mark.parametrize(
    ("chunks", "plain", "gamma_only"),
    [
        ({}, True, True),
        ({b"gAMA": (45455).to_bytes(4, "big")}, True, True),
        ({b"gAMA": (100000).to_bytes(4, "big")}, False, True),
        ({b"gAMA": bytes(4)}, False, False),
        ({b"gAMA": (100000).to_bytes(4, "big"), b"sRGB": b"\0"}, True, False),
        ({b"cHRM": b"".join(v.to_bytes(4, "big") for v in colour.SRGB_PRIMARIES)}, True, True),
        ({b"cHRM": bytes(32)}, False, False),
        ({b"cICP": bytes([9, 16, 0, 1]), b"sRGB": b"\0"}, False, False),
    ],
)
def test_what_chunks_say(chunks, plain, gamma_only):
    tags = Tags(chunks=tuple(chunks.items()))
    assert (colour.chunks_are_srgb(tags), colour.only_gamma(tags)) == (plain, gamma_only)


def test_profiles_are_told_apart():
    assert colour.fitting(profile(b"GRAY"), True)
    assert colour.fitting(profile(b"GRAY"), False) is None
    assert colour.fitting(profile(b"CMYK"), False) is None
    assert colour.fitting(b"short", False) is None
