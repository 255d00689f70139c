"""`handseg predict` against its networks alone, and its steps against the textbook's, in one process.

    python benchmarks/predict.py RADIOGRAPHS [--bundles effisegnet,...] [--count 20] [--image-size 1024] [--rounds 3]

RADIOGRAPHS is a folder, of which the first ones are taken, again and again under other names if they are few. The
networks alone get what has been read and prepared before; a prediction writes the tables, and no overlays. Both take
turns, and the bundle is loaded once for both. What a prediction does beside the network is timed step by step, on one
thread, in the processor's time.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from handseg_bundle_common.anatomy import NUM_BONES
from handseg_bundle_common.datasets import find_images
from handseg_bundle_common.formats.picture import read_picture
from handseg_bundle_common.formats.radiograph import read_radiograph
from handseg_bundle_common.formats.rle import decode_packed, encode_masks
from handseg_bundle_common.inference import Segmenter, SegmenterSettings, Source
from handseg_bundle_common.inference.cohort import Cohort
from handseg_bundle_common.inference.records import judged, write_record
from handseg_bundle_common.masks import unpack_masks
from handseg_bundle_common.transforms import restore_masks

BUNDLES = ("effisegnet", "segformer", "swin_unetr", "unetplusplus", "ensemble")


def processor_ms(work: Callable[[], Any], rounds: int = 7) -> float:
    """Return the processor's time of a call in ms, the median of several."""
    times = []
    for _ in range(rounds):
        start = time.thread_time()
        work()
        times.append(time.thread_time() - start)
    return 1000 * statistics.median(times)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let the libraries work in the caller's thread alone."""
    threads = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    yield
    torch.set_num_threads(threads[0])
    cv2.setNumThreads(threads[1])


def textbook_restore(logits: NDArray[np.float32], size: tuple[int, int], thresholds: Sequence[float]) -> Any:
    """Enlarge the whole of every bone, and compare probabilities."""
    enlarged = (cv2.resize(bone, size[::-1], interpolation=cv2.INTER_LINEAR) for bone in logits)
    return np.stack([1 / (1 + np.exp(-bone)) > value for bone, value in zip(enlarged, thresholds, strict=True)])


def textbook_encode(mask: NDArray[np.bool_]) -> str:
    """Encode one mask as competitions tell their participants to."""
    pixels = np.concatenate([[0], mask.flatten(), [0]])
    runs = np.where(pixels[1:] != pixels[:-1])[0] + 1
    runs[1::2] -= runs[::2]
    return " ".join(str(number) for number in runs)


def textbook_decode(code: str, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Decode one mask as competitions tell their participants to."""
    numbers = code.split()
    starts, lengths = (np.asarray(part, dtype=int) for part in (numbers[0::2], numbers[1::2]))
    starts -= 1
    pixels = np.zeros(size[0] * size[1], np.uint8)
    for start, end in zip(starts, starts + lengths, strict=True):
        pixels[start:end] = 1
    return pixels.reshape(size)


def compare_steps(segmenter: Segmenter, source: Source) -> None:
    """Print the steps that have a textbook version beside it, after comparing what both give."""
    predictor = segmenter.predictor
    loaded = predictor.load(source.path)
    logits, _ = predictor.infer(loaded)
    working, size = logits.float().cpu().numpy(), loaded.size
    thresholds = np.broadcast_to(predictor.threshold, NUM_BONES).tolist()
    packed = restore_masks(working, size, thresholds)
    masks, codes = unpack_masks(packed), encode_masks(packed)
    # Rounding a probability decides a pixel in a million.
    np.testing.assert_array_less(np.mean(textbook_restore(working, size, thresholds) != masks), 1e-6)
    np.testing.assert_array_equal([textbook_encode(mask) for mask in masks], codes)
    np.testing.assert_array_equal(np.stack([textbook_decode(code, size) for code in codes]), masks)
    np.testing.assert_array_equal(decode_packed(codes, *size), packed)
    ways = {
        "logits to masks": (
            lambda: textbook_restore(working, size, thresholds),
            lambda: restore_masks(working, size, thresholds),
        ),
        "encode 29 masks": (lambda: [textbook_encode(mask) for mask in masks], lambda: encode_masks(packed)),
        "decode 29 masks": (
            lambda: [textbook_decode(code, size) for code in codes],
            lambda: decode_packed(codes, *size),
        ),
    }
    print("| step | textbook, ms | handseg, ms | ratio |\n|---|---|---|---|")
    for name, (plain, fast) in ways.items():
        times = processor_ms(plain, 3), processor_ms(fast)
        print(f"| {name} | {times[0]:.1f} | {times[1]:.1f} | {times[0] / times[1]:.0f} |")


def profile(segmenter: Segmenter, source: Source, folder: Path) -> dict[str, float]:
    """Return the processor's time in ms of what a prediction does beside the network."""
    predictor = segmenter.predictor
    loaded = predictor.load(source.path)
    prediction = predictor.restore(loaded, *predictor.infer(loaded))
    arguments = source.name, source.path, loaded.picture, prediction.masks, prediction.votes
    record, _ = judged(*arguments)
    decode = processor_ms(lambda: read_picture(source.path))
    read = processor_ms(lambda: read_radiograph(source.path))
    encode = processor_ms(lambda: encode_masks(prediction.masks))
    return {
        "decode": decode,
        "inverted?": read - decode,
        "stretch, shrink": processor_ms(lambda: predictor.load(source.path)) - read,
        "masks": processor_ms(lambda: predictor.restore(loaded, prediction.logits, prediction.votes)),
        "codes": encode,
        "confidence, flags, side": processor_ms(lambda: judged(*arguments)) - encode,
        "record": processor_ms(lambda: write_record(folder / "a.case", "", record)),
    }


def compare_bundle(segmenter: Segmenter, sources: Sequence[Source], rounds: int) -> NDArray[np.float64]:
    """Return the ms an image of the networks alone and of a whole prediction, the least of several rounds each.

    Returns:
        (2, 2): both ways, in the clock's time and in the processor's.
    """
    predictor = segmenter.predictor
    loaded = {path: predictor.load(path) for path in {source.path: None for source in sources}}

    def networks() -> None:
        for source in sources:
            predictor.infer(loaded[source.path])

    def whole() -> None:
        with tempfile.TemporaryDirectory() as folder:
            cohort = Cohort(Path(folder), segmenter, ["rle"])
            failures = [step.failure for step in cohort.run(sources) if step.failure is not None]
            cohort.conclude(sources, failures)

    times = np.array([[_clocks(networks), _clocks(whole)] for _ in range(rounds)])
    return np.asarray(1000 * times.min(axis=0) / len(sources), np.float64)


def _clocks(work: Callable[[], None]) -> tuple[float, float]:
    """Return the seconds of a call by the clock and by the processor, all threads together."""
    start = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - start[0], time.process_time() - start[1]


def main() -> None:
    """Print the steps, the bundles and the profile."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("radiographs", type=Path)
    parser.add_argument("--bundles", default=",".join(BUNDLES))
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--image-size", type=int)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, help="threads of the network, by default one a core")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    files = find_images(arguments.radiographs)[: arguments.count]
    sources = [Source(files[number % len(files)], f"{number}.png") for number in range(arguments.count)]
    profiles: dict[str, dict[str, float]] = {}
    rows = []
    for name in arguments.bundles.split(","):
        segmenter = Segmenter(SegmenterSettings(name, image_size=arguments.image_size, precision=arguments.precision))
        alone, whole = compare_bundle(segmenter, sources, arguments.rounds)
        ratios = whole / alone
        with one_thread(), tempfile.TemporaryDirectory() as folder:
            if not profiles:
                compare_steps(segmenter, sources[0])
            profiles[name] = profile(segmenter, sources[0], Path(folder))
        rest = sum(profiles[name].values())
        rows.append(f"| {name} | {alone[0]:.0f} | {whole[0]:.0f} | {ratios[0]:.2f} | {ratios[1]:.2f} | {rest:.0f} |")
    print("\n| bundle | networks alone, ms an image | predict, ms | ratio | in processor's time | the rest, ms |")
    print("\n".join(["|---|---|---|---|---|---|", *rows]))
    print(f"\n| the rest, ms | {' | '.join(profiles)} |\n|---|{'---|' * len(profiles)}")
    for step in next(iter(profiles.values())):
        print(f"| {step} | {' | '.join(f'{steps[step]:.1f}' for steps in profiles.values())} |")


if __name__ == "__main__":
    main()
