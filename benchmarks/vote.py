"""Votes of submissions on their run-length codes, against masks that are decoded, counted and encoded again.

    python benchmarks/vote.py [--members 5] [--hands 4] [--size 2048] [--rounds 3]

The members are the exact masks of data/sample, enlarged to SIZE x SIZE px and bent a little by a smooth field, another
one for each member. Before anything is timed, the codes of both ways are compared. One thread, in turns; processor
time, which other programs on the machine do not lengthen.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from handseg_bundle_common.datasets import data_list, sample_dir
from handseg_bundle_common.ensemble.vote import vote_codes, vote_submissions
from handseg_bundle_common.formats.boostcamp import rasterise_packed, read_annotations
from handseg_bundle_common.formats.radiograph import read_stored
from handseg_bundle_common.formats.rle import SubmissionWriter, decode_rle, encode_masks, encode_rle
from handseg_bundle_common.masks import Packed

# Largest shift of an outline, and distance over which shifts differ, in px of 2048.
_SHIFT, _WAVE = 6.0, 64
DECODED, RUNS = "masks decoded, summed and encoded", "handseg, on the runs"
# Codes of the members, bone by bone.
Codes = list[list[str]]


def enlarged_hands(count: int, size: int) -> dict[str, Packed]:
    """Return masks of the sample data by image name, filled at SIZE x SIZE px."""
    hands = {}
    for item in data_list(sample_dir())[:count]:
        scale = size / max(read_stored(item["image"], inverted=False).size)
        annotations = read_annotations(item["label"])
        rings = {bone: [ring * scale for ring in of_bone] for bone, of_bone in annotations.items()}
        hands[item["image_name"]] = rasterise_packed(rings, size, size)
    return hands


def bent(packed: Packed, generator: np.random.Generator) -> Packed:
    """Return masks with every outline shifted by a smooth random field."""
    height, width = packed.shape
    knots = generator.uniform(-_SHIFT, _SHIFT, (height // _WAVE, width // _WAVE, 2)).astype(np.float32)
    shifts = np.rint(cv2.resize(knots, (width, height), interpolation=cv2.INTER_CUBIC) * width / 2048).astype(int)
    rows = np.clip(np.arange(height)[:, None] + shifts[..., 0], 0, height - 1)
    columns = np.clip(np.arange(width) + shifts[..., 1], 0, width - 1)
    shifted: Packed = packed[rows, columns]
    return shifted


def vote_summed(codes: Sequence[str], votes: int, size: int) -> str:
    """Vote on all masks of a bone at once."""
    return encode_rle(np.sum([decode_rle(code, size, size) for code in codes], axis=0) >= votes)


def vote_counted(codes: Sequence[str], votes: int, size: int) -> str:
    """Vote on one mask after the other, in bytes."""
    counts = np.zeros((size, size), np.uint8)
    for code in codes:
        counts += decode_rle(code, size, size)
    return encode_rle(counts >= votes)


def median_ms(ways: dict[str, Callable[[], object]], rounds: int, images: int) -> dict[str, float]:
    """Return the median processor time of each way in milliseconds an image."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in tqdm(range(rounds), "rounds", disable=None):
        for name, way in ways.items():
            start = time.process_time()
            way()
            times[name].append(time.process_time() - start)
    return {name: statistics.median(values) / images * 1000 for name, values in times.items()}


def write_members(hands: dict[str, Packed], members: int, folder: Path) -> tuple[list[Path], Codes]:
    """Write the submissions and return them, and the codes of all bones of all images."""
    generator = np.random.default_rng(0)
    paths = [folder / f"member{number}.csv" for number in range(members)]
    columns: list[list[str]] = []
    for path in paths:
        columns.append([])
        with SubmissionWriter(path) as submission:
            for name, packed in hands.items():
                codes = encode_masks(bent(packed, generator))
                submission.write_codes(name, codes)
                columns[-1] += codes
    return paths, [list(codes) for codes in zip(*columns, strict=True)]


def main() -> None:
    """Vote, compare and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--members", type=int, default=5)
    parser.add_argument("--hands", type=int, default=4)
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    size, votes = arguments.size, arguments.members // 2 + 1
    hands = enlarged_hands(arguments.hands, size)
    with tempfile.TemporaryDirectory() as folder:
        paths, bones = write_members(hands, arguments.members, Path(folder))
        ways: dict[str, Callable[[], list[str]]] = {
            DECODED: lambda: [vote_summed(codes, votes, size) for codes in bones],
            "the same, one mask after the other, counted in bytes": lambda: [
                vote_counted(codes, votes, size) for codes in bones
            ],
            RUNS: lambda: [vote_codes(codes, votes) for codes in bones],
        }
        voted = [way() for way in ways.values()]
        assert all(codes == voted[0] for codes in voted), "the codes differ"  # noqa: S101
        assert tuple(voted[0]) not in zip(*bones, strict=True), "nothing to vote on"  # noqa: S101
        files = {f"{RUNS}, all files read and written": lambda: vote_submissions(paths, Path(folder, "voted.csv"))}
        ms = median_ms({**ways, **files}, arguments.rounds, len(hands))
    runs = sum(len(code.split()) // 2 for codes in bones for code in codes) / len(bones) / arguments.members
    print(f"\n{arguments.members} members, {len(hands)} hands of {size} px, {runs:.0f} runs a bone; codes identical\n")
    print("| way | ms an image | speed |\n|---|---|---|")
    for name, value in ms.items():
        print(f"| {name} | {value:.1f} | {ms[DECODED] / value:.0f} |")


if __name__ == "__main__":
    main()
