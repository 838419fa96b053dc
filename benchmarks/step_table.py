"""The table of a step's time: each part's share of the step, and how far it is from its ceiling."""

import statistics
import time
from typing import Any, NamedTuple

from benchmarks.block_parts import MACS, seconds_alone
from benchmarks.ceilings import Ceilings
from benchmarks.parts import APART, CEILINGS, LB_BACKWARD, LB_FORWARD, Part, lb_bytes_between_barriers, timed_parts
from npbsrn.binarizers import make_binarizer
from npbsrn.fused.lb_blocks import CHANNELS
from npbsrn.runtime.threads import quiet_blas

IN_PLACE, ALONE, LEFT, REST = "in place", "alone", "left", "the rest (Python, sums of gradients, skips)"
FOOTNOTE = """\
in place: timed within the step. alone: the kernels by themselves on one sample a thread, scaled to the step.
left: LB-blocks in place less their kernels alone, that is normalisation, activations, packing, memory, barriers.
of ceiling: the least time by the part's ceiling over its time. memory: bytes read and written by a copy."""


class Row(NamedTuple):
    """One part: seconds of a step, how they were measured, and by which ceiling how many they could be."""

    name: str
    seconds: float
    how: str
    ceiling: str = ""
    least: float = 0.0


def in_place(ours: Any, rounds: int) -> tuple[float, dict[str, Part]]:
    """Seconds of a step and its parts: means of the third of the steps in the middle, by their time.

    Now and then another program takes the processor. Medians of the parts would not add up to the step's.
    """
    steps: list[tuple[float, dict[str, Part]]] = []
    with quiet_blas():
        ours.step()  # which finds its memory out of the caches
        for _ in range(rounds):
            with timed_parts() as parts:
                start = time.perf_counter()
                ours.step()
                whole = time.perf_counter() - start
            parts["data"] = Part(ours.data_seconds[-1], ours.data_bytes)
            steps.append((whole, parts))
    steps.sort(key=lambda step: step[0])
    middle = steps[rounds // 3 : rounds - rounds // 3]
    seconds = {name: statistics.fmean(parts[name].seconds for _, parts in middle) for name in steps[0][1]}
    works = {name: part.work for name, part in steps[0][1].items()}
    return statistics.fmean(whole for whole, _ in middle), {name: Part(seconds[name], works[name]) for name in works}


def block_rows(parts: dict[str, Part], blocks: int, shape: tuple[int, int, int], ceilings: Ceilings) -> list[Row]:
    """The LB-blocks in five; `shape` is (samples, height, width). Takes their two parts out of `parts`."""
    alone = {name: blocks * seconds for name, seconds in seconds_alone(*shape).items()}
    samples, height, width = shape
    macs = blocks * MACS * samples * height * width
    forward, backward = parts.pop(LB_FORWARD), parts.pop(LB_BACKWARD)
    other_forward = forward.seconds - alone["forward"]
    other_backward = backward.seconds - alone["inputs"] - alone["filters"]
    return [
        Row("LB: binary convolutions, forward", alone["forward"], ALONE, "popcount", macs / ceilings.popcount),
        Row("LB: products for dX, backward", alone["inputs"], ALONE, "look-up", macs / ceilings.look_up),
        Row("LB: products for dW, backward", alone["filters"], ALONE, "look-up", macs / ceilings.look_up),
        Row("LB: element-wise and the rest, forward", other_forward, LEFT, "memory", forward.work / ceilings.memory),
        Row("LB: element-wise and the rest, backward", other_backward, LEFT, "memory", backward.work / ceilings.memory),
    ]


def other_rows(parts: dict[str, Part], ceilings: Ceilings, binary: bool = True) -> list[Row]:
    """What is operations of its own; without `binary` activations the blocks' convolutions are multiplied, too."""
    rows = []
    for name, part in parts.items():
        kind = CEILINGS.get(name, "memory")
        if not binary and name.split(",")[0] in APART:
            kind = "fma"
        rows.append(Row(name, part.seconds, IN_PLACE, WORDS.get(kind, kind), part.work / getattr(ceilings, kind)))
    return rows


WORDS = {"fma": "FMA", "look_up": "look-up"}


def print_table(whole: float, rows: list[Row]) -> None:
    """By time; the last row is what is in no other."""
    print(f"    {'part':45} {'measured':8} {'ms':>8}  {'of step':>7}  of ceiling")
    rest = Row(REST, whole - sum(row.seconds for row in rows), LEFT)
    for row in [*sorted(rows, key=lambda row: -row.seconds), rest]:
        of_ceiling = f"{row.least / row.seconds:6.0%} {row.ceiling}" if row.ceiling else "     -"
        print(f"    {row.name:45} {row.how:8} {row.seconds * 1e3:8.2f}  {row.seconds / whole:7.1%}  {of_ceiling}")


def print_parts(ours: Any, rounds: int, ceilings: Ceilings) -> None:
    """Time some steps of `benchmarks.train_steps.Ours` and print where it goes."""
    whole, parts = in_place(ours, rounds)
    binary = not make_binarizer(ours.config.network["binarizer"]).float_activations
    if LB_FORWARD not in parts:
        print_table(whole, other_rows(parts, ceilings, binary))
        return
    case, blocks = ours.case, 2 * ours.config.network["blocks"]  # an HPB is two LB-blocks
    rows = block_rows(parts, blocks, (case.batch, case.patch, case.patch), ceilings)
    print_table(whole, rows + other_rows(parts, ceilings))
    values = blocks * case.batch * case.patch**2 * CHANNELS
    forward, backward = (1e3 * moved / ceilings.memory for moved in lb_bytes_between_barriers(values))
    print(f"    LB-blocks' arrays by memory, if no cache held them: {forward:.1f} ms forward, {backward:.1f} ms back")


def print_ceilings(ceilings: Ceilings, threads: int) -> None:
    """What the shares are of."""
    rates = [f"{kind} {rate / 1e9:.0f}" for kind, rate in (
        ("FMA", ceilings.fma), ("look-up", ceilings.look_up), ("popcount", ceilings.popcount),
    )]  # fmt: skip
    print(f"    ceilings, {threads} threads: {', '.join(rates)} GMAC/s, memory {ceilings.memory / 1e9:.1f} GB/s")
