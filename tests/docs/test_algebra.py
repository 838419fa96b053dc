"""Numbers within docs/algebra, against the functions that stand beside them."""

import re
from fractions import Fraction
from pathlib import Path

import numpy as np

from npbsrn.kernels.winograd import multiplications, transforms
from npbsrn.networks.base import make_network
from npbsrn.packed.tail import composed_size

PAGE = (Path(__file__).parents[2] / "docs/algebra/engine.md").read_text()


def matrices(text):
    """Those of an equation, by name."""
    found = {}
    for name, body in re.findall(r"(\w) = \\begin\{pmatrix\}(.*?)\\end\{pmatrix\}", text):
        rows = re.sub(r"\\frac(?:\{(\d+)\}|(\d))(?:\{(\d+)\}|(\d))", r"\1\2/\3\4", body).split(r"\\")
        found[name] = np.array([[float(Fraction(cell.strip())) for cell in row.split("&")] for row in rows])
    return found


def test_matrices_of_winograd():
    shown = matrices(PAGE)
    assert shown.keys() == {"A", "G", "B"}
    for own, true in zip((shown["A"], shown["G"], shown["B"]), transforms(3), strict=True):
        np.testing.assert_array_equal(own, true)


def test_products_of_a_row():
    rows = re.findall(r"^\| (\d) \| (\d+) \| (?:\d+ real)?.*?(\d+)(?: real)? \| [\d.]+ \|$", PAGE, re.MULTILINE)
    assert [int(size) for size, _, _ in rows] == [3, 5, 7]
    for size, plain, filtered in rows:
        assert (int(plain), int(filtered)) == (4 * int(size), multiplications(int(size)))


def test_products_of_the_tail():
    width, shuffles = 48, (2, 2)
    plain, composed, with_base = (
        int(words.replace(",", ""))
        for words in re.findall(r"^\| (?:three|as one).*\| ([\d,]+) \|$", PAGE, re.MULTILINE)
    )
    network = make_network({"name": "bsrn", "scale": 4, "tail": "plain"})
    tail = dict(network.chain.layers)["tail"]
    convolutions = [p for name, p in tail.init(np.random.default_rng(0), np.float32).items() if "weight" in p]
    finer = np.cumprod([1, *shuffles]) ** 2  # pixels of each stage's grid for one of the first
    assert plain == sum(p["weight"].size * pixels for p, pixels in zip(convolutions, finer, strict=True))
    size = composed_size([p["weight"].shape[-1] for p in convolutions], shuffles)
    outputs = 3 * 4**2
    assert composed == width * outputs * size**2
    assert with_base == (width + 3) * outputs * size**2
