"""Blocks of all kinds with numbers drawn at random."""

import numpy as np

from npbsrn.packed.plan import Block, Step

REAL = np.float32
KINDS = [("none", False), ("none", True), ("abs", False), ("abs", True), ("mean", True)]  # statistic; whether slopes


class Draw:
    """Whole numbers and powers of two, of which sums are exact and often meet a threshold, or any numbers."""

    def __init__(self, rng, whole):
        self.rng, self.whole = rng, whole

    def among(self, choices, *shape):
        """Some of a few numbers where numbers are to be whole, else any."""
        if self.whole:
            return self.rng.choice(REAL(choices), shape)
        return (self.rng.standard_normal(shape) * max(np.abs(choices)) / 2).astype(REAL)

    def stream(self, *shape):
        """What comes in, with a few -0.0."""
        x = self.among(range(-4, 5), *shape)
        x[self.rng.random(shape) < 0.1] = -0.0
        return x

    def step(self, channels, size, bases, terms, sloped, skip, amount=1.0):
        """Each filter base and activation base with all there is."""
        m, n = bases
        draw = self.among
        return Step(
            tuple(self.rng.choice(np.int8([-1, 1]), (channels, channels, size, size)) for _ in range(m)),
            draw([0, 0.25, 0.5, 1], m, n, channels) / REAL(size**2),
            draw([-2, 0, 1], channels) if self.rng.random() < 0.5 else None,
            draw([-2, -1, -0.5, 0, 0.5, 1, 2], n, len(terms), channels),
            draw([-3, -2, -1, 0, 1, 2, 3], n, channels) + REAL(0),
            terms,
            float(self.rng.choice([1, -1])),
            draw([-0.5, 0, 0.25, 0.5, 1], channels) if sloped else None,
            skip,
            amount,
        )

    def block(self, channels, sizes, statistic, sloped, bases, skip):
        """Each step binarizes the newest term alone, all of them, or some."""
        steps = []
        for n, size in enumerate(sizes):
            some = np.flatnonzero(self.rng.random(n + 1) < 0.5)
            terms = [(n,), tuple(range(n + 1)), tuple(int(k) for k in some) or (0,)][self.rng.integers(0, 3)]
            own = sloped and self.rng.random() < 0.7
            around = skip in ("every", "unit")
            steps.append(self.step(channels, size, bases, terms, own, around, 0.25 if skip == "unit" else 1.0))
        return Block(tuple(steps), statistic, 0.5 if skip == "block" else None)


def random_blocks(seed, channels, count=2, statistic="none", sloped=True, whole=True, several=False):
    """Blocks of one to three steps of 3x3 or 1x1, all with one kind of skip and as many bases."""
    rng = np.random.default_rng(seed)
    draw, skip = Draw(rng, whole), rng.choice(["none", "block", "every", "unit"])
    bases = tuple(int(n) for n in rng.integers(1, 4, 2)) if several else (1, 1)
    sizes = lambda: [int(k) for k in rng.choice([1, 3], rng.integers(1, 4))]  # noqa: E731
    return [draw.block(channels, sizes(), statistic, sloped, bases, skip) for _ in range(count)]


def lb_blocks(seed, channels, count=3, statistic="abs", sloped=True, whole=False):
    """A 3x3 and two 1x1 convolutions, whose terms accumulate."""
    draw = Draw(np.random.default_rng(seed), whole)
    blocks = []
    for _ in range(count):
        sizes = enumerate((3, 1, 1))
        steps = [draw.step(channels, k, (1, 1), tuple(range(n + 1)), sloped and n < 2, False) for n, k in sizes]
        blocks.append(Block(tuple(steps), statistic, 0.03))
    return blocks


def contents(plan):
    """All arrays of a plan, or None where one is missing."""
    ends = [plan.head, *([] if plan.trunk is None else [plan.trunk]), *plan.tail]
    floats = [v for s in plan.steps for v in (s.factor, s.offset, s.weight, s.shift, s.slope)]
    return [*(w for s in plan.steps for w in s.signs), *floats, *(array for end in ends for array in end)]


def shape_of(plan):
    """All of a plan that is no array."""
    steps = [(s.size, len(s.signs), s.terms, s.pad, s.skip, s.amount) for s in plan.steps]
    blocks = [(len(b.steps), b.statistic, b.residual) for b in plan.blocks]
    whole = plan.scale, plan.enlarged, plan.base, plan.gain, plan.trunk is None, plan.shuffles, plan.flat
    return plan.config, whole, steps, blocks


def assert_same(plan, other):
    """Two plans, to the bit."""
    assert shape_of(plan) == shape_of(other)
    for own, there in zip(contents(plan), contents(other), strict=True):
        assert (own is None) == (there is None)
        if own is not None:
            assert (own.shape, own.dtype, own.tobytes()) == (there.shape, there.dtype, there.tobytes())
