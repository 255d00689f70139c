"""What every prediction leaves behind: overlays and one submission."""

from __future__ import annotations

import csv
import json
import logging
from collections import Counter
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
from handseg_bundle_common.datasets.predictions import DISAGREEMENT, IMAGES, OVERLAYS, SUBMISSION
from handseg_bundle_common.drawing import heat_overlay, overlay, overlay_name, save_png
from handseg_bundle_common.ensemble.agreement import disagreement_map
from handseg_bundle_common.ensemble.case import CaseFault, case_faults
from handseg_bundle_common.ensemble.confidence import ConfidenceTable, case_confidence
from handseg_bundle_common.files import make_folder, printable, write_atomically, write_csv
from handseg_bundle_common.formats.dicom import read_dicom_side_tag
from handseg_bundle_common.formats.probabilities import PROBABILITIES
from handseg_bundle_common.formats.radiograph import read_radiograph
from handseg_bundle_common.formats.rle import SubmissionWriter
from handseg_bundle_common.inference.mask_files import DEFAULT_FORMATS, OVERLAY, MaskFiles
from handseg_bundle_common.laterality import find_laterality
from handseg_bundle_common.masks import Packed, pack_masks
from handseg_bundle_common.transforms import ScaleRadiographd

CONFIDENCE, ORIGIN = "confidence.csv", "prediction.json"

# So many images that are wrong as a whole are listed at the end, more are counted.
_LISTED = 5

logger = logging.getLogger(__name__)

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
        self._origin = origin
        self.overlays = self.output / OVERLAYS
        self._has_overlays = OVERLAY in formats
        self._submission = SubmissionWriter(self.output / SUBMISSION) if RLE in formats else None
        algorithm = Path(str((origin or {}).get("bundle", "handseg"))).name
        self._masks = MaskFiles(output, formats, algorithm)
        self._stack = ExitStack()
        self._confidence = ConfidenceTable(self.output / CONFIDENCE)
        self._images: Any = None
        self._count = 0
        self._flagged: dict[str, tuple[CaseFault, ...]] = {}

    def __enter__(self) -> ResultsFolder:
        make_folder(self.overlays if self._has_overlays else self.output)
        self._forget_earlier_run()
        self._stack.enter_context(self._masks)
        if self._submission is not None:
            self._stack.enter_context(self._submission)
        self._stack.enter_context(self._confidence)
        self._images = csv.writer(self._stack.enter_context(write_csv(self.output / IMAGES)))
        self._images.writerow(("image_name", "height", "width", "side", "side_from", "picture", "bones"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)
        if error is None and self._flagged:
            logger.warning("%d of %d images are flagged as a whole (%s): %s", *self._flagged_images())
        if error is None and self._origin is not None:
            with write_atomically(self.output / ORIGIN) as temporary:
                text = json.dumps({"handseg": __version__, **self._origin}, indent=1)
                temporary.write_text(text + "\n", encoding="utf-8")

    def _flagged_images(self) -> tuple[int, int, Path, str]:
        """Return how many images are flagged, of how many, where they stand, and why: by image if few, else in all."""
        if len(self._flagged) > _LISTED:
            counts = Counter(faults[0].reason for faults in self._flagged.values()).most_common()
            why = ", ".join(f"{count} {reason}" for reason, count in counts)
        else:
            lines = (f"\n  {name}: {_sentences(faults)}" for name, faults in self._flagged.items())
            # A log is text, which bytes of a file's name that are no characters are not.
            why = printable("".join(lines))
        return len(self._flagged), self._count, self.output / IMAGES, why

    def _forget_earlier_run(self) -> None:
        """Remove what this run might not replace, and what would then be taken for its own."""
        submission = [] if self._submission is not None else [self.output / SUBMISSION]
        earlier = [self.output / ORIGIN, *submission, *Path(self.output, PROBABILITIES).rglob("*.npz")]
        for path in [*earlier, *Path(self.output, DISAGREEMENT).rglob("*.png")]:
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
        image = read_radiograph(radiograph)
        if self._submission is not None:
            self._submission.write(name, packed)
        confidence = case_confidence(packed, votes)
        self._confidence.write(name, confidence)
        faults = case_faults(packed, image)
        self._count += 1
        if faults:
            self._flagged[name] = faults
        laterality = find_laterality(name, packed, read_dicom_side_tag(radiograph))
        side = laterality.side or "", laterality.source or ""
        self._images.writerow((name, *packed.shape, *side, _sentences(faults), "; ".join(confidence.flags)))
        # What is wrong with single bones hides that there is no hand.
        of_bones = confidence.flags if all(fault.is_usable for fault in faults) else ()
        notes = [*(fault.message for fault in faults), *of_bones]
        self._masks.write(name, radiograph, packed, laterality)
        if self._has_overlays:
            self._draw(name, image, packed, notes, votes)

    def _draw(
        self, name: str, image: NDArray[np.float32], packed: Packed, notes: Sequence[str], votes: Sequence[Packed]
    ) -> None:
        image = _stretch({"image": image})["image"]
        save_png(self.overlays / overlay_name(name), overlay(image, packed, notes=notes))
        if len(votes) > 1:
            picture = heat_overlay(image, disagreement_map(votes))
            save_png(self.output / DISAGREEMENT / overlay_name(name), picture)


def _sentences(faults: Sequence[CaseFault]) -> str:
    return "; ".join(fault.message for fault in faults)
