"""Make of a trained model the files that are shipped: the packed one, and the latent weights.

From the repository's root: ``python docs/ship_weights.py NAME FILE``, with the name that the model has in the package
(`npbsrn.shipped.MODELS`), and a weight file or a run's folder. It writes NAME-xSCALE-packed.npz into npbsrn/weights,
and the latent weights to training/NAME-xSCALE/weights.npz, which `npbsrn.load` reads and the package does not hold.

Both files hold one network, and it gives what the trained one gives: every sign stays. The trunk and the tail are
rounded to half precision, which ``npbsrn eval`` shows to cost less than 0.001 dB; the head is not, because its result
decides signs. Latent filters are rounded to 8 bits of the mantissa, so that the file is half as large; see `thinned`.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np

import npbsrn
from npbsrn.models import Model, save_model
from npbsrn.packed.format import save_packed
from npbsrn.packed.lower import lower
from npbsrn.shipped import latent_weights
from npbsrn.storage.params import leaves, nest
from npbsrn.training.compact import keep_bits

Array = np.ndarray[Any, Any]

WEIGHTS = Path(npbsrn.__file__).parent / "weights"
TRAINING = Path(npbsrn.__file__).parents[1] / "training"
FLOATS = ("body.trunk.", "tail.")
BITS = 8  # of the mantissa of latent filters


def thinned(w: Array, signs: Array) -> Array:
    """Latent filters (O, C, k, k) with fewer bits, but the signs and, for each output, the mean magnitude of `w`.

    Another scale, if only by its last bits, moves signs all over the network, and PSNR by 0.02 dB up or down. So, among
    an output's weights above 0 and among those below, the largest takes up what rounding changes in their sum, and
    smaller ones, whose last bits are finer, what is left of it. Weights near the mean, around which BAM takes signs,
    keep their bits; the nearest are moved a little away from it.
    """
    own, every = w.reshape(len(w), -1).astype(np.float64), np.arange(len(w))
    mean, unit = own.mean(axis=1, keepdims=True), abs(own).mean(axis=1, keepdims=True)
    apart = np.maximum(abs(own - mean), unit / 2**14)
    near, farther = apart < unit / 2**8, mean + apart * signs.reshape(own.shape)
    kept = np.where(near, farther, keep_bits(w, BITS).reshape(own.shape)).astype(np.float32)
    for sign in (1, -1):
        order, count = np.argsort(-sign * own, axis=1), np.sum(sign * own > 0, axis=1)
        for share in (0, 7 / 8, 63 / 64):
            change = np.sum(np.maximum(sign * own, 0) - np.maximum(sign * kept, 0), axis=1, dtype=np.float64)
            kept[every, order[every, (count * share).astype(int)]] += sign * change
    return kept.reshape(w.shape)


def with_half_ends(model: Model, name: str) -> Model:
    """The model as it is shipped, with all bits of its latent filters."""
    arrays = {
        place: array.astype(np.float16).astype(np.float32) if place.startswith(FLOATS) else array
        for place, array in leaves(model.params)
    }
    card = {**model.card, "name": name, "rounded": "trunk and tail to half precision"}
    return Model(model.network, nest(arrays), card)


def with_fewer_bits(model: Model) -> Model:
    """The same with thinned latent filters, and the same packed."""
    params, steps = dict(leaves(model.params)), lower(model).steps
    for place, step in zip(model.network.latent(), steps, strict=True):
        params[place] = thinned(params[place], step.signs[0])
    card = {**model.card, "rounded": f"{model.card['rounded']}; latent filters to {BITS} bits of the mantissa"}
    result = Model(model.network, nest(params), card)
    for own, there in zip(steps, lower(result).steps, strict=True):
        if not np.array_equal(own.signs, there.signs) or not np.array_equal(own.factor, there.factor):
            raise SystemExit("rounding the latent filters would change the packed network")
    return result


def main() -> None:
    """Write both files."""
    name, source = sys.argv[1:]
    shipped = with_half_ends(npbsrn.load(Path(source)), name)
    place = f"{name}-x{shipped.scale}"
    written = TRAINING.parent / latent_weights(name, shipped.scale)
    written.parent.mkdir(exist_ok=True)
    save_model(written, with_fewer_bits(shipped))
    save_packed(WEIGHTS / f"{place}-packed.npz", lower(shipped))
    for path in (written, WEIGHTS / f"{place}-packed.npz"):
        print(f"{path.relative_to(TRAINING.parent)}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
