"""What a prediction leaves behind, image by image: overlays, masks and tables."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common import __version__
from handseg_bundle_common.conversion.kinds import RLE
from handseg_bundle_common.datasets.predictions import DISAGREEMENT, OVERLAYS, SUBMISSION
from handseg_bundle_common.files import make_folder, write_atomically
from handseg_bundle_common.formats.probabilities import PROBABILITIES
from handseg_bundle_common.formats.radiograph import read_radiograph
from handseg_bundle_common.inference.mask_files import DEFAULT_FORMATS, OVERLAY, MaskFiles
from handseg_bundle_common.inference.pictures import draw
from handseg_bundle_common.inference.records import judged
from handseg_bundle_common.inference.tables import Tables
from handseg_bundle_common.masks import Packed, pack_masks
from handseg_bundle_common.transforms import ScaleRadiographd

ORIGIN = "prediction.json"

_stretch = ScaleRadiographd("image")


class ResultsFolder:
    """A folder with `overlays/<image>.png`, each complete as soon as it is there, and tables of all images.

    A context manager: the tables appear when the block ends, and not at all after an exception. They are
    `predictions.csv`, the competition's submission; `images.csv`, size and side of every image and what is wrong with
    the picture as a whole and with its bones; `confidence.csv`, how far each bone can be trusted, and why not. Of an
    ensemble, `disagreement/<image>.png` shows where its members part. A warning at the end tells which images are wrong
    as a whole.

    Args:
        output: the folder.
        origin: what the predictions come from, plain values for `prediction.json`.
        formats: what is written beside the tables: `overlay`, `rle`, which is the submission, and formats of
            `conversion.FORMATS`, in `masks/`.

    Raises:
        HandsegInputError: on entry, the folder cannot be written to.
    """

    def __init__(
        self,
        output: str | PathLike[str],
        origin: Mapping[str, Any] | None = None,
        formats: Sequence[str] = DEFAULT_FORMATS,
    ) -> None:
        self.output = Path(output)
        self.overlays = self.output / OVERLAYS
        self._origin = origin
        self._formats = formats
        self._masks = MaskFiles(output, formats, algorithm_of(origin))
        self._tables = Tables(self.output, has_submission=RLE in formats)
        self._stack = ExitStack()

    def __enter__(self) -> ResultsFolder:
        make_folder(self.overlays if OVERLAY in self._formats else self.output)
        self._forget_earlier_run()
        with ExitStack() as stack:
            stack.enter_context(self._masks)
            stack.enter_context(self._tables)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)
        if error is None and self._origin is not None:
            write_origin(self.output, self._origin)

    def _forget_earlier_run(self) -> None:
        forget_tables(self.output, self._formats)
        for path in [*Path(self.output, PROBABILITIES).rglob("*.npz"), *Path(self.output, DISAGREEMENT).rglob("*.png")]:
            path.unlink(missing_ok=True)

    def write(
        self,
        name: str,
        radiograph: str | PathLike[str],
        masks: NDArray[Any] | Packed,
        votes: Sequence[Packed] = (),
    ) -> None:
        """Add one image.

        Args:
            name: name of the image in the submission.
            radiograph: file that the masks lie over, drawn with its contrast stretched.
            masks: masks (29, H, W) or packed masks (H, W) of the radiograph's size.
            votes: packed masks of an ensemble's members, at any one size.
        """
        packed = masks if masks.ndim == 2 else pack_masks(np.asarray(masks, bool))
        picture = _stretch({"image": read_radiograph(radiograph)})["image"]
        record, found = judged(name, radiograph, picture, packed, votes)
        self._tables.write(record)
        self._masks.write(name, radiograph, packed, found.laterality)
        if OVERLAY in self._formats:
            draw(self.output, name, picture, packed, notes=found.notes, votes=votes)


def algorithm_of(origin: Mapping[str, Any] | None) -> str:
    """Return the name of what has made masks, for files that tell it."""
    return Path(str((origin or {}).get("bundle", "handseg"))).name


def write_origin(output: Path, origin: Mapping[str, Any]) -> None:
    """Write what the predictions of a folder come from.

    Raises:
        HandsegInputError: the file cannot be written.
    """
    with write_atomically(output / ORIGIN) as temporary:
        temporary.write_text(json.dumps({"handseg": __version__, **origin}, indent=1) + "\n", encoding="utf-8")


def forget_tables(output: Path, formats: Sequence[str]) -> None:
    """Remove what a run might not replace, and what would then be taken for its own."""
    for name in (ORIGIN, *([] if RLE in formats else [SUBMISSION])):
        Path(output, name).unlink(missing_ok=True)
