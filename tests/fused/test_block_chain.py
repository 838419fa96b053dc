"""When all blocks are one fused operation, clause by clause: whatever is not the paper's is left to the layers."""

import dataclasses

import numpy as np
import pytest

from npbsrn.binarizers import make_binarizer
from npbsrn.fused import block_chain as module
from npbsrn.fused.block_chain import BlockChain
from npbsrn.layers.base import Identity, Layer
from npbsrn.layers.binary import BinaryConv
from npbsrn.layers.blocks import BinaryBlock, BlockGroup
from npbsrn.layers.conv import PReLU
from npbsrn.storage.params import leaves, map_leaves
from tests.fused.test_lb_blocks import relative

pytestmark = pytest.mark.xdist_group("fused")  # whose kernels take longest to compile
BAM = make_binarizer({})
REPLACE = dataclasses.replace


@dataclasses.dataclass(frozen=True)
class Slopes(Layer):
    """An activation function that the fused operation does not know: PReLU of one slope that is not learned."""

    def apply(self, params, x, train):
        return np.maximum(x, x / 2), lambda dy: (np.where(x > 0, dy, dy / 2), {})


def filters_of(nth, sizes, n):
    """How many filters of its size convolution n of a group's nth block has met, its own included."""
    earlier = sum(size == sizes[n] for size in sizes) * (nth - 1) if sizes[n] > 1 else 0
    return earlier + sum(size == sizes[n] for size in sizes[: n + 1])


def make_block(nth=1, channels=48, sizes=(3, 1, 1), scheme=BAM, act=None, norm=False, **options):
    convs = tuple(
        BinaryConv(channels, size, scheme, inputs=n + 1, filters=filters_of(nth, sizes, n), norm=norm)
        for n, size in enumerate(sizes)
    )
    return BinaryBlock(convs, act or PReLU(channels), **{"skip": "block", "residual": 0.1} | options)


def make_chain(**options):
    """Two groups of two blocks."""
    group = BlockGroup((make_block(1, **options), make_block(2, **options)))
    return BlockChain((group, group))


def changed(change, at=(1, 1)):
    """The paper's chain, but for one of its blocks."""
    groups = [list(group.blocks) for group in make_chain().groups]
    groups[at[0]][at[1]] = change(groups[at[0]][at[1]])
    return BlockChain(tuple(BlockGroup(tuple(blocks)) for blocks in groups))


def with_conv(n, **fields):
    """One of a block's convolutions is another one."""

    def change(block):
        convs = list(block.convs)
        convs[n] = REPLACE(convs[n], **fields)
        return REPLACE(block, convs=tuple(convs))

    return change


def other(**options):
    return make_binarizer(options)


FITS = {
    "the paper's": {},
    "without activation": {"act": Identity()},
    "another residual": {"residual": 1.0},
    **{
        f"{name} {value}": {"scheme": other(**{name: value})}
        for name, values in {
            "statistic": ("mean", "none"),
            "activation_ste": ("identity", "bireal"),
            "filter_ste": ("clip", "bireal"),
            "alpha": ("one",),
            "beta": ("one",),
            "accumulate_filters": (False,),
            "accumulate_activations": (False,),
        }.items()
        for value in values
    },
}
FITS_NOT = {
    "another width": make_chain(channels=32),
    "more channels": make_chain(channels=64),
    "other sizes": make_chain(sizes=(3, 3, 1)),
    "fewer convolutions": make_chain(sizes=(3, 1)),
    "more convolutions": make_chain(sizes=(3, 1, 1, 1)),
    "a skip around each convolution": make_chain(skip="every"),
    "another activation": make_chain(act=Slopes()),
    "another binarizer": make_chain(scheme=other(name="none")),
    "padding of zeros": make_chain(scheme=other(padding="zero")),
    "a gradient that it does not know": make_chain(scheme=other(activation_ste="window")),
    "a BN behind each convolution": make_chain(norm=True),
    "a block without activation": changed(lambda block: REPLACE(block, activation=Identity())),
    "a block with another activation": changed(lambda block: REPLACE(block, activation=Slopes())),
    "a block with another skip": changed(lambda block: REPLACE(block, skip="every")),
    "a block with another residual": changed(lambda block: REPLACE(block, residual=0.2), at=(0, 1)),
    "a block of other sizes": changed(lambda _: make_block(2, sizes=(1, 1, 1))),
    "a block of fewer convolutions": changed(lambda _: make_block(2, sizes=(3, 1))),
    "a block padded with zeros": changed(lambda _: make_block(1, scheme=other(padding="zero")), at=(1, 0)),
    "a block with a BN": changed(with_conv(0, norm=True), at=(1, 0)),
    "a block with another statistic": changed(lambda _: make_block(2, scheme=other(statistic="mean"))),
    "a block with another binarizer": changed(lambda _: make_block(2, scheme=other(name="none"))),
    "a first block with another binarizer": changed(lambda _: make_block(1, scheme=other(beta="one")), at=(0, 0)),
    "two binarizers in every block": BlockChain(
        (BlockGroup((with_conv(1, scheme=other(statistic="mean"))(make_block()),)),) * 2
    ),
}


@pytest.fixture
def calls(monkeypatch):
    """As many as there are calls of the fused operation."""
    seen, inner = [], module.lb_blocks
    monkeypatch.setattr(module, "lb_blocks", lambda *args: (seen.append(1), inner(*args))[1])
    return seen


def passes(layer, params, x, train=True):
    """Result, cotangent and gradients; the running averages where they have gone."""
    params = map_leaves(np.copy, params)
    y, back = layer.apply(params, x, train)
    dx, grads = back(np.ones_like(y)) if train else (x, {})
    averages = {name: a for name, a in leaves(params) if ".running_" in name}
    return {"y": y, "dx": dx} | dict(leaves(grads)) | averages


def case(chain, width=16, dtype=np.float32):
    params = chain.init(np.random.default_rng(2), dtype)
    channels = chain.groups[0].blocks[0].convs[0].channels
    return params, np.random.default_rng(3).standard_normal((2, channels, 2, width)).astype(dtype)


def check_layers(calls, chain, params, x, train=True):
    """That the layers do it, and nothing else."""
    result, expected = passes(chain, params, x, train), passes(chain._plain(), params, x, train)
    assert calls == []
    assert result.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(result[name], value, err_msg=name)


@pytest.mark.parametrize("options", FITS.values(), ids=FITS.keys())
def test_what_fits_is_one_operation_and_the_same(calls, options):
    """But for the order of float32 sums; gradients are compared where no sign hangs on it."""
    chain = make_chain(**options)
    params, x = case(chain)
    result, expected = passes(chain, params, x), passes(chain._plain(), params, x)
    assert calls == [1]
    assert result.keys() == expected.keys()
    assert relative(result["y"], expected["y"]) < 1e-4
    assert relative(result["dx"], expected["dx"]) < 1e-3


@pytest.mark.parametrize("chain", FITS_NOT.values(), ids=FITS_NOT.keys())
def test_what_does_not_fit_is_left_to_the_layers(calls, chain):
    check_layers(calls, chain, *case(chain))


@pytest.mark.parametrize("width", [1, 8, 15, 17, 40])
def test_patches_must_be_a_multiple_of_16_wide(calls, width):
    chain = make_chain()
    check_layers(calls, chain, *case(chain, width=width))


def test_numbers_must_be_float32(calls):
    chain = make_chain()
    check_layers(calls, chain, *case(chain, dtype=np.float64))


def test_only_training_is_fused(calls):
    chain = make_chain()
    check_layers(calls, chain, *case(chain), train=False)
