"""What every prediction leaves behind: overlays and one submission."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handseg_bundle_common.drawing import overlay, overlay_name, save_png
from handseg_bundle_common.files import make_folder
from handseg_bundle_common.formats.radiograph import read_radiograph
from handseg_bundle_common.formats.rle import SubmissionWriter
from handseg_bundle_common.masks import Packed
from handseg_bundle_common.transforms import ScaleRadiographd

OVERLAYS, SUBMISSION = "overlays", "predictions.csv"

_stretch = ScaleRadiographd("image")


class ResultsFolder:
    """A folder with `overlays/<image>.png`, each complete as soon as it is there, and `predictions.csv`.

    A context manager: the competition's submission appears when the block ends, and not at all after an exception.

    Args:
        output: the folder.

    Raises:
        HandsegInputError: on entry, the folder cannot be written to.
    """

    def __init__(self, output: str | PathLike[str]) -> None:
        self.overlays = Path(output) / OVERLAYS
        self._submission = SubmissionWriter(Path(output) / SUBMISSION)

    def __enter__(self) -> ResultsFolder:
        make_folder(self.overlays)
        self._submission.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._submission.__exit__(kind, error, trace)

    def write(self, name: str, radiograph: str | PathLike[str], masks: NDArray[Any] | Packed) -> None:
        """Add one image.

        Args:
            name: name of the image in the submission.
            radiograph: file that the masks lie over, drawn with its contrast stretched.
            masks: masks (29, H, W) or packed masks (H, W) of the radiograph's size.
        """
        masks = masks if masks.ndim == 2 else np.asarray(masks, bool)
        self._submission.write(name, masks)
        image = _stretch({"image": read_radiograph(radiograph)})["image"]
        save_png(self.overlays / overlay_name(name), overlay(image, masks))
