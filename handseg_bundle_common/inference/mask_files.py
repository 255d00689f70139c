"""Masks of predictions in the formats that other programs read, image by image."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from os import PathLike
from pathlib import Path
from types import TracebackType

from handseg_bundle_common.conversion.kinds import DICOM_SEG, FORMATS, RLE, check_formats, image_stem
from handseg_bundle_common.conversion.sinks import FileSink, Sink, open_sink
from handseg_bundle_common.datasets.predictions import MASKS
from handseg_bundle_common.errors import HandsegInputError
from handseg_bundle_common.formats.dicom import is_dicom, write_dicom_seg
from handseg_bundle_common.formats.mask_image import MaskImage
from handseg_bundle_common.inference.sources import Source
from handseg_bundle_common.laterality import Laterality
from handseg_bundle_common.masks import Packed
from handseg_bundle_common.measurements.scale import read_spacing

OVERLAY = "overlay"
DEFAULT_FORMATS = (OVERLAY, RLE)


def check_outputs(formats: Sequence[str], sources: Sequence[Source]) -> tuple[str, ...]:
    """Return the formats of a prediction, each once.

    Args:
        formats: `overlay` and those of `conversion.FORMATS`.
        sources: what will be segmented.

    Raises:
        HandsegInputError: a format is unknown, two radiographs would have one file, or a DICOM segmentation is wanted
            of a radiograph that is not DICOM.
    """
    wanted = check_formats(formats, OVERLAY)
    if DICOM_SEG in wanted:
        other = next((source.path for source in sources if not is_dicom(source.path)), None)
        if other is not None:
            problem = "is no DICOM file, to which a DICOM segmentation must refer"
            raise HandsegInputError(other, problem, f"leave {DICOM_SEG} out of --formats")
    if any(name != OVERLAY and FORMATS[name].read is not None for name in wanted):
        first: dict[tuple[str, str], Source] = {}
        for source in sources:
            key = source.name.rpartition("/")[0], image_stem(source.name)
            other_source = first.setdefault(key, source)
            if other_source is not source:
                problem = (
                    f"has the same name as {other_source.path} but for the suffix, which files of masks do not keep"
                )
                raise HandsegInputError(source.path, problem, "rename one of them")
    return wanted


class MaskFiles:
    """Context manager that writes `<output>/masks/<format>/<image>`, or `<output>/masks/coco.json` for all images.

    Args:
        output: folder of the results.
        formats: names of formats; `overlay` and `rle` are passed over.
        algorithm: what has made the masks.
    """

    def __init__(self, output: str | PathLike[str], formats: Sequence[str], algorithm: str) -> None:
        self._algorithm = algorithm
        self._sinks: dict[str, Sink] = {}
        # First what a radiograph may not allow, so that of such an image nothing is written.
        for name in sorted(formats, key=lambda name: name != DICOM_SEG):
            if name not in DEFAULT_FORMATS:
                is_one_each = FORMATS[name].read is not None
                target = Path(output, MASKS, name if is_one_each else f"{name}{FORMATS[name].suffixes[0]}")
                self._sinks[name] = open_sink(target, name, overwrite=True)
        self._stack = ExitStack()

    def __enter__(self) -> MaskFiles:
        with ExitStack() as stack:
            for sink in self._sinks.values():
                stack.enter_context(sink)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def write(self, name: str, radiograph: str | PathLike[str], masks: Packed, laterality: Laterality) -> None:
        """Write the masks of an image in every format.

        Args:
            name: the image's name.
            radiograph: its file, which tells the spacing.
            masks: packed masks (H, W).
            laterality: the side of the hand.

        Raises:
            HandsegInputError: a file cannot be written.
        """
        if not self._sinks:
            return
        spacing = read_spacing(radiograph)
        image = MaskImage(name, masks, None if spacing is None else (spacing, spacing))
        for sink in self._sinks.values():
            if isinstance(sink, FileSink) and sink.name == DICOM_SEG:
                write_dicom_seg(
                    sink.path(name),
                    radiograph,
                    masks,
                    algorithm=self._algorithm,
                    estimated_side=laterality.side,
                    estimated_from=(laterality.source or "the picture").replace("_", " "),
                )
            else:
                sink.write(image, Path(radiograph))
