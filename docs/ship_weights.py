"""Make of a training run the two files that come with the package: float weights, and the packed ones.

From the repository's root: ``python docs/ship_weights.py RUN``. The filters and biases of head, trunk and tail are
rounded to half precision in both, so that the packed file is smaller and says the same; what that costs is printed by
``npbsrn eval``.
"""

import sys
from pathlib import Path

import numpy as np

import npbsrn
from npbsrn.models import Model, save_model
from npbsrn.packed.format import save_packed
from npbsrn.packed.lower import lower
from npbsrn.storage.params import leaves, nest

WEIGHTS = Path(npbsrn.__file__).parent / "weights"
FLOATS = ("head.", "body.trunk.", "tail.")


def main() -> None:
    """Write both files."""
    model = npbsrn.load(sys.argv[1])
    arrays = {
        name: array.astype(np.float16).astype(np.float32) if name.startswith(FLOATS) else array
        for name, array in leaves(model.params)
    }
    shipped = Model(model.network, nest(arrays), {**model.card, "rounded": "head, trunk and tail to half precision"})
    name = f"{shipped.name}-x{shipped.scale}"
    save_model(WEIGHTS / f"{name}.npz", shipped)
    save_packed(WEIGHTS / f"{name}-packed.npz", lower(shipped))
    for path in sorted(WEIGHTS.glob(f"{name}*.npz")):
        print(f"{path.name}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
