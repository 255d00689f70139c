"""A bundle on its way to machines that do not have it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from handseg_bundle_common.inference.precision import FLOAT32
from handseg_bundle_common.inference.runtimes import TORCH
from handseg_bundle_common.inference.segmenter import Segmenter, SegmenterSettings

_WEIGHTS = "weights"


@dataclass(frozen=True)
class Parcel:
    """What the network of a bundle is made of.

    Attributes:
        name: name of the bundle's folder.
        files: contents of its files by their paths below that folder, and of weights of one's own as `weights/<file>`.
    """

    name: str
    files: dict[str, bytes]

    @contextmanager
    def unpacked(self, settings: SegmenterSettings) -> Iterator[SegmenterSettings]:
        """Yield settings that are good on this machine: the given ones if it has the files, else those of a copy.

        The copy is there as long as the block.
        """
        needed = [path for path in (settings.bundle, settings.weights) if path is not None]
        if all(Path(path).exists() for path in needed):
            yield settings
            return
        with tempfile.TemporaryDirectory(prefix="handseg-") as temporary:
            folder = Path(temporary, self.name)
            for name, content in self.files.items():
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            weights = settings.weights and str(folder / _WEIGHTS / Path(settings.weights).name)
            yield replace(settings, bundle=str(folder), weights=weights)


def plain_segmenter(settings: SegmenterSettings) -> Segmenter:
    """Return a segmenter of which every machine can load the bundle, to compare its fingerprint."""
    return Segmenter(replace(settings, device="cpu", precision=FLOAT32, compile_network=False, runtime=TORCH))


def pack(settings: SegmenterSettings, segmenter: Segmenter) -> Parcel:
    """Return the files of a bundle: its configurations, its weights, and the members that an ensemble carries.

    Args:
        settings: they name the bundle by its folder.
        segmenter: it has loaded the bundle.
    """
    root = Path(settings.bundle)
    paths = [path for folder in ("configs", "models/members") for path in sorted(Path(root, folder).rglob("*"))]
    used = segmenter.predictor.origin.get("weights")
    if used is not None and Path(str(used)).is_relative_to(root):
        paths.append(Path(str(used)))
    files = {path.relative_to(root).as_posix(): path.read_bytes() for path in paths if path.is_file()}
    if settings.weights is not None:
        files[f"{_WEIGHTS}/{Path(settings.weights).name}"] = Path(settings.weights).read_bytes()
    return Parcel(root.name, files)
