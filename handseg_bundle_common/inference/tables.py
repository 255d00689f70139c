"""The tables of a prediction: the submission, the images, and how far each bone can be trusted."""

from __future__ import annotations

import csv
import logging
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from handseg_bundle_common.datasets.predictions import IMAGES, SUBMISSION
from handseg_bundle_common.ensemble.case import CaseFault
from handseg_bundle_common.ensemble.confidence import ConfidenceTable
from handseg_bundle_common.files import printable, write_csv
from handseg_bundle_common.formats.rle import SubmissionWriter
from handseg_bundle_common.inference.records import ImageRecord

CONFIDENCE = "confidence.csv"

_COLUMNS = ("image_name", "height", "width", "side", "side_from", "picture", "bones")
# So many images that are wrong as a whole are listed at the end, more are counted.
_LISTED = 5

logger = logging.getLogger("handseg_bundle_common.inference.results")


class Tables:
    """Context manager that streams the tables of a folder; they appear when the block succeeds.

    A warning at the end tells which images are wrong as a whole.

    Args:
        output: the folder.
        has_submission: whether `predictions.csv` is among them.

    Raises:
        HandsegInputError: on entry, the folder cannot be written to.
    """

    def __init__(self, output: Path, *, has_submission: bool = True) -> None:
        self._output = output
        self._submission = SubmissionWriter(output / SUBMISSION) if has_submission else None
        self._confidence = ConfidenceTable(output / CONFIDENCE)
        self._stack = ExitStack()
        self._images: Any = None
        self._count = 0
        self._reasons: Counter[str] = Counter()
        self._listed: dict[str, Sequence[CaseFault]] = {}

    def __enter__(self) -> Tables:
        with ExitStack() as stack:
            if self._submission is not None:
                stack.enter_context(self._submission)
            stack.enter_context(self._confidence)
            self._images = csv.writer(stack.enter_context(write_csv(self._output / IMAGES)))
            self._images.writerow(_COLUMNS)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)
        flagged = self._reasons.total()
        if error is None and flagged:
            where = self._output / IMAGES
            message = "%d of %d images are flagged as a whole (%s): %s"
            logger.warning(message, flagged, self._count, where, self._why())

    def write(self, record: ImageRecord) -> None:
        """Add one image.

        Raises:
            HandsegInputError: there is one of that name already.
        """
        if self._submission is not None:
            self._submission.write_codes(record.name, record.codes)
        self._confidence.write_rows(record.name, record.confidence)
        faults = record.case_faults
        sentences = _sentences(faults), "; ".join(record.flags)
        self._images.writerow((record.name, record.height, record.width, record.side, record.side_from, *sentences))
        self._count += 1
        if faults:
            self._reasons[faults[0].reason] += 1
            if len(self._listed) < _LISTED:
                self._listed[record.name] = faults

    def _why(self) -> str:
        """Return why images are flagged: one by one if they are few, else counted by reason."""
        if self._reasons.total() > _LISTED:
            return ", ".join(f"{count} {reason}" for reason, count in self._reasons.most_common())
        lines = (f"\n  {name}: {_sentences(faults)}" for name, faults in self._listed.items())
        # A log is text, which bytes of a file's name that are no characters are not.
        return printable("".join(lines))


def _sentences(faults: Sequence[CaseFault]) -> str:
    return "; ".join(fault.message for fault in faults)
