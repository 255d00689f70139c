"""What `python -m monai.bundle run inferring` leaves behind."""

from __future__ import annotations

from contextlib import ExitStack

import torch
from ignite.engine import Engine, Events

from handseg_bundle_common.inference.predictor import votes_of_members
from handseg_bundle_common.inference.results import ResultsFolder
from handseg_bundle_common.transforms import PATH_KEY


class PredictionWriter:
    """Write an overlay of every image and, when all are done, the competition's submission.

    Needs batches of decollated items with `image_name` and `image_path`, and masks at the native size as `pred`.

    Args:
        output_dir: folder for `overlays/<image>.png` and `predictions.csv`.
    """

    def __init__(self, output_dir: str) -> None:
        self.output_dir = output_dir
        self._stack = ExitStack()

    def attach(self, evaluator: Engine) -> None:
        """Write after every iteration of the evaluator; an exception leaves no submission behind."""
        evaluator.add_event_handler(Events.STARTED, self._start)
        evaluator.add_event_handler(Events.ITERATION_COMPLETED, self._write)
        evaluator.add_event_handler(Events.COMPLETED, self._complete)
        evaluator.add_event_handler(Events.EXCEPTION_RAISED, self._abandon)

    def _start(self) -> None:
        self._results = self._stack.enter_context(ResultsFolder(self.output_dir))

    def _write(self, evaluator: Engine) -> None:
        batch = evaluator.state.batch
        network = getattr(evaluator, "network", None)
        votes = votes_of_members(network, len(batch))
        for item, output, of_image in zip(batch, evaluator.state.output, votes, strict=True):
            masks = torch.as_tensor(output["pred"]).cpu().numpy()
            self._results.write(item["image_name"], item[PATH_KEY], masks, of_image)

    def _complete(self) -> None:
        self._stack.close()

    def _abandon(self, error: Exception) -> None:
        """Drop the submission and pass the exception on, which ignite keeps to itself once it has a handler."""
        self._stack.__exit__(type(error), error, error.__traceback__)
        raise error
