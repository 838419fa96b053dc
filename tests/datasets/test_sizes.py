import pytest
from PIL import Image

from npbsrn.datasets.sizes import may_be_reduced, refuse_small_copies, size_of
from npbsrn.errors import DataError


def put(path, width, height):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (width, height)).save(path)
    return path


def test_size_comes_from_the_head(tmp_path):
    path = put(tmp_path / "a.png", 300, 200)
    path.write_bytes(path.read_bytes()[:100])
    assert size_of(path) == (300, 200)
    path.write_text("no picture")
    assert size_of(path) is None
    assert size_of(tmp_path / "nowhere.png") is None


def test_a_reduced_picture(tmp_path):
    high, low = put(tmp_path / "a.png", 50, 31), put(tmp_path / "b.png", 12, 7)
    assert may_be_reduced(low, high)
    assert may_be_reduced(low, high, (4,))
    assert not may_be_reduced(low, high, (2, 3))
    assert not may_be_reduced(high, low)
    low.write_text("no picture")  # its name is believed
    assert may_be_reduced(low, high, (2,))


@pytest.mark.parametrize(
    ("sizes", "refused"),
    [
        ({"a/1": 48, "a/2": 36, "b/1": 12, "b/2": 9}, True),
        ({"a/1": 48, "a/2": 36, "b/2": 9}, True),
        ({"a/1": 48, "a/2": 36, "b/1": 12, "b/2": 12}, False),  # of different scales
        ({"a/1": 48, "b/1": 12, "b/2": 9}, False),  # with pictures of its own
        ({"a/1": 48, "a/2": 36, "b/1": 48, "b/2": 36}, False),  # numbered alike, as cameras do
        ({"a/1": 48, "a/2": 12}, False),
    ],
)
def test_a_folder_of_small_copies_is_refused(tmp_path, sizes, refused):
    files = [put(tmp_path / f"{name}.png", size, size) for name, size in sizes.items()]
    if not refused:
        refuse_small_copies(files)
        return
    for order in (files, files[::-1]):
        with pytest.raises(DataError, match=r"b holds the pictures of .*a made small; name .*a alone, or rename"):
            refuse_small_copies(order)
