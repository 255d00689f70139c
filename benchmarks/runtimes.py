"""The networks of the bundles on a CPU: ONNX Runtime and bfloat16 against PyTorch in float32.

    python benchmarks/runtimes.py [--sizes 0,1024] [--threads 1,2] [--rounds 9] [--bundles effisegnet,segformer]

Weights are the shipped ones, the image is one of SIZE x SIZE px, 0 for the size that the weights were trained at. Equal
logits are asserted first. All ways take turns in one process. Numbers are medians: on one thread of processor time,
which other programs lengthen less, and on several of time on the clock.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable

import torch
from tqdm import tqdm

from handseg_bundle_common.inference import load_predictor
from handseg_bundle_common.inference.onnx_network import TOLERANCE, OnnxNetwork, onnx_network
from handseg_bundle_common.inference.precision import has_bfloat16
from handseg_bundle_common.networks.graph import largest_difference, noise_images

BUNDLES = ("effisegnet", "segformer", "swin_unetr", "unetplusplus")
PLAIN, LAST, HALF, ONNX = "PyTorch", "channels last", "bfloat16", "ONNX Runtime"

Way = Callable[[], torch.Tensor]


def ways(network: OnnxNetwork) -> dict[str, Way]:
    """Return how the logits of one image are calculated, by name; the threads are PyTorch's at the moment."""
    image = noise_images(1, network.side, network.side)
    plain = network.network
    last = copy.deepcopy(plain).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    image_last = image.contiguous(memory_format=torch.channels_last)

    def in_bfloat16() -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            logits: torch.Tensor = plain(image)
        return logits

    found = {PLAIN: lambda: plain(image), LAST: lambda: last(image_last), ONNX: lambda: network(image)}
    return found | ({HALF: in_bfloat16} if has_bfloat16(torch.device("cpu")) else {})


def compare(found: dict[str, Way]) -> dict[str, float]:
    """Return the largest difference of each way's logits; all but those of bfloat16 must be equal."""
    expected = found[PLAIN]()
    differences = {name: largest_difference(way().float(), expected) for name, way in found.items()}
    for name, difference in differences.items():
        if name != HALF and not difference <= TOLERANCE:
            raise SystemExit(f"{name} gives other logits: {difference:.2g}")
    return differences


def time_in_turns(found: dict[str, Way], rounds: int, clock: Callable[[], float]) -> dict[str, float]:
    """Return the median seconds of each way."""
    taken: dict[str, list[float]] = {name: [] for name in found}
    for _ in tqdm(range(rounds), "timing", disable=None):
        for name, way in found.items():
            start = clock()
            way()
            taken[name].append(clock() - start)
    return {name: statistics.median(values) for name, values in taken.items()}


def row(bundle: str, size: int, threads: int, rounds: int) -> str:
    """Measure one bundle at one size with so many threads, and return the line of the table."""
    torch.set_num_threads(threads)
    predictor = load_predictor(bundle, device="cpu", image_size=size or None, precision="float32")
    start = time.perf_counter()
    network = onnx_network(predictor.network, int(predictor.inferer.roi_size[0]))  # type: ignore[attr-defined]
    compiled = time.perf_counter() - start
    with torch.inference_mode():
        found = ways(network)
        differences = compare(found)
        seconds = time_in_turns(found, rounds, time.process_time if threads == 1 else time.perf_counter)
    ratios = [f"{seconds[PLAIN] / seconds[name]:.2f}" if name in seconds else "" for name in (LAST, HALF, ONNX)]
    columns = [bundle, str(network.side), str(threads), f"{1000 * seconds[PLAIN]:.0f}", *ratios]
    columns += [f"{differences[ONNX]:.0e}", f"{differences.get(HALF, float('nan')):.0e}", f"{compiled:.0f}"]
    return f"| {' | '.join(columns)} |"


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundles", default=",".join(BUNDLES))
    parser.add_argument("--sizes", default="0,1024")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    print(
        "| bundle | px | threads | PyTorch, ms | channels last | bfloat16 | ONNX Runtime | difference of ONNX Runtime ",
        end="",
    )
    print("| of bfloat16 | s to compile or load |\n|---|---|---|---|---|---|---|---|---|---|")
    for bundle in arguments.bundles.split(","):
        for size in map(int, arguments.sizes.split(",")):
            for threads in map(int, arguments.threads.split(",")):
                print(row(bundle, size, threads, arguments.rounds), flush=True)


if __name__ == "__main__":
    main()
