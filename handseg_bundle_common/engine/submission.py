"""Predictions of an evaluation as the competition's CSV."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from typing import Any

import torch
from ignite.engine import Engine, Events

from handseg_bundle_common.formats.rle import SubmissionWriter


class SubmissionFile:
    """Write the masks of every evaluated image to a submission CSV, which appears when the evaluation is done.

    Needs batches of decollated items with `patient` and `image_name`, as the bundles' evaluators have them. Images
    are named by `image_name`, or by `patient/image_name` throughout when two of the data set share a name.

    Args:
        path: file to write.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._stack = ExitStack()
        self._submission: SubmissionWriter
        self._with_patient = False

    def attach(self, evaluator: Engine) -> None:
        """Write after the iterations of the evaluator."""
        evaluator.add_event_handler(Events.STARTED, self._start)
        evaluator.add_event_handler(Events.ITERATION_COMPLETED, self._write)
        evaluator.add_event_handler(Events.COMPLETED, self._stack.close)
        evaluator.add_event_handler(Events.EXCEPTION_RAISED, self._abandon)

    def _start(self, evaluator: Engine) -> None:
        names = Counter(item["image_name"] for item in evaluator.state.dataloader.dataset.data)
        self._with_patient = max(names.values()) > 1
        self._submission = self._stack.enter_context(SubmissionWriter(self.path))

    def _write(self, evaluator: Engine) -> None:
        for item, output in zip(evaluator.state.batch, evaluator.state.output, strict=True):
            self._submission.write(self._name(item), torch.as_tensor(output["pred"]).bool().cpu().numpy())

    def _name(self, item: dict[str, Any]) -> str:
        return f"{item['patient']}/{item['image_name']}" if self._with_patient else str(item["image_name"])

    def _abandon(self, error: Exception) -> None:
        """Drop the file and pass the exception on, which ignite keeps to itself once it has a handler."""
        self._stack.__exit__(type(error), error, error.__traceback__)
        raise error
