"""VDSR (Kim et al., CVPR 2016), as the paper binarizes it."""

from npbsrn.binarizers.base import Binarizer
from npbsrn.fused.block_chain import BlockChain
from npbsrn.layers.base import Chain
from npbsrn.layers.binary import BinaryConv
from npbsrn.layers.blocks import BinaryBlock, BlockGroup
from npbsrn.layers.conv import ACTIVATIONS, Conv, activation_layer
from npbsrn.layers.tail import Tail
from npbsrn.networks.base import Network, network, one_of, positive, positive_whole, yes_or_no

DEPTH = 3  # convolutions of a block
LAST = 0.01  # gain of the last convolution at first: what nothing has been learned for yet changes the picture little
HE = 6**0.5  # uniform filters of this gain keep the variance through ReLUs (He et al., ICCV 2015)


@network
def vdsr(
    scale: int,
    binarizer: Binarizer,
    blocks: int = 6,
    width: int = 64,
    activation: str | None = None,
    norm: bool | None = None,
    input_gain: float = 1.0,
) -> Network:
    """A head, 18 convolutions and a last one; they read the bicubically enlarged picture and add their result to it.

    The 18 convolutions are six blocks of three: with BAM, activations and filters accumulate within a block. The only
    skip is the global one.

    Parameters
    ----------
    scale : {2, 3, 4}
    binarizer : Binarizer
    blocks : int
        Number of blocks of three convolutions.
    width : int
        Channels throughout.
    activation : {"prelu", "relu", "none", "rprelu"}, optional
        Behind each convolution of a block: by default "relu" (the paper's) where activations are float, else "prelu",
        since after a ReLU every sign would be +1.
    norm : bool, optional
        Batch normalisation behind every convolution of a block; by default, if the scheme has no scales.
    input_gain : float
        Factor on the head's input, the picture minus 0.5.
    """
    activation = ("relu" if binarizer.float_activations else "prelu") if activation is None else activation
    one_of("activation", activation, ACTIVATIONS)
    positive_whole(blocks=blocks, width=width)
    positive(input_gain=input_gain)
    norm = not binarizer.scaled if norm is None else norm
    yes_or_no(norm=norm)
    convs = tuple(BinaryConv(width, 3, binarizer, n, n, norm, HE) for n in range(1, DEPTH + 1))
    block = BlockGroup((BinaryBlock(convs, activation_layer(activation, width), "none"),))
    layers = ("head", Conv(3, width)), ("body", BlockChain((block,) * blocks)), ("tail", Tail((), width, gain=LAST))
    config = {"activation": activation, "norm": norm}
    return Network(scale, Chain(layers), enlarged=True, gain=input_gain, config=config)
