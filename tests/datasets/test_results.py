import shutil

import pytest

from npbsrn.cli.parser import main
from npbsrn.datasets.pairs import find_pairs


def names(folder, scale=4):
    return [pair.hr.name for pair in find_pairs(folder, scale)]


def test_results_beside_their_originals_are_no_data(photographs):
    originals = names(photographs)
    for words in (["-s", "2"], ["-s", "1.5"], ["-s", "2", "-f", "jpg"]):
        assert main([str(photographs), "-m", "bicubic", *words, "--quiet"]) == 0
    assert len(list(photographs.iterdir())) == 4 * len(originals)
    with pytest.warns(
        UserWarning, match=r"left out, as npbsrn made them .*: 0-x1.5.png, 0-x2.jpg, 0-x2.png and 12 more"
    ):
        assert names(photographs) == originals


def test_what_npbsrn_did_not_make_stays(photographs):
    """A name may be chance."""
    shutil.copy(photographs / "0.png", photographs / "1-x9.png")
    assert "1-x9.png" in names(photographs)
