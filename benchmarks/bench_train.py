"""Time a training step of a network x4 with a scheme against PyTorch eager float32, on the same cores, in one run.

``python -m benchmarks.bench_train [--network NAME] [--binarizer NAME] [--preset NAME] [--quick] [--patch 16]``, after
``pip install '.[peers]'``. The data are noise: pictures do not matter to speed. Ours and PyTorch's steps are timed in
turn; figures are medians.

A step is that of 16 patches of 48x48, for bsrn and bbcu also of 8 of 16x16, LR pixels. VDSR works on enlarged patches:
there it is 16 of 41x41 HR pixels, as in its paper; patches of 11x11 are enlarged and cut to that with the data, for
both. ``--preset best --network bbcu`` has the options of `clean`'s network.

PyTorch has two peers: with the plain tail, as its users have it, and with the tail composed into one convolution, as
ours is in training (npbsrn.layers.tail). For each of them both memory layouts are tried, and the better one is taken
and named, by steps of a quarter of the batch. The schemes' bases are one convolution in PyTorch.

Then our step is split into its parts, each held against what the CPU can do at most. The last line is JSON.
"""

import argparse
import dataclasses
import json
import resource
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.ceilings import measure_ceilings
from benchmarks.step_table import FOOTNOTE, print_ceilings, print_parts
from benchmarks.timing import Figures, add_json, in_turn, record, rounded, show_lines
from benchmarks.train_steps import CASES, SCALE, Case, Ours, Peer, better_layout, make_source
from npbsrn.binarizers.base import SCHEMES
from npbsrn.runtime.machine import cpu_name
from npbsrn.runtime.threads import quiet_blas, thread_count
from npbsrn.training.config import PRESETS, TrainConfig, make_config

SHORT = 8 * 16 * 16  # pixels in a batch up to which steps are so short that they go in bursts
TAILS = {"": "the plain tail", "_composed": "the tail composed"}  # ends of names in the JSON line


def config_of(network: str, binarizer: str, case: Case, preset: str = "default") -> TrainConfig:
    """The default training of a network with a scheme, which have the options of a preset."""
    whole = make_config(SCALE, preset, {"network": network, "binarizer": binarizer}).network
    return dataclasses.replace(TrainConfig(), network=whole, batch=case.batch, patch=case.patch)


def time_steps(ours: Ours, case: Case, name: str, quick: bool) -> Figures:
    """Ours and PyTorch's in turn."""
    short = case.batch * case.patch**2 <= SHORT and not case.side
    tails = TAILS if ours.config.network.get("tail") else {"": TAILS[""]}
    burst = 6 if short else 1 if quick else 2
    peers: dict[str, Peer] = {
        tail: better_layout(ours.config, ours.source, case, tail != "", 3 if short else 1) for tail in tails
    }
    rounds = (3 if quick else 8) if short else (3 if quick else 4)
    steps = {"ours": ours.step} | {tail: peer.step for tail, peer in peers.items()}
    seconds = in_turn(steps, 2 if short else 1, rounds, burst)
    own = seconds["ours"]
    print(f"{case.words}: ours {own:.4f} s")
    figures: Figures = {f"step_{name}_s": own, f"step_over_torch_{name}": seconds[""] / own}
    for tail, peer in peers.items():
        words = f"PyTorch, {TAILS[tail]}, {peer.layout}"
        print(f"    {words:52} {seconds[tail]:8.4f} s  {seconds[tail] / own:6.2f}x")
        figures |= {f"step_over_torch_{name}{tail}": seconds[tail] / own, f"torch_{name}{tail}_layout": peer.layout}
    return figures


def time_case(ours: Ours, case: Case, name: str, quick: bool) -> Figures:
    """Whole steps, the memory of ours, and its parts."""
    with quiet_blas():
        ours.step()
    memory = {f"memory_{name}_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}
    figures = time_steps(ours, case, name, quick)
    ceilings = measure_ceilings()  # beside each table: what memory gives is not the same at all times
    print_ceilings(ceilings, thread_count())
    print_parts(ours, 21 if name == "16" else 3 if quick else 5, ceilings)
    share = float(np.mean(ours.data_seconds)) / figures[f"step_{name}_s"]
    return (memory if name != "16" else {}) | figures | {"data_share": share}


def main() -> None:
    """Print a table and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="bsrn", choices=sorted(CASES), help="which network")
    parser.add_argument("--binarizer", default="bam", choices=sorted(SCHEMES), help="which scheme")
    parser.add_argument("--preset", default="default", choices=PRESETS, help="whose network is timed")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--patch", help="only patches of this side, such as 16; default all that the network has")
    add_json(parser)
    args = parser.parse_args()
    show_lines()
    figures: Figures = {"network": args.network, "binarizer": args.binarizer, "preset": args.preset}
    figures |= {"threads": thread_count(), "cpu": cpu_name()}
    print(FOOTNOTE)
    for name, case in CASES[args.network].items():
        if args.patch not in (None, name):
            continue
        with tempfile.TemporaryDirectory() as folder:
            source = make_source(Path(folder), case.patch)
            ours = Ours(config_of(args.network, args.binarizer, case, args.preset), source, case)
            figures |= time_case(ours, case, name, args.quick)
    print(json.dumps(rounded(figures)))
    record(rounded(figures), args.json)


if __name__ == "__main__":
    main()
