"""Every network with every scheme, from a folder of pictures to an enlarged one, by the public functions."""

import csv
import math

import numpy as np
import pytest

import npbsrn
from npbsrn.binarizers import SCHEMES
from npbsrn.networks.base import NETWORKS
from npbsrn.storage.params import leaves


@pytest.mark.parametrize("scheme", sorted(SCHEMES))
@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_a_pair_trains_and_enlarges(train, tmp_path, name, scheme):
    model = train(scale=2, network=name, binarizer=scheme, steps=2, patch=4, holdout=1)
    assert model.name == name
    assert model.network.config["binarizer"]["name"] == scheme
    first = dict(leaves(model.network.init(0)))
    assert all(np.any(a != first[at]) for at, a in leaves(model.params) if at.endswith("weight"))
    with (tmp_path / "run/metrics.csv").open(newline="") as file:
        assert all(
            math.isfinite(float(row[key])) for row in csv.DictReader(file) for key in ("loss", "psnr") if row[key]
        )
    again = npbsrn.load(tmp_path / "run")
    picture = np.random.default_rng(0).integers(0, 256, (5, 6, 3), np.uint8)
    y, z = (npbsrn.upscale(picture, 2, own, engine="reference") for own in (model, again))
    assert y.shape == (10, 12, 3)
    np.testing.assert_array_equal(y, z)
