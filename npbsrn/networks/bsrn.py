"""BSRN, the paper's own network (Xin et al., ECCV 2020, section 3.3)."""

from npbsrn.binarizers.base import Binarizer
from npbsrn.fused.block_chain import BlockChain
from npbsrn.layers.base import Chain, Residual
from npbsrn.layers.binary import BinaryConv
from npbsrn.layers.blocks import BinaryBlock, BlockGroup
from npbsrn.layers.conv import ACTIVATIONS, Conv, activation_layer
from npbsrn.layers.tail import Tail
from npbsrn.networks.base import FACTORS, Network, network, one_of, positive, positive_whole, yes_or_no


@network
def bsrn(
    scale: int,
    binarizer: Binarizer,
    blocks: int = 20,
    width: int = 48,
    base: str = "bicubic",
    activation: str = "prelu",
    skip: str = "block",
    residual: float = 0.03,
    norm: bool | None = None,
    tail: str = "composed",
    input_gain: float = 1.0,
) -> Network:
    """A head, 20 HPBs followed by a trunk, a global skip from the head's result, and a tail.

    Parameters
    ----------
    scale : {2, 3, 4}
    binarizer : Binarizer
    blocks : int
        Number of HPBs; each holds two LB-blocks of a 3x3 and two 1x1 binary convolutions.
    width : int
        Channels throughout.
    base : {"bicubic", "none"}
        What the network's details are added to: the bicubically enlarged picture, or nothing (the paper).
    activation : {"prelu", "relu", "none", "rprelu"}
        Between the binary convolutions of an LB-block.
    skip : {"block", "every"}
        Shortcuts around each LB-block (the paper), or instead around every binary convolution.
    residual : float
        Factor on the term that an LB-block adds to its input with the skip "block"; the paper has none (1). With 1,
        forty blocks drown the picture in sums of signs, and the network hardly learns (docs/paper.md). Small factors
        are due to Lim et al., EDSR, CVPRW 2017, section 3.
    norm : bool, optional
        Batch normalisation behind every convolution of an LB-block; by default, if the scheme has no scales.
    tail : {"composed", "plain"}
        How the tail is computed in training; see `npbsrn.layers.tail.Tail`.
    input_gain : float
        Factor on the head's input, the picture minus 0.5. The base is added unchanged.
    """
    one_of("base", base, ("bicubic", "none"))
    one_of("activation", activation, ACTIVATIONS)
    one_of("skip", skip, ("block", "every"))
    one_of("tail", tail, ("composed", "plain"))
    positive_whole(blocks=blocks, width=width)
    positive(residual=residual, input_gain=input_gain)
    norm = not binarizer.scaled if norm is None else norm
    yes_or_no(norm=norm)
    act = activation_layer(activation, width)

    def lb_block(nth: int) -> BinaryBlock:
        """The `nth` LB-block of an HPB: its 3x3 filters accumulate with those of the blocks before it."""
        convs = (
            BinaryConv(width, 3, binarizer, inputs=1, filters=nth, norm=norm),
            BinaryConv(width, 1, binarizer, inputs=2, filters=1, norm=norm),
            BinaryConv(width, 1, binarizer, inputs=3, filters=2, norm=norm),
        )
        return BinaryBlock(convs, act, skip, residual)

    hpb = BlockGroup((lb_block(1), lb_block(2)))
    body = Chain((("hpb", BlockChain((hpb,) * blocks)), ("trunk", Conv(width, width))))
    last = Tail(FACTORS[scale], width, tail == "composed")
    chain = Chain((("head", Conv(3, width)), ("body", Residual(body)), ("tail", last)))
    return Network(scale, chain, base=base == "bicubic", gain=input_gain, config={"norm": norm})
