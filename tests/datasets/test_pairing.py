"""What lies around in the field: each layout is paired, or refused with one sentence."""

import numpy as np
import pytest
from PIL import Image

import npbsrn
from npbsrn.datasets.pairs import find_pairs
from npbsrn.errors import DataError
from npbsrn.images.resize import resize

# Files, "name:scale" where they are made small, and at x4 the HR file and its partner.
PAIRED = [
    ("GTmod12/a.png LRbicx2/a.png:2 LRbicx3/a.png:3 LRbicx4/a.png:4 original/a.png", "GTmod12/a.png LRbicx4/a.png"),
    ("GTmod2/a.png GTmod4/a.png LRbicx2/a.png:2 LRbicx4/a.png:4", "GTmod4/a.png LRbicx4/a.png"),
    ("gt/a.png lq/a.png:4", "gt/a.png lq/a.png"),
    ("GT/a.png Lq/a.png:4", "GT/a.png Lq/a.png"),
    ("HR/a.png LR/a.png:4", "HR/a.png LR/a.png"),
    ("HR/a.png LR_bicubic/X4/ax4.png:4 LR_bicubic/X2/ax2.png:2", "HR/a.png LR_bicubic/X4/ax4.png"),
    ("original/a.png LR_bicubic/X4/a.png:4", "original/a.png LR_bicubic/X4/a.png"),
    ("hr/a.png lr_x4/ax4.png:4", "hr/a.png lr_x4/ax4.png"),
    ("HR/a.png x4/a.png:4 x2/a.png:2", "HR/a.png x4/a.png"),
    ("HR/a.png LRBI/a.png:4 LRBD/a.png:4", "HR/a.png LRBI/a.png"),
    ("HR/a.png LR/a.png:4 LRx4/a.png:4", "HR/a.png LRx4/a.png"),
    ("val_HR/a.png val_LR/a.png:4 train_HR/b.png train_LR/b.png:4", "val_HR/a.png val_LR/a.png"),
    ("test_HR/a.png test_LR/a.png:4 train_HR/b.png", "test_HR/a.png test_LR/a.png"),
    ("Set5_HR/a.png Set5_LR_x4/a.png:4 Set5_LR_x2/a.png:2", "Set5_HR/a.png Set5_LR_x4/a.png"),
    ("D_HR_sub/1_s1.png D_LR_bicubic/X4_sub/1_s1.png:4", "D_HR_sub/1_s1.png D_LR_bicubic/X4_sub/1_s1.png"),
    ("X4/GT/a.png X4/LR/a.png:4 X2/GT/a.png X2/LR/a.png:2", "X4/GT/a.png X4/LR/a.png"),
    ("HR/S/x4/a_HR_x4.png LR/LRBI/S/x4/a_LRBI_x4.png:4", "HR/S/x4/a_HR_x4.png LR/LRBI/S/x4/a_LRBI_x4.png"),
    ("HR/x4/a_HR_x4.png HR/x2/a_HR_x2.png LR/x4/a_LRBI_x4.png:4", "HR/x4/a_HR_x4.png LR/x4/a_LRBI_x4.png"),
    ("LRbicx4/inputs/a.png:4 LRbicx4/target/a.png", "LRbicx4/target/a.png LRbicx4/inputs/a.png"),
    ("high/a.png low/a.png:4", "high/a.png low/a.png"),
    ("target/a.png input/a.png:4", "target/a.png input/a.png"),
    ("original/a.png x4/a.png:4", "original/a.png x4/a.png"),
    ("HighRes/a.png low-res/a.png:4", "HighRes/a.png low-res/a.png"),
    ("S/a_SRF_4_HR.png S/a_SRF_4_LR.png:4 S/a_SRF_2_HR.png S/a_SRF_2_LR.png:2", "S/a_SRF_4_HR.png S/a_SRF_4_LR.png"),
    ("SRF_4/a_SRF_4_HR.png SRF_4/a_SRF_4_LR.png:4 SRF_2/a_SRF_2_HR.png", "SRF_4/a_SRF_4_HR.png SRF_4/a_SRF_4_LR.png"),
    ("a_HR.png a_LR.png:4", "a_HR.png a_LR.png"),
    ("a.png a_x4.png:4", "a.png a_x4.png"),
    ("0001.png 0001x4.png:4", "0001.png 0001x4.png"),
    ("a.png LR/a.png:4", "a.png LR/a.png"),
    ("a.png x4/a.png:4", "a.png x4/a.png"),
    ("HR/A.png LR/a.png:4", "HR/A.png LR/a.png"),
    ("HR/a.bmp LR/a.png:4", "HR/a.bmp LR/a.png"),
    ("HR/fox2.png LR/fox2x4.png:4", "HR/fox2.png LR/fox2x4.png"),
    ("data/Set5/HR/a.png data/Set5/LR/a.png:4", "data/Set5/HR/a.png data/Set5/LR/a.png"),
    # LR is made:
    ("GTmod12/a.png LRbicx2/a.png:2 original/a.png", "GTmod12/a.png"),
    ("HR/a.png LR_bicubic/X2/a.png:2", "HR/a.png"),
    ("GT/a.png", "GT/a.png"),
    ("low/a.png", "low/a.png"),
    ("lakes/a.png", "lakes/a.png"),
    ("original/a.png", "original/a.png"),
    ("a.png .ipynb_checkpoints/b.png .Trash/c/d.png .e.png", "a.png"),
    ("a.png run/pictures/b.png run/checkpoint-previous.npz", "a.png"),
    ("a.png x/run/pictures/b.png x/run/curves.png x/run/config.json x/run/metrics.csv", "a.png"),
]

REFUSED = [
    ("Set5/LR/a.png:4 Set14/b.png", "a.png is a low-resolution picture by its name or folder, but there are no high"),
    ("LRbicx4/a.png:4", "there are no high-resolution ones to it; name the folder of the high-resolution ones"),
    ("a_LRBI_x4.png:4", "there are no high-resolution ones to it"),
    ("0001x4.png:4 0002x4.png:4", "all names in .* end in x4, as those of low-resolution pictures do; name the folder"),
    ("SRF/a_SRF_2_HR.png SRF/a_SRF_2_LR.png:2", "holds pairs, but none for x4"),
    ("pictures/a.png others/a.png:4", "others holds the pictures of .*pictures made small; name .*pictures alone"),
    ("HR/a.png GT/a.png LR/a.png:4", "GT and .*HR hold pictures of one data set; name one of them, or rename it"),
    ("HR/a.png LR/a.png:4 LR/ax4.png:4", "HR/a.png has two partners, .*LR/a.png and .*LR/ax4.png; remove or rename"),
    ("HR/a.png HR/a.bmp LR/a.png:4", "LR/a.png is the partner of both a.bmp and a.png in .*HR; remove or rename one"),
    ("HR/a.png HR/b.png LR/a.png:4", "1 of 2 pictures in .*HR have no partner in .*LR, b.png for one; add the"),
    ("HR/a/1.png HR/b/1.png LR/a/1.png:4", "HR/b has no partners of its scale, but other pictures there have, such as"),
    ("train_HR/a.png train_LR/a.png:4", "holds another half of its data, but no valid half; name .*train_HR to take"),
    (
        "Set5_HR/a.png LR_bicubic/X4/a.png:4",
        "a.png is a low-resolution picture by its name or folder, but there are no",
    ),
]

# Files, the folder that is named, and what it holds at x4.
NAMED = [
    ("GTmod12/a.png LRbicx4/a.png:4", "GTmod12", "GTmod12/a.png"),
    ("original/a.png LRbicx4/a.png:4", "original", "original/a.png"),
    (
        "D_train_HR/1.png D_train_LR_bicubic/X4/1x4.png:4",
        "D_train_HR",
        "D_train_HR/1.png D_train_LR_bicubic/X4/1x4.png",
    ),
    ("LRbicx4/inputs/a.png:4 LRbicx4/target/a.png", "LRbicx4/target", "LRbicx4/target/a.png"),
    ("x4/a.png y/b.png", "x4", "x4/a.png"),
    ("LR/photos/a.png", "LR/photos", "LR/photos/a.png"),  # LR may mean other things further up
    ("run/pictures/a.png run/checkpoint.npz", "run/pictures", "run/pictures/a.png"),
    (".hidden/a.png .hidden/b/.c/d.png", ".hidden", ".hidden/a.png"),
    ("GTmod12/a.png LRbicx4/a.png:4", "LRbicx4", None),
    ("HR/a.png LR/S/a.png:4", "LR", None),
    ("HR/S/a.png LR/S/a.png:4", "LR/S", None),
    ("LR_bicubic/X4/a.png:4", "LR_bicubic/X4", None),
    ("HR/a.png x4/a.png:4", "x4", None),
    ("target/a.png input/a.png:4", "input", None),
]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "S"


def put(folder, files):
    """Write files; pictures are of 48x24 pixels, made smaller by their scale."""
    for word in files.split():
        name, _, scale = word.partition(":")
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        if path.suffix in (".png", ".bmp"):
            Image.new("L", (48 // int(scale or 1), 24 // int(scale or 1))).save(path)


def found(folder, given="", split="valid"):
    def place(path):
        return path.relative_to(folder).as_posix()

    pairs = find_pairs(folder / given, 4, split)
    return [" ".join(place(path) for path in (pair.hr, pair.lr) if path) for pair in pairs]


@pytest.mark.parametrize(("files", "expected"), PAIRED)
def test_layouts(folder, files, expected):
    put(folder, files)
    assert found(folder) == [expected]


@pytest.mark.parametrize(("files", "message"), REFUSED)
def test_what_may_be_wrong_is_refused(folder, files, message):
    put(folder, files)
    with pytest.raises(DataError, match=message):
        find_pairs(folder, 4, "valid")


@pytest.mark.parametrize(("files", "given", "expected"), NAMED)
def test_a_folder_that_is_named_itself(folder, files, given, expected, monkeypatch):
    put(folder, files)
    if expected is None:
        with pytest.raises(DataError, match=r"holds low-resolution pictures by its name; name the folder of the high"):
            find_pairs(folder / given, 4)
        return
    assert found(folder, given) == [expected]
    monkeypatch.chdir(folder / given)
    (pair,) = find_pairs(".", 4)
    assert [path.name for path in (pair.hr, pair.lr) if path] == [word.split("/")[-1] for word in expected.split()]


def test_a_low_folder_cannot_be_named_from_within(folder, monkeypatch):
    put(folder, "HR/a.png LR/a.png:4")
    monkeypatch.chdir(folder / "LR")
    with pytest.raises(DataError, match="holds low-resolution pictures by its name"):
        find_pairs(".", 4)


def test_several_data_sets_at_once(folder):
    put(folder, "Set5/GTmod12/a.png Set5/LRbicx4/a.png:4 Set14/HR/a.png Set14/LR/a.png:4 more/HR/a.png photos/b.png")
    assert found(folder) == [
        "Set14/HR/a.png Set14/LR/a.png",
        "Set5/GTmod12/a.png Set5/LRbicx4/a.png",
        "more/HR/a.png",
        "photos/b.png",
    ]
    assert [pair.name for pair in find_pairs(folder / "Set5", 4)] == ["a.png"]


def test_names_that_differ_only_by_case_have_partners_of_their_own(folder):
    put(folder, "HR/a.png LR/a.png:4")
    if (folder / "HR/A.png").exists():
        pytest.skip("the file system does not tell cases apart")
    put(folder, "HR/A.png LR/A.png:4")
    assert found(folder) == ["HR/A.png LR/A.png", "HR/a.png LR/a.png"]


def test_an_enlarged_picture_is_no_partner(folder):
    """Enlargers call their results a_x4; a fox is no fo."""
    put(folder, "a.png:2 a_x4.png b.png fo.png fox4.png")
    assert found(folder) == ["a.png", "a_x4.png", "b.png", "fo.png", "fox4.png"]


def test_strangers_are_left_out_with_a_warning(folder):
    put(folder, "HR/a.png LR/a.png:4 results/edsr/a.png b.png")
    with pytest.warns(UserWarning, match=r"2 pictures beside high-resolution ones in .*S are left out, b\.png for one"):
        assert found(folder) == ["HR/a.png LR/a.png"]


def test_links_to_folders_are_followed_once(folder, tmp_path):
    put(tmp_path / "far", "HR/a.png LR/a.png:4")
    folder.mkdir()
    for part in ("HR", "LR"):
        (folder / part).symlink_to(tmp_path / "far" / part)
    (tmp_path / "far/HR/loop").symlink_to(folder)
    assert found(folder) == ["HR/a.png LR/a.png"]


SAME = [
    "{0}.png",
    "GTmod12/{0}.png LRbicx2/{0}.png:2 LRbicx3/{0}.png:3 LRbicx4/{0}.png:4 original/{0}.png",
    "HR/{0}.png LR_bicubic/X4/{0}x4.png:4 LR_bicubic/X2/{0}x2.png:2",
    "gt/{0}.png lq/{0}.png:4",
    "high/{0}.png low/{0}.png:4",
    "Set5/target/{0}.png Set5/input/{0}.png:4",
    "original/{0}.png LR_bicubic/X4/{0}.png:4",
    "SRF_4/{0}_SRF_4_HR.png SRF_4/{0}_SRF_4_LR.png:4 SRF_2/{0}_SRF_2_HR.png SRF_2/{0}_SRF_2_LR.png:2",
    "HR/x4/{0}_HR_x4.png LR/LRBI/x4/{0}_LRBI_x4.png:4",
    "{0}.png {0}x4.png:4",
    "{0}_HR.png {0}_LR.png:4",
    "{0}.png x4/{0}.png:4",
    "{0}.png .ipynb_checkpoints/{0}-checkpoint.png:2 run/pictures/{0}.png:2 run/checkpoint.npz",
]


@pytest.mark.parametrize("layout", SAME)
def test_every_layout_of_the_same_pictures_gives_the_same_figure(folder, layout):
    small = np.random.default_rng(3).integers(0, 256, (2, 6, 8, 3), np.uint8)
    pictures = {name: resize(each, 8) for name, each in zip(("baby", "bird"), small, strict=True)}
    for name, hr in pictures.items():
        for word in layout.format(name).split():
            path, _, scale = word.partition(":")
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            if path.endswith(".npz"):
                (folder / path).touch()
            else:
                Image.fromarray(resize(hr, 1 / int(scale)) if scale else hr).save(folder / path)
    scores = npbsrn.evaluate("bicubic", folder, 4).scores
    plain = folder.parent / "plain"
    plain.mkdir()
    for name, hr in pictures.items():
        Image.fromarray(hr).save(plain / f"{name}.png")
    expected = npbsrn.evaluate("bicubic", plain, 4).scores
    assert [(score.psnr, score.ssim) for score in scores] == [(score.psnr, score.ssim) for score in expected]
