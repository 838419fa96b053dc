"""BBCU's network: units of one binary convolution each, with a skip around it (Xia et al., ICLR 2023)."""

from npbsrn.binarizers.base import Binarizer
from npbsrn.fused.block_chain import BlockChain
from npbsrn.layers.base import Chain, Layer, Residual
from npbsrn.layers.binary import BinaryConv
from npbsrn.layers.blocks import BinaryBlock, BlockGroup
from npbsrn.layers.conv import ACTIVATIONS, Conv, activation_layer
from npbsrn.layers.tail import Tail
from npbsrn.networks.base import FACTORS, Network, network, one_of, positive, positive_whole, yes_or_no

LAST = (3, 5, 7, 9)  # sizes of a last convolution


@network
def bbcu(
    scale: int,
    binarizer: Binarizer,
    blocks: int = 32,
    width: int = 64,
    base: str = "bicubic",
    activation: str = "rprelu",
    residual: float = 1.0,
    norm: bool | None = None,
    trunk: bool = True,
    tail: str = "composed",
    last: int = 3,
    input_gain: float = 130.0,
    output_gain: float | None = None,
    flat: bool = False,
) -> Network:
    """A head, 32 basic binary convolution units, a trunk with a global skip from the head's result, and a tail.

    A unit is ``A + residual * RPReLU(conv(A))`` with one binary 3x3 convolution. The published network has the scheme
    "bbcu", no trunk, and a tail with activations between its convolutions; here the tail is linear, so that it can be
    composed into one convolution.

    Parameters
    ----------
    scale : {2, 3, 4}
    binarizer : Binarizer
    blocks : int
        Number of units.
    width : int
        Channels throughout.
    base : {"bicubic", "none"}
        What the network's details are added to: the bicubically enlarged picture, or nothing.
    activation : {"prelu", "relu", "none", "rprelu"}
        Behind each binary convolution, within its skip.
    residual : float
        Factor on the term that a unit adds to its input.
    norm : bool, optional
        Batch normalisation behind every binary convolution; by default, if the scheme has no scales.
    trunk : bool
        Whether a float convolution stands behind the units, with a skip from the head's result around both. Without
        it the tail reads what the units give, whose own skips lead there from the head.
    tail : {"composed", "plain", "direct"}
        "composed" and "plain" are one tail, computed in two ways in training; see `npbsrn.layers.tail.Tail`. "direct"
        is another: one 3x3 convolution to the three colours of all pixels, and one shuffle by `scale`, for networks
        that are to be fast (Shi et al., ESPCN, CVPR 2016).
    last : {3, 5, 7, 9}
        Size of the tail's last convolution; a direct tail has none.
    input_gain : float
        Factor on the head's input, the picture minus 0.5: a large one (the paper's k is 130) lets the skips carry
        numbers as large as the sums of signs that are added to them. The base is added unchanged.
    output_gain : float, optional
        Factor on the details; by default ``1 / input_gain``, as in the paper.
    flat : bool
        Whether pixels amid 5x5 of one colour keep that colour outside of training. There the enlarged base is right,
        and the details that signs add are up to some levels of noise, most of it along the picture's border.
    """
    one_of("base", base, ("bicubic", "none"))
    one_of("activation", activation, ACTIVATIONS)
    one_of("tail", tail, ("composed", "plain", "direct"))
    one_of("last", last, LAST)
    positive_whole(blocks=blocks, width=width)
    positive(residual=residual, input_gain=input_gain)
    output_gain = 1 / input_gain if output_gain is None else output_gain
    positive(output_gain=output_gain)
    norm = not binarizer.scaled if norm is None else norm
    yes_or_no(norm=norm, trunk=trunk, flat=flat)
    unit = BinaryBlock(
        (BinaryConv(width, 3, binarizer, norm=norm),), activation_layer(activation, width), "unit", residual
    )
    units = BlockChain((BlockGroup((unit,)),) * blocks)
    body: Layer = Chain((("blocks", units),))
    if trunk:
        body = Residual(Chain((("blocks", units), ("trunk", Conv(width, width)))))
    factors, last_size = ((scale,), None) if tail == "direct" else (FACTORS[scale], last)
    end = Tail(factors, width, tail == "composed", last_size)
    chain = Chain((("head", Conv(3, width)), ("body", body), ("tail", end)))
    config = {"norm": norm, "output_gain": output_gain}
    return Network(scale, chain, base == "bicubic", gain=input_gain, output=output_gain, flat=flat, config=config)
