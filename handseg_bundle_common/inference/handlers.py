"""What `python -m monai.bundle run inferring` leaves behind."""

from __future__ import annotations

from pathlib import Path

import torch
from ignite.engine import Engine, Events

from handseg_bundle_common.drawing import save_png
from handseg_bundle_common.engine.figures import draw_item
from handseg_bundle_common.formats.rle import SubmissionWriter
from handseg_bundle_common.inference.predict import OVERLAYS, SUBMISSION
from handseg_bundle_common.inference.sources import overlay_name


class PredictionWriter:
    """Write an overlay of every image and, when all are done, the competition's submission.

    Needs batches of decollated items with `image_name`, and masks at the native size as `pred`.

    Args:
        output_dir: folder for `overlays/<image>.png` and `predictions.csv`.
    """

    def __init__(self, output_dir: str) -> None:
        self.output_dir = Path(output_dir)

    def attach(self, evaluator: Engine) -> None:
        """Write after every iteration of the evaluator; an exception leaves no submission behind."""
        evaluator.add_event_handler(Events.STARTED, self._start)
        evaluator.add_event_handler(Events.ITERATION_COMPLETED, self._write)
        evaluator.add_event_handler(Events.COMPLETED, self._complete)
        evaluator.add_event_handler(Events.EXCEPTION_RAISED, self._abandon)

    def _start(self) -> None:
        self._submission = SubmissionWriter(self.output_dir / SUBMISSION).__enter__()

    def _write(self, evaluator: Engine) -> None:
        for item, output in zip(evaluator.state.batch, evaluator.state.output, strict=True):
            name = item["image_name"]
            self._submission.write(name, torch.as_tensor(output["pred"]).bool().cpu().numpy())
            save_png(self.output_dir / OVERLAYS / overlay_name(name), draw_item(item, output))

    def _complete(self) -> None:
        self._submission.__exit__(None, None, None)

    def _abandon(self, error: Exception) -> None:
        """Drop the submission and pass the exception on, which ignite keeps to itself once it has a handler."""
        self._submission.__exit__(type(error), error, error.__traceback__)
        raise error
