"""Plans: a network without anything that only training needs, as the steps that a picture passes through.

A plan knows no scheme and no network. `npbsrn.packed.lower` makes it from layers, `npbsrn.packed.format` stores it in a
file, `npbsrn.packed.reference` runs it in plain NumPy, and `npbsrn.packed.engine` runs it fast.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Convolution = tuple[Array, Array]  # filters (O, I, k, k) and bias (O,), float32


@dataclass(frozen=True)
class Step:
    """One convolution of a block, in the normal form of all schemes.

    With T_k the block's terms, ``T_k = E(A_k) A_k``, and M filter bases, N activation bases:

    - ``bits_j = sign(shift_j + sum_k weight_jk T_k)``, each product and sum fused, term after term; sign(0) = +1;
    - ``S_ij`` is the convolution of bits_j with signs_i, a whole number;
    - ``y = offset + sum_ij factor_ij S_ij``, i outer and j inner; the first product is rounded by itself before the
      offset is added, the others are fused;
    - ``a = PReLU(y)``, and with `skip` ``a = amount * a + A``, fused, where A is the step's input.

    Parameters
    ----------
    signs : M arrays (O, C, k, k) int8, +-1
        Or one array of float32, if the filters are not binarized either.
    factor : (M, N, O) float32
        Scale of the filters times coefficient of the activations.
    offset : (O,) float32, or None
    weight, shift : (N, K, C) and (N, C) float32, or None
        None: the convolution reads its last term unchanged, as floats. A shift is never -0.0.
    terms : K of int
        Which terms of the block are binarized: 0 is its input, n the result of its n-th step.
    pad : float
        The padding: +-1 for bits, 0 for float activations.
    slope : (O,) float32, or None
        PReLU's.
    skip : bool
        Whether the step's own input is added.
    amount : float
        Factor on what is added to it; 1 without a skip.
    """

    signs: tuple[Array, ...]
    factor: Array
    offset: Array | None
    weight: Array | None
    shift: Array | None
    terms: tuple[int, ...]
    pad: float
    slope: Array | None
    skip: bool = False
    amount: float = 1.0

    @property
    def size(self) -> int:
        """Extent k of the filters."""
        return int(self.signs[0].shape[-1])

    @property
    def binary(self) -> bool:
        """Whether activations and filters are signs."""
        return self.weight is not None


@dataclass(frozen=True)
class Block:
    """Steps that share their terms.

    Parameters
    ----------
    steps : tuple of Step
    statistic : {"abs", "mean", "none"}
        E of the terms.
    residual : float, or None
        Factor on the last step's result, which is added to the block's input by one fused operation; None: the last
        step's result replaces the input.
    """

    steps: tuple[Step, ...]
    statistic: str
    residual: float | None


@dataclass(frozen=True)
class Plan:
    """A network without anything that only training needs.

    Parameters
    ----------
    config : dict
        The network's.
    scale : int
        Factor of enlargement.
    enlarged : bool
        Whether the network works on the bicubically enlarged picture.
    base : bool
        Whether the bicubically enlarged picture is added to the result, or else mid-grey.
    gain : float
        Factor on the head's input, the picture minus 0.5.
    head : Convolution
        From 3 colours to C channels.
    blocks : tuple of Block
        From C channels to C channels.
    trunk : Convolution, or None
        Behind the blocks, with a skip from the head's result around both.
    tail : tuple of Convolution
        The convolution before each shuffle, and the last one: where a network has none, 1x1 from each colour to itself.
    shuffles : tuple of int
        Their factors.
    flat : bool
        Whether pixels amid 5x5 of one colour keep that colour.
    card : dict
        The model's.
    """

    config: dict[str, Any]
    scale: int
    enlarged: bool
    base: bool
    gain: float
    head: Convolution
    blocks: tuple[Block, ...]
    trunk: Convolution | None
    tail: tuple[Convolution, ...]
    shuffles: tuple[int, ...]
    flat: bool = False
    card: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The model's, if its card has one, or the network's."""
        return str(self.card.get("name", self.config["name"]))

    @property
    def channels(self) -> int:
        """C."""
        return len(self.head[1])

    @property
    def steps(self) -> list[Step]:
        """Of all blocks."""
        return [step for block in self.blocks for step in block.steps]
