"""Fill the tables of some pages: from docs/figures/*.json, the models' cards, and the rows in training/tables.

``python docs/make_performance.py``. A benchmark writes such a file by ``--json``; the file says which command and which
CPU its figures are of, and so does the page. A table stands between ``<!-- table: NAME -->`` and ``<!-- end -->``; what
is around it is written by hand.
"""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from importlib.resources import as_file
from pathlib import Path
from typing import Any

from reproduced import SHOWN

from npbsrn.packed.format import load_packed
from npbsrn.shipped import MODELS, packed_weights

DOCS = Path(__file__).parent
FIGURES = DOCS / "figures"
PAGES = "performance.md", "training.md", "claims.md", "reproduction.md", "scale.md"
TABLE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

PEERS = {"torch": "PyTorch", "onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}
RUNS = "bsrn", "srresnet", "vdsr"  # of bench_upscale and bench_train


def run_of(name: str) -> dict[str, Any]:
    """What a benchmark has written; see `benchmarks.timing.record`."""
    return json.loads((FIGURES / f"{name}.json").read_text())


def there(names: Iterable[str]) -> list[str]:
    """Those of which there is a file."""
    return [name for name in names if (FIGURES / f"{name}.json").exists()]


def table(titles: Sequence[str], rows: Iterable[Sequence[str]], runs: Sequence[str]) -> str:
    """A Markdown table, columns of numbers to the right, and the commands and CPUs behind it."""
    rows = list(rows)
    numbers = [all(re.match(r"^([\d.,]|$)", row[n]) for row in rows) for n in range(len(titles))]
    lines = [titles, ["---:" if number else "---" for number in numbers], *rows]
    text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{text}\n\n{sources(runs)}" if runs else text


def sources(runs: Sequence[str]) -> str:
    """The commands of some runs, by CPU."""
    found: dict[str, list[str]] = {}
    for run in map(run_of, runs):
        found.setdefault(f"{run['cpu']}, kernel `{run['kernel']}`", []).append(f"`{run['command']}`")
    return "\n".join(f"*{cpu}; {'; '.join(commands)}*" for cpu, commands in found.items())


def models() -> str:
    """Time and PSNR of the models by name."""
    points = run_of("models")["figures"]["points"]
    threads = sorted({point["threads"] for point in points})
    sets = list(points[0]["psnr"])
    titles = [
        "x4, 320x180 to 1280x720",
        *(f"ms, {n} thread{'s' * (n > 1)}" for n in threads),
        *(f"{s}, dB" for s in sets),
    ]
    rows = []
    for name in dict.fromkeys(point["name"] for point in points):
        own = {point["threads"]: point for point in points if point["name"] == name}
        psnr = own[threads[0]]["psnr"]
        rows.append([f"`{name}`", *(f"{own[n]['ms']:.0f}" for n in threads), *(f"{psnr[s]:.2f}" for s in sets)])
    return table(titles, rows, ["models"])


def peers() -> str:
    """Ratios to float networks of one shape, by one thread."""
    names = there(f"upscale-{name}" for name in RUNS)
    titles = ["x4, one thread", "npbsrn, ms", *(f"{words}, plain tail" for words in PEERS.values())]
    titles += [f"{words}, composed" for words in PEERS.values()]
    rows = []
    for name in names:
        figures = run_of(name)["figures"]
        one = "_1" if figures["threads"] > 1 else ""
        ratios = [figures[f"upscale_over_{peer}{tail}{one}"] for tail in ("", "_composed") for peer in PEERS]
        cells = ["" if ratio is None else f"{ratio:.1f}" for ratio in ratios]
        rows.append([f"`{figures['network']}`", f"{figures[f'upscale_s{one}'] * 1e3:.0f}", *cells])
    return table(titles, rows, names)


def parts() -> str:
    """Where the engine's time goes."""
    names = there(f"upscale-{name}" for name in RUNS)
    runs = [run_of(name)["figures"] for name in names]
    titles = ["ms, one thread", *(f"`{figures['network']}`" for figures in runs)]
    kinds = dict.fromkeys(part for figures in runs for part in figures["parts_ms"])
    rows = [[part, *(f"{figures['parts_ms'].get(part, 0):.1f}" for figures in runs)] for part in kinds]
    return table(titles, rows, names)


def sizes() -> str:
    """Seconds a megapixel."""
    figures = run_of("upscale-bsrn")["figures"]
    found = [(key, value) for key, value in figures.items() if key.startswith("s_per_mp_at_")]
    rows = [[f"{key[12:-2]} MP", f"{value:.2f}"] for key, value in found]
    return table([f"`bsrn` x4, {figures['threads']} threads", "seconds a megapixel"], rows, ["upscale-bsrn"])


def memory() -> str:
    """Of the engine, beyond the result."""
    rows = [[size, f"{value}"] for size, value in run_of("memory")["figures"].items()]
    return table(["picture", "MB"], rows, ["memory"])


def strips() -> str:
    """Of the command, in strips."""
    found = run_of("strips")["figures"].items()
    rows = [[size, f"{value['peak_mb']}", f"{value['seconds']}"] for size, value in found]
    return table(["picture", "MB, the whole process", "seconds"], rows, ["strips"])


def start() -> str:
    """Of processes."""
    rows = [[name, f"{value:.2f}"] for name, value in run_of("start")["figures"].items()]
    return table(["", "seconds"], rows, ["start"])


def folder() -> str:
    """Of folders, and of the engine alone."""
    names = there(("folder-clean-jpg", "folder-fast-jpg", "folder-fast-png"))
    runs = [run_of(name)["figures"] for name in names]
    rows = [
        [f"`{f['model']}`, {f['suffix']}", f"{f['engine']:.2f}", f"{f['folder']:.2f}", f"{f['ratio']:.2f}"]
        for f in runs
    ]
    return table(["", "engine alone", "folder", "ratio"], rows, names)


def png() -> str:
    """Of PNGs, by how they are compressed."""
    figures = run_of("png")["figures"]
    words = {f"filtered {n}": f"zlib, level {n}" for n in (6, 4, 2)} | {"chosen": "npbsrn"}
    rows = [
        [text, *(f"{figures[name][key]:.3f}" for key in ("s_per_megapixel", "size"))] for name, text in words.items()
    ]
    return table(["", "seconds a megapixel", "size"], rows, ["png"])


def train() -> str:
    """Steps, and PyTorch's."""
    names = there(f"train-{name}" for name in RUNS)
    rows = []
    for name in names:
        figures = run_of(name)["figures"]
        for key in (key for key in figures if re.fullmatch(r"step_\d+_s", key)):
            side = key.split("_")[1]
            batch = 8 if side == "16" else 16
            both = [figures[f"step_over_torch_{side}"], figures.get(f"step_over_torch_{side}_composed")]
            ratios = ["" if ratio is None else f"{ratio:.1f}" for ratio in both]
            rows.append([f"`{figures['network']}`, {batch} patches of {side}x{side}", f"{figures[key]:.3f}", *ratios])
    return table(["", "npbsrn, s", "PyTorch / npbsrn, plain tail", "composed tail"], rows, names)


def hours() -> str:
    """Of each preset."""
    figures = run_of("presets")["figures"]
    rows = []
    for name, own in ((name, own) for name, own in figures.items() if isinstance(own, dict)):
        steps = [f"{part['steps']:,} of {own['batch']} x {part['patch']}x{part['patch']}" for part in own["parts"]]
        seconds = ", ".join(f"{part['step_s']:.2f}" for part in own["parts"])
        rows.append([f"`{name}`", f"`{own['network']}`", ", then ".join(steps), seconds, _time(own["hours"])])
    titles = [
        "preset",
        "network",
        "steps and patches (LR pixels)",
        "seconds a step",
        f"a run, {figures['threads']} threads",
    ]
    return table(titles, rows, ["presets"])


def _time(hours: float) -> str:
    for unit, count, most in (("seconds", 3600, 1 / 60), ("minutes", 60, 1), ("hours", 1, 72)):
        if hours < most:
            return f"{hours * count:.0f} {unit}"
    return f"{hours / 24:.0f} days"


def layers() -> str:
    """Of the claims: each kind of layer."""
    return f"{run_of('claims')['figures']['layers']}\n\n{sources(['claims'])}"


def networks() -> str:
    """Of the claims: whole networks."""
    return f"{run_of('claims')['figures']['networks']}\n\n{sources(['claims'])}"


FIRST = {"x4mid.npz": "those of `bsrn` x4 at step 42,500, which were not kept"}


RANKS = "ranks-bbcu", "ranks-bsrn"


def ranks() -> str:
    """Training steps by threads and by ranks."""
    names = there(RANKS)
    setups = {
        "one rank": "one_rank", "two threads": "two_threads", "two threads, four shards": "two_threads_four_shards",
        "two ranks": "two_ranks",
    }  # fmt: skip
    runs = [run_of(name)["figures"] for name in names]
    rows = [[words, *(f"{figures[f'step_{key}_s']:.3f}" for figures in runs)] for words, key in setups.items()]
    rows += [[words, *(f"{figures[key]:.2f}" for figures in runs)] for words, key in SCALING.items()]
    return table(["", *(f"`{name.removeprefix('ranks-')}`, seconds a step" for name in names)], rows, names)


SCALING = {
    "strong scaling to two ranks": "strong",
    "weak scaling to two ranks": "weak",
    "two ranks against two threads": "over_threads",
}


def more_ranks() -> str:
    """Weak scaling as the model has it."""
    names = there(RANKS)
    networks = {"infiniband": "100 Gbit/s, 2 us", "ethernet": "10 Gbit/s, 25 us"}
    runs = {name.removeprefix("ranks-"): run_of(name)["figures"] for name in names}
    titles = [f"`{name}`, {words}" for name in runs for words in networks.values()]
    rows = [
        [str(n), *(f"{figures[f'weak_{n}_{key}']:.0%}" for figures in runs.values() for key in networks)]
        for n in (1, 4, 16, 64, 256, 1024)
    ]
    return table(["ranks", *titles], rows, [])


def cost() -> str:
    """Of enlarging a million pictures of a megapixel by machines that are for hire."""
    clouds = json.loads((FIGURES / "clouds.json").read_text())
    rows = []
    for machine in clouds["machines"]:
        for name in there(f"folder-{model}-jpg{machine['figures']}" for model in ("clean", "fast")):
            figures = run_of(name)["figures"]
            seconds = figures["folder"] * figures["threads"] / machine["cores"]
            euros = seconds * 1e6 / 3600 * machine["dollars_an_hour"] / clouds["dollars_a_euro"]
            hours = f"{machine['dollars_an_hour']:.4f}"
            rows.append([machine["name"], f"`{figures['model']}`", f"{1 / seconds:.2f}", hours, f"{euros:,.0f}"])
    runs = there(f"folder-{model}-jpg{end}" for end in ("", "-xeon") for model in ("clean", "fast"))
    return table(["machine", "model", "pictures a second", "dollars an hour", "euros a million"], rows, runs)


def first() -> str:
    """The weights that each run began with, by the cards in the packed files."""
    rows = []
    for name, shipped in MODELS.items():
        for scale in shipped.scales:
            with as_file(packed_weights(name, scale)) as path:
                card = load_packed(path).card
            rows.append([f"`{name}` x{scale}", *_of_card(card)])
    return table(["weights", "began with", "steps", "minutes", "on"], rows, [])


def _of_card(card: dict[str, Any]) -> list[str]:
    begin = card.get("init") or "drawn"
    device = "one H200" if "H200" in card.get("trained", "") else "a CPU"
    return [FIRST.get(begin, begin), f"{card['steps']:,}", f"{card['minutes']:.1f}", device]


TABLES: dict[str, Callable[[], str]] = SHOWN | {
    own.__name__: own
    for own in (
        models, peers, parts, sizes, memory, strips, start, folder, png, train, hours, first, layers, networks, ranks,
        more_ranks, cost,
    )
}  # fmt: skip


def filled(page: str) -> str:
    """A page with its tables as they are now."""
    return TABLE.sub(lambda found: f"{found[1]}\n{TABLES[found[2]]()}\n\n{found[3]}", page)


def main() -> None:
    """Write all pages."""
    for name in PAGES:
        page = DOCS / name
        page.write_text(filled(page.read_text()))
        print(f"{page} is written")


if __name__ == "__main__":
    main()
