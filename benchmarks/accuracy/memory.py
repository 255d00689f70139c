"""Peak memory of one prediction in a process of its own.

    python benchmarks/accuracy/memory.py BUNDLE WEIGHTS RADIOGRAPH DEVICE THREADS

prints the process's peak and that of the GPU, 0 without one, in GB.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import cv2
import torch
from contestants import Contestant

from handseg_bundle_common.inference import choose_device, load_predictor


class Peak(NamedTuple):
    """Peak memory in GB: of the process with all its libraries, and of the GPU."""

    process: float
    gpu: float

    def told(self) -> str:
        """Return both numbers, the second where there is a GPU."""
        return f"{self.process:.2f}" + (f" + {self.gpu:.2f} on the GPU" if self.gpu else "")


def weigh(contestant: Contestant, radiograph: Path, device: str) -> Peak:
    """Return the peak of one prediction by a bundle, its loading included.

    Raises:
        SystemExit: the process that does it failed, for the reason given.
    """
    what = contestant.folder, contestant.weights, radiograph, device, torch.get_num_threads()
    command = [sys.executable, __file__, *map(str, what)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if result.returncode:
        raise SystemExit(f"{contestant.name}: {result.stderr}")
    *_, last = result.stdout.splitlines()  # libraries may have printed before
    return Peak(*map(float, last.split()))


def peak_of(bundle: str, weights: str, radiograph: str, device: str) -> Peak:
    """Return the peak of this process after one prediction."""
    load_predictor(bundle, weights=weights, device=device)(radiograph)
    chosen = choose_device(device)
    gpu = torch.cuda.max_memory_allocated(chosen) if chosen.type == "cuda" else 0
    return Peak(_peak_bytes() / 1e9, gpu / 1e9)


def _peak_bytes() -> int:
    """Return the process's own peak; what Linux counts as resources used includes that of the parent."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS


if __name__ == "__main__":
    *_of, _threads = sys.argv[1:]
    torch.set_num_threads(int(_threads))
    cv2.setNumThreads(int(_threads))
    print(*peak_of(*_of))
