import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npbsrn.datasets.names import folder_name, stem_name


@pytest.mark.parametrize(
    ("names", "role", "strong"),
    [
        ("HR hr GT gt HQ GTmod12 hr_x4 X4_HR DIV2K_train_HR DIV2K_train_HR_sub Set5_HR trainHR", "HR", True),
        ("HighRes high-res Ground_Truth groundtruth high_resolution GT_crops valid_hr", "HR", True),
        ("LR lr LQ LRbicx4 LRBI LRBD LR_bicubic lr_x4 LR4x LRx2 low-res LowRes Set5_LR_x4", "LR", True),
        ("DIV2K_train_LR_bicubic LR_unknown DIV2K_valid_LR_wild lq_train", "LR", True),
        ("original Originals orig target high train_target references", "HR", False),
        ("input inputs low bicubic bicubic_x4 x4_bicubic downsampled train_input low_x2 lr4", "LR", False),
        ("lakes x2go low_light high_noon gt86 chr thriller LRmap my_lr_photos", None, False),
        ("HR_LR hr-lr photos Set5 2024 x4y x10 input_output original_low", None, False),
        ("X4 x2 4x scale3 SRF_4", None, False),
    ],
)  # fmt: skip
def test_roles(names, role, strong):
    for name in names.split():
        found = folder_name(name)
        assert (found.role, found.strong) == (role, strong), name


def test_scale_and_the_rest():
    for name in ("X4", "x4", "4x", "scale4", "SRF_4", "scale_4", "x4_sub"):
        found = folder_name(name)
        assert (found.scale, found.bare) == (4, True), name
    for name in ("LRbicx4", "lr_x4", "LR4x", "bicubic_x4", "hr_x4", "X4_HR"):
        found = folder_name(name)
        assert (found.scale, found.bare) == (4, False), name
    assert folder_name("GTmod12").mod == 12
    assert folder_name("Set5").scale is None
    assert not folder_name("Set5").bare
    assert folder_name("DIV2K_train_HR_sub").rest == folder_name("div2k-train-LR-bicubic-x4").rest == ("div2k", "train")


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("LRbicx4", "bicubic"),
        ("LR_bicubic", "bicubic"),
        ("LRBI", "bicubic"),
        ("bicubic", "bicubic"),
        ("LR", None),
        ("LRBD", "other"),
        ("D_LR_unknown", "other"),
        ("LRbic_blur", "other"),
    ],
)
def test_how_it_was_made(name, how):
    assert folder_name(name).how == how


def test_halves():
    names = ("DIV2K_train_HR", "valid_HR", "val_LR", "HR_test", "HR", "train")
    assert [folder_name(name).half for name in names] == ["train", "valid", "valid", "test", None, None]


@pytest.mark.parametrize(
    ("stem", "role", "scale", "clear", "rest"),
    [
        ("baby", None, None, False, "baby"),
        ("babyx4", None, 4, False, "baby"),
        ("baby_x4", None, 4, True, "baby"),
        ("0001x4", None, 4, True, "0001"),
        ("fox2", None, 2, False, "fo"),
        ("x4", None, None, False, "x4"),
        ("baby_HR", "HR", None, False, "baby"),
        ("baby-lr", "LR", None, False, "baby"),
        ("baby_LRBI_x4", "LR", 4, True, "baby"),
        ("baby_HR_x4", "HR", 4, True, "baby"),
        ("baby_x3_LR", "LR", 3, True, "baby"),
        ("img_001_SRF_4_HR", "HR", 4, True, "img_001"),
        ("img_001_SRF_4", None, None, False, "img_001_SRF_4"),
        ("0001_s001", None, None, False, "0001_s001"),
        ("color", None, None, False, "color"),
        ("flight", None, None, False, "flight"),
        ("chr", None, None, False, "chr"),
        ("a\nb_LR", "LR", None, False, "a\nb"),
    ],
)
def test_stems(stem, role, scale, clear, rest):
    found = stem_name(stem)
    assert (found.role, found.scale, found.clear, found.rest) == (role, scale, clear, rest)


@given(st.text(max_size=12), st.sampled_from(["HR", "GT", "LR", "LRbicx4", "X4", "low", ""]), st.sampled_from("_-. "))
def test_any_name_is_read_whatever_its_case(text, word, gap):
    name = f"{text}{gap}{word}"
    if name.isascii() and "".join(name).islower():
        assert folder_name(name.upper()) == folder_name(name)
    folder_name(name)
    found = stem_name(name)
    assert name.startswith(found.rest)


@given(st.text(string.ascii_lowercase, min_size=1, max_size=9))
def test_a_word_around_letters_says_nothing(word):
    """Only whole words count, so that no folder of photographs is taken for LR by some letters in its name."""
    for name in (f"q{word}lr", f"lr{word}q", f"lq{word}q", f"x2{word}", f"low{word}q"):
        assert folder_name(name).role is None
        assert not folder_name(name).bare
