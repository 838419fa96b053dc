"""What a packed network costs on this CPU, from what it has to do and from what each kind of work takes.

The time of a picture is a sum over `Work`: each amount times its rate in `Rates`. Rates are measured by
`npbsrn.cli.costs`; amounts follow from the plan alone, so that a network can be judged before it is trained.
"""

from dataclasses import astuple, dataclass

from npbsrn.kernels.bits import TILE
from npbsrn.packed.engine import Engine


@dataclass(frozen=True)
class Work:
    """What one picture takes; or, as `Rates`, seconds for one of each.

    Parameters
    ----------
    counts3, counts1 : float
        Binary multiply-accumulates of 3x3 and of 1x1 convolutions.
    values : float
        Results of binary convolutions, each scaled, shifted, summed with earlier terms and made a bit of the next one's
        input; one more for each further pair of bases.
    activated : float
        Those that also pass a PReLU or are added to the step's input.
    means : float
        Values that are divided by E of eq. 9, in a pass of its own.
    head, trunk, tail : float
        Multiply-accumulates of the float convolutions, those that are done; a direct 3x3 tail counts as a trunk.
    pixels : float
        Of the result: rounding, order, copies.
    """

    counts3: float = 0.0
    counts1: float = 0.0
    values: float = 0.0
    activated: float = 0.0
    means: float = 0.0
    head: float = 0.0
    trunk: float = 0.0
    tail: float = 0.0
    pixels: float = 0.0

    def times(self, rates: "Work") -> "Work":
        """Seconds of each kind."""
        return Work(*(amount * rate for amount, rate in zip(astuple(self), astuple(rates), strict=True)))

    def total(self) -> float:
        """The sum of all."""
        return float(sum(astuple(self)))


Rates = Work


def work_of(engine: Engine, height: int, width: int) -> Work:
    """Of a picture of so many pixels that passes in one tile; borders and overlapping bands are left out."""
    high, wide, plan = height * engine.factor, width * engine.factor, engine.plan
    covered = high * -(-wide // TILE) * TILE
    counts, values, activated, means = {1: 0, 3: 0}, 0, 0, 0
    for block in plan.blocks:
        for step in block.steps:
            pairs, channels = step.factor.shape[0] * step.factor.shape[1], plan.channels
            counts[step.size] += pairs * channels**2 * step.size**2 * covered
            values += pairs * channels * covered
            activated += channels * covered * (step.slope is not None or step.skip)
            means += channels * covered * (block.statistic != "none")
    trunk, tail = engine.end.multiplications(high, wide)
    head = engine.head[0].size * high * wide
    pixels = height * width * engine.scale**2
    return Work(counts[3], counts[1], values, activated, means, head, trunk, tail, pixels)
