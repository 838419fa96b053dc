"""``npbsrn warmup``: compile all kernels ahead of time."""

import argparse
import time
from collections.abc import Iterator

import numpy as np

from npbsrn.cli.say import tell
from npbsrn.kernels.race import settle

KINDS = [(activation, statistic) for activation in ("none", "prelu") for statistic in ("none", "abs")]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """There are no options."""


def run(arguments: argparse.Namespace) -> None:
    """``npbsrn warmup``; the kernel that counts is chosen first, as the others are compiled for that choice."""
    tell(settle(), flush=True)
    for words in warmup():
        tell(words, flush=True)


def warmup() -> Iterator[str]:
    """Run every kind of network once on a tiny picture, and a training step; yields what was done.

    What it imports holds kernels, and those are for the choice that there is by then.
    """
    from npbsrn.images.picture import Picture
    from npbsrn.images.strips.opening import rows_of
    from npbsrn.images.writing import encode_picture
    from npbsrn.inference.choose import runner_of_model
    from npbsrn.models import Model
    from npbsrn.networks.base import NETWORKS, make_network
    from npbsrn.runtime.shards import Shards
    from npbsrn.training.config import make_config
    from npbsrn.training.step import first_state, train_step

    start = time.perf_counter()
    for activation, statistic in KINDS:
        options = {"scale": 4, "blocks": 1, "activation": activation, "binarizer": {"statistic": statistic}}
        network = make_network(options)
        runner = runner_of_model(Model(network, network.init(0)), "packed")
        for dtype in (np.uint8, np.uint16, np.float32):
            for tile in (None, 2):  # whole, and a part of the result
                runner.run(np.zeros((4, 4, 3), dtype), tile=tile)
        words = f"enlarging, activation {activation}, statistic {statistic}"
        yield f"{words}: {time.perf_counter() - start:.1f} s"
    encode_picture(Picture(np.zeros((4, 4, 3), np.uint16)), "png")
    rows = rows_of(encode_picture(Picture(np.zeros((4, 4, 3), np.uint8)), "png"), "a PNG", None)
    for _ in rows.pieces() if rows else ():
        pass
    yield f"large PNGs, and those of 16 bits: {time.perf_counter() - start:.1f} s"
    x, y = np.zeros((2, 3, 16, 16), np.float32), np.zeros((2, 3, 64, 64), np.float32)
    config = make_config(4, "default", {"batch": 2})
    for name, scheme in (*((name, "bam") for name in NETWORKS), ("bbcu", "bbcu"), ("vdsr", "bnn")):  # BNN has more BNs
        network = make_network({"name": name, "scale": 4, "blocks": 1, "binarizer": scheme})
        train_step(first_state(network, 0), network, config, x, y)
        yield f"training, {name}, {scheme}: {time.perf_counter() - start:.1f} s"
    network = make_network({"name": "bsrn", "scale": 4, "blocks": 1})  # whose stages are then calls of their own
    train_step(first_state(network, 0), network, config, x, y, shards=Shards(2))
    yield f"training by shards: {time.perf_counter() - start:.1f} s"
