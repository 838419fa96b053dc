"""SRResNet (Ledig et al., CVPR 2017), as the paper binarizes it."""

from npbsrn.binarizers.base import Binarizer
from npbsrn.fused.block_chain import BlockChain
from npbsrn.layers.base import Chain, Residual
from npbsrn.layers.binary import BinaryConv
from npbsrn.layers.blocks import BinaryBlock, BlockGroup
from npbsrn.layers.conv import ACTIVATIONS, Conv, activation_layer
from npbsrn.layers.tail import Tail
from npbsrn.networks.base import FACTORS, Network, network, one_of, positive, positive_whole, yes_or_no


@network
def srresnet(
    scale: int,
    binarizer: Binarizer,
    blocks: int = 16,
    width: int = 64,
    base: str = "bicubic",
    activation: str = "prelu",
    skip: str = "block",
    residual: float | None = None,
    norm: bool | None = None,
    tail: str = "composed",
    input_gain: float = 1.0,
) -> Network:
    """A 9x9 head, 16 residual blocks followed by a trunk, a global skip from the head's result, and a 9x9 tail.

    Each residual block, two 3x3 convolutions, is one block of the scheme: with BAM, activations and filters accumulate
    from its first to its second convolution. Head and tail are linear, where the float SRResNet has PReLUs, so that the
    tail can be composed into one convolution.

    Parameters
    ----------
    scale : {2, 3, 4}
    binarizer : Binarizer
    blocks : int
        Number of residual blocks.
    width : int
        Channels throughout.
    base : {"bicubic", "none"}
        What the network's details are added to: the bicubically enlarged picture, or nothing (both papers).
    activation : {"prelu", "relu", "none", "rprelu"}
        Between the two convolutions of a block.
    skip : {"block", "every"}
        Shortcuts around each block, or instead around every convolution.
    residual : float, optional
        Factor on the term that a block adds to its input; by default 1 for float activations, else 0.03, see
        `npbsrn.networks.bsrn.bsrn`.
    norm : bool, optional
        Batch normalisation behind every convolution of a block; by default, if activations are float (as in its paper)
        or the scheme has no scales. In front of signs, schemes have their own.
    tail : {"composed", "plain"}
        How the tail is computed in training; see `npbsrn.layers.tail.Tail`.
    input_gain : float
        Factor on the head's input, the picture minus 0.5.
    """
    residual = (1.0 if binarizer.float_activations else 0.03) if residual is None else residual
    norm = (binarizer.float_activations or not binarizer.scaled) if norm is None else norm
    one_of("base", base, ("bicubic", "none"))
    one_of("activation", activation, ACTIVATIONS)
    one_of("skip", skip, ("block", "every"))
    one_of("tail", tail, ("composed", "plain"))
    positive_whole(blocks=blocks, width=width)
    positive(residual=residual, input_gain=input_gain)
    yes_or_no(norm=norm)
    convs = tuple(BinaryConv(width, 3, binarizer, inputs=n, filters=n, norm=norm) for n in (1, 2))
    block = BlockGroup((BinaryBlock(convs, activation_layer(activation, width), skip, residual),))
    body = Chain((("blocks", BlockChain((block,) * blocks)), ("trunk", Conv(width, width))))
    last = Tail(FACTORS[scale], width, tail == "composed", last=9)
    chain = Chain((("head", Conv(3, width, 9)), ("body", Residual(body)), ("tail", last)))
    config = {"residual": residual, "norm": norm}
    return Network(scale, chain, base=base == "bicubic", gain=input_gain, config=config)
