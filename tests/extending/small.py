"""A small network, whose blocks have a binary 3x3 and a binary 1x1 convolution with a shortcut around each."""

from npbsrn.binarizers.base import Binarizer
from npbsrn.fused.block_chain import BlockChain
from npbsrn.layers.base import Chain, Residual
from npbsrn.layers.binary import BinaryConv
from npbsrn.layers.blocks import BinaryBlock, BlockGroup
from npbsrn.layers.conv import Conv, PReLU
from npbsrn.layers.tail import Tail
from npbsrn.networks.base import FACTORS, Network, network, positive_whole


@network
def small(scale: int, binarizer: Binarizer, blocks: int = 4, width: int = 32) -> Network:
    """A head, blocks with a trunk behind them, a skip from the head's result, a tail on the bicubic picture.

    Parameters
    ----------
    scale : {2, 3, 4}
    binarizer : Binarizer
    blocks : int
        Number of blocks.
    width : int
        Channels throughout.
    """
    positive_whole(blocks=blocks, width=width)
    convs = BinaryConv(width, 3, binarizer, inputs=1), BinaryConv(width, 1, binarizer, inputs=2)
    group = BlockGroup((BinaryBlock(convs, PReLU(width), skip="every"),))
    body = Chain((("blocks", BlockChain((group,) * blocks)), ("trunk", Conv(width, width))))
    layers = ("head", Conv(3, width)), ("body", Residual(body)), ("tail", Tail(FACTORS[scale], width))
    return Network(scale, Chain(layers))
