"""What the network of each bundle costs: parameters, seconds and memory.

    python benchmarks/networks.py [--size 512] [--rounds 5] [--threads 2] [--bundles effisegnet,segformer]

Networks and losses are those of the bundles' train.json, with random weights, for one image of SIZE x SIZE px. All are
timed in one process, in turns, because absolute times vary with the machine; each one's memory is measured in a process
of its own, beyond what the libraries take.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from monai.bundle import ConfigParser
from torch import nn
from tqdm import tqdm

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.weights import find_bundle

BUNDLES = ("effisegnet", "swin_unetr", "segformer", "unetplusplus")


@dataclass(frozen=True)
class Subject:
    """A bundle's network with what a training step needs."""

    network: nn.Module
    loss: nn.Module
    image: torch.Tensor
    masks: torch.Tensor

    def predict(self) -> None:
        """Compute the logits of the image."""
        self.network.eval()
        with torch.inference_mode():
            self.network(self.image)

    def train(self) -> None:
        """Compute the gradients of the loss."""
        self.network.train()
        self.network.zero_grad()
        self.loss(self.network(self.image), self.masks).backward()

    def parameters(self) -> int:
        """Return the number of the network's parameters."""
        return sum(p.numel() for p in self.network.parameters())


def subject(bundle: str, size: int, batch_size: int = 1) -> Subject:
    """Build what a bundle's train.json describes."""
    parser = ConfigParser()
    parser.read_config(str(Path(find_bundle(bundle), "configs", "train.json")))
    generator = torch.Generator().manual_seed(0)
    image = torch.rand((batch_size, 1, size, size), generator=generator)
    masks = torch.rand((batch_size, NUM_BONES, size, size), generator=generator) < 0.05
    network, loss = (parser.get_parsed_content(part) for part in ("network_def", "loss"))
    return Subject(network, loss, image, masks.to(torch.uint8))


def time_in_turns(ways: dict[str, Callable[[], None]], rounds: int) -> dict[str, float]:
    """Return the median seconds of each way; a first round warms up."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in tqdm(range(rounds + 1), "rounds", disable=None):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values[1:]) for name, values in times.items()}


def memory_in_this_process(bundle: str, size: int) -> dict[str, float]:
    """Return the gigabytes that a prediction and a training step add, the first of them measured first."""
    tested = subject(bundle, size)
    before = _peak()
    tested.predict()
    predicted = _peak()
    tested.train()
    return {"predict": predicted - before, "train": _peak() - before}


def _peak() -> float:
    """Return the process's peak memory as Linux tells it; `resource` would count that of its parent in."""
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024 / 1e9


def memory(bundle: str, arguments: argparse.Namespace) -> dict[str, float]:
    """Return what `memory_in_this_process` finds in a process of its own."""
    command = [sys.executable, __file__, "--memory", bundle, "--size", str(arguments.size)]
    command += ["--threads", str(arguments.threads)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    return dict(json.loads(result.stdout))


def main() -> None:
    """Time and weigh the networks and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--bundles", default=",".join(BUNDLES))
    parser.add_argument("--memory", metavar="BUNDLE", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.memory:
        print(json.dumps(memory_in_this_process(arguments.memory, arguments.size)))
        return
    subjects = {name: subject(name, arguments.size) for name in arguments.bundles.split(",")}
    predict = time_in_turns({name: tested.predict for name, tested in subjects.items()}, arguments.rounds)
    train = time_in_turns({name: tested.train for name, tested in subjects.items()}, arguments.rounds)
    print(f"\nOne image of {arguments.size} px, {arguments.threads} threads\n")
    print("| bundle | parameters | s an image | s a training step | GB to predict | GB to train |")
    print("|---|---|---|---|---|---|")
    for name, tested in subjects.items():
        gigabytes = memory(name, arguments)
        columns = [f"{tested.parameters() / 1e6:.2f} M", f"{predict[name]:.2f}", f"{train[name]:.2f}"]
        columns += [f"{gigabytes['predict']:.2f}", f"{gigabytes['train']:.2f}"]
        print(f"| {name} | {' | '.join(columns)} |")


if __name__ == "__main__":
    main()
