"""The models that come with the package."""

import io
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import npbsrn
from npbsrn.datasets.pairs import find_pairs, read_pair
from npbsrn.images.flat import flat_pixels
from npbsrn.images.metrics import compare
from npbsrn.images.resize import resize
from npbsrn.inference.choose import choose_runner
from npbsrn.networks.base import make_network
from npbsrn.packed.format import load_packed
from npbsrn.packed.lower import lower
from npbsrn.shipped import MODELS
from npbsrn.training.config import make_config
from tests.packed.models import latent_model, smooth_picture
from tests.packed.plans import assert_same, contents, shape_of

ROOT = Path(npbsrn.__file__).parents[1]
SHIPPED = [(name, scale) for name, model in MODELS.items() for scale in model.scales]
OURS = [(name, scale) for name, scale in SHIPPED if name != "bsrn"]
FLOORS = {  # dB on Set5
    ("clean", 2): 37.4,
    ("clean", 3): 33.5,
    ("clean", 4): 31.25,
    ("fast", 4): 30.95,
    ("photo", 2): 36.8,
    ("photo", 4): 30.8,
    ("bsrn", 2): 37.2,
    ("bsrn", 3): 33.3,
    ("bsrn", 4): 31.0,
}


def packed_file(name, scale):
    return ROOT / "npbsrn" / "weights" / f"{name}-x{scale}-packed.npz"


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_papers_size_ships_with_its_card(scale):
    model = latent_model("bsrn", scale)
    assert model.network.chain == make_network(make_config(scale, "best-bsrn").network).chain
    assert (model.network.config["blocks"], model.network.config["width"]) == (20, 48)
    assert {"data", "steps", "minutes", "seed", "validation_psnr"} <= model.card.keys()


@pytest.mark.parametrize(("name", "scale"), OURS)
def test_every_model_ships_with_its_card(name, scale):
    card = load_packed(packed_file(name, scale)).card
    assert card["name"] == name
    assert {"data", "pictures", "steps", "minutes", "seed", "trained", "validation_psnr", "rounded"} <= card.keys()


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_packed_weights_are_small_and_say_the_same(scale):
    path = packed_file("bsrn", scale)
    assert path.stat().st_size <= (600_000 if scale == 4 else 620_000)
    packed, lowered = load_packed(path), lower(latent_model("bsrn", scale))
    assert shape_of(packed) == shape_of(lowered)
    for ours, theirs in zip(contents(packed), contents(lowered), strict=True):
        assert (ours is None) == (theirs is None)
        if ours is not None:
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("name", "scale"), OURS)
def test_latent_weights_of_the_repository_are_those_that_were_packed(name, scale):
    path = ROOT / "training" / f"{name}-x{scale}" / "weights.npz"
    assert path.stat().st_size < 4_000_000
    assert packed_file(name, scale).stat().st_size < 900_000
    assert_same(lower(npbsrn.load(path)), load_packed(packed_file(name, scale)))


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 9)])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_upscale_uses_them_by_default(scale, size):
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    enlarged = npbsrn.upscale(picture, scale)
    assert enlarged.shape == (size[0] * scale, size[1] * scale, 3)
    by_float = npbsrn.upscale(picture, scale, engine="reference").astype(int)
    # another CPU may round the filters' scales in another way than the one that packed them
    assert np.mean(np.abs(enlarged - by_float)) < 0.5


@cache
def bicubic_on(folder, scale):
    return npbsrn.evaluate("bicubic", folder, scale)


@pytest.mark.parametrize("folder", ["Set5", pytest.param("Set14", marks=pytest.mark.slow)])  # of many more pixels
@pytest.mark.parametrize(("name", "scale"), SHIPPED)
def test_every_picture_is_above_bicubic(data, folder, name, scale):
    ours, bicubic = npbsrn.evaluate(name, data / folder, scale), bicubic_on(data / folder, scale)
    for a, b in zip(ours.scores, bicubic.scores, strict=True):
        assert a.psnr > b.psnr, a.name
    if folder == "Set5":
        assert ours.mean.psnr >= FLOORS[name, scale]


def as_jpeg(picture, quality=75):
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file).convert("RGB"))


@pytest.mark.parametrize("scale", MODELS["photo"].scales)
def test_photo_is_better_than_clean_on_jpeg(data, scale):
    pairs = [read_pair(pair, scale) for pair in find_pairs(data / "Set5", scale)]
    scores = {}
    for name in ("clean", "photo"):
        runner = choose_runner(name, scale)
        scores[name] = np.mean([compare(runner.run(as_jpeg(lr)), hr, scale)[0] for lr, hr in pairs])
    assert scores["photo"] > scores["clean"] + 0.5


LEVELS = (0, 1, 64, 128, 200, 254, 255)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize(("name", "scale"), OURS)
def test_flat_pictures_stay_flat(name, scale, dtype):
    """Of any colour, along the border too: every sample as it was."""
    runner, unit = choose_runner(name, scale), {np.uint8: 1, np.uint16: 257, np.float32: 1 / 255}[dtype]
    for colour in [(n, n, n) for n in LEVELS] + list(product((0, 128, 255), repeat=3)):
        picture = np.empty((9, 12, 3), dtype)
        picture[...] = np.array(colour) * unit
        expected = np.broadcast_to(picture[0, 0], (9 * scale, 12 * scale, 3))
        np.testing.assert_array_equal(runner.run(picture), expected)


@pytest.mark.parametrize(("name", "scale"), OURS)
def test_flat_parts_stay_flat_in_engine_and_reference(rng, name, scale):
    picture = smooth_picture(rng, 24, 40)
    picture[:12, :20], picture[15:, 25:] = (255, 0, 7), 128
    flat = flat_pixels(picture)
    assert flat.any()
    inside = flat.repeat(scale, 0).repeat(scale, 1)
    engine = choose_runner(name, scale)
    whole = engine.run(picture)
    for result in (whole, choose_runner(name, scale, "reference").run(picture)):
        np.testing.assert_array_equal(result[inside], picture.repeat(scale, 0).repeat(scale, 1)[inside])
    for threads, tile in ((1, 16), (2, 16), (3, None)):
        assert engine.run(picture, threads, tile).tobytes() == whole.tobytes()


@pytest.mark.parametrize(("name", "scale"), OURS)
def test_the_mean_colour_is_kept(name, scale):
    """Within half a level, of the sample photograph and of parts of it."""
    coffee = resize(np.asarray(Image.open(ROOT / "docs/images/coffee.png").convert("RGB")), 1 / scale)
    half, third = len(coffee) // 2, len(coffee[0]) // 3
    for picture in (coffee, coffee[:half, :third], coffee[half:, -third:]):
        enlarged = npbsrn.upscale(picture.astype(np.float32) / np.float32(255), scale, name)
        means = (np.mean(own, axis=(0, 1), dtype=np.float64) for own in (enlarged * 255, picture))
        assert np.max(np.abs(np.subtract(*means))) < 0.5
